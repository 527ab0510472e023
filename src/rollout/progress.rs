//! Progress of a rollout: machine, figures and evidence, moved by what is passed in. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{
    Rollout,
    gate::{Comparison, Sample, Samples, Verdict},
    latency::Latencies,
    machine::{CandidateHealth, Change, Machine, Order, Plan, State},
    proof::Proof,
    statistics::{Counts, Evidence},
};

/// Progress of a rollout.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    pub(super) machine: Machine,
    pub(super) comparison: Comparison,
    /// Identity of the rollout; another one starts anew.
    identity: String,
    /// The plan that the progress is in.
    plan: Option<Plan>,
    /// Time since when the candidate has no endpoint.
    absent: Option<Instant>,
}

/// Requests of a tick, and what else moves a rollout.
#[derive(Clone, Copy, Debug)]
pub struct Tick<'a> {
    /// The time.
    pub now: Instant,
    /// Time since the last tick.
    pub elapsed: Duration,
    /// Endpoints of the candidate.
    pub health: CandidateHealth,
    /// Requests of both versions.
    pub requests: &'a Samples,
    /// Answers to copies that were compared.
    pub compared: Counts,
}

/// Progress of a rollout on disk, or in the store of a fleet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    identity: String,
    pub(super) machine: Machine,
    share: f64,
    errors: Evidence,
    slow: Evidence,
    #[serde(default)]
    proof: Proof,
    #[serde(default)]
    differs: Evidence,
    #[serde(default)]
    shadow: Counts,
    step: [Counts; 2],
    all: [Counts; 2],
}

impl Kept {
    /// The candidate's share, 0 to 1.
    pub fn share(&self) -> f64 {
        self.share
    }

    /// The state.
    pub fn state(&self) -> State {
        self.machine.state
    }
}

impl Progress {
    /// Lets time pass.
    pub fn advance(&mut self, rollout: &Rollout, tick: &Tick<'_>) -> Option<Change> {
        let health = self.patient(tick.now, tick.health);
        if self.machine.compares() {
            self.weigh(rollout, tick.requests, tick.compared);
        } else if self.machine.state == State::Frozen {
            // Both versions still serve, and a person decides by these figures.
            self.comparison.count(tick.requests);
        } else {
            self.comparison.learn(&tick.requests.baseline);
        }
        let verdict = match self.machine.compares() {
            true => self.comparison.verdict(&rollout.gate),
            false => Verdict::Pass,
        };
        // A process that was stopped has watched nothing meanwhile.
        let elapsed = tick.elapsed.min(ELAPSED_MAX);
        let change = self
            .machine
            .tick(&rollout.plan, elapsed, health, &verdict)?;
        Some(self.settled(change))
    }

    /// Takes requests of both versions into account, and lets no time pass.
    pub fn weigh(&mut self, rollout: &Rollout, requests: &Samples, compared: Counts) {
        self.comparison.add_compared(&rollout.gate, compared);
        let alone = self.machine.is_alone(&rollout.plan);
        self.comparison.add(&rollout.gate, requests, alone);
    }

