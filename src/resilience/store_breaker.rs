//! Leaves a store outside the process alone while it fails.
//!
//! One failure opens it: each further call would make a request wait for nothing. Then one call at
//! a time is the trial that decides; the time between trials doubles up to [`WAIT_MAX`]. Shared by
//! all workers; closed, a call costs one load.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::restart::RestartBackoff;

/// Breaker of one store.
#[derive(Debug)]
pub struct StoreBreaker {
    open: AtomicBool,
    machine: Mutex<Machine>,
}

#[derive(Debug)]
struct Machine {
    backoff: RestartBackoff,
    /// Time of the last change between open and closed.
    since: Instant,
    /// Start of the next trial, while open.
    trial_at: Instant,
    /// True while a trial is under way.
    on_trial: bool,
    /// Cause of the last failure.
    cause: String,
    /// State that was told last.
    told_open: bool,
}

/// A change that is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreChange {
    /// It is left alone, for this cause.
    Opened(String),
    /// It is asked again.
    Closed,
}

impl StoreBreaker {
    /// Makes a closed one.
    pub fn new(now: Instant) -> Self {
        Self {
            open: AtomicBool::new(false),
            machine: Mutex::new(Machine {
                backoff: RestartBackoff::default(),
                since: now,
                trial_at: now,
                on_trial: false,
                cause: String::new(),
                told_open: false,
            }),
        }
    }

    /// Returns true if the store may be asked; while it is open, for a trial only. The outcome of
    /// every call is to be told; a trial without one ends by itself after [`TRIAL_MAX`].
    pub fn may_ask(&self, now: Instant) -> bool {
        if !self.is_open() {
            return true;
        }
        let mut machine = self.lock();
        if now < machine.trial_at {
            return false;
        }
        machine.trial_at = now + TRIAL_MAX;
        machine.on_trial = true;
        true
    }

    /// Notes an answer of the store.
    pub fn answered(&self, now: Instant) {
        if !self.is_open() {
            return;
        }
        let mut machine = self.lock();
        // One that was sent before the failure says nothing about what is now.
        if machine.on_trial {
            machine.on_trial = false;
            machine.since = now;
            self.open.store(false, Ordering::Relaxed);
        }
    }

    /// Notes that the store failed.
    pub fn failed(&self, now: Instant, cause: impl FnOnce() -> String) {
        let mut machine = self.lock();
        let ran = if !self.is_open() {
            now.saturating_duration_since(machine.since)
        } else if machine.on_trial {
            Duration::ZERO
        } else {
            return;
        };
        if !self.is_open() {
            machine.since = now;
        }
        machine.on_trial = false;
        machine.cause = cause();
        machine.trial_at = now + machine.backoff.after(ran).min(WAIT_MAX);
        self.open.store(true, Ordering::Relaxed);
    }

    /// Returns true while the store is left alone.
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// Time for which the store has been left alone; none while it is asked.
    pub fn open_for(&self, now: Instant) -> Option<Duration> {
        let since = self.is_open().then(|| self.lock().since)?;
        Some(now.saturating_duration_since(since))
    }

    /// Cause of the last failure; none while closed.
    pub fn cause(&self) -> Option<String> {
        self.is_open().then(|| self.lock().cause.clone())
    }

    /// Returns the change since the last call, if any.
    pub fn change(&self) -> Option<StoreChange> {
        let mut machine = self.lock();
        let open = self.is_open();
        if open == machine.told_open {
            return None;
        }
        machine.told_open = open;
        Some(if open {
            StoreChange::Opened(machine.cause.clone())
        } else {
            StoreChange::Closed
        })
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Maximum time between trials.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Time after which a trial that nobody waits for any more is given to another call.
const TRIAL_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(breaker: &StoreBreaker, now: Instant) {
        breaker.failed(now, || "gone".to_owned());
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn one_failure_opens_it_and_one_trial_closes_it() {
        let start = Instant::now();
        let breaker = StoreBreaker::new(start);
        assert!(breaker.may_ask(start) && breaker.may_ask(start));
        failed(&breaker, start);
        // Those that were under way.
        failed(&breaker, start + ms(5));
        breaker.answered(start + ms(5));
        assert_eq!(breaker.change(), Some(StoreChange::Opened("gone".into())));
        assert!(!breaker.may_ask(start + ms(99)));
        assert!(breaker.may_ask(start + ms(100)));
        assert!(!breaker.may_ask(start + ms(101)), "one trial at a time");
        breaker.answered(start + ms(102));
        assert!(breaker.may_ask(start + ms(102)) && breaker.may_ask(start + ms(102)));
        assert_eq!(
            (breaker.change(), breaker.change()),
            (Some(StoreChange::Closed), None)
        );
    }

    #[test]
    fn the_time_between_trials_doubles_up_to_five_seconds_and_a_long_run_begins_anew() {
        let mut now = Instant::now();
        let breaker = StoreBreaker::new(now);
        failed(&breaker, now);
        let mut waits = Vec::new();
        for _ in 0..8 {
            let start = now;
            while !breaker.may_ask(now) {
                now += ms(100);
            }
            waits.push((now - start).as_millis());
            failed(&breaker, now);
        }
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        now += WAIT_MAX;
        assert!(breaker.may_ask(now));
        breaker.answered(now);
        // It fails again soon: no flapping.
        failed(&breaker, now + ms(10));
        assert!(!breaker.may_ask(now + ms(4000)) && breaker.may_ask(now + ms(5010)));
        breaker.answered(now + ms(5010));
        now += ms(60_000);
        failed(&breaker, now);
        assert!(!breaker.may_ask(now + ms(99)) && breaker.may_ask(now + ms(100)));
    }

    #[test]
    fn a_trial_that_nobody_waits_for_goes_to_another_call() {
        let start = Instant::now();
        let breaker = StoreBreaker::new(start);
        failed(&breaker, start);
        assert!(breaker.may_ask(start + ms(100)));
        assert!(!breaker.may_ask(start + ms(1000)) && breaker.may_ask(start + ms(1100)));
    }
}
