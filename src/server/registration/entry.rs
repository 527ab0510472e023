//! One entry: made, kept, made again when the registry has lost it, removed at the end.

use std::{pin::pin, sync::Arc, time::SystemTime};

use serde_json::json;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::LEAVE_MAX;
use crate::{
    admin::model,
    resilience::restart::{RestartBackoff, STEADY},
    server::board::Board,
    task,
    telemetry::{
        events::Events,
        metrics::{ControlMetrics, SharedCounter, SharedGauge, names},
    },
    upstream::{
        discovery::Reconnect,
        registration::{Registrar, RegistrationError, RegistrationSpec},
    },
};

/// Fate of an entry when its task ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It is removed.
    Leaves,
    /// It stays: another task, or another process, has taken it over.
    Stays,
}

/// One entry and who is told of it.
pub(super) struct Entry {
    listener: Arc<str>,
    spec: Arc<RegistrationSpec>,
    board: Arc<Board>,
    events: Arc<Events>,
    up: SharedGauge,
    entered: SharedCounter,
    failed: SharedCounter,
    end: watch::Receiver<Option<End>>,
}

impl Entry {
    pub(super) fn new(
        listener: &Arc<str>,
        spec: &Arc<RegistrationSpec>,
        board: &Arc<Board>,
        events: &Arc<Events>,
        metrics: &ControlMetrics,
        end: watch::Receiver<Option<End>>,
    ) -> Self {
        let labels = [&**listener, spec.kind()];
        let counter = |result| {
            let labels = [&**listener, spec.kind(), result];
            metrics.counter(&names::REGISTRATIONS_TOTAL, labels)
        };
        let entry = Self {
            listener: Arc::clone(listener),
            spec: Arc::clone(spec),
            board: Arc::clone(board),
            events: Arc::clone(events),
            up: metrics.gauge(&names::REGISTERED, labels),
            entered: counter("entered"),
            failed: counter("failed"),
            end,
        };
        entry.shows("entering", None);
        entry
    }

    /// Runs until it is told to end; tells `made` when the entry is made.
    pub(super) async fn run(self, made: watch::Sender<bool>) {
        let spec = Arc::clone(&self.spec);
        self.run_with(|| spec.start(), made).await;
    }

    async fn run_with(self, start: impl Fn() -> Box<dyn Registrar>, made: watch::Sender<bool>) {
        let mut end = self.end.clone();
        let told = async {
            match end.wait_for(Option::is_some).await {
                Ok(end) => end.unwrap_or(End::Stays),
                // Whoever could tell is gone.
                Err(_) => End::Stays,
            }
        };
        let mut told = pin!(told);
        let mut registrar = start();
        let mut backoff = RestartBackoff::default();
        let end = loop {
            let began = Instant::now();
            let panicked = {
                let working = pin!(self.work(&mut *registrar, &made));
                tokio::select! {
                    biased;
                    end = &mut told => break end,
                    task::Panicked = caught(working) => task::Panicked,
                }
            };
            let task::Panicked = panicked;
            let wait = backoff.after(began.elapsed());
            tracing::error!(
                listener = %self.listener, wait_ms = wait.as_millis(),
                "the registration of a listener panicked; this is a bug; it is started again after a wait"
            );
            registrar = start();
            tokio::select! {
                biased;
                end = &mut told => break end,
                () = sleep(wait) => {}
            }
        };
        self.ends(end, registrar).await;
    }

    /// Makes the entry and keeps it, for ever.
    async fn work(&self, registrar: &mut dyn Registrar, made: &watch::Sender<bool>) -> Never {
        let mut reconnect = Reconnect::default();
        loop {
            reconnect.wait().await;
            let began = Instant::now();
            let error = match registrar.enter().await {
                Ok(()) => {
                    self.has_entered();
                    made.send_replace(true);
                    registrar.keep().await
                }
                Err(error) => error,
            };
            if began.elapsed() > STEADY {
                reconnect.succeeded();
            }
            reconnect.failed();
            self.has_failed(&error);
        }
    }

    async fn ends(self, end: End, mut registrar: Box<dyn Registrar>) {
        self.up.set(0);
        if end == End::Stays {
            return;
        }
        let (listener, registry) = (&*self.listener, self.spec.kind());
        let left = timeout(LEAVE_MAX, registrar.leave()).await;
        let error = match left {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("it does not answer".to_owned()),
        };
        match &error {
            None => {
                tracing::info!(listener, registry, to = %self.spec, "removed from its registry");
            }
            Some(error) => tracing::warn!(
                listener, registry, to = %self.spec, %error,
                "cannot be removed from its registry; the entry goes by itself"
            ),
        }
        self.publish("left", error.as_deref());
        self.board.registered(&self.listener, None, &self.spec);
    }

