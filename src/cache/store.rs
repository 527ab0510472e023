//! The stored answers of a route, for all workers.
//!
//! Bounded in bytes. The entries are in shards, each with a lock that is held for one look-up or
//! insertion; which entry leaves is the choice of `quick_cache` (S3-FIFO: what is asked for once
//! leaves before what is asked for again).

use std::{
    collections::{HashMap, hash_map},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use foldhash::fast::RandomState;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter, sync::Cache};

use super::{
    Entry, Fill, Key, Lead, Purge,
    changes::{Changes, Mark},
};
use crate::semantics::Headers;

/// Stored answers, and those that are being fetched.
pub struct Store {
    pub(super) entries: Cache<Key, Slot, Weigher, RandomState, Evicted>,
    max_size: AtomicU64,
    entry_max: AtomicU64,
    /// The fetch of each key, for those who ask meanwhile.
    fills: Mutex<HashMap<Key, Arc<Fill>, RandomState>>,
    /// Bytes that are reserved for answers on their way.
    pub(super) filling: AtomicU64,
    pub(super) changes: Changes,
    evicted: Arc<AtomicU64>,
}

/// Figures of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreView {
    /// URLs with stored answers.
    pub entries: u64,
    /// Bytes that they take.
    pub bytes: u64,
    /// The bound on them.
    pub bytes_max: u64,
    /// Entries that left to make room.
    pub evicted: u64,
}

/// State of one key.
#[derive(Clone)]
pub(super) enum Slot {
    /// Stored answers, the newest first: one for each set of values of `Vary`.
    Variants(Arc<[Arc<Entry>]>),
    /// Its answers are not stored, up to this second: requests do not wait for each other.
    Pass(u64),
}

/// Result of a look-up.
#[derive(Debug)]
pub(crate) enum Found {
    /// This one.
    Entry(Arc<Entry>),
    /// These answers, for other requests with this URL.
    Others(Arc<[Arc<Entry>]>),
    /// The answers of this URL are not stored.
    Pass,
    /// Nothing.
    Nothing,
}

/// The fetch of a key.
#[derive(Debug)]
pub(super) enum Lookup {
    /// One that begins: the asker's own.
    Mine(Arc<Fill>),
    /// One that is under way.
    Known(Arc<Fill>),
}

/// Answer to the question who fetches.
#[derive(Debug)]
pub(crate) enum Turn {
    /// The asker does.
    Lead(Lead),
    /// Somebody else does.
    Follow(Arc<Fill>),
}

impl Store {
    /// Makes an empty store of this size, in bytes.
    pub fn new(max_size: u64, entry_max: u64) -> Self {
        let evicted = Arc::new(AtomicU64::new(0));
        // A shard has room for several of the largest entries.
        let shards = (max_size / entry_max.max(1) / 4).clamp(1, SHARDS_MAX);
        let shards = 1 << shards.ilog2();
        let items = (max_size / USUAL_BYTES).clamp(64, 1 << 20);
        let mut options = OptionsBuilder::new();
        options
            .shards(shards)
            .weight_capacity(max_size)
            .estimated_items_capacity(usize::try_from(items).unwrap_or(64));
        let evict = Evicted(Arc::clone(&evicted));
        let hasher = RandomState::default();
        let entries = match options.build() {
            Ok(options) => Cache::with_options(options, Weigher, hasher, evict),
            // Nothing is left out above.
            Err(_) => Cache::with(64, max_size, Weigher, hasher, evict),
        };
        Self {
            entries,
            max_size: AtomicU64::new(max_size),
            entry_max: AtomicU64::new(entry_max),
            fills: Mutex::default(),
            filling: AtomicU64::new(0),
            changes: Changes::default(),
            evicted,
        }
    }

    /// Takes up another size; what no longer fits leaves.
    pub fn resize(&self, max_size: u64, entry_max: u64) {
        self.entry_max.store(entry_max, Ordering::Relaxed);
        if self.max_size.swap(max_size, Ordering::Relaxed) != max_size {
            self.entries.set_capacity(max_size);
        }
    }

    /// Finds the stored answer to a request.
    pub(crate) fn find(&self, key: &Key, cohort: &str, request: &Headers, now: u64) -> Found {
        match self.entries.get(key) {
            Some(Slot::Variants(variants)) => {
                let mut each = variants.iter();
                match each.find(|it| it.meta.fits(cohort, request)) {
                    Some(fit) => Found::Entry(Arc::clone(fit)),
                    None => Found::Others(variants),
                }
            }
            Some(Slot::Pass(until)) if now < until => Found::Pass,
            Some(Slot::Pass(_)) | None => Found::Nothing,
        }
    }

    /// Finds the fetch of a key, or begins one.
    pub(super) fn turn(&self, key: &Key) -> Lookup {
        match self.fills().entry(key.clone()) {
            hash_map::Entry::Occupied(known) => Lookup::Known(Arc::clone(known.get())),
            hash_map::Entry::Vacant(free) => Lookup::Mine(Arc::clone(free.insert(Arc::default()))),
        }
    }

    /// Takes up an answer from disk, unless there is one to the same requests, or a change of its
    /// URL has come after this mark.
    pub(super) fn adopt(&self, key: &Key, entry: Entry, mark: Mark) {
        let held = self.changes.hold(key);
        let known = self.variants(key);
        let newer = known.iter().any(|it| entry.meta.replaces(&it.meta));
        if held.mark() == mark && !newer {
            self.insert(key, entry, &known);
        }
    }

