//! Gate of a rollout: what the figures of both versions say about a step.

use std::fmt;

use super::{
    latency::{Latencies, LatencyLimit, RunningQuantile},
    proof::Proof,
    statistics::{Counts, Evidence},
};

/// Conditions of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// Requests of the candidate that a step needs.
    pub volume_min: u64,
    /// Maximum share of failures of the candidate.
    pub error_ratio_max: Option<f64>,
    /// Maximum by which it may exceed that of the baseline.
    pub error_increase_max: f64,
    /// Limit on latency.
    pub latency: Option<LatencyLimit>,
    /// Maximum share of answers to copies that differ from the baseline's.
    pub shadow_mismatch_max: Option<f64>,
    /// True if a step needs proof that the candidate is not worse by `error_increase_max`.
    pub proof: bool,
    /// True if only the first request of each user in a step counts.
    pub by_user: bool,
    /// One minus the chance of ever rolling back a version that is no worse.
    pub confidence: f64,
}

/// Requests of one version.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Outcomes.
    pub counts: Counts,
    /// Time to the response head of those that did not fail.
    pub latencies: Latencies,
}

/// Requests of both versions at the same time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    /// The old version.
    pub baseline: Sample,
    /// The new version.
    pub candidate: Sample,
}

/// Knowledge of both versions.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// Evidence that the candidate fails more often.
    pub errors: Evidence,
    /// Evidence that it fails no more often than is allowed.
    pub proof: Proof,
    /// Evidence that it is slower.
    pub slow: Evidence,
    /// Evidence that more of its answers differ than allowed.
    pub differs: Evidence,
    /// Answers to copies that were compared in the whole rollout.
    pub shadow: Counts,
    /// Requests of the present step.
    pub step: Samples,
    /// Requests of the whole rollout.
    pub all: Samples,
    quantile: RunningQuantile,
}

/// Result of looking at the figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// The step may end.
    Pass,
    /// The step may not end yet.
    Wait(Doubt),
    /// The candidate is worse.
    Worse(Fault),
}

/// Reasons why a step may not end yet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Doubt {
    /// Too few requests of the candidate.
    Volume(u64, u64),
    /// Too many of its requests fail.
    ErrorRatio(f64, f64),
    /// More of them fail than the baseline's, by more than is allowed.
    Increase(f64, f64),
    /// It is slower than is allowed.
    Slow(f64, f64),
    /// It is not proved yet that it is not worse by this: share of the evidence needed, and that
    /// increase.
    Unproved(f64, f64),
    /// Too few answers to copies were compared.
    Compared(u64),
    /// Too many of them differ.
    Differs(f64, f64),
}

/// Reasons why a candidate is worse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// More of its requests fail: its ratio and the baseline's.
    Errors(f64, f64),
    /// It is slower: the observed quantiles in milliseconds, its own first.
    Slow(f64, f64),
    /// More of its answers to copies differ than allowed: their share, and that limit.
    Differs(f64, f64),
}

impl Gate {
    /// Chance of a false alarm that each test has: all of them share the one that is allowed.
    pub fn alpha(&self) -> f64 {
        let tests = [
            true,
            self.latency.is_some(),
            self.shadow_mismatch_max.is_some(),
        ];
        let count = tests.into_iter().map(u32::from).sum::<u32>();
        (1.0 - self.confidence) / f64::from(count)
    }
}

impl Sample {
    fn add(&mut self, other: &Self) {
        self.counts.add(other.counts);
        self.latencies.add(&other.latencies);
    }

    fn since(&self, earlier: &Self) -> Self {
        Self {
            counts: self.counts.since(earlier.counts),
            latencies: self.latencies.since(&earlier.latencies),
        }
    }
}

impl Samples {
    /// Adds others.
    pub(super) fn add(&mut self, other: &Self) {
        self.baseline.add(&other.baseline);
        self.candidate.add(&other.candidate);
    }

