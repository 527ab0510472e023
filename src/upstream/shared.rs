//! State of a pool shared by all workers: the registry's entry, which outlives reloads.
//!
//! State by identity: pool = name, endpoint = pool + address. On the request path it is only read,
//! except for the limits that must hold across workers: each of those is one padded atomic, exact,
//! and touched only while the limit is set.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError, atomic::Ordering},
};

pub use crate::memory::Padded;

use super::{
    discovery::Discovered,
    freed::{Freed, Limit},
    health::PoolHealthState,
    occupancy::FullSet,
    room::IdleCounts,
    session::GivenSessions,
    spoken::Spoken,
};
use crate::{
    failure::Failure,
    resilience::{Breaker, Latency, RetryBudget},
    telemetry::log::LogLimit,
};

/// The live state of a pool.
#[derive(Debug)]
pub struct PoolShared {
    /// The pool's name.
    pub name: Arc<str>,
    /// Health of the endpoints: those that may be picked, and the reasons against the others.
    pub health: Arc<PoolHealthState>,
    /// Budget of the retries under way.
    pub budget: RetryBudget,
    /// Breaker, turned off unless the pool has one.
    pub breaker: Arc<Breaker>,
    /// Open upstream connections.
    pub connections: Padded,
    /// Idle ones of each worker.
    pub idle: IdleCounts,
    /// Exchanges with an attempt at this pool, counted while a limit is set.
    pub requests: Padded,
    /// Exchanges that wait for one of the limits.
    pub queued: Padded,
    /// Requests that wait for a connection, and precede heads without a body.
    contending: Padded,
    /// Waiters, which are notified of releases.
    pub freed: Freed,
    /// Endpoints with all places taken, marked while `limits.per_endpoint` is set.
    pub full: FullSet,
    /// Limit of log messages about failed TLS with an endpoint, by endpoint and cause.
    pub tls_told: LogLimit<(String, Failure)>,
    /// State of the source of its endpoints.
    pub discovered: Discovered,
    /// Times to a response head, once a route hedges by a quantile of them.
    pub latency: OnceLock<Latency>,
    endpoints: Mutex<Endpoints>,
}

/// Endpoints by address.
#[derive(Debug, Default)]
struct Endpoints {
    known: HashMap<Arc<str>, Arc<EndpointShared>>,
    /// Unused slots below `slots`.
    free: Vec<usize>,
    slots: usize,
    /// Number of endpoints at which removed ones are searched.
    next_look: usize,
}

/// The live state of an endpoint that all workers share.
#[derive(Debug)]
pub struct EndpointShared {
    /// Its number in the pool; unique among the current endpoints.
    pub(super) slot: usize,
    /// Attempts under way, counted while `limits.per_endpoint` is set.
    pub requests: Padded,
    /// HTTP version heard from it.
    pub spoken: Spoken,
    /// Sessions that it was given lately.
    pub sessions: GivenSessions,
}

impl EndpointShared {
    pub(super) fn at(slot: usize) -> Self {
        let requests = Padded::default();
        Self {
            slot,
            requests,
            spoken: Spoken::default(),
            sessions: GivenSessions::default(),
        }
    }
}

impl PoolShared {
    /// Makes the state of a new pool.
    pub fn new(
        name: Arc<str>,
        health: Arc<PoolHealthState>,
        budget: RetryBudget,
        breaker: Breaker,
    ) -> Self {
        Self {
            name,
            health,
            budget,
            breaker: Arc::new(breaker),
            connections: Padded::default(),
            idle: IdleCounts::default(),
            requests: Padded::default(),
            queued: Padded::default(),
            contending: Padded::default(),
            freed: Freed::default(),
            full: FullSet::default(),
            tls_told: LogLimit::default(),
            discovered: Discovered::default(),
            latency: OnceLock::new(),
            endpoints: Mutex::default(),
        }
    }

    /// Notes the release of one place of a limit: wakes one waiter for it.
    pub fn tell_freed(&self, limit: Limit) {
        let waiting = self.queued.load(Ordering::SeqCst);
        if waiting > 0 {
            self.freed.of(limit).tell_one(waiting);
        }
    }

    /// Notes room for several: wakes all who wait for connections.
    pub fn tell_room(&self) {
        if self.has_queue() {
            self.freed.of(Limit::Connections).tell_all();
        }
    }

    /// Counts a request that waits for a connection, until the guard is dropped.
    pub(super) fn contend(&self) -> Contends<'_> {
        self.contending.fetch_add(1, Ordering::SeqCst);
        Contends(self)
    }

    /// Returns true if requests wait for a connection.
    pub(super) fn is_contended(&self) -> bool {
        self.contending.load(Ordering::SeqCst) > 0
    }

    /// Wakes all who wait for an endpoint, as the pool has other endpoints.
    pub fn tell_endpoints_changed(&self) {
        self.health.tell_replaced();
        if self.has_queue() {
            self.freed.of(Limit::Endpoint).tell_all();
        }
    }

    /// Returns true if somebody waits for a limit.
    pub fn has_queue(&self) -> bool {
        self.queued.load(Ordering::SeqCst) > 0
    }

    /// Returns the state of an endpoint by its address; made at the first call.
    ///
    /// Takes a lock: called when a worker sees a new endpoint set, never per request.
    pub fn endpoint(&self, address: &Arc<str>) -> Arc<EndpointShared> {
        let mut endpoints = self
            .endpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = endpoints.known.get(address) {
            return Arc::clone(known);
        }
        if endpoints.known.len() >= endpoints.next_look {
            endpoints.forget_unused();
        }
        endpoints.add(address)
    }
}

/// One request that waits for a connection.
#[derive(Debug)]
pub(super) struct Contends<'a>(&'a PoolShared);

impl Drop for Contends<'_> {
    fn drop(&mut self) {
        self.0.contending.give_back();
    }
}

impl Endpoints {
    fn add(&mut self, address: &Arc<str>) -> Arc<EndpointShared> {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots += 1;
            self.slots - 1
        });
        let endpoint = Arc::new(EndpointShared::at(slot));
        self.known
            .insert(Arc::clone(address), Arc::clone(&endpoint));
        endpoint
    }

    /// Drops entries that only this table holds: they have left the pool. Done again at twice the
    /// remaining number, so that it costs each endpoint little.
    fn forget_unused(&mut self) {
        let free = &mut self.free;
        self.known.retain(|_, endpoint| {
            let used = Arc::strong_count(endpoint) > 1;
            if !used {
                free.push(endpoint.slot);
            }
            used
        });
        self.next_look = (2 * self.known.len()).max(LOOK_MIN);
    }
}

/// Number of endpoints below which none is dropped.
const LOOK_MIN: usize = 64;