    fn has_entered(&self) {
        self.up.set(1);
        self.entered.inc();
        let (listener, registry) = (&*self.listener, self.spec.kind());
        let (id, announced) = (self.spec.id(), self.spec.announced());
        tracing::info!(listener, registry, to = %self.spec, id, announced, "registered");
        self.shows("registered", None);
        self.publish("registered", None);
    }

    fn has_failed(&self, error: &RegistrationError) {
        self.up.set(0);
        self.failed.inc();
        let error = error.to_string();
        if !self.shows("failed", Some(&error)) {
            return;
        }
        let (listener, registry) = (&*self.listener, self.spec.kind());
        tracing::warn!(
            listener, registry, to = %self.spec, %error,
            "not registered; it is tried again"
        );
        self.publish("failed", Some(&error));
    }

    /// Shows the state in the admin API; returns false if it was the same before.
    fn shows(&self, state: &str, error: Option<&str>) -> bool {
        let state = model::Registration {
            registry: self.spec.kind().to_owned(),
            to: self.spec.to_string(),
            id: self.spec.id().to_owned(),
            announced: self.spec.announced(),
            state: state.to_owned(),
            since: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            error: error.map(str::to_owned),
        };
        self.board
            .registered(&self.listener, Some(state), &self.spec)
    }

    fn publish(&self, state: &str, error: Option<&str>) {
        let what = json!({
            "listener": &*self.listener,
            "registry": self.spec.kind(),
            "id": self.spec.id(),
            "announced": self.spec.announced(),
            "state": state,
            "error": error,
        });
        self.events.publish("registration", "proxy", what);
    }
}

/// The output of work that does not end.
enum Never {}

/// Waits for the panic of work that does not end.
async fn caught(working: std::pin::Pin<&mut impl Future<Output = Never>>) -> task::Panicked {
    match task::caught(working).await {
        Ok(never) => match never {},
        Err(panicked) => panicked,
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, rc::Rc, sync::Mutex, time::Duration};

    use tokio::task::LocalSet;

    use super::*;
    use crate::{
        config::value::HttpUrl,
        fetch::Target,
        telemetry::metrics::Metrics,
        upstream::{
            consul::{ConsulCheck, ConsulService},
            discovery::BoxFuture,
            registration::ConsulRegistration,
        },
    };

    /// Panics when it enters; notes when it leaves.
    struct Broken(Arc<Mutex<Vec<&'static str>>>);

    impl Registrar for Broken {
        fn enter(&mut self) -> BoxFuture<'_, Result<(), RegistrationError>> {
            self.0.lock().unwrap().push("enter");
            panic!("on purpose")
        }

        fn keep(&mut self) -> BoxFuture<'_, RegistrationError> {
            Box::pin(std::future::pending())
        }

        fn leave(&mut self) -> BoxFuture<'_, Result<(), RegistrationError>> {
            self.0.lock().unwrap().push("leave");
            Box::pin(async { Ok(()) })
        }
    }

    fn entry(end: watch::Receiver<Option<End>>) -> Entry {
        let spec = RegistrationSpec::Consul(Box::new(ConsulRegistration {
            target: Target {
                url: HttpUrl::consul(),
                ca: None,
                secrets: Vec::new(),
            },
            service: ConsulService {
                id: "one".to_owned(),
                name: "orders".to_owned(),
                address: "10.0.0.1".to_owned(),
                port: 80,
                tags: Vec::new(),
                meta: BTreeMap::new(),
                check: ConsulCheck::Told(Duration::from_secs(15)),
                deregister_after: Duration::from_secs(60),
            },
        }));
        let (board, events) = (Arc::new(Board::new(None, None)), Arc::new(Events::new()));
        let metrics = Metrics::new(100);
        Entry::new(
            &"web".into(),
            &Arc::new(spec),
            &board,
            &events,
            &metrics.control(),
            end,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_is_heard_during_the_wait_after_a_panic() {
        let all = async {
            let (tell, end) = watch::channel(None);
            let (made, _is_made) = watch::channel(false);
            let did = Arc::new(Mutex::new(Vec::new()));
            let start = {
                let did = Arc::clone(&did);
                move || Box::new(Broken(Arc::clone(&did))) as Box<dyn Registrar>
            };
            let running = Rc::new(task::spawn_local(
                "registration",
                entry(end).run_with(start, made),
            ));
            // The waits double: the last one is far longer than the wait for the end below.
            sleep(Duration::from_secs(60)).await;
            assert!(did.lock().unwrap().len() > 5);
            did.lock().unwrap().clear();
            let told = Instant::now();
            tell.send_replace(Some(End::Leaves));
            while !running.is_finished() {
                sleep(Duration::from_millis(1)).await;
            }
            assert!(told.elapsed() < Duration::from_millis(100));
            assert_eq!(*did.lock().unwrap(), ["leave"]);
        };
        LocalSet::new().run_until(all).await;
    }
}
