//! Waiting for one of a pool's limits, and being told when something is given back.
//!
//! One place given back wakes one who waits for that limit, the one who waits longest. One who
//! finds that it was nothing for him (an endpoint of another version, or tried before) lets the
//! next one look, and so on, each once.

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

/// Those who wait, by limit.
#[derive(Debug, Default)]
pub struct Freed {
    connections: Waiting,
    requests: Waiting,
    endpoint: Waiting,
}

/// Those who wait for one limit.
#[derive(Debug, Default)]
pub struct Waiting {
    notify: Notify,
    /// Counts what was given back while somebody waited.
    releases: AtomicUsize,
    /// Number of waiters that may still look because of the last release.
    looks: AtomicUsize,
}

impl Freed {
    /// Those who wait for this limit.
    pub fn of(&self, limit: Limit) -> &Waiting {
        match limit {
            Limit::Connections => &self.connections,
            Limit::Requests => &self.requests,
            Limit::Endpoint => &self.endpoint,
        }
    }
}

impl Waiting {
    /// Is ready when something was given back. Dropped then, it tells the next one.
    pub fn freed(&self) -> Notified<'_> {
        self.notify.notified()
    }

    /// Number of releases while somebody waited.
    pub fn releases(&self) -> usize {
        self.releases.load(SeqCst)
    }

    /// One place was given back, while so many waited.
    pub(super) fn tell_one(&self, waiting: usize) {
        self.looks.store(waiting, SeqCst);
        self.releases.fetch_add(1, SeqCst);
        self.notify.notify_one();
    }

    /// Room for an unknown number was made.
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
