//! Rate limits by GCRA: a bucket that fills steadily, as one time per key.
//!
//! The time of a key says until when it has used what it may use. A key whose time is in the past
//! has a full bucket, and is as good as unknown. Times are nanoseconds since any fixed moment.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{Mutex, OnceLock, PoisonError},
};

/// Speed at which a bucket fills, and its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gcra {
    /// Nanoseconds for one request.
    interval: u64,
    /// Requests that a full bucket is for.
    burst: u64,
}

impl Gcra {
    /// A bucket for `burst` requests at once, into which `count` come in so many nanoseconds.
    pub fn new(count: u64, period_ns: u64, burst: u64) -> Self {
        Self {
            interval: period_ns.div_ceil(count.max(1)).max(1),
            burst: burst.max(1),
        }
    }

    /// Nanoseconds in which an empty bucket becomes full.
    pub fn window_ns(self) -> u64 {
        self.interval.saturating_mul(self.burst)
    }

    /// Nanoseconds for one request.
    pub fn interval_ns(self) -> u64 {
        self.interval
    }

    /// Nanoseconds after which a bucket of which so many are used has room for one; 0: at once.
    pub fn wait_ns(self, used_ns: u64) -> u64 {
        used_ns
            .saturating_add(self.interval)
            .saturating_sub(self.window_ns())
    }

    /// Takes one request out of a bucket, and returns the new time of its key.
    ///
    /// # Errors
    /// Nanoseconds after which there is room for one.
    pub fn take(self, time: u64, now: u64) -> Result<u64, u64> {
        let next = time.max(now).saturating_add(self.interval);
        let room = now.saturating_add(self.window_ns());
        if next <= room {
            Ok(next)
        } else {
            Err(next - room)
        }
    }

    /// Requests for which a bucket has room of which so many nanoseconds are used.
    pub fn left(self, used_ns: u64) -> u64 {
        self.window_ns().saturating_sub(used_ns) / self.interval
    }

    /// The time of a key that had one request taken, when that counts as `cost`.
    fn charge(self, time: u64, now: u64, cost: u64) -> u64 {
        let Some(more) = cost.checked_sub(1) else {
            return time.saturating_sub(self.interval);
        };
        let time = time.max(now);
        let most = now.saturating_add(self.window_ns().saturating_mul(OWED_MAX));
        let charged = time.saturating_add(self.interval.saturating_mul(more));
        charged.min(most.max(time))
    }

    /// The time of a key whose bucket had the interval `before`: the same number of requests stays
    /// used.
    fn translate(self, time: u64, now: u64, before: u64) -> u64 {
        let used = u128::from(time.saturating_sub(now)) * u128::from(self.interval);
        let used = used / u128::from(before.max(1));
        now.saturating_add(u64::try_from(used).unwrap_or(u64::MAX))
    }
}

/// The buckets of many keys, for all workers.
///
/// Bounded, and in memory as far as it is used: sets of eight keys, each behind a lock that is held
/// for a few comparisons. A key that finds its set full takes the place of the one that was idle longest;
/// while that has a full bucket, nothing is lost. So limits are exact over all workers for as
/// long as no more than the given number of keys are active.
#[derive(Debug)]
pub struct Buckets {
    chunks: Box<[OnceLock<Box<Chunk>>]>,
    sets: usize,
}

/// Sets that come into memory together.
type Chunk = [Mutex<Set>; CHUNK];

#[derive(Clone, Copy, Debug, Default)]
struct Set {
    /// That which the times are for.
    interval: u64,
    keys: [u64; WAYS],
    times: [u64; WAYS],
}

impl Buckets {
    /// Room for so many keys, and for as many again, so that hardly a set is full.
    pub fn new(keys_max: usize) -> Self {
        let sets = match keys_max {
            0 | 1 => 1,
            keys => keys.div_ceil(WAYS / 2).next_power_of_two(),
        };
        let chunks = sets.div_ceil(CHUNK);
        Self {
            chunks: (0..chunks).map(|_| OnceLock::new()).collect(),
            sets,
        }
    }

    /// Takes one request out of the bucket of a key, which is a hash of what it is for. Returns the
    /// nanoseconds of the bucket that are used then.
    ///
    /// # Errors
    /// Nanoseconds after which there is room for one.
    pub fn take(&self, gcra: Gcra, key: u64, now: u64) -> Result<u64, u64> {
        let time = self.with(gcra, key, now, |time| gcra.take(time, now))?;
        Ok(time.saturating_sub(now))
    }

    /// Charges a request that was taken out of a bucket as so many; 0 gives it back. Returns the
    /// nanoseconds of the bucket that are used then. The bucket may owe: at most what fills it nine
    /// times.
    pub fn charge(&self, gcra: Gcra, key: u64, now: u64, cost: u64) -> u64 {
        let charged = self.with(gcra, key, now, |time| Ok(gcra.charge(time, now, cost)));
        charged.unwrap_or(now).saturating_sub(now)
    }

