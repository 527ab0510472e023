//! Active checks of one endpoint: counts passes and failures (rise and fall); the first result
//! decides at once.

use tokio::time::Instant;

use super::probe::ProbeFailure;

/// Result of the active checks of one endpoint.
#[derive(Debug, Clone)]
pub(super) struct Check {
    verdict: CheckVerdict,
    /// Number of answers in a row that contradict the verdict.
    against: u32,
    /// Reason for the failure of the last check, while the verdict is `Unhealthy`.
    failure: Option<ProbeFailure>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CheckVerdict {
    /// The pool has no checks.
    Unasked,
    /// Waiting for the first answer until this time.
    Pending {
        until: Instant,
    },
    /// The wait is over: trusted until the first answer, which still decides alone.
    Assumed,
    Healthy,
    Unhealthy,
}

impl Check {
    pub(super) const fn new(verdict: CheckVerdict) -> Self {
        Self {
            verdict,
            against: 0,
            failure: None,
        }
    }

    pub(super) const fn verdict(&self) -> CheckVerdict {
        self.verdict
    }

    pub(super) const fn failure(&self) -> Option<&ProbeFailure> {
        self.failure.as_ref()
    }

    /// Returns true if the next check should be made soon.
    pub(super) const fn is_restless(&self) -> bool {
        self.against > 0 || !matches!(self.verdict, CheckVerdict::Healthy)
    }

    pub(super) fn passed(&mut self, rise: u32) {
        match self.verdict {
            CheckVerdict::Pending { .. } | CheckVerdict::Assumed | CheckVerdict::Unasked => {
                self.decide(CheckVerdict::Healthy);
            }
            CheckVerdict::Healthy => self.against = 0,
            CheckVerdict::Unhealthy => {
                self.against += 1;
                if self.against >= rise {
                    self.decide(CheckVerdict::Healthy);
                }
            }
        }
    }

    pub(super) fn failed(&mut self, fall: u32, failure: ProbeFailure) {
        match self.verdict {
            CheckVerdict::Pending { .. } | CheckVerdict::Assumed | CheckVerdict::Unasked => {
                self.decide(CheckVerdict::Unhealthy);
            }
            CheckVerdict::Unhealthy => self.against = 0,
            CheckVerdict::Healthy => {
                self.against += 1;
                if self.against >= fall {
                    self.decide(CheckVerdict::Unhealthy);
                }
            }
        }
        if self.verdict == CheckVerdict::Unhealthy {
            self.failure = Some(failure);
        }
    }

    /// Returns the time at which the verdict changes without a check.
    pub(super) const fn due(&self) -> Option<Instant> {
        match self.verdict {
            CheckVerdict::Pending { until } => Some(until),
            CheckVerdict::Unasked
            | CheckVerdict::Assumed
            | CheckVerdict::Healthy
            | CheckVerdict::Unhealthy => None,
        }
    }

    /// Trusts an endpoint whose first answer is late.
    pub(super) fn tick(&mut self, now: Instant) {
        if matches!(self.verdict, CheckVerdict::Pending { until } if until <= now) {
            self.verdict = CheckVerdict::Assumed;
        }
    }

    /// Applies a reload that turns checks on or off. Turning them on does not doubt an endpoint
    /// that serves.
    pub(super) fn asked(&mut self, checks: bool) {
        match (checks, self.verdict) {
            (false, _) => self.decide(CheckVerdict::Unasked),
            (true, CheckVerdict::Unasked) => self.decide(CheckVerdict::Healthy),
            (true, _) => {}
        }
    }

    fn decide(&mut self, verdict: CheckVerdict) {
        *self = Self::new(verdict);
    }
}
