//! The rings that recent heads are kept in, one for each worker.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
    time::Duration,
};

use tokio::time::Instant;

use super::{RecentHead, private::DigestKey};

/// The heads of all workers.
#[derive(Debug)]
pub struct Heads {
    key: DigestKey,
    /// Maximum number of heads of a worker.
    capacity: usize,
    rings: Mutex<Vec<Arc<HeadRing>>>,
}

/// The heads of one worker. It never waits for a reader: while one holds the ring, a head is left
/// out.
#[derive(Debug)]
pub struct HeadRing {
    /// Key of the digests.
    pub key: DigestKey,
    /// Maximum number of heads.
    pub capacity: usize,
    heads: Mutex<VecDeque<RecentHead>>,
}

impl Heads {
    /// Makes room for the heads of so many workers.
    pub fn new(workers: usize) -> Self {
        Self {
            key: DigestKey::default(),
            capacity: (HEADS_MAX / workers.max(1)).max(WORKER_HEADS_MIN),
            rings: Mutex::default(),
        }
    }

    /// Makes the ring of one worker.
    pub fn worker(&self) -> Arc<HeadRing> {
        let ring = Arc::new(HeadRing {
            key: self.key.clone(),
            capacity: self.capacity,
            heads: Mutex::default(),
        });
        self.rings().push(Arc::clone(&ring));
        ring
    }

    /// Key of the digests.
    pub(super) fn key(&self) -> &DigestKey {
        &self.key
    }

    /// The heads of the last minutes.
    pub fn recent(&self, now: Instant) -> Vec<RecentHead> {
        let rings = self.rings().clone();
        let mut heads = Vec::new();
        for ring in rings {
            let ring = ring.lock();
            let recent = ring
                .iter()
                .filter(|head| now.duration_since(head.at) <= AGE_MAX);
            heads.extend(recent.cloned());
        }
        heads
    }

    /// The fields of a request, if its head is still kept; for people.
    pub fn shown_headers(&self, request_id: &str) -> Option<Vec<(String, String)>> {
        let rings = self.rings().clone();
        rings.iter().find_map(|ring| {
            let ring = ring.lock();
            let mut newest_first = ring.iter().rev();
            let head = newest_first.find(|head| *head.request_id == *request_id)?;
            Some(head.shown_headers())
        })
    }

    fn rings(&self) -> MutexGuard<'_, Vec<Arc<HeadRing>>> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HeadRing {
    /// Keeps a head in place of the oldest one. Never waits.
    pub fn push(&self, head: RecentHead) {
        let mut heads = match self.heads.try_lock() {
            Ok(heads) => heads,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if heads.len() >= self.capacity {
            heads.pop_front();
        }
        heads.push_back(head);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<RecentHead>> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Heads kept over all workers; 8 KiB each at most.
const HEADS_MAX: usize = 4096;
/// Heads kept of each worker, however many workers there are.
const WORKER_HEADS_MIN: usize = 64;
/// Age of a head that says nothing any more about the traffic of now.
const AGE_MAX: Duration = Duration::from_secs(600);