    /// Stores an answer, in place of the one to the same requests; false if a change of its URL
    /// has come after this mark.
    pub(super) fn put(&self, key: &Key, entry: Entry, mark: Mark) -> bool {
        let held = self.changes.hold(key);
        if held.mark() != mark {
            return false;
        }
        let known = self.variants(key);
        self.insert(key, entry, &known);
        true
    }

    /// Stored answers of a key.
    fn variants(&self, key: &Key) -> Arc<[Arc<Entry>]> {
        match self.entries.peek(key) {
            Some(Slot::Variants(variants)) => variants,
            Some(Slot::Pass(_)) | None => Arc::default(),
        }
    }

    fn insert(&self, key: &Key, entry: Entry, known: &[Arc<Entry>]) {
        let entry = Arc::new(entry);
        let others = known.iter().filter(|it| !entry.meta.replaces(&it.meta));
        let mut all: Vec<Arc<Entry>> = vec![Arc::clone(&entry)];
        all.extend(others.take(VARIANTS_MAX - 1).cloned());
        // All of them in one shard must leave room for other keys.
        let room = self.entries.shard_capacity() / 2;
        let weight = |all: &[Arc<Entry>]| all.iter().map(|it| it.weight() as u64).sum::<u64>();
        while all.len() > 1 && weight(&all) > room {
            all.pop();
        }
        self.insert_slot(key, Slot::Variants(all.into()));
    }

    /// Inserts the state of a key. One that is replaced does not count as evicted.
    pub(super) fn insert_slot(&self, key: &Key, slot: Slot) {
        let mut left = Vec::new();
        let cache = &self.entries;
        cache.insert_with_lifecycle(key.clone(), slot, &mut left);
        let replaced = left.iter().filter(|(other, _)| other == key).count();
        self.evicted.fetch_sub(replaced as u64, Ordering::Relaxed);
    }

    /// Removes one stored answer.
    pub(crate) fn forget(&self, key: &Key, entry: &Entry) {
        let mut held = self.changes.hold(key);
        // What is on its way to the disk, or from it, is of before.
        held.change();
        let Some(Slot::Variants(variants)) = self.entries.peek(key) else {
            return;
        };
        let rest: Vec<_> = variants
            .iter()
            .filter(|it| !Arc::ptr_eq(&it.meta, &entry.meta))
            .cloned()
            .collect();
        match rest.is_empty() {
            true => drop(self.entries.remove(key)),
            false => self.insert_slot(key, Slot::Variants(rest.into())),
        }
    }

    /// Removes all answers of a key. Those on their way are not stored, and whoever asks from now on
    /// does not wait for them.
    pub(crate) fn invalidate(&self, key: &Key) {
        let mut held = self.changes.hold(key);
        held.change();
        self.entries.remove(key);
        drop(held);
        self.fills().remove(key);
    }

    /// Removes the keys that a purge means by their URL or some answer; returns their number. What
    /// is on its way is not stored.
    pub(super) fn purge(&self, what: &Purge) -> u64 {
        self.changes.purge();
        // Whoever asks from now on waits for none of them.
        let fills = std::mem::take(&mut *self.fills());
        drop(fills);
        let found: Vec<Key> = self
            .entries
            .iter()
            .filter(|(key, slot)| match slot {
                Slot::Variants(variants) => what.meets(key.url(), |tag| {
                    variants.iter().any(|it| it.meta.has_tag(tag))
                }),
                Slot::Pass(_) => false,
            })
            .map(|(key, _)| key)
            .collect();
        let removed = found
            .iter()
            .filter(|key| self.entries.remove(*key).is_some());
        removed.count() as u64
    }

    /// The figures.
    pub fn view(&self) -> StoreView {
        StoreView {
            entries: self.entries.len() as u64,
            bytes: self.entries.weight(),
            bytes_max: self.max_size.load(Ordering::Relaxed),
            evicted: self.evicted.load(Ordering::Relaxed),
        }
    }

    /// Reserves memory for an answer on its way; false if too much is on its way.
    pub(super) fn reserve(&self, bytes: u64) -> bool {
        let max = self.max_size.load(Ordering::Relaxed) / 2;
        let max = max.max(self.entry_max.load(Ordering::Relaxed));
        let added = self
            .filling
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |filling| {
                Some(filling + bytes).filter(|sum| *sum <= max)
            });
        added.is_ok()
    }

    pub(super) fn fills(&self) -> MutexGuard<'_, HashMap<Key, Arc<Fill>, RandomState>> {
        self.fills.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.view()).finish()
    }
}

/// Weighs a key with all that is stored for it.
#[derive(Clone)]
pub(super) struct Weigher;

impl Weighter<Key, Slot> for Weigher {
    fn weight(&self, key: &Key, slot: &Slot) -> u64 {
        let bytes = match slot {
            Slot::Variants(variants) => variants.iter().map(|it| it.weight()).sum(),
            Slot::Pass(_) => 0,
        };
        (key.weight() + SLOT_BYTES + bytes) as u64
    }
}

/// Counts what leaves to make room; it is dropped without the lock of the shard.
#[derive(Clone)]
pub(super) struct Evicted(Arc<AtomicU64>);

impl Lifecycle<Key, Slot> for Evicted {
    type RequestState = Vec<(Key, Slot)>;

    fn on_evict(&self, state: &mut Self::RequestState, key: Key, slot: Slot) {
        self.0.fetch_add(1, Ordering::Relaxed);
        state.push((key, slot));
    }
}

/// Answers of one key.
const VARIANTS_MAX: usize = 64;
/// Shards of a store.
const SHARDS_MAX: u64 = 16;
/// Memory of a usual entry, for the first size of the tables.
const USUAL_BYTES: u64 = 16 << 10;
/// Memory of a key beside its bytes.
const SLOT_BYTES: usize = 128;