    /// Nanoseconds of the bucket of a key that are used.
    pub fn used_ns(&self, gcra: Gcra, key: u64, now: u64) -> u64 {
        let mut used = 0;
        let _ = self.with(gcra, key, now, |time| {
            used = time.saturating_sub(now);
            Err(0)
        });
        used
    }

    /// Has at least so much of the bucket of a key used, as another place has counted it.
    pub fn use_up_to_ns(&self, gcra: Gcra, key: u64, now: u64, used_ns: u64) {
        let used = now.saturating_add(used_ns);
        let _ = self.with(gcra, key, now, |time| Ok(time.max(used)));
    }

    /// Returns the keys that have used most, at most so many, with the nanoseconds that they have
    /// used.
    pub fn fullest(&self, gcra: Gcra, count: usize, now: u64) -> Vec<(u64, u64)> {
        let mut fullest = BinaryHeap::new();
        for set in self
            .chunks
            .iter()
            .filter_map(|it| it.get())
            .flat_map(|it| it.iter())
        {
            let set = *set.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, time) in set.keys.into_iter().zip(set.times) {
                let used = gcra.translate(time, now, set.interval).saturating_sub(now);
                if used > 0 {
                    fullest.push(Reverse((used, key)));
                }
                if fullest.len() > count {
                    fullest.pop();
                }
            }
        }
        let fullest = fullest.into_iter();
        fullest.map(|Reverse((used, key))| (key, used)).collect()
    }

    /// Changes the time of a key, unless that fails, and returns the new one.
    fn with(
        &self,
        gcra: Gcra,
        key: u64,
        now: u64,
        change: impl FnOnce(u64) -> Result<u64, u64>,
    ) -> Result<u64, u64> {
        let place = usize::try_from(key >> 32).unwrap_or_default() & (self.sets - 1);
        let chunk = self.chunks[place / CHUNK].get_or_init(Box::default);
        let mut set = chunk[place % CHUNK]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if set.interval != gcra.interval {
            let before = std::mem::replace(&mut set.interval, gcra.interval);
            for time in &mut set.times {
                *time = gcra.translate(*time, now, before);
            }
        }
        let known = set.keys.iter().position(|it| *it == key);
        let way = known.unwrap_or_else(|| set.idlest());
        let time = known.map_or(0, |way| set.times[way]);
        let time = change(time)?;
        set.times[way] = time;
        set.keys[way] = key;
        Ok(time)
    }
}

impl Set {
    fn idlest(&self) -> usize {
        let idlest = (0..WAYS).min_by_key(|way| self.times[*way]);
        idlest.unwrap_or_default()
    }
}

