//! The wait before the first step: for the candidate, and for an approval.

use super::{CandidateHealth, Change, Machine, Plan, State, Wait};

impl Machine {
    /// The state as people see it: a rollout that only needs an approval to begin is waiting.
    pub fn shown(&self) -> State {
        match self.state {
            State::Pending if self.wait == Some(Wait::FirstApproval) => State::Waiting,
            state => state,
        }
    }

    pub(super) fn look_for_candidate(
        &mut self,
        plan: &Plan,
        health: CandidateHealth,
    ) -> Option<Change> {
        if self.paused || health != CandidateHealth::Healthy {
            if self.wait.take() == Some(Wait::FirstApproval) {
                NO_CANDIDATE.clone_into(&mut self.reason);
            }
            return None;
        }
        if plan.approve {
            // Nothing has changed for anybody: it waits before its first step.
            "waits for approval of the first step".clone_into(&mut self.reason);
            self.wait = Some(Wait::FirstApproval);
            return None;
        }
        Some(self.start(plan, "the candidate is healthy"))
    }
}

pub(super) const NO_CANDIDATE: &str = "waits for healthy endpoints of the candidate";
