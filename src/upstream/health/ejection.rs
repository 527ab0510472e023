//! Passive ejection of one endpoint: out for a growing time, then on probation, until a request,
//! other answers or a check readmit it.
//!
//! Whether an endpoint may be ejected depends on the others and is decided by the pool's machine.

use std::time::Duration;

use tokio::time::Instant;

use super::{machine::CarriedEjection, settings::EjectionSettings};

/// Ejection of one endpoint: its state, its count and its end.
#[derive(Debug, Clone)]
pub(super) struct Ejection {
    phase: Phase,
    /// Number of ejections not yet forgiven; the next one lasts one `base` longer.
    times: u32,
    /// Time since when it has behaved well, or of the last forgiven ejection.
    good_since: Instant,
    /// Time until which a withheld ejection is not reported again.
    withheld_until: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not ejected.
    In,
    Out {
        since: Instant,
        until: Instant,
    },
    /// On probation: one request decides.
    Probation {
        since: Instant,
        /// It has waited long enough for a request that may be repeated.
        overdue: bool,
    },
}

impl Ejection {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            phase: Phase::In,
            times: 0,
            good_since: now,
            withheld_until: None,
        }
    }

    pub(super) const fn phase(&self) -> Phase {
        self.phase
    }

    pub(super) const fn times(&self) -> u32 {
        self.times
    }

    /// Returns the state for another process.
    pub(super) fn carried(&self, now: Instant) -> Option<CarriedEjection> {
        let left = match self.phase {
            Phase::In => None,
            Phase::Out { until, .. } => Some(until.saturating_duration_since(now)),
            Phase::Probation { .. } => Some(Duration::ZERO),
        };
        (left.is_some() || self.times > 0).then(|| CarriedEjection {
            times: self.times,
            left_ms: left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
        })
    }

    /// Goes on with what another process knew.
    pub(super) fn take_over(&mut self, carried: CarriedEjection, now: Instant) {
        self.times = carried.times;
        self.phase = match carried.left_ms {
            None => Phase::In,
            Some(0) => Phase::probation(now),
            Some(left) => Phase::Out {
                since: now,
                until: later(now, Duration::from_millis(left)),
            },
        };
    }

    /// Returns the part shown in a picture.
    pub(super) const fn shown(&self) -> (Phase, u32) {
        (self.phase, self.times)
    }

    pub(super) fn eject(&mut self, settings: &EjectionSettings, now: Instant) {
        self.times = self.times.saturating_add(1);
        let length = settings.base.saturating_mul(self.times).min(settings.max);
        self.phase = Phase::Out {
            since: now,
            until: later(now, length),
        };
        self.withheld_until = None;
    }

    /// Notes that an ejection was due and did not happen; returns true if that must be reported.
    pub(super) fn withhold(&mut self, settings: &EjectionSettings, now: Instant) -> bool {
        let news = self.withheld_until.is_none_or(|until| until <= now);
        self.withheld_until = Some(later(now, settings.interval));
        self.good_since = now;
        news
    }

    /// Readmits it; past ejections are remembered in `times`.
    pub(super) fn readmit(&mut self, now: Instant) {
        self.phase = Phase::In;
        self.good_since = now;
    }

    /// Ends the ejection, if the check that passed began after it.
    pub(super) fn cut_short(&mut self, check_began: Instant, now: Instant) {
        if matches!(self.phase, Phase::Out { since, .. } if check_began >= since) {
            self.phase = Phase::probation(now);
        }
    }

    /// Returns true if it is on probation, and evidence from this time on readmits it.
    pub(super) fn is_vouched_for(&self, began: Instant) -> bool {
        matches!(self.phase, Phase::Probation { since, .. } if began >= since)
    }

    /// Returns the time of the next change without outcomes.
    pub(super) fn due(&self, settings: &EjectionSettings) -> Option<Instant> {
        match self.phase {
            Phase::Out { until, .. } => Some(until),
            Phase::Probation { overdue: true, .. } => None,
            Phase::Probation { since, .. } => Some(later(since, patience(settings))),
            Phase::In if self.times > 0 => Some(later(self.good_since, interval(settings))),
            Phase::In => None,
        }
    }

    /// Ends an ejection whose time is over, and forgives one for each interval in service.
    pub(super) fn tick(&mut self, settings: &EjectionSettings, now: Instant) {
        match self.phase {
            Phase::Out { until, .. } if until <= now => self.phase = Phase::probation(now),
            Phase::Probation { since, overdue } => {
                self.phase = Phase::Probation {
                    since,
                    overdue: overdue || later(since, patience(settings)) <= now,
                };
            }
            Phase::In if self.times > 0 => {
                let interval = interval(settings);
                while self.times > 0 && now.saturating_duration_since(self.good_since) >= interval {
                    self.times -= 1;
                    self.good_since += interval;
                }
            }
            Phase::In | Phase::Out { .. } => {}
        }
    }
}

impl Phase {
    const fn probation(now: Instant) -> Self {
        Self::Probation {
            since: now,
            overdue: false,
        }
    }
}

/// Time during which only requests that may be repeated are used as the trial.
fn patience(settings: &EjectionSettings) -> Duration {
    settings.base.min(PATIENCE_MAX)
}

/// Time in service after which one ejection is forgiven.
fn interval(settings: &EjectionSettings) -> Duration {
    settings.interval.max(Duration::from_millis(1))
}

/// Adds without overflow: a configured duration may be huge.
pub(super) fn later(now: Instant, length: Duration) -> Instant {
    now.checked_add(length).unwrap_or_else(|| now + FAR)
}

/// Maximum time (or `base` if that is shorter) that a trial is left to requests that may be
/// repeated: if it fails, their clients do not notice.
const PATIENCE_MAX: Duration = Duration::from_secs(5);
/// Ten years: longer than a process lives.
const FAR: Duration = Duration::from_secs(10 * 365 * 86_400);
