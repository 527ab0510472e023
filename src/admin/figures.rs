//! Figures for the overview: counts at one moment, and the rates between two.
//!
//! Pure: the clock is an argument, the counts come from [`super::Operations`].

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::model::{Attempts, Latency, Traffic};

/// Counts since the start of the process, read at one moment.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Time of the reading.
    pub taken: Instant,
    /// Requests by route.
    pub routes: BTreeMap<String, RequestCounts>,
    /// Latencies of attempts, by pool and version.
    pub attempts: BTreeMap<(String, String), LatencyCounts>,
    /// Attempts that brought no response head, or one with 5xx, by pool.
    pub attempts_failed: BTreeMap<String, u64>,
}

/// Counts of the requests of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestCounts {
    /// All of them.
    pub total: u64,
    /// Those answered with 5xx or cut short.
    pub failed: u64,
    /// Those answered with 4xx.
    pub refused: u64,
    /// Their latencies.
    pub latency: LatencyCounts,
}

/// Durations by upper bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LatencyCounts {
    /// Inclusive upper bounds in nanoseconds, ascending.
    pub bounds_ns: &'static [u64],
    /// One count per bound, and one for longer durations.
    pub counts: Vec<u64>,
}

impl Figures {
    /// Rates by route, busiest first.
    pub(super) fn routes_since(&self, before: &Self) -> Vec<Traffic> {
        let seconds = self.seconds_since(before);
        let none = RequestCounts::default();
        let routes = self.routes.iter().map(|(name, now)| {
            let old = before.routes.get(name).unwrap_or(&none);
            now.since(old).rates(name, now.total, seconds)
        });
        let mut routes: Vec<Traffic> = routes.collect();
        routes.sort_by(|a, b| b.per_second.total_cmp(&a.per_second));
        routes
    }

    /// Rates of all routes together.
    pub(super) fn requests_since(&self, before: &Self) -> Traffic {
        let seconds = self.seconds_since(before);
        let none = RequestCounts::default();
        let (mut sum, mut total) = (RequestCounts::default(), 0);
        for (name, now) in &self.routes {
            let old = before.routes.get(name).unwrap_or(&none);
            sum.add(&now.since(old));
            total += now.total;
        }
        sum.rates("", total, seconds)
    }

    /// Rates by pool and version, busiest first.
    pub(super) fn attempts_since(&self, before: &Self) -> Vec<Attempts> {
        let seconds = self.seconds_since(before);
        let none = LatencyCounts::default();
        let mut all: BTreeMap<&str, u64> = BTreeMap::new();
        let attempts = self.attempts.iter().map(|(key, now)| {
            let latency = now.since(before.attempts.get(key).unwrap_or(&none));
            *all.entry(&key.0).or_default() += latency.total();
            (key, latency)
        });
        let attempts: Vec<_> = attempts.collect();
        let attempts = attempts.into_iter().map(|((pool, version), latency)| {
            let failed = |of: &Self| of.attempts_failed.get(pool).copied().unwrap_or_default();
            let all = all.get(&**pool).copied().unwrap_or_default();
            // Counted a moment apart.
            let failed = failed(self).saturating_sub(failed(before)).min(all);
            Attempts {
                pool: pool.clone(),
                version: version.clone(),
                per_second: rate(latency.total(), seconds),
                pool_per_second: rate(all, seconds),
                pool_failed_per_second: rate(failed, seconds),
                latency: latency.percentiles(),
            }
        });
        let mut attempts: Vec<Attempts> = attempts.collect();
        attempts.sort_by(|a, b| b.per_second.total_cmp(&a.per_second));
        attempts
    }

    fn seconds_since(&self, before: &Self) -> f64 {
        self.taken.duration_since(before.taken).as_secs_f64()
    }
}

impl RequestCounts {
    /// A series that was removed and has come back begins anew.
    fn since(&self, before: &Self) -> Self {
        Self {
            total: self.total.saturating_sub(before.total),
            failed: self.failed.saturating_sub(before.failed),
            refused: self.refused.saturating_sub(before.refused),
            latency: self.latency.since(&before.latency),
        }
    }

    fn add(&mut self, other: &Self) {
        self.total += other.total;
        self.failed += other.failed;
        self.refused += other.refused;
        self.latency.add(&other.latency);
    }

    fn rates(&self, name: &str, total: u64, seconds: f64) -> Traffic {
        Traffic {
            name: name.to_owned(),
            total,
            per_second: rate(self.total, seconds),
            failed_per_second: rate(self.failed, seconds),
            refused_per_second: rate(self.refused, seconds),
            latency: self.latency.percentiles(),
        }
    }
}

impl LatencyCounts {
    fn since(&self, before: &Self) -> Self {
        let old = |at: usize| before.counts.get(at).copied().unwrap_or_default();
        let counts = self.counts.iter().enumerate();
        let counts = counts.map(|(at, now)| now.saturating_sub(old(at)));
        Self {
            bounds_ns: self.bounds_ns,
            counts: counts.collect(),
        }
    }

