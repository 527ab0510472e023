//! A pick: the request to a pool, and the endpoint picked, held until the attempt is over.

use std::{cell::Cell, rc::Rc, time::Duration};

use semver::VersionReq;
use tokio::time::Instant;

use super::{
    freed::Limit,
    health::{Observed, Trial},
    idle::LocalEndpoint,
    local::LocalPool,
};
use crate::{
    resilience::{
        AttemptResult,
        breaker::{CallOutcome, Permit},
    },
    semantics::grpc,
};

/// Input of the choice of an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct PickRequest<'a> {
    /// Current time.
    pub now: Instant,
    /// A uniform random number.
    pub draw: u64,
    /// Hash of the request.
    pub key: Option<u64>,
    /// Regard of the pick for health.
    pub regard: Regard,
    /// Permission for this request to be the trial of an endpoint.
    pub trial: MayTry,
    /// Version that the client asks for, besides the requirement of the view.
    pub version: Option<&'a VersionReq>,
}

/// Permission for a request to be the trial of an endpoint after its ejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MayTry {
    /// None: the request has failed elsewhere, and takes no further risk.
    No,
    /// Only that of an overdue endpoint: the request cannot be repeated.
    Overdue,
    /// That of any endpoint.
    Any,
}

/// Regard of a pick for health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Regard {
    /// Healthy endpoints, in tiers that have enough of them.
    Sound,
    /// Healthy endpoints.
    Healthy,
    /// Panic: all endpoints alike, in tiers with too few healthy ones, and only if no tier is
    /// sound.
    Panic,
    /// Any endpoint, if health may be ignored at all.
    Anyone,
}

/// Result of a pick.
#[derive(Debug)]
pub enum Picked {
    /// An endpoint, held until the [`Pick`] is dropped.
    Endpoint(Pick),
    /// None may be picked yet: first health checks are under way.
    Pending,
    /// No endpoint can serve.
    Nobody,
    /// All possible endpoints have `limits.per_endpoint` attempts under way.
    Full,
}

/// A picked endpoint: counts as load until it is finished or dropped.
///
/// Holds this worker's side of the endpoint, not the endpoint set: a tunnel may last for days, and
/// would keep 10,000 other endpoints of a set that was replaced long ago. The endpoint has what an
/// attempt needs, connections, load and health; its description at the time of the pick is kept by
/// the attempt.
#[derive(Debug)]
pub struct Pick {
    /// The pool it was picked from.
    pub pool: Rc<LocalPool>,
    /// The endpoint.
    pub endpoint: Rc<LocalEndpoint>,
    pub(super) trial: Option<Trial>,
    /// Leave of the pool's breaker.
    permit: Permit,
    /// The answer took too long for the pool's breaker.
    slow: bool,
    limited: bool,
    started: Cell<Instant>,
    finished: bool,
}

impl Pick {
    pub(super) fn new(
        pool: &Rc<LocalPool>,
        endpoint: &Rc<LocalEndpoint>,
        limited: bool,
        started: Instant,
    ) -> Self {
        Self {
            pool: Rc::clone(pool),
            endpoint: Rc::clone(endpoint),
            trial: None,
            permit: Permit::default(),
            slow: false,
            limited,
            started: Cell::new(started),
            finished: false,
        }
    }

    pub(super) fn begin(&self) {
        self.endpoint.load.started();
        let metrics = &self.endpoint.metrics;
        metrics.picks.inc();
        metrics.in_flight.inc();
    }

    /// The attempt is made by leave of the pool's breaker, which hears what comes of it.
    pub fn permit(&mut self, permit: Permit) {
        self.permit = permit;
    }

    /// The endpoint was waited for by no fault of its own until now: its time begins here.
    pub fn begin_again(&self, now: Instant) {
        self.started.set(now);
    }

