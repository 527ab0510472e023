//! The control thread: configuration, health, admin, signals, and the end.
//!
//! It decides; workers read what it decides. Nothing it does can slow them.

use std::{collections::HashMap, path::PathBuf, sync::Arc, thread::JoinHandle, time::Duration};

use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval},
};

use super::{
    Shared, StartError,
    board::Board,
    certificates, drain,
    metrics::ControlGauges,
    notify::Notify,
    operations::Api,
    reload::{Prepared, steps},
    signal::{Asked, Signals},
    task,
    worker::Command,
};
use crate::{
    admin::{AdminAddress, AdminControl, AdminListener, AdminServer, AdminSettings},
    config::{ContentHash, Watcher, value::FileMode},
    state::{self, BindAddress, Registry},
    telemetry::{events::Events, log::LogControl},
    upstream::health::{Schedule, TICK},
};

/// What others ask of the control thread.
#[derive(Debug)]
pub(crate) enum Request {
    /// Read the configuration now.
    Reload(oneshot::Sender<Result<Value, Value>>),
    /// Stop.
    Drain,
}

/// The state of the control thread.
pub(crate) struct Control {
    pub(super) path: PathBuf,
    pub(super) shared: Arc<Shared>,
    pub(super) registry: Registry,
    pub(super) schedules: HashMap<Arc<str>, Schedule>,
    pub(super) board: Arc<Board>,
    pub(super) events: Arc<Events>,
    pub(super) gauges: ControlGauges,
    pub(super) admin: Option<AdminControl>,
    /// The level of the log, if reloads are to change it.
    pub(super) log: Option<LogControl>,
    pub(super) hash: ContentHash,
    pub(super) notify: Notify,
    /// Listeners of the last reload that are still being emptied.
    pub(super) leaving: Option<tokio::task::JoinHandle<()>>,
}

impl Control {
    pub(crate) fn new(
        path: PathBuf,
        shared: Arc<Shared>,
        registry: Registry,
        degraded: Option<String>,
        log: Option<LogControl>,
        notify: Notify,
    ) -> Self {
        Self {
            path,
            registry,
            schedules: HashMap::new(),
            board: Arc::new(Board::new(degraded)),
            events: Arc::new(Events::new()),
            gauges: ControlGauges::new(&shared.metrics.control()),
            admin: None,
            log,
            hash: ContentHash::of(b""),
            notify,
            leaving: None,
            shared,
        }
    }
}

/// Runs the process from its first configuration to the end of its drain.
pub(crate) async fn run(
    mut control: Control,
    prepared: Prepared,
    signals: bool,
    stop: impl Future<Output = ()>,
    threads: Vec<JoinHandle<()>>,
) -> Result<(), StartError> {
    let wheel = task::spawn_local("timer wheel", crate::timer::turn());
    let (requests, mut asked) = mpsc::channel(16);
    // Kept open here: without an admin API nobody asks, which is not the end.
    let admin = control.start_admin(&prepared, requests.clone())?;
    control.start(prepared).await?;
    let _requests = requests;
    let certificates =
        certificates::start(&control.shared, &control.events, control.registry.tickets());
    let stop_admin = Arc::new(tokio::sync::Notify::new());
    let admin = admin.map(|admin| {
        let stopped = Arc::clone(&stop_admin);
        task::spawn_local("admin", async move {
            admin.run(async move { stopped.notified().await }).await;
        })
    });
    let mut signals = Signals::new(signals)?;
    let (seen, mut changes) = follow_file(&control);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stop = std::pin::pin!(stop);
    control.notify.ready("serving");
    loop {
        tokio::select! {
            () = &mut stop => break,
            _ = tick.tick() => control.tick(),
            Some(()) = changes.recv() => {
                control.reload().await;
            }
            request = asked.recv() => match request {
                Some(Request::Reload(answer)) => {
                    let report = control.reload().await;
                    let value = serde_json::to_value(&report).unwrap_or_default();
                    let _ = answer.send(if report.result == "failed" { Err(value) } else { Ok(value) });
                    let _ = seen.send(control.hash).await;
                }
                Some(Request::Drain) | None => break,
            },
            signal = signals.next() => match signal {
                Asked::Stop => break,
                Asked::Reload => {
                    control.reload().await;
                    let _ = seen.send(control.hash).await;
                }
                Asked::Reopen => control.reopen_logs().await,
            },
        }
    }
    let settings = control.shared.snapshot().drain;
    let open = control.shared.open_connections();
    control
        .notify
        .stopping(open, settings.grace + settings.timeout);
    let draining = drain::drain(&control.shared, &control.events);
    tokio::select! {
        () = draining => {}
        () = second_stop(&mut signals) => {
            tracing::warn!("told to stop a second time: ending at once");
            drain::cut(&control.shared).await;
        }
    }
    stop_admin.notify_one();
    if let Some(admin) = admin {
        let _ = tokio::time::timeout(Duration::from_secs(3), admin).await;
    }
    control.end(threads).await;
    certificates.abort();
    wheel.abort();
    Ok(())
}

