//! State machine of a rollout. Pure: time, health and verdicts are passed in.

mod begin;
mod order;
mod plan;

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::gate::Verdict;
use begin::NO_CANDIDATE;

pub use plan::{OnFailure, Plan, Step};

/// State of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waits for healthy endpoints of the candidate.
    Pending,
    /// A step is under way.
    Running,
    /// The step's time is over, and its gate is not passed; or a person has paused it.
    Holding,
    /// Waits for a person's approval of the next step.
    Waiting,
    /// The candidate has all users.
    Promoted,
    /// The share shrinks.
    RollingBack,
    /// The baseline has all users.
    RolledBack,
    /// The share stays as it was when the candidate turned out worse.
    Frozen,
}

/// Progress of a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Its state.
    pub state: State,
    /// Index of the step; the number of steps: the candidate has all.
    pub step: usize,
    /// Time for which the step has run, or the share has been what it is on the way back.
    pub lasted: Duration,
    /// True if a person has paused it.
    pub paused: bool,
    /// The share on the way back.
    pub retreat: f64,
    /// The share that an edit of the steps left without a step of its own. It stays what it is until
    /// the step at [`Self::step`], the next larger one, may begin.
    #[serde(default)]
    pub between: Option<f64>,
    /// Reason of the last change, or of the wait.
    pub reason: String,
    /// Wait for something else than time and gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
}

/// A wait for something else than time and gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// For a person who approves the first step.
    FirstApproval,
    /// For an endpoint of the candidate that can be picked.
    Candidate,
}

/// Candidate's endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CandidateHealth {
    /// There is none.
    Absent,
    /// None is healthy.
    Unhealthy,
    /// None may be picked now, but no check has failed: they are ejected, not checked yet, or gone for a
    /// moment. Nothing starts, no step ends, and nothing fails by it.
    Unsure,
    /// At least one is healthy.
    Healthy,
}

/// Command of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Stays at the present step. A worse candidate is still rolled back.
    Pause,
    /// Goes on; after a rollback, starts again.
    Resume,
    /// Ends the present step now.
    Promote,
    /// Gives all users to the baseline now.
    Abort,
}

/// A change of state or step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// State before.
    pub from: State,
    /// State now.
    pub to: State,
    /// Begins with new figures: the share has changed.
    pub new_share: bool,
    /// Begins with new evidence: the rollout starts.
    pub starts: bool,
}

impl State {
    /// Its word in the API and in logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Holding => "holding",
            Self::Waiting => "waiting",
            Self::Promoted => "promoted",
            Self::RollingBack => "rolling_back",
            Self::RolledBack => "rolled_back",
            Self::Frozen => "frozen",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            state: State::Pending,
            step: 0,
            lasted: Duration::ZERO,
            paused: false,
            retreat: 0.0,
            between: None,
            reason: NO_CANDIDATE.to_owned(),
            wait: None,
        }
    }
}

impl Machine {
    /// The candidate's share of the users, 0 to 1.
    pub fn share(&self, plan: &Plan) -> f64 {
        match self.state {
            State::Pending | State::RolledBack => 0.0,
            State::RollingBack => self.retreat,
            State::Promoted => 1.0,
            State::Running | State::Holding | State::Waiting | State::Frozen => {
                self.between.unwrap_or_else(|| self.share_of_step(plan))
            }
        }
    }

    /// Number of the last step whose share is reached, from 1; one more than there are steps: the
    /// candidate has all. 0: an edit has made the first step larger than the share.
    pub fn reached(&self) -> usize {
        self.step + usize::from(self.between.is_none())
    }

    /// Returns true if the candidate has all users, and nothing is beside it to compare it with.
    pub fn is_alone(&self, plan: &Plan) -> bool {
        self.share(plan) >= 1.0
    }

    /// Returns true if the figures of both versions count now.
    pub fn compares(&self) -> bool {
        matches!(self.state, State::Running | State::Holding | State::Waiting)
    }

    /// Lets time pass. `elapsed` is the time since the last tick.
    pub fn tick(
        &mut self,
        plan: &Plan,
        elapsed: Duration,
        health: CandidateHealth,
        verdict: &Verdict,
    ) -> Option<Change> {
        match self.state {
            State::Pending => self.look_for_candidate(plan, health),
            State::Running | State::Holding | State::Waiting => {
                self.look_at_step(plan, elapsed, health, verdict)
            }
            State::RollingBack => self.retreat(elapsed),
            State::Promoted | State::RolledBack | State::Frozen => None,
        }
    }

    /// Adapts the progress to a plan that has been edited, where the candidate has this share. An
    /// edit never changes the share: without a step of the same share it stays until the next larger
    /// step may begin.
    pub fn fit(&mut self, plan: &Plan, share: f64) {
        if !self.compares() && self.state != State::Frozen {
            self.step = self.step.min(plan.steps.len());
            return;
        }
        let same = |step: usize| (Self::share_at(plan, step) - share).abs() < SAME_SHARE;
        if self.between.is_none() && same(self.step) {
            return;
        }
        let larger = |step: &Step| step.share + SAME_SHARE >= share;
        let place = plan.steps.iter().position(larger);
        self.step = place.unwrap_or(plan.steps.len());
        self.between = (!same(self.step)).then_some(share);
        self.lasted = Duration::ZERO;
    }

