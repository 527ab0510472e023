//! Steps after a configuration is applied, one after the other.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::{Instant, timeout_at};

use super::bound::BoundListener;
use crate::{
    config::value::{BindAddress, Name, PoolProtocol},
    state::Snapshot,
    upstream::health::{
        ProbeTarget, Schedule, SchedulePlan,
        probe::{self, AnnouncingDial, Dial, HttpVersion, PlainDial, TlsDial},
    },
    worker::{Command, SharedState},
};

/// Makes pools use the new endpoint sets, and updates their checks.
pub(crate) fn adopt_pools(snapshot: &Snapshot, schedules: &mut HashMap<Arc<str>, Schedule>) {
    let now = Instant::now();
    for pool in &snapshot.pools {
        let (shared, set) = (&pool.shared, pool.endpoint_set());
        shared.budget.set(pool.retry_ratio, pool.retry_minimum);
        shared.breaker.set(pool.breaker.as_ref(), now);
        shared
            .health
            .adopt(&set.health, pool.health_settings.clone(), now);
        let schedule = schedules
            .entry(Arc::clone(&pool.name))
            .or_insert_with(|| Schedule::new(Arc::clone(&shared.health)));
        let version = match pool.protocol {
            // A check needs no more than what every endpoint of such a pool speaks.
            PoolProtocol::Http1 | PoolProtocol::Auto => HttpVersion::Http1,
            PoolProtocol::Http2 => HttpVersion::Http2,
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
        let targets = set.endpoints.iter().filter(|_| plan.is_some());
        let targets = targets
            .map(|endpoint| ProbeTarget::new(endpoint).teaching(shared.endpoint(&endpoint.label)));
        schedule.sync(targets.collect(), plan.as_ref());
    }
    schedules.retain(|name, _| snapshot.pool(name).is_some());
}

/// Sends a command to every worker, waiting for room in the queue of a busy one.
pub(crate) async fn tell(shared: &SharedState, command: impl Fn(usize) -> Option<Command>) {
    let deadline = Instant::now() + COMMAND_PATIENCE;
    for index in 0..shared.workers.len() {
        if let Some(command) = command(index) {
            give(shared, index, command, deadline).await;
        }
    }
}

/// Sends a command to a worker, waiting for room until the deadline; returns false if it is lost.
pub(super) async fn give(
    shared: &SharedState,
    worker: usize,
    command: Command,
    deadline: Instant,
) -> bool {
    let commands = &shared.workers[worker].commands;
    match timeout_at(deadline, commands.send(command)).await {
        // A worker that is gone has nothing to be told.
        Ok(sent) => sent.is_ok(),
        Err(_) => {
            tracing::error!(worker, "a worker takes no commands");
            false
        }
    }
}

/// Gives new sockets to the workers.
pub(crate) async fn listen(shared: &SharedState, bound: Vec<BoundListener>) {
    let deadline = Instant::now() + COMMAND_PATIENCE;
    for (listener, mut bound) in bound {
        tracing::info!(listener = %listener.name, address = %bound.address, "listening");
        let given = shared.inherited.holds(&listener.address);
        shared.sockets.opened(&listener, &mut bound, given);
        for (index, socket) in bound.sockets.into_iter().enumerate() {
            // A process before this one may have had more workers.
            let worker = index % shared.workers.len();
            let command = Command::Listen(Arc::clone(&listener), socket);
            give(shared, worker, command, deadline).await;
        }
    }
}

/// Returns the addresses that the old snapshot listens on and the new one does not.
pub(crate) fn removed_listeners(old: &Snapshot, new: &Snapshot) -> Vec<BindAddress> {
    let kept: HashSet<&BindAddress> = new.listeners.iter().map(|it| &it.address).collect();
    let old = old.listeners.iter().map(|listener| &listener.address);
    old.filter(|address| !kept.contains(address))
        .cloned()
        .collect()
}

/// Counts the connections of removed listeners; they close when their exchange is over. All others
/// stay.
pub(crate) fn connections_leaving(old: &Snapshot, removed: &[BindAddress]) -> u64 {
    let leaving = old
        .listeners
        .iter()
        .filter(|listener| removed.contains(&listener.address));
    leaving
        .map(|listener| listener.open.load(Ordering::Relaxed) as u64)
        .sum()
}

/// Removes the metric series of removed parts of the configuration.
pub(crate) fn forget_series(shared: &SharedState, old: &Snapshot, new: &Snapshot) {
    let metrics = &shared.metrics;
    let (before, after) = (&old.config, &new.config);
    metrics.remove_series(["route"], &left(&before.routes, &after.routes));
    let rules: HashSet<[&str; 2]> = new.rate_rules().collect();
    let gone = old.rate_rules().filter(|rule| !rules.contains(rule));
    metrics.remove_series(["route", "rule"], &gone.collect::<Vec<_>>());
    let limits: HashSet<[&str; 2]> = new.concurrency().collect();
    let gone = old.concurrency().filter(|limit| !limits.contains(limit));
    metrics.remove_series(["route", "per"], &gone.collect::<Vec<_>>());
    metrics.remove_series(["listener"], &left(&before.listeners, &after.listeners));
    metrics.remove_series(["pool"], &left(&before.pools, &after.pools));
    let both = old.pools.iter().filter_map(|pool| {
        let stays = new.pool(&pool.name)?;
        let is_same = Arc::ptr_eq(pool, stays);
        (!is_same).then(|| (pool.endpoint_set(), stays.endpoint_set(), &pool.name))
    });
    let both: Vec<_> = both.collect();
    let gone = both.iter().flat_map(|(before, after, name)| {
        let labels = before.endpoints.iter().map(|endpoint| &*endpoint.label);
        let gone = labels.filter(|address| after.find(address).is_none());
        gone.map(|address| [&***name, address])
    });
    metrics.remove_series(["pool", "endpoint"], &gone.collect::<Vec<_>>());
}

/// Returns the names that only the old configuration has.
fn left<'a, T>(old: &'a BTreeMap<Name, T>, new: &BTreeMap<Name, T>) -> Vec<[&'a str; 1]> {
    let left = old.keys().filter(|name| !new.contains_key(*name));
    left.map(|name| [&**name]).collect()
}

/// Maximum wait of control for room in the workers' command queues.
pub(super) const COMMAND_PATIENCE: Duration = Duration::from_secs(2);
