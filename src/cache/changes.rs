//! Changes that overtake a fetch: requests that changed a URL, and purges.
//!
//! What was asked for before a change is not stored after it, whoever fetched it. The counts of all
//! URLs share a table: two that fall on one place cost an answer that is not stored, never a stale
//! one that is.

use std::{
    hash::BuildHasher as _,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use foldhash::fast::RandomState;

use super::Key;

/// Counts of changes.
#[derive(Debug)]
pub(super) struct Changes {
    purges: AtomicU64,
    keys: Box<[Mutex<u64>]>,
    hasher: RandomState,
}

/// Counts at the time at which a fetch began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    purges: u64,
    key: u64,
}

/// The exclusive right to change what is stored for a key. For a few instructions, never over I/O.
pub(super) struct Held<'a> {
    purges: &'a AtomicU64,
    count: MutexGuard<'a, u64>,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            purges: AtomicU64::new(0),
            keys: (0..PLACES).map(|_| Mutex::new(0)).collect(),
            hasher: RandomState::default(),
        }
    }
}

impl Changes {
    /// Notes the counts for a fetch that begins.
    pub(super) fn mark(&self, key: &Key) -> Mark {
        self.hold(key).mark()
    }

    /// Takes the right to change what is stored for a key.
    pub(super) fn hold(&self, key: &Key) -> Held<'_> {
        let place = self.hasher.hash_one(key) % PLACES as u64;
        let place = usize::try_from(place).unwrap_or(0);
        Held {
            purges: &self.purges,
            count: lock(&self.keys[place]),
        }
    }

    /// Counts a purge. When it returns, nothing that was asked for before it can be stored any more.
    pub(super) fn purge(&self) {
        self.purges.fetch_add(1, Ordering::AcqRel);
        for place in &self.keys {
            // Whoever stores at this moment has ended by then.
            drop(lock(place));
        }
    }
}

impl Held<'_> {
    /// The counts.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            purges: self.purges.load(Ordering::Acquire),
            key: *self.count,
        }
    }

    /// Counts a change of the key.
    pub(super) fn change(&mut self) {
        *self.count += 1;
    }
}

fn lock(place: &Mutex<u64>) -> MutexGuard<'_, u64> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Size of the table: with 1,000 changes a second, and fetches of 100 ms, one in 40 answers is not
/// stored.
const PLACES: usize = 4096;
