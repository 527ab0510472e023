//! The disk tier of a cache: answers that outlive the process.
//!
//! A file for each answer, in a folder of its route; the index of the files is in memory, and is
//! read from their names when the process starts. All access to the disk is on threads of its own,
//! behind bounded queues: a worker looks into the index, and waits for a read for a bounded time. A
//! slow, full or failing disk costs hits, and nothing else. What a file says is checked when it is
//! read: checksums, the key, and purges since.
//!
//! One process writes at a time, by a lock on the folder: during an upgrade the new one reads until
//! the old one has ended.
//!
//! Written here, as the crates for it bring what is not wanted: a memory tier and a runtime of
//! their own, or a write to disk with each read; none has purges that outlive a restart.

mod bans;
mod folder;
mod index;
mod name;
mod outbox;
mod queue;
mod reader;
mod record;
mod view;
mod writer;

use std::{
    collections::HashSet,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, Once, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, SystemTime},
};

use self::{
    bans::{Ban, Bans},
    folder::Folder,
    index::Index,
    name::{FileName, KeyHash},
    outbox::Outbox,
    queue::Queue,
    reader::Read,
    view::Figures,
    writer::{Write, Writer},
};
pub(crate) use self::{
    reader::DISK_WAIT,
    view::{DiskView, Standing},
};
use super::{Entry, Key, Purge, Store, changes::Mark};

/// The disk tier of a route's cache.
#[derive(Debug)]
pub struct Disk {
    shared: Arc<Shared>,
    started: Once,
}

/// State that the threads share.
struct Shared {
    route: Arc<str>,
    folder: Folder,
    index: Index,
    bans: Mutex<Bans>,
    reads: Queue<Read>,
    outbox: Outbox,
    /// Keys that were changed while some files may not be known; none while all are.
    changed: Mutex<Option<HashSet<KeyHash>>>,
    standing: AtomicU8,
    /// A failure was told, and no success since.
    told: AtomicBool,
    /// A read took too long, and none has ended since.
    stuck: AtomicBool,
    /// Bytes that a full disk has for it; all of them while it is not full.
    room: AtomicU64,
    /// The latest time that was told.
    clock: AtomicU64,
    bytes_max: AtomicU64,
    file_max: AtomicU64,
    figures: Figures,
}

impl Disk {
    /// Makes the tier of a route; it does nothing before [`Self::start`].
    pub(crate) fn new(route: &Arc<str>, folder: &Path, bytes_max: u64, entry_max: u64) -> Self {
        Self {
            shared: Arc::new(Shared {
                route: Arc::clone(route),
                folder: Folder::new(folder),
                index: Index::new(bytes_max, entry_max),
                bans: Mutex::default(),
                reads: Queue::new(READS_MAX),
                outbox: Outbox::default(),
                changed: Mutex::new(Some(HashSet::new())),
                standing: AtomicU8::new(Standing::Opening as u8),
                told: AtomicBool::new(false),
                stuck: AtomicBool::new(false),
                room: AtomicU64::new(u64::MAX),
                clock: AtomicU64::new(0),
                bytes_max: AtomicU64::new(bytes_max),
                file_max: AtomicU64::new(entry_max + HEAD_MAX),
                figures: Figures::default(),
            }),
            started: Once::new(),
        }
    }

    /// Starts the threads, unless they run. A configuration that is only checked has none.
    pub(crate) fn start(&self) {
        self.started.call_once(|| {
            let shared = &self.shared;
            let writer = Writer::new(Arc::clone(shared));
            let made = thread::Builder::new()
                .name("cache_write".to_owned())
                .spawn(move || writer.run());
            let readers = (0..READERS).map(|_| {
                let shared = Arc::clone(shared);
                let name = "cache_read".to_owned();
                let thread = thread::Builder::new().name(name);
                thread.spawn(move || reader::run(&shared))
            });
            let failed = readers.chain([made]).find_map(Result::err);
            if let Some(error) = failed {
                shared.fail("start a thread for it", &error);
            }
        });
    }