    /// Notes for the pool's breaker whether the endpoint took too long for the head of its answer,
    /// from when it could have the whole request.
    #[cold]
    pub fn took_until(&mut self, now: Instant, sent: Option<Instant>) {
        let started = self.started.get();
        let began = sent.map_or(started, |sent| sent.max(started));
        let slow = self.pool.pool.breaker.and_then(|breaker| breaker.slow);
        self.slow = slow.is_some_and(|slow| now.saturating_duration_since(began) >= slow);
    }

    /// Returns true if the pool has a breaker.
    pub fn is_watched(&self) -> bool {
        self.permit.is_watched()
    }

    /// Reports the outcome of a response at its end to passive health and the breaker.
    pub fn observe_end(&self, now: Instant, outcome: Observed) {
        self.endpoint.observe(self.pool.worker, outcome, now);
        if self.permit.is_watched() {
            let (breaker, outcome) = (&self.pool.pool.shared.breaker, self.call(outcome));
            breaker.observe_end(self.pool.worker, &self.permit, outcome, now);
        }
    }

    /// Outcome as the breaker counts it.
    fn call(&self, outcome: Observed) -> CallOutcome {
        match outcome {
            Observed::Success if self.slow => CallOutcome::Slow,
            Observed::Success => CallOutcome::Good,
            Observed::BadAnswer | Observed::Failure => CallOutcome::Failed,
        }
    }

    /// Counts the result of the attempt.
    pub fn attempted(&self, result: &AttemptResult) {
        self.pool.metrics.attempted(result);
        let own = &self.endpoint.metrics;
        match result {
            AttemptResult::Status(status) => own.answered(status.as_u16()),
            AttemptResult::Grpc(status) if grpc::is_failure(*status) => {
                own.failed(grpc::failure_word(*status));
            }
            AttemptResult::Grpc(_) => own.answered(200),
            AttemptResult::Failed(failure) => own.failed(failure.word()),
        }
    }

    /// Notes a head whose outcome is still open: its time is reported to the pickers, and passive
    /// health hears of it at its end. False if this request is the trial of the endpoint or
    /// of the pool's breaker, which does not wait that long.
    pub fn observe_head(&mut self, now: Instant) -> bool {
        if self.trial.is_some() || self.permit.is_trial() {
            return false;
        }
        self.finished = true;
        let load = &self.endpoint.load;
        load.observe(
            now,
            now.saturating_duration_since(self.started.get()),
            false,
            None,
        );
        true
    }

    /// Notes an answer, or a failure of the endpoint: reported to pickers and passive health. The
    /// endpoint stays loaded until the drop.
    pub fn observe(&mut self, now: Instant, outcome: Observed, retry_after: Option<Duration>) {
        self.finished = true;
        let failed = outcome != Observed::Success;
        let load = &self.endpoint.load;
        load.observe(
            now,
            now.saturating_duration_since(self.started.get()),
            failed,
            retry_after,
        );
        match self.trial.take() {
            Some(trial) => trial.finish(outcome, now),
            None => self.endpoint.observe(self.pool.worker, outcome, now),
        }
        if self.permit.is_watched() {
            let outcome = self.call(outcome);
            let breaker = &self.pool.pool.shared.breaker;
            breaker.observe(self.pool.worker, &mut self.permit, outcome, now);
        }
    }

    /// Gives back its place under `limits.per_endpoint`, if it has one.
    #[inline]
    pub(crate) fn release_place(&mut self) {
        if std::mem::take(&mut self.limited) {
            let shared = &self.pool.pool.shared;
            self.endpoint.shared.give_place_back(&shared.full);
            shared.tell_freed(Limit::Endpoint);
        }
    }
}

impl Drop for Pick {
    fn drop(&mut self) {
        self.endpoint.metrics.in_flight.dec();
        let load = &self.endpoint.load;
        if self.finished {
            load.ended();
        } else {
            let now = Instant::now();
            load.abandoned(now, now.saturating_duration_since(self.started.get()));
        }
        self.release_place();
    }
}
