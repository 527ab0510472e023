//! Endpoint sets of pools, updated from the lists of their sources.

use std::{collections::HashSet, sync::Arc};

use tokio::time::Instant;

use super::{absent, changes};
use crate::{
    server::control::Control,
    upstream::{
        discovery::{EndpointChanges, arrange},
        health::ProbeTarget,
        pool::Pool,
    },
    worker::{Command, SharedState},
};

impl Control {
    /// Updates the endpoint set of a pool from its lists.
    pub(super) fn take_up_endpoints(&mut self, pool: &Arc<Pool>) {
        let before = pool.endpoint_set();
        absent::keep(pool, &before);
        if let Some(discovery) = &pool.discovery {
            self.discoveries.show(pool, &discovery.source);
        }
        let arranged = arrange(&before.endpoints, pool.wanted_endpoints());
        if arranged.changes.is_empty() {
            return;
        }
        pool.replace_endpoints(arranged.endpoints, Instant::now());
        if let Some(schedule) = self.schedules.get_mut(&pool.name) {
            let EndpointChanges { added, removed, .. } = &arranged.changes;
            schedule.change(
                added
                    .iter()
                    .map(|it| ProbeTarget::new(it).teaching(pool.shared.endpoint(&it.label))),
                removed.iter().map(|it| Arc::clone(&it.label)),
            );
        }
        tell_workers(&self.shared, &pool.name);
        changes::log(pool, &arranged.changes);
        self.events.publish(
            "endpoints",
            "proxy",
            changes::shown(pool, &arranged.changes),
        );
        self.forget_departed(pool, &arranged.changes);
    }

    /// Removes the metric series of removed endpoints, and of versions that no endpoint has any
    /// more.
    fn forget_departed(&self, pool: &Pool, changes: &EndpointChanges) {
        let metrics = &self.shared.metrics;
        let removed = changes.removed.iter();
        let gone: Vec<_> = removed.map(|gone| [&*pool.name, &*gone.label]).collect();
        metrics.remove_series(["pool", "endpoint"], &gone);
        let changed = changes.changed.iter().map(|(old, _)| old);
        let versions = changes.removed.iter().chain(changed);
        let mut versions: HashSet<&str> = versions
            .filter_map(|old| old.version_label.as_deref())
            .collect();
        if versions.is_empty() {
            return;
        }
        let set = pool.endpoint_set();
        for endpoint in &set.endpoints {
            versions.remove(endpoint.version_label.as_deref().unwrap_or_default());
        }
        let gone: Vec<_> = versions.iter().map(|gone| [&*pool.name, *gone]).collect();
        metrics.remove_series(["pool", "version"], &gone);
    }
}

/// Tells the workers to use the newest endpoints of a pool. Control does not wait for a worker with
/// a full queue: it looks by itself, at the latest with its next request or within a second.
fn tell_workers(shared: &SharedState, pool: &Arc<str>) {
    for worker in &shared.workers {
        let _ = worker
            .commands
            .try_send(Command::FollowEndpoints(Arc::clone(pool)));
    }
}
