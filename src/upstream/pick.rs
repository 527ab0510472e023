//! A pick: the question to a pool, and the endpoint that came of it, held until the attempt is over.

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
    /// Now.
    pub now: Instant,
    /// A uniform random draw.
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
    /// It has failed elsewhere: no risk more.
    No,
    /// Of one that has waited for long: this one cannot be repeated.
    Overdue,
    /// Of any.
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
    /// Any endpoint, where health may be ignored at all.
    Anyone,
}

/// The outcome of a pick.
#[derive(Debug)]
pub enum Picked {
    /// An endpoint, held until the [`Pick`] is dropped.
    Endpoint(Pick),
    /// Nobody may be picked yet: first health checks are under way.
    Pending,
    /// Nobody can serve.
    Nobody,
    /// All that could serve have `limits.per_endpoint` attempts under way.
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

    /// The attempt brought a head that does not say yet how it ends: the pickers hear of
    /// its time, and passive health hears of it at its end. False if this request is the
    /// trial of the endpoint, which does not wait that long.
    pub fn observe_head(&mut self, now: Instant) -> bool {
        if self.trial.is_some() {
            return false;
        }
        self.finished = true;
        let load = &self.endpoint.load;
        load.observe(now, now - self.started, false, None);
        true
    }

    /// The attempt brought an answer, or failed by the endpoint's fault: pickers and
    /// passive health hear of it. The endpoint stays loaded until the drop.
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