    /// Obeys a person.
    ///
    /// # Errors
    /// The reason why that cannot be done now.
    pub fn obey(
        &mut self,
        rollout: &Rollout,
        order: Order,
        health: CandidateHealth,
    ) -> Result<Option<Change>, &'static str> {
        let change = self.machine.obey(&rollout.plan, order, health)?;
        Ok(change.map(|change| self.settled(change)))
    }

    /// Follows an edit of the configuration. Returns the state that another rollout has ended in,
    /// and nothing if it still is the same.
    pub fn follow(&mut self, rollout: &Rollout) -> Option<State> {
        if !self.is_edited(rollout) {
            return None;
        }
        let now = identity(rollout);
        let before = self.plan.replace(rollout.plan.clone());
        if self.identity != now {
            // Another one: all users are with its baseline.
            let ended = std::mem::take(&mut self.machine);
            self.comparison = Comparison::default();
            self.identity = now;
            return Some(ended.state);
        }
        if let Some(before) = before {
            let share = self.machine.share(&before);
            self.machine.fit(&rollout.plan, share);
        }
        None
    }

    /// Returns true if the configuration is another one than the progress is in.
    pub fn is_edited(&self, rollout: &Rollout) -> bool {
        self.plan.as_ref() != Some(&rollout.plan) || self.identity != identity(rollout)
    }

    /// Returns what is kept of it.
    pub fn kept(&self, rollout: &Rollout) -> Kept {
        let comparison = &self.comparison;
        // An edit that it does not follow yet is not its own.
        let (identity, plan) = match &self.plan {
            Some(plan) => (self.identity.clone(), plan),
            None => (identity(rollout), &rollout.plan),
        };
        Kept {
            identity,
            machine: self.machine.clone(),
            share: self.machine.share(plan),
            errors: comparison.errors.clone(),
            slow: comparison.slow.clone(),
            proof: comparison.proof.clone(),
            differs: comparison.differs.clone(),
            shadow: comparison.shadow,
            step: counts(&comparison.step),
            all: counts(&comparison.all),
        }
    }

    /// Takes up what was kept; returns false if it is that of another rollout.
    pub fn take_up(&mut self, rollout: &Rollout, kept: &Kept) -> bool {
        if kept.identity != identity(rollout) {
            return false;
        }
        self.identity.clone_from(&kept.identity);
        self.machine = kept.machine.clone();
        self.machine.fit(&rollout.plan, kept.share);
        self.plan = Some(rollout.plan.clone());
        self.comparison.errors = kept.errors.clone();
        self.comparison.slow = kept.slow.clone();
        self.comparison.proof = kept.proof.clone();
        self.comparison.differs = kept.differs.clone();
        self.comparison.shadow = kept.shadow;
        self.comparison.step = samples(kept.step);
        self.comparison.all = samples(kept.all);
        true
    }

    /// Recalls the requests of the present step, whose latencies are not kept.
    pub fn recall(&mut self, step: &Samples) {
        let comparison = &mut self.comparison;
        for all in [&mut comparison.step, &mut comparison.all] {
            all.baseline.latencies = step.baseline.latencies.clone();
            all.candidate.latencies = step.candidate.latencies.clone();
        }
        comparison.know(&step.baseline.latencies);
    }

    /// The candidate's share, 0 to 1.
    pub fn share(&self, rollout: &Rollout) -> f64 {
        self.machine.share(&rollout.plan)
    }

    fn settled(&mut self, change: Change) -> Change {
        if change.starts {
            self.comparison.begin();
        }
        if change.new_share {
            self.comparison.begin_step();
        }
        change
    }

    /// A candidate whose endpoints are gone for a moment, as while a source is read for the first time,
    /// is not given up.
    fn patient(&mut self, now: Instant, health: CandidateHealth) -> CandidateHealth {
        if health != CandidateHealth::Absent {
            self.absent = None;
            return health;
        }
        let since = *self.absent.get_or_insert(now);
        if now.saturating_duration_since(since) < ABSENT_PATIENCE {
            CandidateHealth::Unsure
        } else {
            CandidateHealth::Absent
        }
    }
}

/// Returns the identity of a rollout: a change of it is another rollout.
fn identity(rollout: &Rollout) -> String {
    let [baseline, candidate] = &rollout.versions;
    format!("{baseline} -> {candidate}")
}

fn counts(samples: &Samples) -> [Counts; 2] {
    [samples.baseline.counts, samples.candidate.counts]
}

fn samples([baseline, candidate]: [Counts; 2]) -> Samples {
    let sample = |counts| Sample {
        counts,
        latencies: Latencies::default(),
    };
    Samples {
        baseline: sample(baseline),
        candidate: sample(candidate),
    }
}

/// Longest time that counts between two ticks.
const ELAPSED_MAX: Duration = Duration::from_secs(2);
/// Time for which a candidate may have no endpoint.
const ABSENT_PATIENCE: Duration = Duration::from_secs(5);