    /// Returns what came on top of earlier sums.
    #[must_use]
    pub(super) fn since(&self, earlier: &Self) -> Self {
        Self {
            baseline: self.baseline.since(&earlier.baseline),
            candidate: self.candidate.since(&earlier.candidate),
        }
    }
}

impl Comparison {
    /// Learns from requests of the baseline while no candidate runs.
    pub fn learn(&mut self, baseline: &Sample) {
        self.errors.learn(baseline.counts);
        self.quantile.learn(&baseline.latencies);
    }

    /// Learns the latencies of the baseline that were compared before.
    pub(super) fn know(&mut self, baseline: &Latencies) {
        self.quantile.learn(baseline);
    }

    /// Takes the requests of a tick into account; `alone` if the candidate has all users.
    pub fn add(&mut self, gate: &Gate, tick: &Samples, alone: bool) {
        self.step.add(tick);
        self.all.add(tick);
        let (baseline, candidate) = (&tick.baseline, &tick.candidate);
        if alone {
            let known = self.errors.baseline_rate();
            let allowed = known + gate.error_increase_max;
            let limit = gate.error_ratio_max.map_or(allowed, |max| max.max(known));
            self.errors.add_alone(candidate.counts, limit);
            return;
        }
        if gate.proof {
            let (rate, increase) = (self.errors.baseline_rate(), gate.error_increase_max);
            self.proof
                .add(baseline.counts, candidate.counts, rate, increase);
        }
        self.errors.add(baseline.counts, candidate.counts);
        if let Some(limit) = &gate.latency {
            let slow = self
                .quantile
                .slow(limit, &baseline.latencies, &candidate.latencies);
            if let Some((baseline, candidate)) = slow {
                self.slow.add(baseline, candidate);
            }
        }
        self.quantile.learn(&baseline.latencies);
    }

    /// Takes the answers to copies of a tick into account.
    pub fn add_compared(&mut self, gate: &Gate, compared: Counts) {
        if let Some(max) = gate.shadow_mismatch_max {
            self.shadow.add(compared);
            self.differs.add_alone(compared, max);
        }
    }

    /// Takes the requests of a tick into the figures, and judges nothing.
    pub fn count(&mut self, tick: &Samples) {
        self.step.add(tick);
        self.all.add(tick);
    }

    /// Begins a rollout: there are no figures and no evidence, and what was learned of the baseline
    /// stays.
    pub fn begin(&mut self) {
        self.errors.begin();
        self.proof = Proof::default();
        self.slow.begin();
        self.differs.begin();
        self.shadow = Counts::default();
        self.step = Samples::default();
        self.all = Samples::default();
    }

    /// Begins a step: its figures start at 0, and the evidence goes on.
    pub fn begin_step(&mut self) {
        self.step = Samples::default();
    }

    /// Judges the candidate.
    pub fn verdict(&self, gate: &Gate) -> Verdict {
        if let Some(fault) = self.fault(gate) {
            return Verdict::Worse(fault);
        }
        let (baseline, candidate) = (&self.step.baseline, &self.step.candidate);
        if candidate.counts.total < gate.volume_min {
            return Verdict::Wait(Doubt::Volume(candidate.counts.total, gate.volume_min));
        }
        let own = candidate.counts.ratio().unwrap_or(0.0);
        if let Some(max) = gate.error_ratio_max.filter(|max| own > *max) {
            return Verdict::Wait(Doubt::ErrorRatio(own, max));
        }
        let known = self.errors.baseline_rate();
        if gate.proof {
            let share = self.proof.share(1.0 - gate.confidence);
            if share < 1.0 {
                return Verdict::Wait(Doubt::Unproved(share, gate.error_increase_max));
            }
        }
        let increase = own - baseline.counts.ratio().unwrap_or(known);
        if !gate.proof && increase > gate.error_increase_max {
            return Verdict::Wait(Doubt::Increase(increase, gate.error_increase_max));
        }
        if let Some(limit) = &gate.latency
            && let Some((own, other)) = self.quantiles(limit)
            && own > other * limit.ratio_max * BUCKET_ERROR
        {
            return Verdict::Wait(Doubt::Slow(own / other, limit.ratio_max));
        }
        if let Some(max) = gate.shadow_mismatch_max {
            let ratio = self.shadow.ratio().unwrap_or(0.0);
            if self.shadow.total < COMPARED_MIN {
                return Verdict::Wait(Doubt::Compared(self.shadow.total));
            }
            if ratio > max {
                return Verdict::Wait(Doubt::Differs(ratio, max));
            }
        }
        Verdict::Pass
    }

