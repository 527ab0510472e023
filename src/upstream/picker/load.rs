//! Load of one endpoint as one worker knows it.
//!
//! Requests in flight, and a moving average of the latency that jumps up at once and decays with
//! time, as in the load balancers of Finagle and linkerd ("peak EWMA"). Plain cells: only the
//! worker that owns them reads or writes.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::changes::{Watcher, Watchers};
use crate::memory;

/// Load of an endpoint as one worker sees it. A clone is the same load.
///
/// The loads of an endpoint set change places on a reload; attempts under way keep
/// theirs by such a clone.
#[derive(Clone, Debug, Default)]
pub struct Load(Rc<Cells>);

/// One cache line together with the reference counts.
#[derive(Debug, Default)]
struct Cells {
    in_flight: Cell<u32>,
    peak: Cell<Option<Peak>>,
    /// None if no picker keeps an index over loads.
    watchers: RefCell<Option<Box<Watchers>>>,
    is_watched: Cell<bool>,
}

const _: () = assert!(size_of::<Cells>() + 2 * size_of::<usize>() <= 64);

/// The average, and its time.
#[derive(Clone, Copy, Debug)]
struct Peak {
    seconds: f64,
    at: Instant,
}

impl Load {
    /// Prefetches it into the cache.
    pub(in crate::upstream) fn prefetch(&self) {
        memory::prefetch(&*self.0);
    }

    /// Counts an attempt that begins.
    #[doc(hidden)]
    pub fn started(&self) {
        self.change(|in_flight| in_flight.saturating_add(1));
    }

    /// Counts an attempt that ended with an answer or a failure, and updates the average.
    ///
    /// A failure counts as slow even if it was fast: an endpoint that refuses everything in a
    /// millisecond would otherwise look like the best and draw all traffic. `retry_after` is the
    /// delay that the endpoint asked for.
    #[doc(hidden)]
    pub fn finished(
        &self,
        now: Instant,
        latency: Duration,
        failed: bool,
        retry_after: Option<Duration>,
    ) {
        self.ended();
        self.observe(now, latency, failed, retry_after);
    }

    /// Updates the average from an attempt that got an answer or a failure and is still in flight.
    #[doc(hidden)]
    pub fn observe(
        &self,
        now: Instant,
        latency: Duration,
        failed: bool,
        retry_after: Option<Duration>,
    ) {
        let sample = if failed {
            let penalty = retry_after.map_or(FAILURE_MIN, |asked| asked.max(FAILURE_MIN));
            latency.max(penalty).min(FAILURE_MAX)
        } else {
            latency
        };
        self.learn(now, sample.as_secs_f64());
    }

    /// Counts an attempt that was given up before its end, because the client left or another
    /// attempt won. Its wait only tells that the latency is at least that.
    #[doc(hidden)]
    pub fn abandoned(&self, now: Instant, waited: Duration) {
        self.ended();
        let waited = waited.as_secs_f64();
        if self.latency(now).is_some_and(|seconds| waited > seconds) {
            self.learn(now, waited);
        }
    }

    /// Number of attempts that have begun and not ended.
    pub fn in_flight(&self) -> u32 {
        self.0.in_flight.get()
    }

    /// The average in seconds, decayed to `now`; `None` before the first answer.
    pub fn latency(&self, now: Instant) -> Option<f64> {
        self.0
            .peak
            .get()
            .map(|peak| peak.seconds * remaining(peak.at, now))
    }

    /// Counts an attempt that ended, without updating the average.
    #[doc(hidden)]
    pub fn ended(&self) {
        self.change(|in_flight| in_flight.saturating_sub(1));
    }

    /// Adds a receiver of every change.
    pub(super) fn watched_by(&self, watcher: Watcher) {
        let mut watchers = self.0.watchers.borrow_mut();
        watchers.get_or_insert_default().add(watcher);
        self.0.is_watched.set(true);
    }

    fn change(&self, change: impl FnOnce(u32) -> u32) {
        self.0.in_flight.set(change(self.0.in_flight.get()));
        if self.0.is_watched.get()
            && let Some(watchers) = &mut *self.0.watchers.borrow_mut()
        {
            watchers.tell();
        }
    }

    #[cfg(test)]
    pub(super) fn watchers_len(&self) -> usize {
        self.0.watchers.borrow().as_ref().map_or(0, |it| it.len())
    }

    fn learn(&self, now: Instant, sample: f64) {
        let seconds = match self.0.peak.get() {
            Some(peak) if sample < peak.seconds => {
                let old = remaining(peak.at, now);
                peak.seconds * old + sample * (1.0 - old)
            }
            Some(_) | None => sample,
        };
        self.0.peak.set(Some(Peak { seconds, at: now }));
    }
}

/// Returns the share of an average from `then` that still counts.
fn remaining(then: Instant, now: Instant) -> f64 {
    let age = now.saturating_duration_since(then);
    if age.is_zero() {
        return 1.0;
    }
    (-age.as_secs_f64() / DECAY.as_secs_f64()).exp()
}

/// Time after which 37 % of an average is left.
const DECAY: Duration = Duration::from_secs(10);
/// Minimum and maximum penalty of a failure.
const FAILURE_MIN: Duration = Duration::from_secs(5);
const FAILURE_MAX: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn latency_jumps_up_and_comes_down_with_time() {
        let (load, start) = (Load::default(), Instant::now());
        assert_eq!(load.latency(start), None);
        load.finished(start, 10 * MS, false, None);
        load.finished(start, 400 * MS, false, None);
        assert_eq!(load.latency(start), Some(0.4));
        let later = start + DECAY;
        load.finished(later, 10 * MS, false, None);
        let expected = 0.4 / std::f64::consts::E + 0.01 * (1.0 - 1.0 / std::f64::consts::E);
        assert!((load.latency(later).unwrap() - expected).abs() < 1e-9);
    }

    #[test]
    fn a_fast_failure_counts_as_slow() {
        let now = Instant::now();
        for (retry_after, seconds) in [
            (None, 5.0),
            (Some(1), 5.0),
            (Some(60), 60.0),
            (Some(9000), 300.0),
        ] {
            let load = Load::default();
            load.finished(now, MS, true, retry_after.map(Duration::from_secs));
            assert_eq!(load.latency(now), Some(seconds));
        }
    }

    #[test]
    fn an_abandoned_attempt_can_only_raise_the_latency() {
        let (load, now) = (Load::default(), Instant::now());
        load.abandoned(now, 90 * MS);
        assert_eq!(load.latency(now), None);
        load.finished(now, 50 * MS, false, None);
        load.abandoned(now, 10 * MS);
        assert_eq!(load.latency(now), Some(0.05));
        load.abandoned(now, 90 * MS);
        assert_eq!(load.latency(now), Some(0.09));
    }

    #[test]
    fn in_flight_returns_to_zero_and_stays_there() {
        let (load, now) = (Load::default(), Instant::now());
        load.started();
        load.started();
        assert_eq!(load.in_flight(), 2);
        load.finished(now, MS, false, None);
        load.abandoned(now, MS);
        load.abandoned(now, MS);
        assert_eq!(load.in_flight(), 0);
    }
}
