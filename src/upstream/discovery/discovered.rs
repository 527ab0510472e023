//! State of a pool's source: its last good list, and its errors since.
//!
//! In the registry, by the pool's name: a reload that keeps the source keeps the list.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use super::{DiscoveryError, SourceSpec};
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
        answer: &Result<Vec<Arc<Endpoint>>, DiscoveryError>,
        now: SystemTime,
    ) -> Heard {
        let known = &mut *self.lock();
        let is_new = known.source.as_ref() != Some(source);
        if is_new {
            known.source = Some(source.clone());
            known.status.error = None;
        }
        match answer {
            Ok(list) => {
                let is_same = !is_new && known.list == *list;
                known.status.endpoints = list.len();
                known.status.succeeded = Some(now);
                known.status.error = None;
                if is_same {
                    return Heard::Unchanged;
                }
                known.list.clone_from(list);
                known.status.changed = Some(now);
                Heard::Changed
            }
            Err(error) => {
                let text = error.to_string();
                let is_news = match &known.status.error {
                    Some((before, _)) => *before != text,
                    None => true,
                };
                if is_news {
                    known.status.error = Some((text, now));
                }
                Heard::Failed { is_news }
            }
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
