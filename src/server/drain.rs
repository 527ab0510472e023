//! End of the process: stops accepting, lets requests finish, then cuts the rest and reports it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde_json::json;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, Interval, timeout_at},
};

use super::{
    control::{Control, Request},
    reload::{Wanted, leaving, steps},
    signal::Signals,
};
use crate::{
    config::value::BindAddress,
    telemetry::events::Events,
    worker::{Command, SharedState},
};

/// Reason of a drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The process was told to stop.
    End,
    /// Another process serves in its place: no grace is needed, and clients can reconnect.
    HandedOver,
}

impl Control {
    /// Drains the process; the other work of control continues meanwhile.
    pub(super) async fn drain(
        &mut self,
        way: Way,
        asked: &mut mpsc::Receiver<Request>,
        signals: &mut Signals,
        tick: &mut Interval,
    ) {
        self.draining = true;
        self.upgrades.cancel().await;
        let settings = self.shared.snapshot().drain;
        let open = self.shared.open_connections();
        self.notify
            .stopping(open, settings.grace + settings.timeout);
        let (shared, events) = (Arc::clone(&self.shared), Arc::clone(&self.events));
        let unregistered = self.registrations.leave();
        let mut draining = std::pin::pin!(drain(&shared, &events, way, unregistered));
        let mut at_once = std::pin::pin!(signals.stopped(2));
        loop {
            tokio::select! {
                biased;
                () = &mut at_once => {
                    tracing::warn!("received a second stop signal: ending at once");
                    cut(&shared).await;
                    return;
                }
                () = &mut draining => return,
                _ = tick.tick() => self.tick(),
                answer = self.discoveries.next() => self.hear_source(&answer),
                Some(request) = asked.recv() => match request {
                    Request::Reload(answer, gate) => self.want_reload(Wanted::by(answer, gate)),
                    Request::Maintenance(switch, answer) => self.switch(&switch, answer),
                    Request::Upgrade(wanted) => self.want_upgrade(wanted),
                    Request::Predecessor(news) => self.hear_predecessor(news),
                    Request::FileChanged | Request::StoreChanged | Request::Drain => {}
                },
                signal = signals.next() => self.obey(signal),
            }
        }
    }
}

/// Drains the process as configured; returns when nothing is left.
/// No listener closes before `unregistered` ends: until then others may look for it in a registry.
pub(super) async fn drain(
    shared: &Arc<SharedState>,
    events: &Events,
    way: Way,
    unregistered: impl Future<Output = ()>,
) {
    let snapshot = shared.snapshot();
    let settings = snapshot.drain;
    shared.draining.store(true, Ordering::SeqCst);
    let open = shared.open_connections();
    tracing::info!(connections = open, "draining");
    events.publish("drain", "proxy", json!({ "connections": open }));
    let grace = async {
        if way == Way::End && !settings.grace.is_zero() {
            steps::tell(shared, |_| Some(Command::CloseShared)).await;
            tokio::time::sleep(settings.grace).await;
        }
    };
    tokio::join!(grace, unregistered);
    let addresses = snapshot
        .listeners
        .iter()
        .map(|listener| listener.address.clone());
    let addresses: Vec<BindAddress> = addresses.collect();
    leaving::unlisten(shared, &addresses).await;
    let deadline = Instant::now() + settings.timeout;
    if way == Way::HandedOver {
        // A client may be sending on a connection that looks idle here. Its next answer says that
        // the connection closes; only those who stay silent are closed without a word.
        steps::tell(shared, |_| Some(Command::CloseShared)).await;
        let silence = (settings.timeout / 2).min(SILENCE);
        empties(shared, Instant::now() + silence).await;
    }
    steps::tell(shared, |_| Some(Command::CloseConnections)).await;
    while shared.open_connections() > 0 {
        if Instant::now() >= deadline {
            let cut = cut(shared).await;
            tracing::warn!(connections = cut, "the drain timeout is over: cut");
            events.publish("drain", "proxy", json!({ "cut": cut }));
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tracing::info!("drained");
}

/// Waits until no connection is left, or for the deadline.
async fn empties(shared: &SharedState, deadline: Instant) {
    while shared.open_connections() > 0 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Ends every connection now; returns their number.
pub(super) async fn cut(shared: &Arc<SharedState>) -> usize {
    let deadline = Instant::now() + CUT_PATIENCE;
    let mut answers = Vec::with_capacity(shared.workers.len());
    for place in &shared.workers {
        let (done, answer) = oneshot::channel();
        let sent = timeout_at(deadline, place.commands.send(Command::Cut(done))).await;
        if matches!(sent, Ok(Ok(()))) {
            answers.push(answer);
        }
    }
    let mut total = 0;
    for answer in answers {
        let cut = timeout_at(deadline, answer).await;
        total += cut.ok().and_then(Result::ok).unwrap_or(0);
    }
    total
}

/// Maximum silence of connections after a handover before they are closed.
const SILENCE: Duration = Duration::from_secs(10);
/// Time that workers have to report the exchanges that they cut.
const CUT_PATIENCE: Duration = Duration::from_secs(1);