/// Buckets that a key may have used at most, with those that it owes.
const OWED_MAX: u64 = 10;
const WAYS: usize = 8;
const CHUNK: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn allowed(buckets: &Buckets, gcra: Gcra, key: u64, now: u64, tries: usize) -> usize {
        let taken = |_: &usize| buckets.take(gcra, key, now).is_ok();
        (0..tries).filter(taken).count()
    }

    #[test]
    fn a_bucket_holds_its_burst_and_fills_steadily() {
        let (buckets, gcra) = (Buckets::new(1), Gcra::new(10, SECOND, 20));
        assert_eq!(allowed(&buckets, gcra, 7, 0, 30), 20);
        assert_eq!(buckets.take(gcra, 7, 0), Err(SECOND / 10));
        assert_eq!(buckets.take(gcra, 7, SECOND / 10 - 1), Err(1));
        assert_eq!(allowed(&buckets, gcra, 7, SECOND / 2, 30), 5);
        assert_eq!(allowed(&buckets, gcra, 7, 100 * SECOND, 30), 20);
        assert_eq!(gcra.window_ns(), 2 * SECOND);
    }

    /// In any time, no more than the burst and what came in meanwhile; and all that is due.
    #[test]
    fn no_pattern_of_requests_gets_more_or_less_than_the_rate() {
        let mut state = 88_172_645_463_325_252_u64;
        let mut draw = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        for _ in 0..200 {
            let (count, burst) = (1 + draw(1000), 1 + draw(50));
            let (buckets, gcra) = (Buckets::new(1), Gcra::new(count, SECOND, burst));
            let (mut now, mut passed, mut level) = (0_u64, 0_u64, burst as f64);
            for _ in 0..300 {
                let step = draw(3 * SECOND / count);
                now += step;
                level = (level + step as f64 * count as f64 / SECOND as f64).min(burst as f64);
                let taken = buckets.take(gcra, 1, now).is_ok();
                // A bucket counted in fractions agrees, but for what is rounded.
                if (level - 1.0).abs() > 0.01 {
                    assert_eq!(taken, level >= 1.0, "{count}/s, burst {burst}, at {now}");
                }
                if taken {
                    level -= 1.0;
                    passed += 1;
                }
            }
            let due = burst as f64 + now as f64 * count as f64 / SECOND as f64;
            assert!(passed as f64 <= due + 0.01, "{passed} of {due}");
        }
    }

    #[test]
    fn a_cost_is_charged_afterwards_and_what_is_owed_is_bounded() {
        let (buckets, gcra) = (Buckets::new(1), Gcra::new(10, SECOND, 20));
        assert_eq!(buckets.take(gcra, 1, 0).map(|used| gcra.left(used)), Ok(19));
        // Nothing to pay: the request is given back.
        assert_eq!(gcra.left(buckets.charge(gcra, 1, 0, 0)), 20);
        assert!(buckets.take(gcra, 1, 0).is_ok());
        assert_eq!(gcra.left(buckets.charge(gcra, 1, 0, 1)), 19);
        assert_eq!(gcra.left(buckets.charge(gcra, 1, 0, 15)), 5);
        // More than is left: it is owed.
        assert_eq!(buckets.charge(gcra, 1, 0, 16), 3 * SECOND);
        assert_eq!(buckets.take(gcra, 1, 0), Err(11 * SECOND / 10));
        assert_eq!(buckets.charge(gcra, 1, 0, u64::MAX), 20 * SECOND);
        assert!(buckets.take(gcra, 1, 19 * SECOND).is_ok());
    }

    #[test]
    fn the_fullest_go_over_to_another_process() {
        let gcra = Gcra::new(10, SECOND, 20);
        let (old, new) = (Buckets::new(1000), Buckets::new(1000));
        let key = |number: u64| number << 32 | number;
        for number in 1..=20 {
            assert_eq!(
                allowed(&old, gcra, key(number), 0, usize::try_from(number).unwrap()),
                usize::try_from(number).unwrap()
            );
        }
        let mut fullest = old.fullest(gcra, 5, 0);
        fullest.sort_unstable();
        assert_eq!(fullest.len(), 5);
        assert_eq!(fullest[0], (key(16), 16 * SECOND / 10));
        // Its times begin elsewhere.
        for (key, used) in fullest {
            new.use_up_to_ns(gcra, key, 100 * SECOND, used);
        }
        assert_eq!(allowed(&new, gcra, key(18), 100 * SECOND, 20), 2);
        assert_eq!(allowed(&new, gcra, key(1), 100 * SECOND, 30), 20);
        assert!(old.fullest(gcra, 5, 3 * SECOND).is_empty());
    }

    #[test]
    fn another_rate_keeps_what_is_used() {
        let buckets = Buckets::new(1);
        let (slow, quick) = (Gcra::new(1, SECOND, 10), Gcra::new(100, SECOND, 10));
        assert_eq!(allowed(&buckets, slow, 1, 0, 7), 7);
        assert_eq!(allowed(&buckets, quick, 1, 0, 10), 3);
        assert_eq!(allowed(&buckets, slow, 1, 0, 10), 0);
        assert_eq!(allowed(&buckets, slow, 1, SECOND, 10), 1);
    }

    #[test]
    fn keys_do_not_share_and_the_idlest_goes_first() {
        let (buckets, gcra) = (Buckets::new(1), Gcra::new(1, SECOND, 5));
        for key in 0..8 {
            assert_eq!(allowed(&buckets, gcra, key, key, 9), 5);
        }
        // The ninth takes the place of the first, which then begins anew.
        assert_eq!(allowed(&buckets, gcra, 8, 9, 9), 5);
        assert_eq!(allowed(&buckets, gcra, 7, 9, 9), 0);
        assert_eq!(allowed(&buckets, gcra, 0, 9, 9), 5);
    }

    #[test]
    fn threads_at_once_get_no_more_than_the_burst() {
        let (buckets, gcra) = (Buckets::new(1000), Gcra::new(1, 3600 * SECOND, 500));
        let taken: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| allowed(&buckets, gcra, 42, 1, 400)))
                .collect();
            threads.into_iter().map(|it| it.join().unwrap()).sum()
        });
        assert_eq!(taken, 500);
    }

    #[test]
    fn a_million_keys_take_37_mib_and_hardly_one_is_forgotten() {
        const KEYS: u64 = 1_000_000;
        let (buckets, gcra) = (Buckets::new(1_000_000), Gcra::new(1, 3600 * SECOND, 1));
        let bytes = buckets.chunks.len() * (size_of::<Chunk>() + 16);
        assert!(bytes <= 37 << 20, "{bytes}");
        let key = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
        for number in 0..KEYS {
            let _ = buckets.take(gcra, key(number), number);
        }
        let forgotten = (0..KEYS).filter(|it| buckets.take(gcra, key(*it), KEYS).is_ok());
        let forgotten = forgotten.count();
        assert!(forgotten < 20_000, "{forgotten}");
    }
}
