//! Metrics of one worker about a pool; the handles are resolved once per snapshot.

use std::{cell::RefCell, sync::Arc};

use crate::{
    resilience::AttemptResult,
    semantics::grpc,
    telemetry::metrics::{Counter, CounterMap, Gauge, WorkerMetrics, names},
};

/// One worker's metric handles of a pool.
#[derive(Debug)]
pub struct PoolMetrics {
    /// Open upstream connections.
    pub open: Gauge,
    /// Established upstream connections.
    pub connections_total: Counter,
    /// Bytes of request and response bodies.
    bytes_in: Counter,
    bytes_out: Counter,
    answered: Counter,
    failed: RefCell<CounterMap<&'static str, 2>>,
    retries: Counter,
    retries_failed: Counter,
    exhausted: Counter,
    refused: RefCell<CounterMap<(), 1>>,
    full: RefCell<CounterMap<&'static str, 2>>,
    hedges: RefCell<CounterMap<&'static str, 2>>,
    pool: Arc<str>,
}

/// Outcome of a hedge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HedgeOutcome {
    /// It brought the answer.
    Won,
    /// The first attempt did, or neither.
    Lost,
    /// It was cancelled with its request: the client has gone.
    Cancelled,
    /// It was not made: the retry budget is used up.
    NoBudget,
    /// It was not made: no other endpoint has room.
    NoEndpoint,
}

impl PoolMetrics {
    /// Resolves the handles of the pool of this name.
    pub fn new(worker: &WorkerMetrics, pool: &Arc<str>) -> Self {
        let name = &**pool;
        Self {
            open: worker.gauge(&names::UPSTREAM_CONNECTIONS, [name]),
            connections_total: worker.counter(&names::UPSTREAM_CONNECTIONS_TOTAL, [name]),
            bytes_in: worker.counter(&names::POOL_REQUEST_BODY_BYTES_TOTAL, [name]),
            bytes_out: worker.counter(&names::POOL_RESPONSE_BODY_BYTES_TOTAL, [name]),
            answered: worker.counter(&names::ATTEMPTS_TOTAL, [name, ""]),
            failed: RefCell::new(worker.counter_map(&names::ATTEMPTS_TOTAL)),
            retries: worker.counter(&names::RETRIES_TOTAL, [name, "succeeded"]),
            retries_failed: worker.counter(&names::RETRIES_TOTAL, [name, "failed"]),
            exhausted: worker.counter(&names::BUDGET_EXHAUSTED_TOTAL, [name]),
            refused: RefCell::new(worker.counter_map(&names::BREAKER_REFUSED_TOTAL)),
            full: RefCell::new(worker.counter_map(&names::POOL_REFUSED_TOTAL)),
            hedges: RefCell::new(worker.counter_map(&names::HEDGES_TOTAL)),
            pool: Arc::clone(pool),
        }
    }

    /// Counts the result of an attempt.
    pub fn attempted(&self, outcome: &AttemptResult) {
        let word = match outcome {
            AttemptResult::Grpc(status) if grpc::is_failure(*status) => grpc::failure_word(*status),
            AttemptResult::Status(_) | AttemptResult::Grpc(_) => return self.answered.inc(),
            AttemptResult::Failed(failure) => failure.word(),
        };
        let mut failed = self.failed.borrow_mut();
        failed.get(word, || [&*self.pool, word]).inc();
    }

    /// Counts the bodies of a request that the pool answered.
    pub fn passed(&self, bytes_in: u64, bytes_out: u64) {
        if bytes_in > 0 {
            self.bytes_in.add(bytes_in);
        }
        self.bytes_out.add(bytes_out);
    }

    /// Counts the end of a retry.
    pub fn retried(&self, succeeded: bool) {
        if succeeded {
            self.retries.inc();
        } else {
            self.retries_failed.inc();
        }
    }

    /// A request met an open breaker.
    #[cold]
    pub fn breaker_refused(&self) {
        self.refused.borrow_mut().get((), || [&*self.pool]).inc();
    }

    /// Counts a request that a limit of the pool refused, by the key of the limit.
    #[cold]
    pub fn limit_refused(&self, key: &'static str) {
        let mut full = self.full.borrow_mut();
        full.get(key, || [&*self.pool, key]).inc();
    }

    /// Counts a hedge, made or refused.
    pub fn hedged(&self, outcome: HedgeOutcome) {
        let word = match outcome {
            HedgeOutcome::Won => "won",
            HedgeOutcome::Lost => "lost",
            HedgeOutcome::Cancelled => "cancelled",
            HedgeOutcome::NoBudget => "no_budget",
            HedgeOutcome::NoEndpoint => "no_endpoint",
        };
        let mut hedges = self.hedges.borrow_mut();
        hedges.get(word, || [&*self.pool, word]).inc();
    }

    /// Counts a retry refused by the budget.
    pub fn budget_exhausted(&self) {
        self.exhausted.inc();
    }
}
