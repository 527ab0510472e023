//! The task of fetching an answer, which one request has for all.

use std::sync::{Arc, atomic::Ordering};

use super::{
    Content, Disk, Entry, Fill, Head, Key, Meta, RouteCache, Store, changes::Mark, store::Slot,
};
use crate::failure::Failure;

/// The task of fetching an answer. If it is dropped before the end, others may take over.
#[derive(Debug)]
pub(crate) struct Lead {
    store: Arc<Store>,
    disk: Option<Arc<Disk>>,
    key: Key,
    fill: Arc<Fill>,
    /// True if others can find it.
    listed: bool,
    /// Changes so far of what is stored.
    mark: Mark,
    /// Time at which it began; of no use without a disk.
    asked: u64,
    reserved: u64,
}

impl Lead {
    pub(super) fn new(cache: &RouteCache, key: &Key, fill: Arc<Fill>, listed: bool) -> Self {
        let (store, disk) = (&cache.store, &cache.disk);
        Self {
            store: Arc::clone(store),
            disk: disk.clone(),
            key: key.clone(),
            fill,
            listed,
            mark: store.changes.mark(key),
            asked: disk.as_ref().map_or(0, |disk| disk.now()),
            reserved: 0,
        }
    }

    /// The answer on its way.
    pub(crate) fn fill(&self) -> &Arc<Fill> {
        &self.fill
    }

    /// The key.
    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// The head has arrived, and the answer may be stored. Returns false if too much is on its way
    /// already: then it is not.
    pub(crate) fn begin(&mut self, meta: &Arc<Meta>, length: Option<u64>, entry_max: u64) -> bool {
        let bytes = length.unwrap_or(entry_max);
        if !self.store.reserve(bytes) {
            return false;
        }
        self.reserved = bytes;
        self.fill.begin(Head {
            meta: Arc::clone(meta),
            length,
        });
        true
    }

    /// Stores the answer, unless a change has overtaken it, and gives it to those who wait.
    pub(crate) fn whole(self, meta: Arc<Meta>, content: Arc<Content>) {
        let entry = |meta| Entry {
            meta,
            content: Arc::clone(&content),
        };
        if self
            .store
            .put(&self.key, entry(Arc::clone(&meta)), self.mark)
            && let Some(disk) = &self.disk
        {
            disk.write(&self.store, &self.key, entry(meta), self.asked, self.mark);
        }
        self.unlist();
        self.fill.whole(content);
    }

    /// The body was cut short.
    pub(crate) fn fail(self, failure: Failure) {
        self.unlist();
        self.fill.fail(failure);
    }

    /// The body is too long.
    pub(crate) fn spill(self, until: u64) {
        self.pass(until);
        self.unlist();
        self.fill.spill();
    }

    /// The answer is for nobody else. With `until`, those of the next seconds are likely not to be
    /// either.
    pub(crate) fn give_up(self, until: Option<u64>) {
        if let Some(until) = until {
            self.pass(until);
        }
        self.unlist();
        self.fill.alone();
    }

    fn pass(&self, until: u64) {
        let entries = &self.store.entries;
        if !matches!(entries.peek(&self.key), Some(Slot::Variants(_))) {
            self.store.insert_slot(&self.key, Slot::Pass(until));
        }
    }

    /// Those who ask from now on do not find it.
    fn unlist(&self) {
        if self.listed {
            let mut fills = self.store.fills();
            if fills
                .get(&self.key)
                .is_some_and(|it| Arc::ptr_eq(it, &self.fill))
            {
                fills.remove(&self.key);
            }
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.unlist();
        // Nothing, if it has ended.
        self.fill.leave();
        self.store
            .filling
            .fetch_sub(self.reserved, Ordering::AcqRel);
    }
}
