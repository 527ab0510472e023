//! Times to a response head at a pool, for routes that hedge by a quantile of them.

use std::time::Duration;

use tokio::time::Instant;

use super::local::LocalPool;
use crate::{config::value::Quantile, resilience::Latency};

impl LocalPool {
    /// Returns the time within which this share of the pool's samples lies; none while there are
    /// too few.
    pub fn latency(&self, quantile: Quantile, now: Instant) -> Option<Duration> {
        self.quantiles.get(self.latencies(now), quantile, now)
    }

    /// Counts the time that an attempt took to its response head, or until it was cut off.
    pub fn add_latency(&self, took: Duration, now: Instant) {
        self.latencies(now).add(self.worker, took, now);
    }

    /// The counts of all workers; made at the first call.
    fn latencies(&self, now: Instant) -> &Latency {
        let shared = &self.pool.shared;
        let make = || Latency::new(shared.budget.workers(), now);
        shared.latency.get_or_init(make)
    }
}
