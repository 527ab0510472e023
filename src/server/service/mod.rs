//! Background services of the control thread: named, restarted when they fail, and ended within a
//! time limit.
//!
//! A service is a function that makes its runs. A run that panics, fails or ends by itself is
//! followed by another, after a growing wait. The failure is reported in the log, the events and
//! the metrics, and by `/ready` until a run has lasted for a while.

mod stop;

use std::{
    cell::RefCell, error::Error, future::Future, pin::pin, rc::Rc, sync::Arc, time::Duration,
};

use serde_json::json;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout_at},
};

use super::board::Trouble;
use crate::{
    resilience::restart::{RestartBackoff, STEADY},
    task::{self, Panicked},
    telemetry::{
        events::Events,
        metrics::{ControlMetrics, SharedCounter, SharedGauge, names},
    },
};

pub(super) use stop::Stop;

/// Result of a run of a service. A run must end without an error only when it is told to stop.
pub(super) type Ended = Result<(), Box<dyn Error>>;

/// Running services, in the order of their start.
pub(super) struct Services {
    events: Arc<Events>,
    metrics: ControlMetrics,
    running: Vec<Running>,
}

struct Running {
    service: Rc<Service>,
    stop: stop::Sender,
    task: JoinHandle<()>,
}

/// A service, shared by its task and control.
struct Service {
    name: &'static str,
    /// The last failure, and the time at which the run after it began.
    failure: RefCell<Option<Failure>>,
    events: Arc<Events>,
    up: SharedGauge,
    restarts: SharedCounter,
}

struct Failure {
    why: String,
    /// None until the next run begins.
    started_again: Option<Instant>,
}

impl Services {
    pub(super) fn new(events: &Arc<Events>, metrics: ControlMetrics) -> Self {
        Self {
            events: Arc::clone(events),
            metrics,
            running: Vec::new(),
        }
    }

    /// Starts a service; `run` makes each run of it, and must end the run soon after `Stop` is set.
    pub(super) fn start<F, R>(&mut self, name: &'static str, run: F)
    where
        F: FnMut(Stop) -> R + 'static,
        R: Future<Output = Ended> + 'static,
    {
        let service = Rc::new(Service {
            name,
            failure: RefCell::new(None),
            events: Arc::clone(&self.events),
            up: self.metrics.gauge(&names::SERVICE_UP, [name]),
            restarts: self.metrics.counter(&names::SERVICE_RESTARTS_TOTAL, [name]),
        });
        let (stop, told) = stop::channel();
        let task = task::spawn_local(name, supervise(Rc::clone(&service), told, run));
        self.running.push(Running {
            service,
            stop,
            task,
        });
    }

    /// Services that fail, or failed a short while ago.
    pub(super) fn troubles(&self) -> impl Iterator<Item = Trouble> {
        self.running.iter().filter_map(|running| {
            Some(Trouble {
                what: running.service.trouble()?,
                hurts_traffic: false,
            })
        })
    }

    /// Ends the services; those that have not ended within `patience` are cut.
    pub(super) async fn stop(&mut self, patience: Duration) {
        let deadline = Instant::now() + patience;
        for running in &self.running {
            running.stop.send();
        }
        for mut running in std::mem::take(&mut self.running) {
            if timeout_at(deadline, &mut running.task).await.is_err() {
                let service = running.service.name;
                tracing::warn!(service, "a background service does not end; it is cut");
                running.task.abort();
            }
        }
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        for running in &self.running {
            running.task.abort();
        }
    }
}

impl Service {
    fn begins(&self) {
        self.up.set(1);
        if let Some(failure) = &mut *self.failure.borrow_mut() {
            failure.started_again = Some(Instant::now());
        }
    }

    fn failed(&self, why: String, wait: Duration) {
        self.up.set(0);
        self.restarts.inc();
        let (service, wait_ms) = (self.name, wait.as_millis());
        tracing::error!(
            service, error = %why, wait_ms,
            "a background service failed; it is started again"
        );
        let what = json!({ "service": service, "error": why });
        self.events.publish("service", "proxy", what);
        let started_again = None;
        *self.failure.borrow_mut() = Some(Failure { why, started_again });
    }

    /// Returns the service's trouble, while there is one.
    fn trouble(&self) -> Option<String> {
        let mut failure = self.failure.borrow_mut();
        let failed = failure.as_ref()?;
        if failed
            .started_again
            .is_some_and(|at| at.elapsed() >= STEADY)
        {
            *failure = None;
            return None;
        }
        let (name, why) = (self.name, &failed.why);
        Some(format!("the {name} failed and is started again: {why}"))
    }
}

/// Runs a service until it is told to stop.
async fn supervise<F, R>(service: Rc<Service>, stop: Stop, mut run: F)
where
    F: FnMut(Stop) -> R,
    R: Future<Output = Ended>,
{
    let mut backoff = RestartBackoff::default();
    loop {
        let began = Instant::now();
        service.begins();
        let ended = {
            // What makes the run may panic as well.
            let running = pin!(async { run(stop.clone()).await });
            task::caught(running).await
        };
        if stop.is_told() {
            break;
        }
        let why = match ended {
            Ok(Ok(())) => "it ended by itself".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(Panicked) => "it panicked; this is a bug".to_owned(),
        };
        let wait = backoff.after(began.elapsed());
        service.failed(why, wait);
        tokio::select! {
            () = stop.told() => break,
            () = sleep(wait) => {}
        }
    }
    service.up.set(0);
}

#[cfg(test)]
mod tests;
