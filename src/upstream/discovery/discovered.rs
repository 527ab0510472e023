//! State of a pool's source: its last good list, and its errors since.
//!
//! In the registry, by the pool's name: a reload that keeps the source keeps the list.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use super::{DiscoveryError, EndpointList, Skipped, SourceSpec, Update};
use crate::upstream::endpoint::Endpoint;

/// The last good list of a pool's source.
#[derive(Debug, Default)]
pub struct Discovered(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The source heard last; the list may be of the one before.
    source: Option<SourceSpec>,
    list: Vec<Arc<Endpoint>>,
    status: SourceStatus,
}

/// Status of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceStatus {
    /// Endpoints of the last good list.
    pub endpoints: usize,
    /// Time of the last good list.
    pub succeeded: Option<SystemTime>,
    /// Time of the last change of the list.
    pub changed: Option<SystemTime>,
    /// Reason why the newest answer was not a good list, and the time since when; none after a good
    /// one.
    pub error: Option<(String, SystemTime)>,
    /// Entries of the last good list that cannot be used.
    pub skipped: Skipped,
}

/// Result of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A list that differs from the one before.
    Changed,
    /// The same list again.
    Unchanged,
    /// No good list: the last one stays.
    Failed {
        /// True if the error differs from the one before.
        is_news: bool,
    },
}

impl Discovered {
    /// Returns true if the source was heard before.
    pub fn knows(&self, source: &SourceSpec) -> bool {
        self.lock().source.as_ref() == Some(source)
    }

    /// The last good list; empty before the first.
    pub fn list(&self) -> Vec<Arc<Endpoint>> {
        self.lock().list.clone()
    }

    /// Returns the status of the source.
    pub fn status(&self) -> SourceStatus {
        self.lock().status.clone()
    }

    /// Notes an answer of the source.
    pub fn hear(
        &self,
        source: &SourceSpec,
        answer: &Result<Update, DiscoveryError>,
        now: SystemTime,
    ) -> Heard {
        let known = &mut *self.lock();
        let is_new = known.source.as_ref() != Some(source);
        if is_new {
            known.source = Some(source.clone());
            known.status.error = None;
        }
        match answer {
            // DNS holds a list by itself until it is over.
            Ok(Update::List(list)) if list.endpoints.is_empty() && source.kind() != "dns" => known
                .fail(
                    if list.skipped.is_empty() {
                        DiscoveryError::Empty(source.to_string()).to_string()
                    } else {
                        format!("{source} has no entry that can be used: {}", list.skipped)
                    },
                    now,
                ),
            Ok(Update::List(list)) => known.take(list, is_new, now),
            Ok(Update::Unchanged) => {
                known.status.succeeded = Some(now);
                known.status.error = None;
                Heard::Unchanged
            }
            Err(error) => known.fail(error.to_string(), now),
        }
    }

    /// Forgets the source: the pool has none any more.
    pub fn forget(&self) {
        *self.lock() = Known::default();
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn take(&mut self, list: &EndpointList, is_new: bool, now: SystemTime) -> Heard {
        let same = self.list.len() == list.endpoints.len()
            && self
                .list
                .iter()
                .zip(&list.endpoints)
                .all(|(old, new)| **old == *new);
        self.status.endpoints = list.endpoints.len();
        self.status.skipped.clone_from(&list.skipped);
        self.status.succeeded = Some(now);
        self.status.error = None;
        if same && !is_new {
            return Heard::Unchanged;
        }
        let endpoints = list.endpoints.iter().cloned();
        self.list = endpoints.map(Arc::new).collect();
        self.status.changed = Some(now);
        Heard::Changed
    }

    fn fail(&mut self, text: String, now: SystemTime) -> Heard {
        let is_news = match &self.status.error {
            Some((before, _)) => *before != text,
            None => true,
        };
        if is_news {
            self.status.error = Some((text, now));
        }
        Heard::Failed { is_news }
    }
}
