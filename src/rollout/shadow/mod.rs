//! Shadows: copies of requests to another pool or version, and what came of them.
//!
//! [`ShadowState`] is the live part: it outlives reloads, bounds the copies under way and counts
//! their results. [`compare`] is the pure rule by which two answers are the same.

mod body;
mod compare;
mod json;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

pub use body::{BodyReader, BodySeen};
pub use compare::{Answer, BodyRule, CompareRules, Likeness, compare};
pub use json::JsonPath;

use super::statistics::Counts;

/// Results of the shadow of a route; outlives reloads.
#[derive(Debug, Default)]
pub struct ShadowState {
    under_way: AtomicU32,
    results: [AtomicU64; ShadowResult::ALL.len()],
    mismatches: Mutex<VecDeque<Mismatch>>,
}

/// Result for a request that was chosen to be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShadowResult {
    /// The copy was answered, and answers are not compared.
    Answered,
    /// Both answers are the same.
    Equal,
    /// They differ.
    Mismatch,
    /// The endpoint gave no whole answer to the copy.
    Failed,
    /// The copy reached no endpoint: none can serve, or a limit of the pool is reached.
    Unsent,
    /// One of the answers cannot be compared.
    Incomparable,
    /// Not copied: too many copies are under way.
    Busy,
    /// Not copied: the body of the request is too large.
    TooLarge,
    /// Not copied: the client left before its request was whole.
    Abandoned,
}

/// Two answers that differ.
#[derive(Clone, Debug)]
pub struct Mismatch {
    /// Time at which that was seen.
    pub time: SystemTime,
    /// Id of the request, the same for both.
    pub request_id: String,
    /// Its method.
    pub method: String,
    /// Its path, without the query.
    pub path: String,
    /// The first difference, in words.
    pub difference: String,
    /// Endpoint that answered the copy.
    pub endpoint: String,
}

impl ShadowResult {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Answered,
        Self::Equal,
        Self::Mismatch,
        Self::Failed,
        Self::Unsent,
        Self::Incomparable,
        Self::Busy,
        Self::TooLarge,
        Self::Abandoned,
    ];

    /// Its word in metrics and in the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Equal => "equal",
            Self::Mismatch => "mismatch",
            Self::Failed => "failed",
            Self::Unsent => "unsent",
            Self::Incomparable => "incomparable",
            Self::Busy => "busy",
            Self::TooLarge => "too_large",
            Self::Abandoned => "abandoned",
        }
    }
}

/// A copy under way; another may take its place when this is dropped.
#[derive(Debug)]
pub struct ShadowPlace(Arc<ShadowState>);

impl ShadowState {
    /// Takes one of `max` places; none if all are taken.
    pub fn enter(self: &Arc<Self>, max: u32) -> Option<ShadowPlace> {
        let before = self.under_way.fetch_add(1, Relaxed);
        // Leaves again when it is dropped.
        let place = ShadowPlace(Arc::clone(self));
        (before < max).then_some(place)
    }

    /// Counts a result.
    pub fn count(&self, result: ShadowResult) {
        self.results[result as usize].fetch_add(1, Relaxed);
    }

    /// Keeps a mismatch; the oldest one goes if there are too many.
    pub fn keep(&self, mismatch: Mismatch) {
        let mut kept = self.lock();
        if kept.len() >= MISMATCHES_MAX {
            kept.pop_front();
        }
        kept.push_back(mismatch);
    }

    /// Copies under way.
    pub fn under_way(&self) -> u32 {
        self.under_way.load(Relaxed)
    }

    /// Number of results of this kind.
    pub fn counted(&self, result: ShadowResult) -> u64 {
        self.results[result as usize].load(Relaxed)
    }

    /// Answers that were compared, or would have been if there were one; the bad ones differ, or are
    /// missing by the fault of the endpoint.
    pub fn compared(&self) -> Counts {
        let of = |result| self.counted(result);
        let bad = of(ShadowResult::Mismatch) + of(ShadowResult::Failed);
        Counts {
            total: bad + of(ShadowResult::Equal),
            bad,
        }
    }

    /// The latest mismatches, newest first.
    pub fn mismatches(&self) -> Vec<Mismatch> {
        self.lock().iter().rev().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Mismatch>> {
        self.mismatches
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ShadowPlace {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Relaxed);
    }
}

/// Mismatches that are kept for each route.
const MISMATCHES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_copies_are_under_way_than_allowed() {
        let state = Arc::new(ShadowState::default());
        let first = state.enter(2);
        let second = state.enter(2);
        assert!(first.is_some() && second.is_some());
        assert!(state.enter(2).is_none());
        assert_eq!(state.under_way(), 2);
        drop(first);
        assert!(state.enter(2).is_some());
        drop(second);
        assert_eq!(state.under_way(), 0);
    }

    #[test]
    fn a_missing_answer_counts_like_one_that_differs() {
        let state = ShadowState::default();
        for result in ShadowResult::ALL {
            state.count(result);
        }
        assert_eq!(state.compared(), Counts { total: 3, bad: 2 });
    }
}
