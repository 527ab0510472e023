//! The breaker of a pool: after too many failed calls none are made for a while.
//!
//! [`Machine`] is the rule. [`Breaker`] is its state by the pool's identity, shared by all workers:
//! while it is closed a call reads one word that is written only when the state changes, and counts
//! its outcome on a line of its worker's own. The lock is taken when a call failed, for a trial and
//! by the tick of control.

mod counts;
mod machine;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use self::counts::{Counts, Totals};
use crate::memory::Padded;

pub use counts::CallOutcome;
pub use machine::{
    Admission, BreakerCause, BreakerChange, BreakerSettings, BreakerState, Calls, Machine,
};

/// The breaker of one pool; outlives reloads.
#[derive(Debug)]
pub struct Breaker {
    /// The number of the state and, in its low bits, which one it is. Nothing else is on its line.
    gate: Padded<AtomicU64>,
    /// Time before which all calls are refused, in nanoseconds since `origin`.
    refuses_until: AtomicU64,
    origin: Instant,
    /// Failed calls in a row.
    run: Padded<AtomicU32>,
    /// By worker, each written by that worker alone.
    counts: Box<[Padded<Counts>]>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// None while the pool has no breaker.
    machine: Option<Machine>,
    /// Part of the counts that the machine has seen.
    seen: Totals,
    /// Since the last tick, at most [`UNREPORTED_MAX`].
    unreported: Vec<BreakerChange>,
}

/// The leave to make one call. Dropped without an outcome it says nothing; a trial is given back
/// then, and the next call is the trial.
#[derive(Debug, Default)]
pub struct Permit {
    /// The gate when it was given; 0 where there is no breaker.
    gate: u64,
    trial: Option<Box<Trial>>,
}

#[derive(Debug)]
struct Trial {
    breaker: Arc<Breaker>,
    number: u64,
}

/// A breaker as the admin API shows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerView {
    /// State now.
    pub state: BreakerState,
    /// Cause of it; none before the first change.
    pub cause: Option<BreakerCause>,
    /// Time in that state.
    pub lasted: Duration,
    /// Time until it lets a trial through.
    pub left: Option<Duration>,
    /// Calls in the window.
    pub calls: Calls,
}

/// A breaker that refuses calls, for the next process of an upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarriedBreaker {
    /// Time before a trial, in milliseconds.
    refuses_for_ms: u64,
}

impl Breaker {
    /// The breaker of a pool that was not there before, turned off; for so many workers.
    pub fn new(workers: usize, now: Instant) -> Self {
        Self {
            gate: Padded(AtomicU64::new(FIRST_GATE)),
            refuses_until: AtomicU64::new(0),
            origin: now,
            run: Padded::default(),
            counts: (0..workers).map(|_| Padded::default()).collect(),
            inner: Mutex::default(),
        }
    }

    /// Follows the settings of a new configuration; the state stays. None turns it off.
    pub fn set(&self, settings: Option<&BreakerSettings>, now: Instant) {
        let mut inner = self.lock();
        match (&mut inner.machine, settings) {
            (Some(machine), Some(settings)) => machine.replace_settings(*settings, now),
            (None, Some(settings)) => {
                inner.seen = self.totals();
                self.run.0.store(0, Relaxed);
                inner.machine = Some(Machine::new(*settings, now));
            }
            (Some(machine), None) => {
                let from = machine.state();
                inner.machine = None;
                if from != BreakerState::Closed {
                    inner.report(BreakerChange {
                        from,
                        to: BreakerState::Closed,
                        cause: BreakerCause::Settings,
                    });
                }
            }
            (None, None) => return,
        }
        self.publish(&inner);
    }

    /// Returns its state for the next process; none while it is closed or turned off.
    pub fn carried(&self, now: Instant) -> Option<CarriedBreaker> {
        let inner = self.lock();
        let machine = inner.machine.as_ref()?;
        if machine.state() == BreakerState::Closed {
            return None;
        }
        let until = machine.refuses_until();
        let left = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        let refuses_for_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        Some(CarriedBreaker { refuses_for_ms })
    }

