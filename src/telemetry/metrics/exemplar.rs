//! Exemplars: for each bucket of a histogram the newest request whose trace is recorded.
//!
//! Only requests with a recorded trace come here, so this may have a lock; a request does not wait
//! for a scrape that reads.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// A request that fell into a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exemplar {
    /// Identity of its trace, in hexadecimal digits.
    pub(super) trace: [u8; 32],
    pub(super) took_ns: u64,
    pub(super) at: SystemTime,
}

/// Exemplars of one handle, by bucket. Memory is taken for the first one.
#[derive(Debug, Default)]
pub(super) struct Exemplars(Mutex<Vec<Option<Exemplar>>>);

impl Exemplars {
    /// Keeps one for a bucket, unless a scrape is reading.
    pub(super) fn keep(&self, bucket: usize, buckets: usize, exemplar: Exemplar) {
        let Ok(mut kept) = self.0.try_lock() else {
            return;
        };
        if kept.is_empty() {
            kept.resize(buckets, None);
        }
        if let Some(place) = kept.get_mut(bucket) {
            *place = Some(exemplar);
        }
    }

    /// Merges into those of other handles; the newest one stays.
    pub(super) fn add_to(&self, merged: &mut Vec<Option<Exemplar>>) {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if merged.len() < kept.len() {
            merged.resize(kept.len(), None);
        }
        for (place, own) in merged.iter_mut().zip(&*kept) {
            if let Some(own) = own
                && place.is_none_or(|known| known.at < own.at)
            {
                *place = Some(*own);
            }
        }
    }
}
