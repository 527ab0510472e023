//! End of the process: stops accepting, lets requests finish, then cuts the rest and reports it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde_json::json;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::reload::{leaving, steps};
use crate::{
    config::value::BindAddress,
    telemetry::events::Events,
    worker::{Command, SharedState},
};

/// Drains the process as configured; returns when nothing is left.
pub(super) async fn drain(shared: &Arc<SharedState>, events: &Events) {
    let snapshot = shared.snapshot();
    let settings = snapshot.drain;
    shared.draining.store(true, Ordering::SeqCst);
    let open = shared.open_connections();
    tracing::info!(connections = open, "draining");
    events.publish("drain", "proxy", json!({ "connections": open }));
    if !settings.grace.is_zero() {
        steps::tell(shared, |_| Some(Command::CloseShared)).await;
        tokio::time::sleep(settings.grace).await;
    }
    let addresses = snapshot
        .listeners
        .iter()
        .map(|listener| listener.address.clone());
    let addresses: Vec<BindAddress> = addresses.collect();
    leaving::unlisten(shared, &addresses).await;
    steps::tell(shared, |_| Some(Command::CloseConnections)).await;
    let deadline = Instant::now() + settings.timeout;
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

/// Time that workers have to report the exchanges that they cut.
const CUT_PATIENCE: Duration = Duration::from_secs(1);