    fn add(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
            self.bounds_ns = other.bounds_ns;
        }
        for (sum, count) in self.counts.iter_mut().zip(&other.counts) {
            *sum += count;
        }
    }

    fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn percentiles(&self) -> Latency {
        Latency {
            p50_ms: self.quantile_ms(0.5),
            p90_ms: self.quantile_ms(0.9),
            p99_ms: self.quantile_ms(0.99),
        }
    }

    /// Interpolates inside the bucket; beyond the last bound it is the last bound.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let wanted = quantile * total as f64;
        let (mut below, mut lower) = (0.0, 0.0);
        for (at, count) in self.counts.iter().enumerate() {
            let Some(upper) = self.bounds_ns.get(at) else {
                break;
            };
            let upper = *upper as f64 / NS_PER_MS;
            let count = *count as f64;
            if count > 0.0 && below + count >= wanted {
                return Some(lower + (upper - lower) * (wanted - below) / count);
            }
            below += count;
            lower = upper;
        }
        Some(lower)
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53 in a moment")]
fn rate(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 {
        count as f64 / seconds
    } else {
        0.0
    }
}

const NS_PER_MS: f64 = 1_000_000.0;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const BOUNDS: &[u64] = &[1_000_000, 10_000_000, 100_000_000];

    fn latency(counts: [u64; 4]) -> LatencyCounts {
        LatencyCounts {
            bounds_ns: BOUNDS,
            counts: counts.to_vec(),
        }
    }

    fn figures(taken: Instant, total: u64, failed: u64, counts: [u64; 4]) -> Figures {
        let all = RequestCounts {
            total,
            failed,
            refused: 0,
            latency: latency(counts),
        };
        Figures {
            taken,
            routes: BTreeMap::from([("all".to_owned(), all)]),
            attempts: BTreeMap::new(),
            attempts_failed: BTreeMap::new(),
        }
    }

    #[test]
    fn rates_are_those_between_two_readings() {
        let start = Instant::now();
        let old = figures(start, 100, 10, [100, 0, 0, 0]);
        let new = figures(start + Duration::from_secs(2), 300, 30, [100, 200, 0, 0]);
        let [route] = <[Traffic; 1]>::try_from(new.routes_since(&old)).unwrap();
        assert_eq!((route.per_second, route.failed_per_second), (100.0, 10.0));
        assert_eq!(route.total, 300);
        assert_eq!(route.latency.p50_ms, Some(5.5));
        let all = new.requests_since(&old);
        assert_eq!((all.per_second, all.latency), (100.0, route.latency));
    }

    #[test]
    fn the_failures_of_a_pool_are_a_share_of_the_attempts_of_all_its_versions() {
        let start = Instant::now();
        let reading = |seconds: u64, failed: u64| {
            let count = 30 * seconds;
            let attempt = |version: &str, count| {
                let key = ("app".to_owned(), version.to_owned());
                (key, latency([count, 0, 0, 0]))
            };
            Figures {
                attempts: [attempt("1.0.0", count), attempt("2.0.0", 2 * count)].into(),
                attempts_failed: [("app".to_owned(), failed)].into(),
                ..figures(start + Duration::from_secs(seconds), 0, 0, [0; 4])
            }
        };
        let rates = |failed| {
            let attempts = reading(1, failed).attempts_since(&reading(0, 0));
            let of = |it: &Attempts| {
                let (all, failed) = (it.pool_per_second, it.pool_failed_per_second);
                (it.version.clone(), it.per_second, all, failed)
            };
            attempts.iter().map(of).collect::<Vec<_>>()
        };
        let row = |version: &str, own, failed| (version.to_owned(), own, 90.0, failed);
        let expected = [row("2.0.0", 60.0, 90.0), row("1.0.0", 30.0, 90.0)];
        assert_eq!(rates(90), expected);
        // Never more than there are.
        assert_eq!(rates(95), expected);
        assert_eq!(rates(9)[0], row("2.0.0", 60.0, 9.0));
    }

    #[test]
    fn a_series_that_began_anew_is_never_negative() {
        let start = Instant::now();
        let old = figures(start, 100, 10, [100, 0, 0, 0]);
        let new = figures(start + Duration::from_secs(1), 5, 0, [5, 0, 0, 0]);
        let route = &new.routes_since(&old)[0];
        assert_eq!((route.per_second, route.latency.p99_ms), (0.0, None));
        let same = figures(start, 5, 0, [5, 0, 0, 0]);
        assert_eq!(same.routes_since(&same)[0].per_second, 0.0);
    }

    #[test]
    fn percentiles_ascend_and_end_at_the_last_bound() {
        let latency = latency([10, 70, 15, 5]).percentiles();
        let (p50, p90) = (latency.p50_ms.unwrap(), latency.p90_ms.unwrap());
        assert!(p50 > 1.0 && p50 < 10.0 && p90 > 10.0 && p90 < 100.0);
        assert_eq!(latency.p99_ms, Some(100.0));
    }
}
