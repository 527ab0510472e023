//! Waits of a source between its failed attempts.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::resilience::Backoff;

/// Waits between attempts in a row that failed, with backoff and full jitter: many proxies that
/// lost one registry do not return to it together.
#[derive(Debug)]
pub struct Reconnect {
    backoff: Backoff,
    failures: u32,
    until: Option<Instant>,
}

impl Reconnect {
    /// Returns waits of at most `max`.
    #[must_use]
    pub fn new(max: Duration) -> Self {
        Self {
            backoff: Backoff {
                base: BASE.min(max),
                max,
            },
            failures: 0,
            until: None,
        }
    }

    /// Waits until the next attempt may begin; at once after a success. Cancel safe.
    pub async fn wait(&mut self) {
        if let Some(until) = self.until {
            sleep_until(until).await;
            self.until = None;
        }
    }

    /// Notes that an attempt failed.
    pub fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
        let wait = self.backoff.delay(self.failures, rand::random());
        self.until = Some(Instant::now() + wait.max(LEAST.min(self.backoff.max)));
    }

    /// Notes that an attempt succeeded.
    pub fn succeeded(&mut self) {
        self.failures = 0;
        self.until = None;
    }
}

impl Default for Reconnect {
    fn default() -> Self {
        Self::new(LONGEST)
    }
}

/// Bound of the wait after the first failure.
const BASE: Duration = Duration::from_millis(250);
/// Shortest wait.
const LEAST: Duration = Duration::from_millis(50);
/// Bound of any wait by default: a registry that is back is noticed within this time.
const LONGEST: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_grow_up_to_their_bound_and_end_with_a_success() {
        let mut reconnect = Reconnect::default();
        let start = Instant::now();
        reconnect.wait().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        for _ in 0..50 {
            reconnect.failed();
            let before = Instant::now();
            // A wait that is given up goes on.
            let _ = tokio::time::timeout(LEAST / 2, reconnect.wait()).await;
            reconnect.wait().await;
            let waited = before.elapsed();
            // The clock of the test counts in milliseconds.
            assert!(waited >= LEAST && waited <= LONGEST + LEAST, "{waited:?}");
        }
        reconnect.succeeded();
        let before = Instant::now();
        reconnect.wait().await;
        assert_eq!(before.elapsed(), Duration::ZERO);
    }
}
