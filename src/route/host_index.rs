//! The routes of a table, found by host and then by path.
//!
//! A hash map for exact hosts, one for the domains of wildcards. A wildcard is looked up
//! by cutting labels off the front of the host, which a valid host has few of.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::path_index::{NOWHERE, PathIndex, Place};
use super::spec::{HostPattern, PathMatch};

/// Candidates by host and path. Fill it in ascending order of place, then call
/// [`HostIndex::finish`].
#[derive(Debug)]
pub(super) struct HostIndex {
    exact: HashMap<Box<str>, PathIndex, RandomState>,
    wildcard: HashMap<Box<str>, PathIndex, RandomState>,
    any: PathIndex,
}

impl HostIndex {
    pub(super) fn new() -> Self {
        Self {
            exact: HashMap::default(),
            wildcard: HashMap::default(),
            any: PathIndex::new(),
        }
    }

    pub(super) fn insert(&mut self, host: &HostPattern, path: &PathMatch, place: Place) {
        let (map, name) = match host {
            HostPattern::Exact(name) => (&mut self.exact, name),
            HostPattern::Wildcard(domain) => (&mut self.wildcard, domain),
            HostPattern::Any => return self.any.insert(path, place),
        };
        map.entry(name.clone())
            .or_insert_with(PathIndex::new)
            .insert(path, place);
    }

    /// Completes the index after the last insertion.
    pub(super) fn finish(&mut self) {
        let named = self.exact.values_mut().chain(self.wildcard.values_mut());
        for index in named.chain([&mut self.any]) {
            index.finish();
        }
    }

    /// The first candidate that `takes` accepts, or [`NOWHERE`].
    ///
    /// A host is left for a less specific one as soon as nothing there could win, which
    /// without priorities is after the first match.
    pub(super) fn find(&self, host: &str, path: &str, takes: &impl Fn(Place) -> bool) -> Place {
        let mut best = NOWHERE;
        if let Some(index) = self.exact.get(host) {
            best = index.find(path, best, takes);
        }
        if !self.wildcard.is_empty() {
            for dot in memchr::memchr_iter(b'.', host.as_bytes()) {
                let domain = host.get(dot + 1..).unwrap_or_default();
                match self.wildcard.get(domain) {
                    Some(index) if dot > 0 && index.best() < best => {
                        best = index.find(path, best, takes);
                    }
                    _ => {}
                }
            }
        }
        if self.any.best() < best {
            best = self.any.find(path, best, takes);
        }
        best
    }
}
