//! The rule of a breaker: closed, open, half-open. Pure; the clock is passed in.

use std::{fmt, ops::Add, time::Duration};

use tokio::time::Instant;

use crate::resilience::Window;

/// Settings of a breaker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerSettings {
    /// Share of failed calls in the window that opens it.
    pub failure_ratio: f64,
    /// Calls in the window from which on the share counts.
    pub volume_min: u32,
    /// Length of the window.
    pub window: Duration,
    /// Time that it stays open before a trial.
    pub open: Duration,
    /// Failed calls in a row that open it; 0: not used.
    pub consecutive: u32,
    /// A call whose answer takes as long counts as failed; none: time does not matter.
    pub slow: Option<Duration>,
}

/// State of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// Passes all calls.
    Closed,
    /// Refuses all calls.
    Open,
    /// Passes one call at a time, which decides.
    HalfOpen,
}

impl BreakerState {
    /// The word of this state in metrics, logs and the API.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Calls to the endpoints of the pool that said something of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Those that went well.
    pub good: u64,
    /// Those without an answer, or with one that speaks of trouble.
    pub failed: u64,
    /// Those that went well otherwise, and took too long.
    pub slow: u64,
}

impl Calls {
    /// All of them.
    pub const fn total(self) -> u64 {
        self.good.saturating_add(self.bad())
    }

    /// Those that count against the pool.
    pub const fn bad(self) -> u64 {
        self.failed.saturating_add(self.slow)
    }

    fn exceed(self, settings: &BreakerSettings) -> bool {
        let total = self.total();
        let enough = total > 0 && total >= u64::from(settings.volume_min);
        enough && self.bad() > 0 && self.bad() as f64 / total as f64 >= settings.failure_ratio
    }
}

impl Add for Calls {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            good: self.good.saturating_add(other.good),
            failed: self.failed.saturating_add(other.failed),
            slow: self.slow.saturating_add(other.slow),
        }
    }
}

/// Cause of a change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerCause {
    /// So many calls in a row failed.
    Consecutive(u32),
    /// The share of failed calls in the window was too large.
    Ratio(Calls),
    /// It was open for its time.
    OpenOver,
    /// The trial went well.
    TrialPassed,
    /// The trial failed.
    TrialFailed,
    /// The breaker was turned off.
    Settings,
    /// The process before an upgrade had it open.
    Carried,
}

impl fmt::Display for BreakerCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Consecutive(count) => write!(f, "{count} calls in a row failed"),
            Self::Ratio(calls) => {
                write!(f, "{} of {} calls failed", calls.bad(), calls.total())?;
                match calls.slow {
                    0 => Ok(()),
                    slow => write!(f, ", {slow} by being slow"),
                }
            }
            Self::OpenOver => f.write_str("open for its time"),
            Self::TrialPassed => f.write_str("trial passed"),
            Self::TrialFailed => f.write_str("trial failed"),
            Self::Settings => f.write_str("turned off"),
            Self::Carried => f.write_str("open in the process before"),
        }
    }
}

/// One change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerChange {
    /// State before.
    pub from: BreakerState,
    /// State now.
    pub to: BreakerState,
    /// Cause.
    pub cause: BreakerCause,
}

/// The answer to a call that wants to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Go on.
    Pass,
    /// Go on, and decide: the trial of this number.
    Trial(u64),
    /// Do not go on; asking again before this time is in vain.
    Refused(Instant),
}

/// The machine of one breaker.
#[derive(Clone, Debug)]
pub struct Machine {
    settings: BreakerSettings,
    phase: Phase,
    window: Window<Calls>,
    cause: Option<BreakerCause>,
    since: Instant,
    trials: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed,
    Open { until: Instant },
    HalfOpen { trial: Option<TrialCall> },
}

/// The call that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TrialCall {
    number: u64,
    /// Time at which another call may take its place.
    until: Instant,
}

impl Machine {
    /// A closed breaker that has seen nothing.
    pub fn new(settings: BreakerSettings, now: Instant) -> Self {
        Self {
            window: Window::new(settings.window, now),
            settings,
            phase: Phase::Closed,
            cause: None,
            since: now,
            trials: 0,
        }
    }

