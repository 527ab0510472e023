//! The cache of one route: its rules, and both tiers.

use std::{sync::Arc, time::Duration};

use super::{
    Disk, Entry, Key, KeyRules, Lead, Purge, Rules, Store,
    store::{Lookup, Turn},
};

/// The cache of one route.
#[derive(Debug)]
pub struct RouteCache {
    /// The stored answers; outlive reloads.
    pub store: Arc<Store>,
    /// The answers on disk; outlive the process.
    pub disk: Option<Arc<Disk>>,
    /// Bytes that the store may take.
    pub max_size: u64,
    /// Bytes that the files may take.
    pub disk_max: u64,
    /// Rules for storing and using answers.
    pub rules: Rules,
    /// Parts of a request that tell answers apart.
    pub key: KeyRules,
}

impl RouteCache {
    /// Takes up the limits, and starts to use the disk.
    pub(crate) fn start(&self) {
        self.store.resize(self.max_size, self.rules.entry_max);
        if let Some(disk) = &self.disk {
            disk.resize(self.disk_max, self.rules.entry_max);
            disk.start();
        }
    }

    /// Has the rest written, for at most `patience`. Blocks the thread: for the end of the process.
    pub(crate) fn end(&self, patience: Duration) {
        if let Some(disk) = &self.disk {
            disk.end(patience);
        }
    }

    /// Asks who fetches the answer.
    pub(crate) fn turn(&self, key: &Key) -> Turn {
        match self.store.turn(key) {
            Lookup::Mine(fill) => Turn::Lead(Lead::new(self, key, fill, true)),
            Lookup::Known(fill) => Turn::Follow(fill),
        }
    }

    /// Takes on a fetch of which others do not know.
    pub(crate) fn alone(&self, key: &Key) -> Lead {
        Lead::new(self, key, Arc::default(), false)
    }

    /// Removes a stored answer that no longer holds.
    pub(crate) fn forget(&self, key: &Key, entry: &Entry) {
        self.store.forget(key, entry);
        if let Some(disk) = &self.disk {
            disk.remove(key);
        }
    }

    /// Removes all answers of a key. Those on their way are not stored.
    pub(crate) fn invalidate(&self, key: &Key) {
        self.store.invalidate(key);
        if let Some(disk) = &self.disk {
            disk.remove(key);
        }
    }

    /// Removes what a purge means; returns the number of keys in memory. What is on its way is not
    /// stored.
    pub(crate) fn purge(&self, what: &Purge) -> u64 {
        let purged = self.store.purge(what);
        if let Some(disk) = &self.disk {
            disk.purge(what.clone());
        }
        purged
    }
}
