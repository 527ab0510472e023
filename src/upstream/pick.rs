//! A pick: the request to a pool, and the endpoint picked, held until the attempt is over.

use std::{rc::Rc, time::Duration};

use tokio::time::Instant;

use super::{
    freed::Limit,
    health::{Observed, Trial},
    idle::LocalEndpoint,
    local::LocalPool,
};

/// Input of the choice of an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct PickRequest {
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
#[derive(Debug)]
pub struct Pick {
    /// The pool it was picked from.
    pub pool: Rc<LocalPool>,
    /// The endpoint.
    pub endpoint: Rc<LocalEndpoint>,
    pub(super) trial: Option<Trial>,
    limited: bool,
    started: Instant,
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
            limited,
            started,
            finished: false,
        }
    }

    pub(super) fn begin(&self) {
        self.endpoint.load.started();
        self.endpoint.picks.inc();
    }

    /// Reports the outcome of a response at its end to passive health.
    pub fn observe_end(&self, now: Instant, outcome: Observed) {
        self.endpoint.observe(self.pool.worker, outcome, now);
    }

    /// Notes a head whose outcome is still open: its time is reported to the pickers, and passive
    /// health hears of it at its end. False if this request is the trial of the endpoint, which
    /// does not wait that long.
    pub fn observe_head(&mut self, now: Instant) -> bool {
        if self.trial.is_some() {
            return false;
        }
        self.finished = true;
        let load = &self.endpoint.load;
        load.observe(now, now - self.started, false, None);
        true
    }

    /// Notes an answer, or a failure of the endpoint: reported to pickers and passive health. The
    /// endpoint stays loaded until the drop.
    pub fn observe(&mut self, now: Instant, outcome: Observed, retry_after: Option<Duration>) {
        self.finished = true;
        let failed = outcome != Observed::Success;
        let load = &self.endpoint.load;
        load.observe(now, now - self.started, failed, retry_after);
        match self.trial.take() {
            Some(trial) => trial.finish(outcome, now),
            None => self.endpoint.observe(self.pool.worker, outcome, now),
        }
    }
}

impl Drop for Pick {
    fn drop(&mut self) {
        let load = &self.endpoint.load;
        if self.finished {
            load.ended();
        } else {
            let now = Instant::now();
            load.abandoned(now, now - self.started);
        }
        if self.limited {
            let shared = &self.pool.pool.shared;
            self.endpoint.shared.give_place_back(&shared.full);
            shared.tell_freed(Limit::Endpoint);
        }
    }
}
