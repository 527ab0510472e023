//! Proof that a candidate is not worse than the baseline by more than is allowed.
//!
//! The mirror of [`super::statistics`]: an e-process against "the candidate's rate of failures is
//! above the baseline's by `increase` or more". The likelihood of each block under rates learned
//! from earlier blocks is divided by its likelihood under that point of the hypothesis which is
//! nearest to them in information (the reverse information projection; Turner, Ly and Grünwald,
//! 2024, for convex hypotheses). If the candidate is that much worse, the chance that the evidence
//! ever reaches `1 / α` is at most `α`, for any number of looks.

use serde::{Deserialize, Serialize};

use super::statistics::Counts;

/// Evidence that a candidate is not worse by a given increase.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// Natural logarithm of the evidence.
    log: f64,
    /// Outcomes of the candidate so far.
    learned: Counts,
    /// Outcomes that wait for some of the other version.
    baseline: Counts,
    candidate: Counts,
}

impl Proof {
    /// Takes the outcomes of a tick into account. `rate` is that of the baseline, as it was known
    /// before them.
    pub fn add(&mut self, baseline: Counts, candidate: Counts, rate: f64, increase: f64) {
        self.baseline.add(baseline);
        self.candidate.add(candidate);
        if self.baseline.total == 0 || self.candidate.total == 0 {
            return;
        }
        let baseline = std::mem::take(&mut self.baseline);
        let candidate = std::mem::take(&mut self.candidate);
        let total = self.learned.total as f64 + PRIOR_TOTAL;
        let guess = (self.learned.bad as f64 + PRIOR_TOTAL * rate) / total;
        // A guess that is that much worse says nothing against the hypothesis.
        if guess < rate + increase && rate + increase < 1.0 {
            let weights = (baseline.total as f64, candidate.total as f64);
            let nearest = nearest(weights, rate, guess, increase);
            self.log += likelihood_ratio(baseline, rate, nearest)
                + likelihood_ratio(candidate, guess, nearest + increase);
        }
        self.learned.add(candidate);
    }

    /// Natural logarithm of the evidence.
    pub fn log(&self) -> f64 {
        self.log
    }

    /// Share of the evidence that is needed, 0 to 1. A candidate that is worse by the increase would
    /// ever reach all of it with a probability of at most `alpha`.
    pub fn share(&self, alpha: f64) -> f64 {
        (self.log / -alpha.ln()).clamp(0.0, 1.0)
    }
}

/// Baseline's rate of the point of the hypothesis that is nearest to the guesses: the root of the
/// derivative of the divergence, which is convex, by bisection.
fn nearest(weights: (f64, f64), rate: f64, guess: f64, increase: f64) -> f64 {
    let slope = |q: f64| {
        let worse = q + increase;
        weights.0 * (q - rate) / (q * (1.0 - q))
            + weights.1 * (worse - guess) / (worse * (1.0 - worse))
    };
    let (mut low, mut high) = ((guess - increase).max(RATE_MIN / 2.0), rate);
    for _ in 0..STEPS {
        let middle = f64::midpoint(low, high);
        if slope(middle) > 0.0 {
            high = middle;
        } else {
            low = middle;
        }
    }
    f64::midpoint(low, high)
}

/// Logarithm of the likelihood of outcomes under one rate over that under another.
fn likelihood_ratio(counts: Counts, rate: f64, under: f64) -> f64 {
    let rate = rate.clamp(RATE_MIN, 1.0 - RATE_MIN);
    let (good, bad) = ((counts.total - counts.bad) as f64, counts.bad as f64);
    bad * (rate / under).ln() + good * ((1.0 - rate) / (1.0 - under)).ln()
}

/// Requests of the candidate known before the first one, which fail like the baseline's.
const PRIOR_TOTAL: f64 = 50.0;
/// Rates are kept away from 0 and 1 by this.
const RATE_MIN: f64 = 1e-6;
/// Halvings: far more exact than rates are known.
const STEPS: u32 = 40;

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(total: u64, bad: u64) -> Counts {
        Counts { total, bad }
    }

    #[test]
    fn equal_outcomes_prove_it_and_worse_ones_do_not() {
        let (mut good, mut worse) = (Proof::default(), Proof::default());
        for _ in 0..100 {
            good.add(counts(900, 9), counts(100, 1), 0.01, 0.01);
            worse.add(counts(900, 9), counts(100, 2), 0.01, 0.01);
        }
        assert!(good.share(0.01) >= 1.0, "{}", good.log());
        assert!(worse.share(0.5) < 1.0, "{}", worse.log());
    }

    #[test]
    fn outcomes_of_one_version_alone_wait() {
        let mut proof = Proof::default();
        proof.add(counts(0, 0), counts(100, 0), 0.01, 0.01);
        assert!(proof.log().abs() < f64::EPSILON);
        proof.add(counts(100, 1), counts(0, 0), 0.01, 0.01);
        assert!(proof.log() > 0.0);
    }
}
