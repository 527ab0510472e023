//! What all workers share of a pool: the registry's entry, which outlives reloads.
//!
//! State by identity: pool = name, endpoint = pool + address. On the request path
//! it is only read, but for the limits that must hold across workers: each of
//! those is one padded atomic, exact, and touched only while the limit is set.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;

use super::{health::PoolHealthState, room::IdleCounts};
use crate::{exchange::Failure, resilience::RetryBudget, telemetry::log::LogLimit};

/// The live state of a pool.
#[derive(Debug)]
pub struct PoolShared {
    /// The pool's name.
    pub name: Arc<str>,
    /// Who may be picked, and why the others may not.
    pub health: Arc<PoolHealthState>,
    /// How many retries may be under way.
    pub budget: RetryBudget,
    /// Open upstream connections.
    pub connections: Padded,
    /// Idle ones of each worker.
    pub idle: IdleCounts,
    /// Exchanges with an attempt at this pool, counted while a limit is set.
    pub requests: Padded,
    /// Exchanges that wait for one of the limits.
    pub queued: Padded,
    /// Told when something that a limit counts was given back.
    pub freed: Notify,
    /// When the log last told of TLS with an endpoint that failed, by endpoint and cause.
    pub tls_told: LogLimit<(String, Failure)>,
    endpoints: Mutex<HashMap<Arc<str>, Arc<EndpointShared>>>,
}

/// The live state of an endpoint that all workers share.
#[derive(Debug, Default)]
pub struct EndpointShared {
    /// Attempts under way, counted while `limits.per_endpoint` is set.
    pub requests: Padded,
}

/// An atomic count on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Padded(AtomicUsize);

impl std::ops::Deref for Padded {
    type Target = AtomicUsize;

    fn deref(&self) -> &AtomicUsize {
        &self.0
    }
}

impl Padded {
    /// Takes one of `max`; false if all are taken.
    pub fn try_take(&self, max: usize) -> bool {
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| {
                (taken < max).then_some(taken + 1)
            })
            .is_ok()
    }

    /// Gives one back.
    pub fn give_back(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl PoolShared {
    /// The state of a pool that was not there before.
    pub fn new(name: Arc<str>, health: Arc<PoolHealthState>, budget: RetryBudget) -> Self {
        Self {
            name,
            health,
            budget,
            connections: Padded::default(),
            idle: IdleCounts::default(),
            requests: Padded::default(),
            queued: Padded::default(),
            freed: Notify::new(),
            tls_told: LogLimit::default(),
            endpoints: Mutex::default(),
        }
    }

    /// Wakes those who wait for a limit: all of them, since they may wait for different ones.
    pub fn tell_freed(&self) {
        if self.has_queue() {
            self.freed.notify_waiters();
        }
    }

    /// Whether somebody waits for a limit.
    pub fn has_queue(&self) -> bool {
        self.queued.load(Ordering::Acquire) > 0
    }

    /// The state of an endpoint by its address; made when first asked for.
    ///
    /// Takes a lock: called when a worker meets a new endpoint set, never per request.
    pub fn endpoint(&self, address: &Arc<str>) -> Arc<EndpointShared> {
        let mut endpoints = self
            .endpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // An entry that only this table holds belongs to an endpoint that has left.
        endpoints.retain(|label, state| label == address || Arc::strong_count(state) > 1);
        Arc::clone(endpoints.entry(Arc::clone(address)).or_default())
    }
}
