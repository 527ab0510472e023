//! What one worker counts of a pool; the handles are resolved once per snapshot.

use std::{cell::RefCell, collections::HashMap, time::Duration};

use super::{picker::EndpointIndex, pool::Pool};
use crate::{
    http::grpc,
    resilience::AttemptResult,
    telemetry::metrics::{Counter, CounterMap, Gauge, Histogram, WorkerMetrics, names},
};

/// One worker's metric handles of a pool.
#[derive(Debug)]
pub struct PoolMetrics {
    /// Open upstream connections.
    pub open: Gauge,
    /// Established upstream connections.
    pub connections_total: Counter,
    /// Times each endpoint was picked, by [`EndpointIndex`].
    pub picks: Vec<Counter>,
    answered: Counter,
    failed: RefCell<CounterMap<&'static str, 2>>,
    /// By version, since endpoints of one count together.
    durations: Vec<Histogram>,
    /// Which of the durations are an endpoint's, by [`EndpointIndex`].
    versions: Vec<u32>,
    retries: Counter,
    retries_failed: Counter,
    exhausted: Counter,
    pool: std::sync::Arc<str>,
}

impl PoolMetrics {
    /// Resolves the handles of `pool`; `picks` are those of its endpoints.
    pub fn new(worker: &WorkerMetrics, pool: &Pool, picks: Vec<Counter>) -> Self {
        let name = &*pool.name;
        let mut known: HashMap<&str, u32> = HashMap::new();
        let mut durations = Vec::new();
        let versions = pool.endpoints.iter().map(|endpoint| {
            let version = endpoint.version_label.as_deref().unwrap_or_default();
            *known.entry(version).or_insert_with(|| {
                let labels = [name, version];
                durations.push(worker.histogram(&names::ATTEMPT_DURATION_SECONDS, labels));
                u32::try_from(durations.len() - 1).unwrap_or(u32::MAX)
            })
        });
        let versions = versions.collect();
        Self {
            open: worker.gauge(&names::UPSTREAM_CONNECTIONS, [name]),
            connections_total: worker.counter(&names::UPSTREAM_CONNECTIONS_TOTAL, [name]),
            picks,
            answered: worker.counter(&names::ATTEMPTS_TOTAL, [name, ""]),
            failed: RefCell::new(worker.counter_map(&names::ATTEMPTS_TOTAL)),
            durations,
            versions,
            retries: worker.counter(&names::RETRIES_TOTAL, [name, "succeeded"]),
            retries_failed: worker.counter(&names::RETRIES_TOTAL, [name, "failed"]),
            exhausted: worker.counter(&names::BUDGET_EXHAUSTED_TOTAL, [name]),
            pool: std::sync::Arc::clone(&pool.name),
        }
    }

    /// An attempt ended so.
    pub fn attempted(&self, outcome: &AttemptResult) {
        let word = match outcome {
            AttemptResult::Grpc(status) if grpc::is_failure(*status) => grpc::failure_word(*status),
            AttemptResult::Status(_) | AttemptResult::Grpc(_) => return self.answered.inc(),
            AttemptResult::Failed(failure) => failure.word(),
        };
        let mut failed = self.failed.borrow_mut();
        failed.get(word, || [&*self.pool, word]).inc();
    }

    /// An attempt took so long to its response head or its failure.
    pub fn took(&self, endpoint: EndpointIndex, took: Duration) {
        let version = self.versions.get(endpoint.0 as usize);
        if let Some(durations) = version.and_then(|version| self.durations.get(*version as usize)) {
            durations.observe(took);
        }
    }

    /// A retry ended.
    pub fn retried(&self, succeeded: bool) {
        if succeeded {
            self.retries.inc();
        } else {
            self.retries_failed.inc();
        }
    }

    /// A retry was refused by the budget.
    pub fn budget_exhausted(&self) {
        self.exhausted.inc();
    }
}
