//! The files of a folder, in memory: which there are, and which leaves to make room.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use foldhash::fast::RandomState;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter, sync::Cache};
use smallvec::SmallVec;

use super::name::{FileName, KeyHash};

/// Files by the hash of their key.
pub(super) struct Index {
    files: Cache<KeyHash, Files, Weigher, RandomState, Evicted>,
    bytes_max: AtomicU64,
    /// Files that are no longer in the index, and still in the folder.
    gone: Gone,
}

/// Files of one key, the newest first.
pub(super) type Files = SmallVec<[StoredFile; 1]>;

/// One file of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StoredFile {
    pub(super) variant: u64,
    /// Bytes of the file.
    pub(super) bytes: u64,
}

/// Names of files that are to be removed.
pub(super) type Gone = Arc<Mutex<Vec<FileName>>>;

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Index").field(&self.size()).finish()
    }
}

impl Index {
    /// Makes an empty one for this number of bytes, with files of at most `file_max`.
    pub(super) fn new(bytes_max: u64, file_max: u64) -> Self {
        let shards = (bytes_max / file_max.max(1) / 4).clamp(1, SHARDS_MAX);
        let items = (bytes_max / USUAL_BYTES).clamp(64, 1 << 20);
        let mut options = OptionsBuilder::new();
        options
            .shards(1 << shards.ilog2())
            .weight_capacity(bytes_max)
            .estimated_items_capacity(usize::try_from(items).unwrap_or(64));
        let gone = Gone::default();
        let evict = Evicted(Arc::clone(&gone));
        let hasher = RandomState::default();
        let files = match options.build() {
            Ok(options) => Cache::with_options(options, Weigher, hasher, evict),
            // Nothing is left out above.
            Err(_) => Cache::with(64, bytes_max, Weigher, hasher, evict),
        };
        Self {
            files,
            bytes_max: AtomicU64::new(bytes_max),
            gone,
        }
    }

    /// Takes up another size; returns true if it is one. What no longer fits leaves.
    pub(super) fn resize(&self, bytes_max: u64) -> bool {
        let other = self.bytes_max.swap(bytes_max, Ordering::Relaxed) != bytes_max;
        if other {
            self.files.set_capacity(bytes_max);
        }
        other
    }

    /// Files of a key.
    pub(super) fn get(&self, key: &KeyHash) -> Option<Files> {
        self.files.get(key)
    }

    /// Takes up a file that is in the folder.
    pub(super) fn add(&self, name: FileName, bytes: u64) {
        let known = self.files.peek(&name.key).unwrap_or_default();
        let mut files = Files::new();
        files.push(StoredFile {
            variant: name.variant,
            bytes,
        });
        files.extend(known.into_iter().filter(|it| it.variant != name.variant));
        // All of them in one shard must leave room for other keys.
        let room = self.files.shard_capacity() / 2;
        while files.len() > VARIANTS_MAX || files.len() > 1 && weight(&files) > room {
            if let Some(oldest) = files.pop() {
                self.leave(name.key, &[oldest]);
            }
        }
        self.replace(name.key, files);
    }

    /// Removes the files of a key.
    pub(super) fn remove(&self, key: KeyHash) {
        if let Some((_, files)) = self.files.remove(&key) {
            self.leave(key, &files);
        }
    }

    /// Removes one file.
    pub(super) fn remove_file(&self, name: FileName) {
        let Some(known) = self.files.peek(&name.key) else {
            return;
        };
        let (gone, rest): (Files, Files) =
            known.into_iter().partition(|it| it.variant == name.variant);
        match rest.is_empty() {
            true => drop(self.files.remove(&name.key)),
            false => self.replace(name.key, rest),
        }
        self.leave(name.key, &gone);
    }

    /// Has a file removed that is not in the index.
    pub(super) fn discard(&self, name: FileName) {
        self.remove_file(name);
        lock(&self.gone).push(name);
    }

    /// Removes all.
    pub(super) fn clear(&self) {
        for (key, files) in self.files.drain() {
            self.leave(key, &files);
        }
    }

    /// Forgets all; the files stay.
    pub(super) fn forget(&self) {
        self.files.clear();
    }

    /// Returns the files that are to be removed from the folder; their removal is the caller's.
    pub(super) fn take_gone(&self) -> Vec<FileName> {
        std::mem::take(&mut *lock(&self.gone))
    }

