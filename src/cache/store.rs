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
    Entry, Fill, Key, Lead,
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
    /// Answers for other requests with this URL.
    Others,
    /// The answers of this URL are not stored.
    Pass,
    /// Nothing.
    Nothing,
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
                let mut variants = variants.iter();
                let fit = variants.find(|it| it.meta.fits(cohort, request));
                fit.map_or(Found::Others, |it| Found::Entry(Arc::clone(it)))
            }
            Some(Slot::Pass(until)) if now < until => Found::Pass,
            Some(Slot::Pass(_)) | None => Found::Nothing,
        }
    }

    /// Asks who fetches the answer.
    pub(crate) fn turn(self: &Arc<Self>, key: &Key) -> Turn {
        let mut fills = self.fills();
        let fill = match fills.entry(key.clone()) {
            hash_map::Entry::Occupied(known) => return Turn::Follow(Arc::clone(known.get())),
            hash_map::Entry::Vacant(free) => Arc::clone(free.insert(Arc::default())),
        };
        drop(fills);
        Turn::Lead(Lead::new(self, key, fill, true))
    }

    /// Takes on a fetch of which others do not know.
    pub(crate) fn alone(self: &Arc<Self>, key: &Key) -> Lead {
        Lead::new(self, key, Arc::default(), false)
    }

    /// Stores an answer, in place of the one to the same requests; false if a change of its URL
    /// has come after this mark.
    pub(super) fn put(&self, key: Key, entry: Entry, mark: Mark) -> bool {
        let held = self.changes.hold(&key);
        if held.mark() != mark {
            return false;
        }
        let entry = Arc::new(entry);
        let known = match self.entries.peek(&key) {
            Some(Slot::Variants(variants)) => Some(variants),
            Some(Slot::Pass(_)) | None => None,
        };
        let others = known.iter().flat_map(|it| it.iter());
        let others = others.filter(|it| !entry.meta.replaces(&it.meta));
        let mut all: Vec<Arc<Entry>> = vec![Arc::clone(&entry)];
        all.extend(others.take(VARIANTS_MAX - 1).cloned());
        // All of them in one shard must leave room for other keys.
        let room = self.entries.shard_capacity() / 2;
        let weight = |all: &[Arc<Entry>]| all.iter().map(|it| it.weight() as u64).sum::<u64>();
        while all.len() > 1 && weight(&all) > room {
            all.pop();
        }
        self.entries.insert(key, Slot::Variants(all.into()));
        drop(held);
        true
    }

    /// Removes one stored answer.
    pub(crate) fn forget(&self, key: &Key, entry: &Entry) {
        let _held = self.changes.hold(key);
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
            false => self
                .entries
                .insert(key.clone(), Slot::Variants(rest.into())),
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

    /// Removes the keys for which `wanted` is true of the URL and of some answer; returns their
    /// number. What is on its way is not stored.
    fn purge(&self, wanted: impl Fn(&[u8], &[Arc<Entry>]) -> bool) -> u64 {
        self.changes.purge();
        // Whoever asks from now on waits for none of them.
        let fills = std::mem::take(&mut *self.fills());
        drop(fills);
        let found: Vec<Key> = self
            .entries
            .iter()
            .filter(|(key, slot)| match slot {
                Slot::Variants(variants) => wanted(key.url(), variants),
                Slot::Pass(_) => false,
            })
            .map(|(key, _)| key)
            .collect();
        let removed = found
            .iter()
            .filter(|key| self.entries.remove(*key).is_some());
        removed.count() as u64
    }

    /// Removes all answers of a URL; returns the number of keys.
    pub fn purge_url(&self, url: &[u8]) -> u64 {
        self.purge(|known, _| known == url)
    }

    /// Removes all answers of URLs that begin so.
    pub fn purge_prefix(&self, prefix: &[u8]) -> u64 {
        self.purge(|known, _| known.starts_with(prefix))
    }

    /// Removes all answers of URLs of which some answer has this tag.
    pub fn purge_tag(&self, tag: &str) -> u64 {
        self.purge(|_, variants| variants.iter().any(|it| it.meta.has_tag(tag)))
    }

    /// Removes everything.
    pub fn purge_all(&self) -> u64 {
        self.purge(|_, _| true)
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
