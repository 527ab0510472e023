//! Bounds on what costs a client nothing and a server something.

use std::time::Duration;

use tokio::time::Instant;

/// A number of events that time refills.
#[derive(Debug)]
pub(crate) struct Bucket {
    left: f64,
    max: f64,
    per_second: f64,
    at: Instant,
}

impl Bucket {
    /// Makes a full one.
    pub(crate) fn new(max: f64, per_second: f64, now: Instant) -> Self {
        Self {
            left: max,
            max,
            per_second,
            at: now,
        }
    }

    /// Refills a part of it.
    pub(crate) fn give(&mut self, count: f64) {
        self.left = (self.left + count).min(self.max);
    }

    /// Takes one event; false if there is none left.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let passed: Duration = now.saturating_duration_since(self.at);
        self.at = now;
        self.give(passed.as_secs_f64() * self.per_second);
        let fits = self.left >= 1.0;
        if fits {
            self.left -= 1.0;
        }
        fits
    }

    /// Number of events taken and not refilled.
    pub(crate) fn spent(&self) -> f64 {
        self.max - self.left
    }
}
