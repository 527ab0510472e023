//! What follows a configuration that was taken up, one after the other.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
};

use tokio::{sync::oneshot, time::Instant};

use super::prepared::{BoundListener, ReloadError};
use crate::{
    config::{Config, Diff},
    server::{Shared, last_good, worker::Command},
    state::{BindAddress, Snapshot},
    telemetry::{access_log::AccessLog, metrics::names},
    upstream::{
        health::{
            Schedule, SchedulePlan, Target,
            probe::{self, AnnouncingDial, Dial, HttpVersion, PlainDial, TlsDial},
        },
        pool::Protocol,
    },
};

/// Opens the access log anew if the configuration of it changed.
pub(crate) fn open_log(
    shared: &Shared,
    snapshot: &Snapshot,
) -> Result<Option<Option<AccessLog>>, ReloadError> {
    let current = shared.access_log.load();
    let settings = (**current).as_ref().map(AccessLog::settings);
    if settings == snapshot.access_log.as_ref() {
        return Ok(None);
    }
    let Some(settings) = &snapshot.access_log else {
        return Ok(Some(None));
    };
    let dropped = shared
        .metrics
        .control()
        .counter(&names::ACCESS_LOG_LINES_DROPPED_TOTAL, []);
    match AccessLog::open(settings.clone(), dropped) {
        Ok(log) => Ok(Some(Some(log))),
        Err(error) => Err(ReloadError::AccessLog(format!(
            "{:?}: {error}",
            settings.target
        ))),
    }
}

/// Makes pools take up the new endpoint sets, and checks follow them.
pub(crate) fn adopt_pools(snapshot: &Snapshot, schedules: &mut HashMap<Arc<str>, Schedule>) {
    let now = Instant::now();
    for pool in &snapshot.pools {
        let shared = &pool.shared;
        shared.budget.set(pool.retry_ratio, pool.retry_minimum);
        shared
            .health
            .adopt(&pool.health, pool.health_settings.clone(), now);
        let schedule = schedules
            .entry(Arc::clone(&pool.name))
            .or_insert_with(|| Schedule::new(Arc::clone(&shared.health)));
        let version = match pool.protocol {
            // A check needs no more than what every endpoint of such a pool speaks.
            Protocol::Http1 | Protocol::Auto => HttpVersion::Http1,
            Protocol::Http2 => HttpVersion::Http2,
        };
        let plan = pool.health_settings.check.as_ref().and_then(|settings| {
            let dial: Arc<dyn Dial> = match (&pool.tls, pool.proxy_protocol) {
                (None, None) => Arc::new(PlainDial),
                (None, Some(announced)) => Arc::new(AnnouncingDial(announced)),
                (Some(tls), announced) => {
                    let dial = TlsDial::new(tls, &settings.kind, version);
                    Arc::new(dial.announcing(announced))
                }
            };
            match probe::build(&settings.kind, version, dial) {
                Ok(probe) => Some(SchedulePlan {
                    probe,
                    settings: settings.clone(),
                }),
                Err(error) => {
                    tracing::error!(pool = %pool.name, %error, "health checks are off");
                    None
                }
            }
        });
        let targets = pool.endpoints.iter().map(Target::new).collect();
        schedule.sync(targets, plan.as_ref());
    }
    schedules.retain(|name, _| snapshot.pool(name).is_some());
}

/// Sends a command to every worker, waiting for room where a worker is busy.
pub(crate) async fn tell(shared: &Shared, command: impl Fn(usize) -> Option<Command>) {
    for (index, place) in shared.workers.iter().enumerate() {
        if let Some(command) = command(index) {
            // A worker that is gone has nothing to be told.
            let _ = place.commands.send(command).await;
        }
    }
}

/// Gives new sockets to the workers.
pub(crate) async fn listen(shared: &Shared, bound: Vec<BoundListener>) {
    for (listener, bound) in bound {
        tracing::info!(listener = %listener.name, address = %bound.address, "listening");
        shared
            .sockets
            .opened(&listener.address, bound.address, bound.file);
        for (place, socket) in shared.workers.iter().zip(bound.sockets) {
            let command = Command::Listen(Arc::clone(&listener), socket);
            let _ = place.commands.send(command).await;
        }
    }
}

/// Closes listening sockets, once all that waits in them is served.
pub(crate) async fn unlisten(shared: &Shared, addresses: &[BindAddress]) {
    let mut closed = Vec::new();
    for address in addresses {
        // The file goes first: nobody can then come to wait in a queue that closes.
        shared.sockets.forget(address);
        for place in &shared.workers {
            let (done, answer) = oneshot::channel();
            let command = Command::Unlisten(address.clone(), done);
            if place.commands.send(command).await.is_ok() {
                closed.push(answer);
            }
        }
    }
    for answer in closed {
        let _ = answer.await;
    }
}

/// The addresses that the old snapshot listens on and the new one does not.
pub(crate) fn removed_listeners(old: &Snapshot, new: &Snapshot) -> Vec<BindAddress> {
    let kept: HashSet<&BindAddress> = new.listeners.iter().map(|it| &it.address).collect();
    let old = old.listeners.iter().map(|listener| &listener.address);
    old.filter(|address| !kept.contains(address))
        .cloned()
        .collect()
}

/// Connections on listeners that leave; they close when their exchange is over. All others stay.
pub(crate) fn connections_leaving(old: &Snapshot, removed: &[BindAddress]) -> u64 {
    let leaving = old
        .listeners
        .iter()
        .filter(|listener| removed.contains(&listener.address));
    leaving
        .map(|listener| listener.open.load(Ordering::Relaxed) as u64)
        .sum()
}

/// Removes the metric series of what left the configuration.
pub(crate) fn forget_series(shared: &Shared, old: &Config, new: &Config) {
    let metrics = &shared.metrics;
    for name in old
        .routes
        .keys()
        .filter(|name| !new.routes.contains_key(*name))
    {
        metrics.remove_series(&[("route", name)]);
    }
    for name in old
        .listeners
        .keys()
        .filter(|name| !new.listeners.contains_key(*name))
    {
        metrics.remove_series(&[("listener", name)]);
    }
    for (name, pool) in &old.pools {
        let Some(stays) = new.pools.get(name) else {
            metrics.remove_series(&[("pool", name)]);
            continue;
        };
        let kept: HashSet<String> = stays
            .endpoints
            .iter()
            .map(|endpoint| endpoint.address.to_string())
            .collect();
        for endpoint in &pool.endpoints {
            let address = endpoint.address.to_string();
            if !kept.contains(&address) {
                metrics.remove_series(&[("pool", name), ("endpoint", &address)]);
            }
        }
    }
}

/// Keeps the text of a good configuration on disk, if the configuration asks for that.
pub(crate) fn keep(snapshot: &Snapshot, text: &str) {
    if let Some(dir) = &snapshot.config.proxy.state_dir
        && let Err(error) = last_good::keep(dir, text)
    {
        tracing::warn!(dir = %dir.display(), %error, "cannot keep the last good configuration");
    }
}

/// What a reload changes.
pub(crate) fn diff(old: &Snapshot, new: &Snapshot) -> Diff {
    Diff::between(&old.config, &new.config)
}
