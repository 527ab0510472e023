//! The next step for a certificate: a function of what is known of it and the clock.
//!
//! Times are seconds of Unix time.

use std::time::Duration;

use crate::acme::{
    schedule::{self, Window},
    store::{Attempts, Held},
};

/// Knowledge of a certificate, from which the next step follows.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The files have been read.
    pub(super) is_read: bool,
    pub(super) held: Option<Held>,
    pub(super) attempts: Attempts,
    window: Option<Window>,
    ask_at: i64,
    /// Time before which the certificate is not renewed, whatever the CA says.
    settled: i64,
    /// The random number of the certificate's renewal.
    draw: f64,
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Read the files.
    Read,
    /// Order a certificate.
    Order,
    /// Ask the CA when to renew.
    Ask,
    /// Nothing yet.
    Wait,
}

impl Plan {
    pub(super) fn step(&self, now: i64) -> Step {
        if !self.is_read {
            let due = now >= self.attempts.not_before;
            return if due { Step::Read } else { Step::Wait };
        }
        if now >= self.next() {
            return Step::Order;
        }
        match &self.held {
            Some(_) if now >= self.ask_at => Step::Ask,
            _ => Step::Wait,
        }
    }

    /// Time of the next order.
    pub(super) fn next(&self) -> i64 {
        let due = self.held.as_ref().map_or(0, |held| {
            let due = schedule::renewal(held.begins, held.expires, self.window, self.draw);
            due.max(self.settled)
        });
        due.max(self.attempts.not_before)
    }

    /// Takes what is on the disk.
    pub(super) fn read(&mut self, held: Option<Held>, attempts: Attempts, draw: f64) {
        self.is_read = true;
        self.held = held;
        self.attempts = attempts;
        self.draw = draw;
    }

    /// Takes a new certificate.
    pub(super) fn issued(&mut self, held: Held, now: i64, draw: f64) {
        let life = held.expires.saturating_sub(held.begins).max(0);
        *self = Self {
            is_read: true,
            settled: now + (life / 3).min(SETTLED_MOST),
            // Not at once: the CA may not know it yet.
            ask_at: now + ASK_LEAST,
            held: Some(held),
            draw,
            ..Self::default()
        };
    }

    /// Notes a failed order.
    pub(super) fn failed(&mut self, error: String, wait: Duration, now: i64) {
        let wait = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
        self.attempts = Attempts {
            failures: self.attempts.failures.saturating_add(1),
            not_before: now.saturating_add(wait.max(1)),
            error,
            settings: 0,
        };
    }

    /// Another process orders, or the disk does not answer.
    pub(super) fn busy(&mut self, now: i64) {
        self.attempts.not_before = self.attempts.not_before.max(now + BUSY);
    }

    /// Takes the answer to [`Step::Ask`].
    pub(super) fn told(&mut self, told: Option<(Window, Duration)>, now: i64) {
        let again = match told {
            Some((window, again)) => {
                self.window = Some(window);
                i64::try_from(again.as_secs()).unwrap_or(ASK_MOST)
            }
            None => ASK_MOST,
        };
        self.ask_at = now + again.clamp(ASK_LEAST, ASK_MOST);
    }
}

/// Bounds of the time between two questions about the time of the renewal.
const ASK_LEAST: i64 = 600;
const ASK_MOST: i64 = 24 * 3600;
/// Wait while another process orders, or the disk does not answer.
const BUSY: i64 = 5;
/// Longest time for which a new certificate is not renewed, whatever the CA says.
const SETTLED_MOST: i64 = 3600;

#[cfg(test)]
mod tests {
    use super::*;

    fn held(begins: i64, expires: i64) -> Held {
        Held {
            begins,
            expires,
            chain: String::new(),
        }
    }

    #[test]
    fn a_stored_certificate_is_not_ordered_again_before_a_third_of_it_is_left() {
        let mut plan = Plan::default();
        assert_eq!(plan.step(0), Step::Read);
        plan.read(Some(held(0, 90_000)), Attempts::default(), 0.0);
        assert_eq!(plan.step(10), Step::Ask);
        plan.told(None, 10);
        assert_eq!(plan.step(59_999), Step::Wait);
        assert_eq!(plan.step(60_000), Step::Order);
    }

    #[test]
    fn a_failure_is_waited_for_over_a_restart_and_a_success_ends_it() {
        let mut plan = Plan::default();
        plan.read(None, Attempts::default(), 0.0);
        assert_eq!(plan.step(100), Step::Order);
        plan.failed("no".to_owned(), Duration::from_secs(300), 100);
        assert_eq!((plan.step(399), plan.attempts.failures), (Step::Wait, 1));
        let mut after = Plan::default();
        after.read(None, plan.attempts.clone(), 0.0);
        assert_eq!(
            (after.step(399), after.step(400)),
            (Step::Wait, Step::Order)
        );
        after.issued(held(400, 1300), 400, 0.0);
        assert_eq!(after.attempts, Attempts::default());
        assert_eq!(
            (after.step(999), after.step(1000)),
            (Step::Wait, Step::Order)
        );
    }

    #[test]
    fn the_ca_moves_the_renewal_forward_but_not_into_a_loop() {
        let mut plan = Plan::default();
        plan.issued(held(0, 900_000), 0, 0.0);
        assert_eq!((plan.step(599), plan.step(600)), (Step::Wait, Step::Ask));
        let past = Window {
            start: -20,
            end: -10,
        };
        plan.told(Some((past, Duration::ZERO)), 600);
        assert_eq!((plan.step(3599), plan.step(3600)), (Step::Ask, Step::Order));
    }
}
