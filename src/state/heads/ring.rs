//! The rings that recent heads are kept in, one for each worker.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError},
    time::Duration,
};

use tokio::time::Instant;

use super::{Former, RecentHead, private::DigestKey};

/// The heads of all workers.
#[derive(Debug)]
pub struct Heads {
    key: DigestKey,
    /// Maximum number of heads of a worker.
    capacity: usize,
    rings: Mutex<Vec<Arc<HeadRing>>>,
    /// The configuration that routed requests before the one in use.
    pub former: Former,
}

/// The heads of one worker. It never waits for a reader: while one holds the ring, a head is left
/// out.
#[derive(Debug)]
pub struct HeadRing {
    /// Key of the digests.
    pub key: DigestKey,
    /// Maximum number of heads.
    pub capacity: usize,
    heads: Mutex<VecDeque<Arc<RecentHead>>>,
}

impl Heads {
    /// Makes room for the heads of so many workers.
    pub fn new(workers: usize) -> Self {
        Self {
            key: DigestKey::default(),
            capacity: (HEADS_MAX / workers.max(1)).max(WORKER_HEADS_MIN),
            rings: Mutex::default(),
            former: Former::default(),
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
    pub fn recent(&self, now: Instant) -> Vec<Arc<RecentHead>> {
        let mut heads = self.all();
        heads.retain(|head| now.saturating_duration_since(head.at) <= AGE_MAX);
        heads
    }

    /// The fields of these requests, as far as their heads are still kept; for people.
    pub fn shown_headers(&self, ids: &HashSet<&str>) -> HashMap<String, Vec<(String, String)>> {
        // Of one identity the newest counts: a client may choose it.
        let heads = self.all().into_iter();
        let asked = heads.filter(|head| ids.contains(&*head.request_id));
        asked
            .map(|head| (head.request_id.to_string(), head.shown_headers()))
            .collect()
    }

    /// All heads, those of each worker oldest first. The rings are held for copies of pointers only,
    /// as a worker that finds its ring held leaves a head out.
    fn all(&self) -> Vec<Arc<RecentHead>> {
        let rings = self.rings().clone();
        let mut heads = Vec::with_capacity(rings.len() * self.capacity);
        for ring in rings {
            heads.extend(ring.lock().iter().cloned());
        }
        heads
    }

    fn rings(&self) -> MutexGuard<'_, Vec<Arc<HeadRing>>> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HeadRing {
    /// Keeps a head in place of the oldest one. Never waits.
    pub fn push(&self, head: RecentHead) {
        let head = Arc::new(head);
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

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<RecentHead>>> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Heads kept over all workers; 8 KiB each at most.
const HEADS_MAX: usize = 4096;
/// Heads kept of each worker, however many workers there are.
const WORKER_HEADS_MIN: usize = 64;
/// Age of a head that says nothing any more about the traffic of now.
const AGE_MAX: Duration = Duration::from_secs(600);
