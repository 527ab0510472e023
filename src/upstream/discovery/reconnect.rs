//! Waits of a source between its failed attempts.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::resilience::Backoff;

/// Waits between attempts in a row that failed, with backoff and full jitter: many proxies that
/// lost one registry do not return to it together. Of several servers each is tried once before
/// there is a wait.
///
/// DNS does without: it has no connection to return to. Each type of records is looked up again at
/// a time of its own, which a failure brings forward.
#[derive(Debug)]
pub struct Reconnect {
    backoff: Backoff,
    /// Servers that are tried in turn.
    servers: u32,
    /// Attempts in a row that failed.
    failed: u32,
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
            servers: 1,
            failed: 0,
            until: None,
        }
    }

    /// Returns waits for an attempt at each of so many servers.
    #[must_use]
    pub fn among(servers: usize) -> Self {
        Self {
            servers: u32::try_from(servers).unwrap_or(u32::MAX).max(1),
            ..Self::default()
        }
    }

    /// Waits until the next attempt may begin; at once after a success. Cancel safe.
    pub async fn wait(&mut self) {
        if let Some(until) = self.until {
            sleep_until(until).await;
            self.until = None;
        }
    }

    /// Notes that an attempt failed; returns true if every server has failed as often now, and there
    /// is a wait.
    pub fn failed(&mut self) -> bool {
        self.failed = self.failed.saturating_add(1);
        if !self.failed.is_multiple_of(self.servers) {
            return false;
        }
        let wait = self
            .backoff
            .delay(self.failed / self.servers, rand::random());
        self.until = Some(Instant::now() + wait.max(LEAST.min(self.backoff.max)));
        true
    }

    /// Notes that an attempt succeeded.
    pub fn succeeded(&mut self) {
        self.failed = 0;
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

    #[tokio::test(start_paused = true)]
    async fn each_server_is_tried_before_there_is_a_wait() {
        let mut reconnect = Reconnect::among(3);
        for round in 0..3 {
            for server in 0..3 {
                let before = Instant::now();
                reconnect.wait().await;
                let waits = round > 0 && server == 0;
                assert_eq!(before.elapsed() >= LEAST, waits, "{round} {server}");
                assert_eq!(reconnect.failed(), server == 2);
            }
        }
        reconnect.succeeded();
        assert!(!reconnect.failed(), "the series begins anew");
    }
}
