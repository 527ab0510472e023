//! Entries of a registry with a key for each endpoint: read when they change, told as one list.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;

use super::EndpointList;
use crate::upstream::endpoint::Endpoint;

/// Endpoints by key.
#[derive(Debug)]
pub(super) struct Entries {
    all: BTreeMap<Bytes, Entry>,
    read: Read,
}

/// Reads the value of a key (the last part of which may say something, too); a fault in words.
pub(super) type Read = fn(key: &[u8], value: &[u8]) -> Result<Vec<Endpoint>, String>;

/// The value of a key.
#[derive(Debug)]
struct Entry {
    value: Bytes,
    /// Endpoints, or the fault for which it is left out.
    endpoints: Result<Vec<Endpoint>, String>,
}

impl Entries {
    pub(super) fn new(read: Read) -> Self {
        Self {
            all: BTreeMap::new(),
            read,
        }
    }

    /// Takes all keys anew. A value that was there before is not read again.
    pub(super) fn replace(&mut self, pairs: impl IntoIterator<Item = (Bytes, Bytes)>) {
        let mut old = std::mem::take(&mut self.all);
        for (key, value) in pairs {
            match old.remove(&key) {
                Some(entry) if entry.value == value => drop(self.all.insert(key, entry)),
                Some(_) | None => self.put(key, value),
            }
        }
    }

    pub(super) fn put(&mut self, key: Bytes, value: Bytes) {
        let endpoints = (self.read)(&key, &value);
        self.all.insert(key, Entry { value, endpoints });
    }

    /// Notes a key whose value cannot be had.
    pub(super) fn refuse(&mut self, key: Bytes, why: &str) {
        let entry = Entry {
            value: Bytes::new(),
            endpoints: Err(why.to_owned()),
        };
        self.all.insert(key, entry);
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        self.all.remove(key);
    }

    /// Forgets all keys but these.
    pub(super) fn retain(&mut self, is_left: impl Fn(&[u8]) -> bool) {
        self.all.retain(|key, _| is_left(key));
    }

    /// Returns the list: each address once, in the order of the keys.
    pub(super) fn list(&self) -> EndpointList {
        let mut list = EndpointList::default();
        let mut known = HashSet::new();
        for (key, entry) in &self.all {
            let key = String::from_utf8_lossy(key);
            match &entry.endpoints {
                Ok(endpoints) => {
                    for endpoint in endpoints {
                        if known.insert(&*endpoint.label) {
                            list.endpoints.push(endpoint.clone());
                        } else {
                            let address = &endpoint.label;
                            let fault = format_args!("{key}: {address} is listed twice");
                            list.skipped.add(fault);
                        }
                    }
                }
                Err(fault) => list.skipped.add(format_args!("{key}: {fault}")),
            }
        }
        list
    }
}