    fn fault(&self, gate: &Gate) -> Option<Fault> {
        let alpha = gate.alpha();
        let (baseline, candidate) = (&self.all.baseline, &self.all.candidate);
        if self.errors.is_against(alpha) {
            let known = self.errors.baseline_rate();
            let own = candidate.counts.ratio().unwrap_or(0.0);
            return Some(Fault::Errors(own, baseline.counts.ratio().unwrap_or(known)));
        }
        if let Some(max) = gate.shadow_mismatch_max
            && self.differs.is_against(alpha)
        {
            return Some(Fault::Differs(self.shadow.ratio()?, max));
        }
        let limit = gate.latency.as_ref()?;
        if self.slow.is_against(alpha) {
            let (own, other) = self.quantiles(limit)?;
            return Some(Fault::Slow(own, other));
        }
        None
    }

    /// Quantiles of the step in milliseconds, the candidate's first.
    fn quantiles(&self, limit: &LatencyLimit) -> Option<(f64, f64)> {
        let own = self.step.candidate.latencies.quantile(limit.quantile)?;
        let other = self.step.baseline.latencies.quantile(limit.quantile)?;
        Some((own.as_secs_f64() * 1e3, other.as_secs_f64() * 1e3))
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Volume(seen, wanted) => {
                write!(f, "{seen} of {wanted} requests of the candidate seen")
            }
            Self::ErrorRatio(ratio, max) => {
                write!(
                    f,
                    "{} of the candidate's requests fail; allowed: {}",
                    Percent(*ratio),
                    Percent(*max)
                )
            }
            Self::Increase(increase, max) => write!(
                f,
                "its share of failures is {} above the baseline's; allowed: {}",
                Percent(*increase),
                Percent(*max)
            ),
            Self::Unproved(share, increase) => write!(
                f,
                "{:.0} % of the evidence that it is not worse by {}",
                share * 100.0,
                Percent(*increase)
            ),
            Self::Compared(seen) => write!(
                f,
                "{seen} of {COMPARED_MIN} answers to copies of requests compared"
            ),
            Self::Differs(ratio, max) => write!(
                f,
                "{} of its answers to copies differ; allowed: {}",
                Percent(*ratio),
                Percent(*max)
            ),
            Self::Slow(ratio, max) => {
                write!(
                    f,
                    "it takes {ratio:.2} times as long as the baseline; allowed: {max}"
                )
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Errors(own, other) => write!(
                f,
                "{} of the candidate's requests fail, {} of the baseline's",
                Percent(*own),
                Percent(*other)
            ),
            Self::Differs(ratio, max) => write!(
                f,
                "{} of the candidate's answers to copies differ; allowed: {}",
                Percent(*ratio),
                Percent(*max)
            ),
            Self::Slow(own, other) => {
                write!(
                    f,
                    "the candidate is slower: {own:.1} ms, the baseline {other:.1} ms"
                )
            }
        }
    }
}

struct Percent(f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} %", self.0 * 100.0)
    }
}

/// Answers to copies that a step needs.
const COMPARED_MIN: u64 = 50;
/// Quantiles are bounds of buckets, and as inexact as these are wide.
const BUCKET_ERROR: f64 = 1.07;
