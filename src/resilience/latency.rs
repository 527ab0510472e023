//! Quantiles of the time to a response head, over all workers and the last minute.
//!
//! Each worker counts samples in cells of its own; a reader sums them. A sample that was cut off,
//! since another attempt had answered, counts with the time that it had taken: left out, the slow
//! ones would be missing, and each quantile would sink to where more and more is cut off.
//!
//! The error of a quantile is at most an eighth of it, the width of a bucket.

use std::{
    cell::RefCell,
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

use crate::{config::value::Quantile, memory::Padded};

/// Times to a response head of the last 30 to 60 s. 1.2 KiB for each worker.
#[derive(Debug)]
pub struct Latency {
    origin: Instant,
    workers: Box<[Padded<[Period; 2]>]>,
}

/// Counts of one period of 30 s; one writer.
#[derive(Debug)]
struct Period {
    /// Number of the period since `origin`, plus 1; 0: none yet.
    number: AtomicU64,
    counts: [AtomicU32; BUCKETS],
}

/// Quantiles of one pool as a worker knows them, computed again every 250 ms.
#[derive(Debug, Default)]
pub struct KnownQuantiles(RefCell<Vec<Known>>);

#[derive(Debug)]
struct Known {
    quantile: Quantile,
    until: Instant,
    time: Option<Duration>,
}

impl Latency {
    /// Makes empty counts for this many workers.
    pub fn new(workers: usize, now: Instant) -> Self {
        Self {
            origin: now,
            workers: (0..workers).map(|_| Padded::default()).collect(),
        }
    }

    /// Counts a sample of a worker. Only that worker may call it. Those of workers beyond the number
    /// that the counts were made for are left out.
    pub fn add(&self, worker: usize, took: Duration, now: Instant) {
        let Some(periods) = self.workers.get(worker) else {
            return;
        };
        let number = self.number(now);
        let period = &periods[place(number)];
        if period.number.load(Relaxed) != number {
            for count in &period.counts {
                count.store(0, Relaxed);
            }
            period.number.store(number, Relaxed);
        }
        let count = &period.counts[bucket(took)];
        count.store(count.load(Relaxed).saturating_add(1), Relaxed);
    }

    /// Returns the time within which this share of the samples lies; none if fewer than ten are
    /// above it.
    pub fn quantile(&self, quantile: Quantile, now: Instant) -> Option<Duration> {
        let number = self.number(now);
        let mut counts = [0_u64; BUCKETS];
        let all = self.workers.iter().flat_map(|periods| periods.iter());
        for period in all.filter(|period| period.number.load(Relaxed) + 1 >= number) {
            for (sum, count) in counts.iter_mut().zip(&period.counts) {
                *sum += u64::from(count.load(Relaxed));
            }
        }
        let total: u64 = counts.iter().sum();
        let above = total * (100 - u64::from(quantile.percent())) / 100;
        if above < ABOVE_MIN {
            return None;
        }
        let mut left = total - above;
        let found = counts.iter().position(|count| {
            left = left.saturating_sub(*count);
            left == 0
        });
        found.map(end_of)
    }

    /// Number of the period, from 1.
    fn number(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.origin);
        passed.as_secs() / PERIOD_S + 1
    }
}

impl Default for Period {
    fn default() -> Self {
        Self {
            number: AtomicU64::new(0),
            counts: std::array::from_fn(|_| AtomicU32::new(0)),
        }
    }
}

impl KnownQuantiles {
    /// Returns a quantile of these times, at most 250 ms old; none while there are too few samples.
    pub fn get(&self, latency: &Latency, quantile: Quantile, now: Instant) -> Option<Duration> {
        let mut all = self.0.borrow_mut();
        let place = all.iter().position(|known| known.quantile == quantile);
        if let Some(known) = place.map(|place| &all[place])
            && now < known.until
        {
            return known.time;
        }
        let known = Known {
            quantile,
            until: now + KNOWN_FOR,
            time: latency.quantile(quantile, now),
        };
        let time = known.time;
        match place {
            Some(place) => all[place] = known,
            // No more than there are quantiles.
            None => all.push(known),
        }
        time
    }
}

fn place(number: u64) -> usize {
    usize::from(number % 2 == 1)
}

/// The bucket of a time: eight for each doubling, from 64 µs on.
fn bucket(took: Duration) -> usize {
    let units = u64::try_from(took.as_micros()).unwrap_or(u64::MAX) / UNIT_US;
    let doublings = (units.max(1).ilog2()).saturating_sub(STEPS_LOG2);
    let step = usize::try_from(units >> doublings).unwrap_or(usize::MAX);
    (doublings as usize * STEPS + step).min(BUCKETS - 1)
}