    /// State now.
    pub const fn state(&self) -> BreakerState {
        match self.phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Open { .. } => BreakerState::Open,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Cause of its state; none before the first change.
    pub const fn cause(&self) -> Option<BreakerCause> {
        self.cause
    }

    /// Time of the last change of state.
    pub const fn since(&self) -> Instant {
        self.since
    }

    /// Time before which every call is refused; none: not every one is.
    pub const fn refuses_until(&self) -> Option<Instant> {
        match self.phase {
            Phase::Open { until } => Some(until),
            Phase::HalfOpen { trial: Some(trial) } => Some(trial.until),
            Phase::Closed | Phase::HalfOpen { trial: None } => None,
        }
    }

    /// Calls in the window.
    pub fn window(&self, now: Instant) -> Calls {
        self.window.figures(now)
    }

    /// Follows other settings. The state stays; an open time that became shorter ends sooner.
    pub fn replace_settings(&mut self, settings: BreakerSettings, now: Instant) {
        if self.settings.window != settings.window {
            let calls = self.window.figures(now);
            self.window = Window::new(settings.window, now);
            self.window.add(calls, now);
        }
        if let Phase::Open { until } = &mut self.phase {
            *until = (*until).min(later(now, settings.open));
        }
        self.settings = settings;
    }

    /// Takes the outcomes of calls since the last time; `run` is how many in a row failed up to now.
    /// Only while closed do they decide.
    pub fn calls(&mut self, calls: Calls, run: u32, now: Instant) -> Option<BreakerChange> {
        if self.phase != Phase::Closed {
            return None;
        }
        self.window.add(calls, now);
        let consecutive = self.settings.consecutive;
        let figures = self.window.figures(now);
        let cause = if consecutive > 0 && run >= consecutive {
            BreakerCause::Consecutive(run)
        } else if figures.exceed(&self.settings) {
            BreakerCause::Ratio(figures)
        } else {
            return None;
        };
        Some(self.open(cause, now))
    }

    /// A call wants to go on.
    pub fn ask(&mut self, now: Instant) -> (Admission, Option<BreakerChange>) {
        let change = self.tick(now);
        let admission = match &mut self.phase {
            Phase::Closed => Admission::Pass,
            Phase::Open { until } => Admission::Refused(*until),
            Phase::HalfOpen { trial: Some(trial) } if now < trial.until => {
                Admission::Refused(trial.until)
            }
            // Nobody has it, or it has said nothing for too long.
            Phase::HalfOpen { trial } => {
                self.trials += 1;
                *trial = Some(TrialCall {
                    number: self.trials,
                    until: later(now, self.settings.open),
                });
                Admission::Trial(self.trials)
            }
        };
        (admission, change)
    }

    /// The trial of this number came back. One that another has taken the place of decides nothing.
    pub fn trial_ended(
        &mut self,
        number: u64,
        passed: bool,
        now: Instant,
    ) -> Option<BreakerChange> {
        if !self.is_trial(number) {
            return None;
        }
        Some(if passed {
            self.window.clear();
            self.change(Phase::Closed, BreakerCause::TrialPassed, now)
        } else {
            self.open(BreakerCause::TrialFailed, now)
        })
    }

    /// The trial of this number ended without saying anything of the endpoints: the next call is
    /// the trial.
    pub fn trial_given_up(&mut self, number: u64) {
        if self.is_trial(number) {
            self.phase = Phase::HalfOpen { trial: None };
        }
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: Instant) -> Option<BreakerChange> {
        match self.phase {
            Phase::Open { until } if now >= until => {
                let phase = Phase::HalfOpen { trial: None };
                Some(self.change(phase, BreakerCause::OpenOver, now))
            }
            _ => None,
        }
    }

    /// Opens for what is left of the open time of another process.
    pub fn take_over(&mut self, left: Duration, now: Instant) -> BreakerChange {
        let until = later(now, left.min(self.settings.open));
        self.change(Phase::Open { until }, BreakerCause::Carried, now)
    }

    fn is_trial(&self, number: u64) -> bool {
        matches!(self.phase, Phase::HalfOpen { trial: Some(trial) } if trial.number == number)
    }

    fn open(&mut self, cause: BreakerCause, now: Instant) -> BreakerChange {
        self.window.clear();
        let until = later(now, self.settings.open);
        self.change(Phase::Open { until }, cause, now)
    }

    fn change(&mut self, phase: Phase, cause: BreakerCause, now: Instant) -> BreakerChange {
        let from = self.state();
        self.phase = phase;
        self.cause = Some(cause);
        self.since = now;
        BreakerChange {
            from,
            to: self.state(),
            cause,
        }
    }
}

/// Adds without overflow: a length from a configuration may be absurd.
fn later(now: Instant, length: Duration) -> Instant {
    now.checked_add(length).unwrap_or_else(|| now + FAR)
}

/// Ten years; longer than a process lives.
const FAR: Duration = Duration::from_secs(10 * 365 * 86_400);
