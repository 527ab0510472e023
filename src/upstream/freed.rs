//! Wait for one of a pool's limits, and notification of a release.
//!
//! One released place wakes the longest waiter for that limit. If it cannot use the place (an
//! endpoint of another version, or tried before), it lets the next one look, and so on, each once.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tokio::sync::{Notify, futures::Notified};

/// A limit that exchanges wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `limits.connections`.
    Connections,
    /// `limits.requests`.
    Requests,
    /// `limits.per_endpoint`.
    Endpoint,
}

impl Limit {
    /// Its key in `limits` of the pool.
    pub fn key(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Requests => "requests",
            Self::Endpoint => "per_endpoint",
        }
    }
}

/// Waiters, by limit.
#[derive(Debug, Default)]
pub struct Freed {
    connections: Waiting,
    requests: Waiting,
    endpoint: Waiting,
}

/// Waiters for one limit.
#[derive(Debug, Default)]
pub struct Waiting {
    notify: Notify,
    /// Counts releases while somebody waited.
    releases: AtomicUsize,
    /// Number of waiters that may still look because of the last release.
    looks: AtomicUsize,
}

impl Freed {
    /// Returns the waiters for this limit.
    pub fn of(&self, limit: Limit) -> &Waiting {
        match limit {
            Limit::Connections => &self.connections,
            Limit::Requests => &self.requests,
            Limit::Endpoint => &self.endpoint,
        }
    }
}

impl Waiting {
    /// Is ready after a release. If dropped then, the next waiter is woken.
    pub fn freed(&self) -> Notified<'_> {
        self.notify.notified()
    }

    /// Number of releases while somebody waited.
    pub fn releases(&self) -> usize {
        self.releases.load(SeqCst)
    }

    /// Notes the release of one place, while this many wait.
    pub(super) fn tell_one(&self, waiting: usize) {
        self.looks.store(waiting, SeqCst);
        self.releases.fetch_add(1, SeqCst);
        self.notify.notify_one();
    }

    /// Notes the release of an unknown number of places.
    pub(super) fn tell_all(&self) {
        self.releases.fetch_add(1, SeqCst);
        self.notify.notify_waiters();
    }

    /// Passes the release on to the next waiter: the one that was woken could not use it.
    pub fn pass_on(&self) {
        let left = |looks: usize| looks.checked_sub(1);
        if self.looks.fetch_update(SeqCst, SeqCst, left).is_ok() {
            self.notify.notify_one();
        }
    }
}