/// The time at which a bucket ends.
fn end_of(bucket: usize) -> Duration {
    let (doublings, step) = match bucket.checked_sub(STEPS) {
        None => (0, bucket),
        Some(above) => (above / STEPS, STEPS + above % STEPS),
    };
    let units = (step as u64 + 1) << doublings;
    Duration::from_micros(units * UNIT_US)
}

/// Length of a period in seconds.
const PERIOD_S: u64 = 30;
/// Number of samples above a quantile without which it says nothing.
const ABOVE_MIN: u64 = 10;
/// Age at which a known quantile is computed again.
const KNOWN_FOR: Duration = Duration::from_millis(250);
/// Width of the first buckets in microseconds.
const UNIT_US: u64 = 64;
/// Buckets for each doubling.
const STEPS: usize = 8;
const STEPS_LOG2: u32 = STEPS.ilog2();
/// Number of buckets: up to 67 s, about the longest wait for a head.
const BUCKETS: usize = STEPS * 18;

#[cfg(test)]
mod tests {
    use super::*;

    fn percent(percent: u8) -> Quantile {
        Quantile::of_percent(percent).unwrap()
    }

    #[test]
    fn buckets_are_in_order_and_an_eighth_wide() {
        let mut last = 0;
        let times = std::iter::successors(Some(0_u64), |us| Some(us + us / 64 + 1));
        for us in times.take_while(|us| *us < 80_000_000) {
            let took = Duration::from_micros(us);
            let bucket = bucket(took);
            assert!(bucket >= last && bucket <= last + 1, "{us}");
            last = bucket;
            if bucket < BUCKETS - 1 {
                let end = end_of(bucket);
                assert!(took < end, "{us} {end:?}");
                assert!(end <= took + took / 8 + Duration::from_micros(2 * UNIT_US));
            }
        }
        assert_eq!(last, BUCKETS - 1);
    }

    #[test]
    fn a_quantile_is_of_all_workers_and_needs_ten_samples_above_it() {
        let now = Instant::now();
        let latency = Latency::new(2, now);
        for ms in 1..=199 {
            latency.add(usize::from(ms % 2 == 0), Duration::from_millis(ms), now);
        }
        assert_eq!(latency.quantile(percent(95), now), None);
        latency.add(0, Duration::from_millis(200), now);
        let found = latency.quantile(percent(95), now).unwrap();
        assert!(found >= Duration::from_millis(190), "{found:?}");
        assert!(found <= Duration::from_millis(215), "{found:?}");
        assert_eq!(latency.quantile(percent(99), now), None);
        // A worker that is not counted does no harm.
        latency.add(7, Duration::ZERO, now);
    }

    #[test]
    fn samples_are_forgotten_after_a_minute() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let latency = Latency::new(1, start);
        for _ in 0..200 {
            latency.add(0, Duration::from_millis(1), at(29));
        }
        assert!(latency.quantile(percent(95), at(59)).is_some());
        assert_eq!(latency.quantile(percent(95), at(60)), None);
        for _ in 0..200 {
            latency.add(0, Duration::from_millis(100), at(61));
        }
        let found = latency.quantile(percent(50), at(61)).unwrap();
        assert!(found > Duration::from_millis(99), "{found:?}");
    }

    /// If hedges cut the slow ones off, their share stays what the quantile says.
    #[test]
    fn the_share_of_hedges_does_not_grow_with_what_they_cut_off() {
        let mut now = Instant::now();
        let latency = Latency::new(1, now);
        let known = KnownQuantiles::default();
        let mut seed = 7_u64;
        let (mut hedged, mut counted) = (0_u32, 0_u32);
        for number in 0..200_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // From 1 ms up, with a long tail.
            let draw = (seed >> 40) as f64 / f64::from(1 << 24);
            let took = Duration::from_secs_f64(0.001 / (1.0 - draw).max(1e-4));
            let after = known.get(&latency, percent(95), now);
            // The hedge answers 1 ms after it began.
            let cut = after.map(|after| after + Duration::from_millis(1));
            let slow = after.is_some_and(|after| took > after);
            if number >= 20_000 {
                counted += 1;
                hedged += u32::from(slow);
            }
            let seen = cut.map_or(took, |cut| took.min(cut));
            latency.add(0, seen, now);
            now += Duration::from_millis(1);
        }
        let share = f64::from(hedged) / f64::from(counted);
        assert!((0.03..0.07).contains(&share), "{share}");
    }
}
