//! Outcomes of requests to an endpoint, as counted in a window of time.

use std::ops::Add;

/// Outcomes of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Figures {
    pub(super) successes: u64,
    /// Bad answers, and late ones.
    pub(super) bad_answers: u64,
    /// Requests without an answer.
    pub(super) failures: u64,
}

impl Figures {
    pub(super) const fn total(self) -> u64 {
        self.successes.saturating_add(self.bad())
    }

    /// Returns the number of outcomes without success.
    pub(super) const fn bad(self) -> u64 {
        self.bad_answers.saturating_add(self.failures)
    }

    /// Returns true if there are enough outcomes, and too many of them were not successes.
    pub(super) fn exceed(self, ratio: f64, volume_min: u32) -> bool {
        let total = self.total();
        total > 0 && total >= u64::from(volume_min) && fraction(self.bad(), total) >= ratio
    }
}

impl Add for Figures {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            successes: self.successes.saturating_add(other.successes),
            bad_answers: self.bad_answers.saturating_add(other.bad_answers),
            failures: self.failures.saturating_add(other.failures),
        }
    }
}

/// Divides counts. Correctly rounded, so that 17 of 20 equals a written 0.85.
pub(super) fn fraction(part: u64, whole: u64) -> f64 {
    let narrow = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    if whole == 0 {
        0.0
    } else {
        narrow(part) / narrow(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_counts_only_from_the_volume_on() {
        assert!(!figures(0, 0, 19).exceed(0.85, 20));
        assert!(!figures(4, 0, 16).exceed(0.85, 20));
        assert!(figures(3, 7, 10).exceed(0.85, 20));
        assert!(!Figures::default().exceed(0.0, 0));
    }

    fn figures(successes: u64, bad_answers: u64, failures: u64) -> Figures {
        Figures {
            successes,
            bad_answers,
            failures,
        }
    }
}