    /// Takes up other limits; what no longer fits leaves.
    pub(crate) fn resize(&self, bytes_max: u64, entry_max: u64) {
        let shared = &self.shared;
        shared.bytes_max.store(bytes_max, Ordering::Relaxed);
        shared
            .file_max
            .store(entry_max + HEAD_MAX, Ordering::Relaxed);
        if shared.resize() {
            shared.outbox.wake();
        }
    }

    /// The time, for an answer that is asked for now.
    pub(super) fn now(&self) -> u64 {
        self.shared.now()
    }

    /// Has an answer written, if there is room for it, and if it is fresh for long enough.
    pub(super) fn write(
        &self,
        store: &Arc<Store>,
        key: &Key,
        entry: Entry,
        asked: u64,
        mark: Mark,
    ) {
        let shared = &self.shared;
        let meta = &entry.meta;
        let fresh = meta.freshness.lifetime.saturating_sub(meta.age(meta.since));
        if fresh < FRESH_MIN || meta.freshness.no_cache {
            return;
        }
        let write = Write {
            store: Arc::clone(store),
            key: key.clone(),
            hash: KeyHash::of(key),
            entry,
            asked,
            mark,
        };
        // What is stored while the folder is opened waits for it.
        let writes = !matches!(shared.standing(), Standing::Reading | Standing::Failing);
        if !writes || !shared.outbox.push(write) {
            shared.figures.dropped.add();
        }
    }

    /// Removes all answers of a key.
    pub(super) fn remove(&self, key: &Key) {
        let shared = &self.shared;
        let key = KeyHash::of(key);
        let mut overflow = false;
        if let Some(changed) = &mut *shared.changed() {
            overflow = changed.len() >= CHANGED_MAX;
            if overflow {
                // The purge of all that follows means these, too.
                changed.clear();
            } else {
                changed.insert(key);
            }
        }
        if overflow {
            return self.purge(Purge::All);
        }
        shared.index.remove(key);
        shared.outbox.wake();
    }

    /// Lets no answer be used any more that a purge means, and that was asked for before now.
    pub(super) fn purge(&self, what: Purge) {
        let shared = &self.shared;
        let ban = Ban {
            at: shared.now(),
            what,
        };
        if ban.what == Purge::All {
            shared.index.clear();
        }
        shared.bans().add(ban.clone());
        shared.outbox.push_purge(ban);
    }

    /// Does what is left to do, for at most `patience`, and takes no more. Blocks the thread: for
    /// the end of the process.
    pub(crate) fn end(&self, patience: Duration) {
        self.shared.outbox.close();
        if self.started.is_completed() {
            self.shared.outbox.settle(patience);
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.shared.reads.close();
        self.shared.outbox.close();
    }
}

impl Shared {
    /// Nanoseconds since 1970; never less than what was told before.
    fn now(&self) -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = since.map_or(0, |since| {
            u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
        });
        self.clock.fetch_max(now, Ordering::AcqRel).max(now)
    }

    /// Bytes that the files may take now.
    fn limit(&self) -> u64 {
        let room = self.room.load(Ordering::Relaxed);
        self.bytes_max.load(Ordering::Relaxed).min(room)
    }

    /// Has the index keep to the limit; returns true if it is another.
    fn resize(&self) -> bool {
        self.index.resize(self.limit())
    }

    /// Takes up a file that was found in the folder.
    fn found(&self, name: FileName, bytes: u64) {
        let changed = self.changed();
        let is_changed = changed.as_ref().is_some_and(|it| it.contains(&name.key));
        match is_changed {
            true => self.index.discard(name),
            false => self.index.add(name, bytes),
        }
    }

    fn end_recording(&self) {
        *self.changed() = None;
    }

    fn changed(&self) -> MutexGuard<'_, Option<HashSet<KeyHash>>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bans(&self) -> MutexGuard<'_, Bans> {
        self.bans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("Disk");
        debug.field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Threads that read.
const READERS: usize = 2;
/// Reads that wait.
const READS_MAX: usize = 128;
/// Answers that are fresh for less time than this are kept in memory alone, in seconds: they would
/// be written again and again.
const FRESH_MIN: u64 = 10;
/// Bytes of the largest head of a file.
const HEAD_MAX: u64 = 1 << 20;
/// Keys that are remembered as changed while not all files are known.
const CHANGED_MAX: usize = 65_536;

#[cfg(test)]
mod tests;
