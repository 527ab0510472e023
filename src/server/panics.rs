//! Pools that ignore health (panic), for the log.

use std::{collections::BTreeSet, sync::Arc};

use super::metrics::ControlGauges;
use crate::{
    state::Snapshot,
    upstream::{pool::ViewIndex, tier},
};

/// Pools that ignored health at the last look.
#[derive(Debug, Default)]
pub(super) struct Panics {
    pools: BTreeSet<Arc<str>>,
    /// Generation of the configuration looked at.
    generation: u64,
}

impl Panics {
    /// Logs and shows the pools that begin or cease to ignore health. Looks only if the health of a
    /// pool has `changed`, or the configuration.
    pub(super) fn tell(&mut self, snapshot: &Snapshot, changed: bool, gauges: &mut ControlGauges) {
        let is_new =
            std::mem::replace(&mut self.generation, snapshot.generation) != snapshot.generation;
        if !changed && !is_new {
            return;
        }
        let pools = &snapshot.pools;
        let now: BTreeSet<Arc<str>> = pools
            .iter()
            .filter(|pool| tier::is_in_panic(pools, pool, ViewIndex(0)))
            .map(|pool| Arc::clone(&pool.name))
            .collect();
        for pool in now.difference(&self.pools) {
            tracing::warn!(%pool, "too few endpoints are healthy: health is ignored");
        }
        for pool in self.pools.difference(&now) {
            tracing::info!(%pool, "enough endpoints are healthy: health counts again");
        }
        gauges.in_panic(
            pools
                .iter()
                .map(|pool| (&pool.name, now.contains(&pool.name))),
        );
        self.pools = now;
    }
}
