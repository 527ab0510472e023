//! Pools that ignore health (panic), for the log.

use std::{collections::BTreeSet, sync::Arc};

use crate::upstream::{
    pool::{Pool, ViewIndex},
    tier,
};

/// Pools that ignored health at the last look.
#[derive(Debug, Default)]
pub(super) struct Panics(BTreeSet<Arc<str>>);

impl Panics {
    /// Logs the pools that begin or cease to ignore health.
    pub(super) fn tell(&mut self, pools: &[Arc<Pool>]) {
        let now: BTreeSet<Arc<str>> = pools
            .iter()
            .filter(|pool| tier::is_in_panic(pools, pool, ViewIndex(0)))
            .map(|pool| Arc::clone(&pool.name))
            .collect();
        for pool in now.difference(&self.0) {
            tracing::warn!(%pool, "too few endpoints are healthy: health is ignored");
        }
        for pool in self.0.difference(&now) {
            tracing::info!(%pool, "enough endpoints are healthy: health counts again");
        }
        self.0 = now;
    }
}