    /// Goes on where another process was: it refuses calls for that time, then there is a trial.
    pub fn take_over(&self, carried: CarriedBreaker, now: Instant) {
        let mut inner = self.lock();
        let left = Duration::from_millis(carried.refuses_for_ms);
        let change = inner.machine.as_mut().map(|it| it.take_over(left, now));
        inner.unreported(change);
        self.publish(&inner);
    }

    /// Asks for leave to make a call.
    ///
    /// # Errors
    /// The time for which it is in vain to ask again.
    pub fn admit(self: &Arc<Self>, now: Instant) -> Result<Permit, Duration> {
        let gate = self.gate.0.load(Relaxed);
        if gate & STATE == CLOSED {
            return Ok(Permit { gate, trial: None });
        }
        self.admit_to_trial(now)
    }

    #[cold]
    fn admit_to_trial(self: &Arc<Self>, now: Instant) -> Result<Permit, Duration> {
        if let Some(left) = self.refuses(now) {
            return Err(left);
        }
        let mut inner = self.lock();
        let Some(machine) = &mut inner.machine else {
            return Ok(Permit::default());
        };
        let (admission, change) = machine.ask(now);
        inner.unreported(change);
        self.publish(&inner);
        let gate = self.gate.0.load(Relaxed);
        drop(inner);
        match admission {
            Admission::Pass => Ok(Permit { gate, trial: None }),
            Admission::Refused(until) => Err(until.saturating_duration_since(now)),
            Admission::Trial(number) => {
                let breaker = Arc::clone(self);
                let trial = Some(Box::new(Trial { breaker, number }));
                Ok(Permit { gate, trial })
            }
        }
    }

    /// Returns the time for which all calls are refused; none if one may be made. Takes no lock.
    pub fn refuses(&self, now: Instant) -> Option<Duration> {
        if self.gate.0.load(Relaxed) & STATE == CLOSED {
            return None;
        }
        let until = Duration::from_nanos(self.refuses_until.load(Relaxed));
        let left = until.saturating_sub(now.saturating_duration_since(self.origin));
        (!left.is_zero()).then_some(left)
    }

    /// Notes what a call came to. One that began under another state says nothing any more.
    pub fn observe(&self, worker: usize, permit: &mut Permit, outcome: CallOutcome, now: Instant) {
        match permit.trial.take() {
            Some(trial) if self.holds(permit) => {
                self.trial_ended(&trial, outcome == CallOutcome::Good, now);
            }
            Some(_) => {}
            None => self.observe_end(worker, permit, outcome, now),
        }
    }

    /// Notes what the end of an answer says of a call that is no trial.
    pub fn observe_end(&self, worker: usize, permit: &Permit, outcome: CallOutcome, now: Instant) {
        if !self.holds(permit) {
            return;
        }
        if let Some(Padded(counts)) = self.counts.get(worker) {
            counts.bump(outcome);
        }
        if outcome != CallOutcome::Good {
            self.run.0.fetch_add(1, Relaxed);
            self.judge(now);
        } else if self.run.0.load(Relaxed) != 0 {
            self.run.0.store(0, Relaxed);
        }
    }

    /// Lets time pass, and returns the changes since the last time.
    pub fn tick(&self, now: Instant) -> Vec<BreakerChange> {
        let mut inner = self.lock();
        self.hear(&mut inner, now);
        let change = inner.machine.as_mut().and_then(|machine| machine.tick(now));
        inner.unreported(change);
        if change.is_some() {
            self.publish(&inner);
        }
        std::mem::take(&mut inner.unreported)
    }

    /// The breaker as it is now; none while it is turned off.
    pub fn view(&self, now: Instant) -> Option<BreakerView> {
        let inner = self.lock();
        let machine = inner.machine.as_ref()?;
        let left = machine.refuses_until();
        Some(BreakerView {
            state: machine.state(),
            cause: machine.cause(),
            lasted: now.saturating_duration_since(machine.since()),
            left: left.map(|until| until.saturating_duration_since(now)),
            calls: machine.window(now),
        })
    }