/// Watches the file in a task of its own, whose waits nothing interrupts: what it says, and
/// how it is told what was read for another reason.
fn follow_file(control: &Control) -> (mpsc::Sender<ContentHash>, mpsc::Receiver<()>) {
    let mut watcher = Watcher::new(control.path.clone(), control.hash);
    let (seen, mut told) = mpsc::channel(1);
    let (changed, changes) = mpsc::channel(1);
    task::spawn_local("file watch", async move {
        loop {
            tokio::select! {
                hash = told.recv() => match hash {
                    Some(hash) => watcher.set_seen(hash),
                    None => break,
                },
                () = watcher.changed() => {
                    if changed.send(()).await.is_err() {
                        break;
                    }
                }
            }
        }
    });
    (seen, changes)
}

async fn second_stop(signals: &mut Signals) {
    while signals.next().await != Asked::Stop {}
}

impl Control {
    fn start_admin(
        &mut self,
        prepared: &Prepared,
        requests: mpsc::Sender<Request>,
    ) -> Result<Option<AdminServer>, StartError> {
        let Some(written) = &prepared.snapshot.config.admin else {
            return Ok(None);
        };
        let failed = |error: &dyn std::fmt::Display| StartError::Admin(error.to_string());
        let address = written.address.to_string();
        let address = address.parse().map_err(|_| failed(&"malformed address"))?;
        let listener = self
            .admin_listener(
                &address,
                &state::bind_address(&written.address),
                written.mode,
            )
            .map_err(|error| failed(&format!("cannot listen on {address}: {error}")))?;
        let token = written.token.as_ref().map(|token| token.reveal());
        let settings = AdminSettings {
            token: token.transpose().map_err(|error| failed(&error))?,
            connections_max: ADMIN_CONNECTIONS_MAX,
        };
        let api = Api::new(
            Arc::clone(&self.shared),
            Arc::clone(&self.board),
            self.path.clone(),
            requests,
        );
        let server = AdminServer::new(listener, settings, Arc::new(api), Arc::clone(&self.events))
            .map_err(|error| failed(&error))?;
        tracing::info!(address = %server.address(), "admin API");
        self.admin = Some(server.control());
        Ok(Some(server))
    }

    /// The socket that was given for this address, else one of its own.
    fn admin_listener(
        &self,
        address: &AdminAddress,
        known_as: &BindAddress,
        mode: Option<FileMode>,
    ) -> std::io::Result<AdminListener> {
        let given = self.shared.inherited.take(known_as, 1).transpose()?;
        match given.and_then(|mut sockets| sockets.pop()) {
            Some(socket) => AdminListener::inherit(address, socket),
            None => AdminListener::bind(address, mode),
        }
    }

    async fn start(&mut self, prepared: Prepared) -> Result<(), StartError> {
        let log = steps::open_log(&self.shared, &prepared.snapshot)?;
        if let Some(log) = log {
            self.shared.access_log.store(Arc::new(log));
            steps::tell(&self.shared, |_| Some(Command::ReopenLog)).await;
        }
        steps::adopt_pools(&prepared.snapshot, &mut self.schedules);
        self.hash = prepared.hash;
        if self.board.degraded().is_none() {
            steps::keep(&prepared.snapshot, &prepared.text);
        }
        self.gauges.loaded(1, self.board.degraded().is_none());
        steps::listen(&self.shared, prepared.bound).await;
        self.events
            .publish("started", "proxy", json!({ "generation": 1 }));
        Ok(())
    }

    /// Every 200 ms: ejections and holds end, transitions are told.
    fn tick(&mut self) {
        let now = Instant::now();
        let snapshot = self.shared.snapshot();
        for pool in &snapshot.pools {
            for transition in pool.shared.health.tick(now) {
                self.gauges.transition(&pool.name, &transition);
                self.events.publish(
                    "health",
                    "proxy",
                    json!({
                        "pool": &*pool.name,
                        "endpoint": &*transition.address,
                        "from": transition.from.word(),
                        "to": transition.to.word(),
                        "cause": transition.cause.to_string(),
                    }),
                );
            }
            self.gauges.pool(pool);
        }
        self.gauges.tick();
        self.gauges
            .retain_pools(|name| snapshot.pool(name).is_some());
        self.registry.forget_unused();
    }

    async fn reopen_logs(&self) {
        if let Some(log) = &**self.shared.access_log.load() {
            log.reopen();
        }
    }

    /// Ends the workers, and writes what is left to write.
    async fn end(self, threads: Vec<JoinHandle<()>>) {
        let log = self.shared.access_log.load_full();
        for mut schedule in self.schedules.into_values() {
            schedule.stop().await;
        }
        steps::tell(&self.shared, |_| Some(Command::End)).await;
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                let _ = thread.join();
            }
            if let Some(log) = &*log {
                log.settle(Duration::from_secs(2));
            }
        });
        let _ = tokio::time::timeout(Duration::from_secs(5), joined).await;
        self.shared.sockets.forget_all();
        tracing::info!("stopped");
    }
}

const ADMIN_CONNECTIONS_MAX: usize = 64;
