//! Comparison of latencies: is the candidate slower than a multiple of the baseline's quantile?
//!
//! The quantile of the baseline is not known, only estimated. So it is not compared with a constant.
//! With an estimate `q` from earlier ticks, two shares are compared: that of the candidate's requests
//! slower than `ratio · q`, and that of the baseline's slower than `q`, both of the same tick. If the
//! candidate takes at most `ratio` times as long as the baseline, the first is no larger than the
//! second, whatever `q` is. An error of the estimate costs power, and no false alarm; and a drift of
//! both versions is in both shares. The thresholds are bounds of buckets; the candidate's is rounded
//! up.

use std::time::Duration;

use super::statistics::Counts;

/// Latencies of some requests, in buckets that are 1/16 of an octave wide at most.
#[derive(Clone, Debug, PartialEq)]
pub struct Latencies<T = u64>(pub Box<[T; BUCKETS]>);

/// The running quantile of the baseline; older requests fade.
#[derive(Clone, Debug)]
pub struct RunningQuantile {
    seen: Latencies<f64>,
    total: f64,
}

/// Limit on the candidate's latency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LatencyLimit {
    /// Quantile that is compared, 0 to 1.
    pub quantile: f64,
    /// Multiple of the baseline's that is allowed.
    pub ratio_max: f64,
}

impl<T: Copy + Default> Default for Latencies<T> {
    fn default() -> Self {
        Self(Box::new([T::default(); BUCKETS]))
    }
}

impl Latencies {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(&*other.0) {
            *count += more;
        }
    }

    /// Returns what came on top of earlier sums.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut more = Self::default();
        for (more, (sum, earlier)) in more.0.iter_mut().zip(self.0.iter().zip(&*earlier.0)) {
            *more = sum.saturating_sub(*earlier);
        }
        more
    }

    /// Returns the quantile of them, as the upper bound of its bucket.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let total: u64 = self.0.iter().sum();
        let place = place_of(
            self.0.iter().map(|count| *count as f64),
            total as f64,
            quantile,
        )?;
        Some(Duration::from_micros(bound_us(place)))
    }

    fn above(&self, place: usize) -> Counts {
        Counts {
            total: self.0.iter().sum(),
            bad: self.0.iter().skip(place + 1).sum(),
        }
    }
}

impl Default for RunningQuantile {
    fn default() -> Self {
        Self {
            seen: Latencies::default(),
            total: 0.0,
        }
    }
}

impl RunningQuantile {
    /// Returns the slow ones among the requests of a tick, by what was learned before it; none while
    /// too little is known.
    pub fn slow(
        &self,
        limit: &LatencyLimit,
        baseline: &Latencies,
        candidate: &Latencies,
    ) -> Option<(Counts, Counts)> {
        if self.total < KNOWN_MIN {
            return None;
        }
        let place = place_of(self.seen.0.iter().copied(), self.total, limit.quantile)?;
        let allowed_us = bound_us(place) as f64 * limit.ratio_max;
        let allowed = (place..BUCKETS).find(|place| bound_us(*place) as f64 >= allowed_us);
        let allowed = allowed.unwrap_or(BUCKETS - 1);
        Some((baseline.above(place), candidate.above(allowed)))
    }

    /// Learns the baseline's latencies.
    pub fn learn(&mut self, baseline: &Latencies) {
        let more: u64 = baseline.0.iter().sum();
        self.total += more as f64;
        let fade = (LEARNED_MAX / self.total).min(1.0);
        self.total *= fade;
        for (count, more) in self.seen.0.iter_mut().zip(&*baseline.0) {
            *count = (*count + *more as f64) * fade;
        }
    }
}

/// Returns the bucket of a latency.
pub fn bucket_of(took: Duration) -> usize {
    let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let us = us.max(1 << OCTAVE_MIN);
    let octave = us.ilog2();
    let part = usize::try_from((us >> (octave - PART_BITS)) & (PARTS as u64 - 1)).unwrap_or(0);
    let place = (octave - OCTAVE_MIN) as usize * PARTS + part;
    place.min(BUCKETS - 1)
}

/// Upper bound of a bucket.
fn bound_us(place: usize) -> u64 {
    let (octave, part) = (place / PARTS, place % PARTS);
    ((PARTS + part + 1) as u64) << (octave + (OCTAVE_MIN - PART_BITS) as usize)
}

/// Returns the bucket in which the quantile falls.
fn place_of(counts: impl Iterator<Item = f64>, total: f64, quantile: f64) -> Option<usize> {
    if total <= 0.0 {
        return None;
    }
    let mut sum = 0.0;
    let mut last = 0;
    for (place, count) in counts.enumerate().filter(|(_, count)| *count > 0.0) {
        sum += count;
        last = place;
        if sum >= total * quantile {
            break;
        }
    }
    Some(last)
}

/// The first octave ends at 128 µs; what is faster is in its first bucket.
const OCTAVE_MIN: u32 = 6;
const PART_BITS: u32 = 4;
/// Buckets of an octave.
const PARTS: usize = 1 << PART_BITS;
/// Up to 67 s.
pub const BUCKETS: usize = 20 * PARTS;
/// Requests of the baseline before its quantile is used.
const KNOWN_MIN: f64 = 50.0;
/// Number of requests after which earlier ones fade.
const LEARNED_MAX: f64 = 20_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_in_order_and_narrow() {
        let mut last = 0;
        for us in (64..200_000_u64).step_by(7) {
            let place = bucket_of(Duration::from_micros(us));
            assert!(place >= last);
            last = place;
            let bound = bound_us(place);
            assert!(
                bound > us && bound as f64 <= us as f64 * 1.07 + 1.0,
                "{us} {bound}"
            );
        }
        assert_eq!(bucket_of(Duration::ZERO), 0);
        assert_eq!(bucket_of(Duration::from_secs(1000)), BUCKETS - 1);
    }

    #[test]
    fn a_quantile_is_near_and_the_threshold_of_the_candidate_is_no_lower_than_asked() {
        let mut all = Latencies::default();
        for ms in 1..=100 {
            all.0[bucket_of(Duration::from_millis(ms))] += 10;
        }
        let median = all.quantile(0.5).unwrap().as_secs_f64();
        assert!((0.050..=0.054).contains(&median), "{median}");
        let mut running = RunningQuantile::default();
        running.learn(&all);
        let limit = LatencyLimit {
            quantile: 0.9,
            ratio_max: 1.5,
        };
        let mut slower = Latencies::default();
        slower.0[bucket_of(Duration::from_millis(134))] += 1;
        slower.0[bucket_of(Duration::from_millis(150))] += 1;
        let (baseline, candidate) = running.slow(&limit, &all, &slower).unwrap();
        assert!(baseline.bad <= 100 && baseline.bad >= 60, "{baseline:?}");
        assert_eq!(candidate, Counts { total: 2, bad: 1 });
        assert_eq!(Latencies::default().quantile(0.5), None);
        let unknown = RunningQuantile::default();
        assert_eq!(unknown.slow(&limit, &all, &slower), None);
    }
}