    /// Returns true if the state is the one under which the call began.
    fn holds(&self, permit: &Permit) -> bool {
        permit.gate == self.gate.0.load(Relaxed)
    }

    /// A call failed: the breaker opens before the next one is made. Where another call is just
    /// being judged, the next one or the tick judges this one too.
    #[cold]
    fn judge(&self, now: Instant) {
        let mut inner = match self.inner.try_lock() {
            Ok(inner) => inner,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        self.hear(&mut inner, now);
    }

    /// Tells the machine what workers observed since the last time.
    fn hear(&self, inner: &mut Inner, now: Instant) {
        let totals = self.totals();
        let calls = totals.since(inner.seen);
        inner.seen = totals;
        let run = self.run.0.load(Relaxed);
        let change = inner.machine.as_mut();
        let change = change.and_then(|machine| machine.calls(calls, run, now));
        inner.unreported(change);
        if change.is_some() {
            self.publish(inner);
        }
    }

    fn trial_ended(&self, trial: &Trial, passed: bool, now: Instant) {
        let mut inner = self.lock();
        let change = inner.machine.as_mut();
        let change = change.and_then(|machine| machine.trial_ended(trial.number, passed, now));
        if change.is_some() {
            // What calls of before have counted meanwhile is of no interest.
            inner.seen = self.totals();
            self.run.0.store(0, Relaxed);
            inner.unreported(change);
            self.publish(&inner);
        }
    }

    /// Brings what calls read in line with the machine.
    fn publish(&self, inner: &Inner) {
        let machine = inner.machine.as_ref();
        let until = machine.and_then(Machine::refuses_until);
        let until = until.map_or(Duration::ZERO, |until| {
            until.saturating_duration_since(self.origin)
        });
        let until_ns = u64::try_from(until.as_nanos()).unwrap_or(u64::MAX);
        self.refuses_until.store(until_ns, Relaxed);
        let state = match machine.map_or(BreakerState::Closed, Machine::state) {
            BreakerState::Closed => CLOSED,
            BreakerState::Open => OPEN,
            BreakerState::HalfOpen => HALF_OPEN,
        };
        let gate = self.gate.0.load(Relaxed);
        if gate & STATE != state {
            let number = (gate & !STATE).wrapping_add(NUMBER_STEP).max(NUMBER_STEP);
            self.gate.0.store(number | state, Relaxed);
        }
    }

    fn totals(&self) -> Totals {
        let own = self.counts.iter().map(|counts| counts.0.totals());
        own.fold(Totals::default(), Totals::plus)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere left at worst one change half told.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn unreported(&mut self, change: Option<BreakerChange>) {
        if let Some(change) = change {
            self.report(change);
        }
    }

    fn report(&mut self, change: BreakerChange) {
        if self.unreported.len() < UNREPORTED_MAX {
            self.unreported.push(change);
        }
    }
}

impl Permit {
    /// Returns true if there is a breaker that wants to hear of the outcome.
    pub fn is_watched(&self) -> bool {
        self.gate != 0
    }

    /// Returns true if this call decides on the state.
    pub fn is_trial(&self) -> bool {
        self.trial.is_some()
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let mut inner = self.breaker.lock();
        if let Some(machine) = &mut inner.machine {
            // Nothing, if it has decided.
            machine.trial_given_up(self.number);
            self.breaker.publish(&inner);
        }
    }
}

const STATE: u64 = 0b11;
const CLOSED: u64 = 0;
const OPEN: u64 = 1;
const HALF_OPEN: u64 = 2;
const NUMBER_STEP: u64 = 4;
/// Never 0, which stands for no breaker.
const FIRST_GATE: u64 = NUMBER_STEP;
/// Changes kept between two ticks; more only if ticks stopped.
const UNREPORTED_MAX: usize = 64;

#[cfg(test)]
mod tests;
