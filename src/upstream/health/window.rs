//! Sliding window of request outcomes: a ring of buckets, so that old outcomes are dropped in
//! steps.

use std::time::Duration;

use tokio::time::Instant;

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
    const fn plus(self, other: Self) -> Self {
        Self {
            successes: self.successes.saturating_add(other.successes),
            bad_answers: self.bad_answers.saturating_add(other.bad_answers),
            failures: self.failures.saturating_add(other.failures),
        }
    }

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

/// Divides counts. Correctly rounded, so that 17 of 20 equals a written 0.85.
pub(super) fn fraction(part: u64, whole: u64) -> f64 {
    let narrow = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    if whole == 0 {
        0.0
    } else {
        narrow(part) / narrow(whole)
    }
}

/// Figures of the last `interval`, exact to 10 % of it.
#[derive(Debug, Clone)]
pub(super) struct Window {
    buckets: [Figures; BUCKETS],
    span: Duration,
    origin: Instant,
    /// Number of the newest bucket since `origin`; its place in the ring is the remainder.
    newest: u64,
}

impl Window {
    pub(super) fn new(interval: Duration, now: Instant) -> Self {
        let span = (interval / BUCKETS_U32).max(Duration::from_millis(1));
        Self {
            buckets: [Figures::default(); BUCKETS],
            span,
            origin: now,
            newest: 0,
        }
    }

    pub(super) fn add(&mut self, figures: Figures, now: Instant) {
        self.advance(now);
        let bucket = &mut self.buckets[place(self.newest)];
        *bucket = bucket.plus(figures);
    }

    /// Returns the content of the window now, even if nothing was added for a while.
    pub(super) fn figures(&self, now: Instant) -> Figures {
        let oldest = self
            .number(now)
            .max(self.newest)
            .saturating_sub(BUCKETS_U64 - 1);
        (oldest..=self.newest).fold(Figures::default(), |sum, number| {
            sum.plus(self.buckets[place(number)])
        })
    }

    pub(super) fn clear(&mut self) {
        self.buckets = [Figures::default(); BUCKETS];
    }

    fn advance(&mut self, now: Instant) {
        let newest = self.number(now);
        if newest.saturating_sub(self.newest) >= BUCKETS_U64 {
            self.clear();
        } else {
            for number in self.newest.saturating_add(1)..=newest {
                self.buckets[place(number)] = Figures::default();
            }
        }
        self.newest = self.newest.max(newest);
    }

    /// Returns the bucket of this time.
    fn number(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.origin).as_nanos() / self.span.as_nanos();
        u64::try_from(passed).unwrap_or(u64::MAX)
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number % BUCKETS_U64).unwrap_or(0)
}

const BUCKETS: usize = 10;
const BUCKETS_U32: u32 = 10;
const BUCKETS_U64: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: Figures = Figures {
        successes: 0,
        bad_answers: 0,
        failures: 1,
    };

    #[test]
    fn outcomes_leave_the_window_in_steps_and_all_of_them_after_the_interval() {
        let start = Instant::now();
        let mut window = Window::new(Duration::from_secs(10), start);
        for second in 0..10 {
            window.add(FAILED, start + Duration::from_secs(second));
        }
        let failures = |window: &Window, second| {
            let now = start + Duration::from_secs(second);
            window.figures(now).failures
        };
        assert_eq!(failures(&window, 9), 10);
        assert_eq!(
            failures(&window, 13),
            6,
            "nothing needs to be added for that"
        );
        assert_eq!(failures(&window, 3600), 0);
        window.add(Figures::default(), start + Duration::from_secs(13));
        assert_eq!(failures(&window, 13), 6);
        window.add(Figures::default(), start + Duration::from_secs(3600));
        assert_eq!(failures(&window, 3600), 0);
    }

    #[test]
    fn a_clock_that_stands_still_or_an_empty_interval_does_no_harm() {
        let start = Instant::now();
        let mut window = Window::new(Duration::ZERO, start);
        window.add(FAILED, start);
        window.add(FAILED, start);
        assert_eq!(window.figures(start).failures, 2);
    }

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