    fn look_at_step(
        &mut self,
        plan: &Plan,
        elapsed: Duration,
        health: CandidateHealth,
        verdict: &Verdict,
    ) -> Option<Change> {
        match (health, verdict) {
            (CandidateHealth::Absent, _) => {
                return Some(self.fail(plan, "the candidate has no endpoint any more"));
            }
            (CandidateHealth::Unhealthy, _) => {
                return Some(self.fail(plan, "no endpoint of the candidate is healthy"));
            }
            (_, Verdict::Worse(fault)) => {
                return Some(self.fail(plan, &fault.to_string()));
            }
            (_, Verdict::Pass | Verdict::Wait(_)) => {}
        }
        if self.paused || self.state == State::Waiting {
            return None;
        }
        if health != CandidateHealth::Healthy {
            // Nobody meets it meanwhile, so this time proves nothing.
            let change = self.hold("no endpoint of the candidate can be picked now");
            self.wait = Some(Wait::Candidate);
            return change;
        }
        if self.wait == Some(Wait::Candidate) {
            return Some(self.change(State::Running, "the candidate can be picked again"));
        }
        self.lasted = self.lasted.saturating_add(elapsed);
        let alone = self.between.is_none() && self.step >= plan.steps.len();
        if self.lasted < self.minimum(plan) {
            return None;
        }
        if alone {
            return Some(self.change(State::Promoted, "all steps are passed"));
        }
        match verdict {
            Verdict::Pass if plan.approve => {
                Some(self.change(State::Waiting, "waits for approval of the next step"))
            }
            Verdict::Pass => Some(self.next_step(plan, "the step is passed")),
            Verdict::Wait(doubt) => self.hold(&doubt.to_string()),
            Verdict::Worse(_) => None,
        }
    }

    /// Minimum time at the present share. Between two steps that of the smaller one holds.
    fn minimum(&self, plan: &Plan) -> Duration {
        let timed = match self.between {
            Some(_) => plan.steps.get(self.step.saturating_sub(1)),
            None => plan.steps.get(self.step),
        };
        timed.map_or(plan.watch, |step| step.hold)
    }

    /// Stays at the step for this reason.
    fn hold(&mut self, reason: &str) -> Option<Change> {
        let change = self.change(State::Holding, reason);
        (change.from != State::Holding).then_some(change)
    }

    fn start(&mut self, plan: &Plan, reason: &str) -> Change {
        self.step = 0;
        self.between = None;
        self.lasted = Duration::ZERO;
        let at_once = plan.steps.is_empty() && plan.watch.is_zero();
        let to = if at_once {
            State::Promoted
        } else {
            State::Running
        };
        let change = self.change(to, reason);
        Change {
            new_share: true,
            starts: true,
            ..change
        }
    }

    fn next_step(&mut self, plan: &Plan, reason: &str) -> Change {
        if self.between.take().is_none() {
            self.step = (self.step + 1).min(plan.steps.len() + 1);
        }
        self.lasted = Duration::ZERO;
        let last = self.step == plan.steps.len() && plan.watch.is_zero();
        let to = if last || self.step > plan.steps.len() {
            State::Promoted
        } else {
            State::Running
        };
        self.step = self.step.min(plan.steps.len());
        let change = self.change(to, reason);
        Change {
            new_share: true,
            ..change
        }
    }

    fn fail(&mut self, plan: &Plan, reason: &str) -> Change {
        let share = self.share(plan);
        self.lasted = Duration::ZERO;
        self.paused = false;
        let to = match plan.on_failure {
            OnFailure::Rollback => State::RolledBack,
            OnFailure::Gradual => State::RollingBack,
            OnFailure::Freeze => State::Frozen,
        };
        self.retreat = share / 2.0;
        let change = self.change(to, reason);
        Change {
            new_share: to != State::Frozen,
            ..change
        }
    }

    fn retreat(&mut self, elapsed: Duration) -> Option<Change> {
        self.lasted = self.lasted.saturating_add(elapsed);
        if self.lasted < RETREAT {
            return None;
        }
        self.lasted = Duration::ZERO;
        self.retreat /= 2.0;
        let to = if self.retreat < RETREAT_SHARE_MIN {
            State::RolledBack
        } else {
            State::RollingBack
        };
        let reason = std::mem::take(&mut self.reason);
        let change = self.change(to, &reason);
        Some(Change {
            new_share: true,
            ..change
        })
    }

    fn change(&mut self, to: State, reason: &str) -> Change {
        let from = std::mem::replace(&mut self.state, to);
        reason.clone_into(&mut self.reason);
        self.wait = None;
        Change {
            from,
            to,
            new_share: false,
            starts: false,
        }
    }

    fn share_of_step(&self, plan: &Plan) -> f64 {
        Self::share_at(plan, self.step)
    }

    fn share_at(plan: &Plan, step: usize) -> f64 {
        plan.steps.get(step).map_or(1.0, |step| step.share)
    }
}

/// Time between two halvings of the share.
pub const RETREAT: Duration = Duration::from_secs(5);
/// A smaller share is none.
const RETREAT_SHARE_MIN: f64 = 0.005;
/// Shares that differ by less are the same.
const SAME_SHARE: f64 = 1e-9;

#[cfg(test)]
mod tests;
