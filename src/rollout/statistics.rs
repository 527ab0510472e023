//! Anytime-valid comparison of two versions: evidence that the candidate is worse.
//!
//! An e-process for two streams of yes-no outcomes (Turner, Ly and Grünwald, "Generic e-variables for
//! exact sequential k-sample tests", 2024). With each block of `n_b` requests of the baseline and
//! `n_c` of the candidate, the evidence is multiplied by the likelihood of the block under a guess
//! that was made before it, over its likelihood under the pooled rate of that guess. If the
//! candidate is no worse, the expected factor is at most 1, whatever the rates are and however they
//! change. By Ville's inequality the chance that the evidence ever reaches `1 / α` is then at most
//! `α`, for any number of looks.
//!
//! The guess of the baseline's rate is learned from earlier blocks. Those of the candidate's are
//! [`ODDS`] times its odds, all of them at once: the evidence is their weighted mean. Rates that
//! nobody guessed are near enough to one of these.
//!
//! For latency the outcome is "slower than a threshold", see [`super::latency`].

use serde::{Deserialize, Serialize};

/// Outcomes of some requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests.
    pub total: u64,
    /// Those of them that went badly.
    pub bad: u64,
}

/// Evidence that the candidate goes badly more often than the baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Logarithm of the evidence of each guess, its weight included.
    logs: [f64; ODDS.len()],
    /// Outcomes of the baseline so far; old ones fade.
    learned_total: f64,
    learned_bad: f64,
    /// Outcomes that wait for some of the other version.
    baseline: Counts,
    candidate: Counts,
}

impl Counts {
    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.total += other.total;
        self.bad += other.bad;
    }

    /// Returns what came on top of earlier counts.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        let bad = self.bad.saturating_sub(earlier.bad);
        Self {
            // Workers count while the sums are read: a bad one may be seen before its total.
            total: self.total.saturating_sub(earlier.total).max(bad),
            bad,
        }
    }

    /// Share of the bad ones; none if there are no requests.
    pub fn ratio(self) -> Option<f64> {
        (self.total > 0).then(|| self.bad as f64 / self.total as f64)
    }
}

impl Default for Evidence {
    fn default() -> Self {
        Self {
            logs: WEIGHTS.map(f64::ln),
            learned_total: PRIOR_TOTAL,
            learned_bad: PRIOR_BAD,
            baseline: Counts::default(),
            candidate: Counts::default(),
        }
    }
}

impl Evidence {
    /// Takes the outcomes of a tick into account.
    ///
    /// Outcomes of one version wait until there are some of the other: alone they say nothing.
    pub fn add(&mut self, baseline: Counts, candidate: Counts) {
        self.baseline.add(baseline);
        self.candidate.add(candidate);
        if self.baseline.total == 0 || self.candidate.total == 0 {
            return;
        }
        let (baseline, candidate) = (self.baseline, self.candidate);
        let rate = self.baseline_rate();
        let (n_b, n_c) = (baseline.total as f64, candidate.total as f64);
        for (log, odds) in self.logs.iter_mut().zip(ODDS) {
            let guess = with_odds(rate, odds);
            let pooled = (n_b * rate + n_c * guess) / (n_b + n_c);
            *log += likelihood_ratio(baseline, rate, pooled)
                + likelihood_ratio(candidate, guess, pooled);
        }
        self.learn(baseline);
        (self.baseline, self.candidate) = (Counts::default(), Counts::default());
    }

    /// Takes outcomes of the candidate into account that has no baseline beside it: its rate against
    /// this limit.
    pub fn add_alone(&mut self, candidate: Counts, limit: f64) {
        let limit = limit.clamp(RATE_MIN, 1.0 - RATE_MIN);
        for (log, odds) in self.logs.iter_mut().zip(ODDS) {
            *log += likelihood_ratio(candidate, with_odds(limit, odds), limit);
        }
    }

    /// Learns the baseline's rate from outcomes that are not compared.
    pub fn learn(&mut self, baseline: Counts) {
        self.learned_total += baseline.total as f64;
        self.learned_bad += baseline.bad as f64;
        if self.learned_total > LEARNED_MAX {
            let fade = LEARNED_MAX / self.learned_total;
            self.learned_total *= fade;
            self.learned_bad *= fade;
        }
    }

    /// Begins a comparison: there is no evidence yet, and what was learned of the baseline stays.
    pub fn begin(&mut self) {
        *self = Self {
            learned_total: self.learned_total,
            learned_bad: self.learned_bad,
            ..Self::default()
        };
    }

    /// The baseline's rate, as far as it is known.
    pub fn baseline_rate(&self) -> f64 {
        (self.learned_bad / self.learned_total).clamp(RATE_MIN, 1.0 - RATE_MIN)
    }

    /// Natural logarithm of the evidence.
    pub fn log(&self) -> f64 {
        let most = self.logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = self.logs.iter().map(|log| (log - most).exp()).sum();
        most + sum.ln()
    }

    /// Returns true if the evidence is so strong that a candidate which is no worse would ever reach it
    /// with a probability of at most `alpha`.
    pub fn is_against(&self, alpha: f64) -> bool {
        self.log() >= -alpha.ln()
    }
}

/// Rate whose odds are this many times those of `rate`.
fn with_odds(rate: f64, odds: f64) -> f64 {
    let grown = rate * odds;
    (grown / (1.0 - rate + grown)).min(1.0 - RATE_MIN)
}

/// Logarithm of the likelihood of outcomes under one rate over that under another.
fn likelihood_ratio(counts: Counts, rate: f64, under: f64) -> f64 {
    let (good, bad) = ((counts.total - counts.bad) as f64, counts.bad as f64);
    let of_bad = if counts.bad > 0 {
        bad * (rate / under).ln()
    } else {
        0.0
    };
    of_bad + good * ((under - rate) / (1.0 - under)).ln_1p()
}

/// Guesses: how many times the odds of the baseline.
const ODDS: [f64; 10] = [1.3, 2.0, 3.2, 6.0, 11.0, 25.0, 80.0, 400.0, 4000.0, 1e6];
/// Weights of the guesses.
const WEIGHTS: [f64; 10] = [0.06, 0.24, 0.14, 0.16, 0.14, 0.06, 0.04, 0.06, 0.02, 0.08];
/// Requests known before the first one.
const PRIOR_TOTAL: f64 = 100.0;
/// Those of them that went badly.
const PRIOR_BAD: f64 = 0.5;
/// Number of requests after which earlier ones fade.
const LEARNED_MAX: f64 = 50_000.0;
/// Rates are kept away from 0 and 1 by this.
const RATE_MIN: f64 = 1e-6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_never_has_more_failures_than_requests() {
        // The failures were read before the total, and one more came in between.
        let (before, now) = (Counts { total: 11, bad: 5 }, Counts { total: 11, bad: 7 });
        let tick = now.since(before);
        assert_eq!(tick, Counts { total: 2, bad: 2 });
        let mut evidence = Evidence::default();
        evidence.add(tick, tick);
        assert!(evidence.log().is_finite());
    }
}
