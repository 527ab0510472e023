//! What the active checks of one endpoint say: rise and fall counted, the first answer taken at once.

use tokio::time::Instant;

use super::probe::ProbeFailure;

/// The checks' opinion of one endpoint.
#[derive(Debug, Clone)]
pub(super) struct Check {
    verdict: Verdict,
    /// Answers in a row that contradict the verdict.
    against: u32,
    /// Why the last check failed, while the verdict is `Unhealthy`.
    failure: Option<ProbeFailure>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The pool has no checks.
    Unasked,
    /// Waiting for the first answer until then.
    Pending {
        until: Instant,
    },
    /// Waited long enough: trusted until the first answer, which still decides alone.
    Assumed,
    Healthy,
    Unhealthy,
}

impl Check {
    pub(super) const fn new(verdict: Verdict) -> Self {
        Self {
            verdict,
            against: 0,
            failure: None,
        }
    }

    pub(super) const fn verdict(&self) -> Verdict {
        self.verdict
    }

    pub(super) const fn failure(&self) -> Option<&ProbeFailure> {
        self.failure.as_ref()
    }

    /// Whether the next answer should be asked for soon.
    pub(super) const fn is_restless(&self) -> bool {
        self.against > 0 || !matches!(self.verdict, Verdict::Healthy)
    }

    pub(super) fn passed(&mut self, rise: u32) {
        match self.verdict {
            Verdict::Pending { .. } | Verdict::Assumed | Verdict::Unasked => {
                self.decide(Verdict::Healthy);
            }
            Verdict::Healthy => self.against = 0,
            Verdict::Unhealthy => {
                self.against += 1;
                if self.against >= rise {
                    self.decide(Verdict::Healthy);
                }
            }
        }
    }

    pub(super) fn failed(&mut self, fall: u32, failure: ProbeFailure) {
        match self.verdict {
            Verdict::Pending { .. } | Verdict::Assumed | Verdict::Unasked => {
                self.decide(Verdict::Unhealthy);
            }
            Verdict::Unhealthy => self.against = 0,
            Verdict::Healthy => {
                self.against += 1;
                if self.against >= fall {
                    self.decide(Verdict::Unhealthy);
                }
            }
        }
        if self.verdict == Verdict::Unhealthy {
            self.failure = Some(failure);
        }
    }

    /// When time alone changes the verdict.
    pub(super) const fn due(&self) -> Option<Instant> {
        match self.verdict {
            Verdict::Pending { until } => Some(until),
            Verdict::Unasked | Verdict::Assumed | Verdict::Healthy | Verdict::Unhealthy => None,
        }
    }

    /// Trusts an endpoint whose first answer is late.
    pub(super) fn tick(&mut self, now: Instant) {
        if matches!(self.verdict, Verdict::Pending { until } if until <= now) {
            self.verdict = Verdict::Assumed;
        }
    }

    /// Follows checks being turned on or off by a reload. Turning them on does not doubt an endpoint that serves.
    pub(super) fn asked(&mut self, checks: bool) {
        match (checks, self.verdict) {
            (false, _) => self.decide(Verdict::Unasked),
            (true, Verdict::Unasked) => self.decide(Verdict::Healthy),
            (true, _) => {}
        }
    }

    fn decide(&mut self, verdict: Verdict) {
        *self = Self::new(verdict);
    }
}