    /// Gives back names that were taken.
    pub(super) fn put_back(&self, names: Vec<FileName>) {
        lock(&self.gone).extend(names);
    }

    /// Keeps a file that was to be removed, and has been written anew.
    pub(super) fn keep(&self, name: FileName) {
        lock(&self.gone).retain(|it| *it != name);
    }

    /// Number of files that are still to be removed.
    pub(super) fn gone(&self) -> usize {
        lock(&self.gone).len()
    }

    /// Number of keys, and of bytes of their files.
    pub(super) fn size(&self) -> (u64, u64) {
        (self.files.len() as u64, self.files.weight())
    }

    /// Replaces the files of a key. Removed first: a value that is replaced counts as one that was
    /// evicted.
    fn replace(&self, key: KeyHash, files: Files) {
        self.files.remove(&key);
        self.files.insert(key, files);
    }

    fn leave(&self, key: KeyHash, files: &[StoredFile]) {
        leave(&self.gone, key, files);
    }
}

/// Has these files of a key removed.
fn leave(gone: &Gone, key: KeyHash, files: &[StoredFile]) {
    let names = files.iter().map(|it| FileName {
        key,
        variant: it.variant,
    });
    lock(gone).extend(names);
}

fn weight(files: &[StoredFile]) -> u64 {
    let blocks = files.iter().map(|it| it.bytes.div_ceil(BLOCK_BYTES).max(1));
    blocks.sum::<u64>() * BLOCK_BYTES
}

fn lock(gone: &Gone) -> std::sync::MutexGuard<'_, Vec<FileName>> {
    gone.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Weighs what the files of a key take on disk.
#[derive(Clone)]
struct Weigher;

impl Weighter<KeyHash, Files> for Weigher {
    fn weight(&self, _: &KeyHash, files: &Files) -> u64 {
        weight(files)
    }
}

/// Has the files removed that leave to make room.
#[derive(Clone)]
struct Evicted(Gone);

impl Lifecycle<KeyHash, Files> for Evicted {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), key: KeyHash, files: Files) {
        leave(&self.0, key, &files);
    }
}

/// Bytes by which files grow on disk.
pub(super) const BLOCK_BYTES: u64 = 4 << 10;
/// Files of one key.
const VARIANTS_MAX: usize = 64;
/// Shards of an index.
const SHARDS_MAX: u64 = 16;
/// Bytes of a usual file, for the first size of the tables.
const USUAL_BYTES: u64 = 32 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn name(key: u128, variant: u64) -> FileName {
        FileName {
            key: KeyHash(key),
            variant,
        }
    }

    #[test]
    fn a_million_small_files_stay_within_the_bound() {
        let max = 16 << 20;
        let index = Index::new(max, 1 << 20);
        let mut removed = 0;
        for key in 0..1_000_000_u128 {
            index.add(name(key << 64 | key, 0), 300);
            removed += index.take_gone().len() as u64;
            assert!(index.size().1 <= max);
        }
        let (keys, bytes) = index.size();
        assert_eq!(keys + removed, 1_000_000);
        assert_eq!(bytes, keys * BLOCK_BYTES);
        assert!(bytes > max * 9 / 10, "{bytes}");
    }

    #[test]
    fn files_of_a_key_are_told_apart_and_each_that_leaves_is_removed() {
        let index = Index::new(16 << 20, 1 << 20);
        for variant in 0..3 {
            index.add(name(1, variant), 5000);
        }
        index.add(name(1, 1), 100);
        let files = index.get(&KeyHash(1)).unwrap();
        let order: Vec<u64> = files.iter().map(|it| it.variant).collect();
        assert_eq!(order, [1, 2, 0]);
        assert_eq!(index.size(), (1, 5 * BLOCK_BYTES));
        index.remove_file(name(1, 2));
        assert_eq!(index.take_gone(), [name(1, 2)]);
        index.remove(KeyHash(1));
        assert_eq!(index.take_gone(), [name(1, 1), name(1, 0)]);
        assert_eq!(index.size(), (0, 0));
        for variant in 0..=VARIANTS_MAX as u64 {
            index.add(name(2, variant), 1);
        }
        assert_eq!(index.take_gone(), [name(2, 0)]);
    }
}
