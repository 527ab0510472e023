//! Commands of a person to a rollout.

use std::time::Duration;

use super::{CandidateHealth, Change, Machine, Order, Plan, State};

impl Machine {
    /// Obeys a person.
    ///
    /// # Errors
    /// The reason why that cannot be done in this state.
    pub fn obey(
        &mut self,
        plan: &Plan,
        order: Order,
        health: CandidateHealth,
    ) -> Result<Option<Change>, &'static str> {
        match (order, self.state) {
            (Order::Pause, State::Pending | State::Running | State::Holding | State::Waiting) => {
                self.paused = true;
                let to = match self.state {
                    State::Pending => State::Pending,
                    _ => State::Holding,
                };
                Ok(Some(self.change(to, "paused by a person")))
            }
            (Order::Pause, _) => Err("nothing is under way that could be paused"),
            (Order::Resume, State::RolledBack | State::RollingBack) => {
                *self = Self::default();
                Ok(Some(
                    self.change(State::Pending, "started again by a person"),
                ))
            }
            (Order::Resume, State::Frozen) => {
                self.lasted = Duration::ZERO;
                let change = self.change(State::Running, "resumed by a person");
                Ok(Some(Change {
                    starts: true,
                    ..change
                }))
            }
            (Order::Resume, _) if self.paused => {
                self.paused = false;
                let to = match self.state {
                    State::Pending => State::Pending,
                    _ => State::Running,
                };
                Ok(Some(self.change(to, "resumed by a person")))
            }
            (Order::Resume, _) => Err("it is not paused"),
            (Order::Promote, State::Promoted) => Err("it is promoted already"),
            (Order::Promote, _) if health != CandidateHealth::Healthy => {
                Err("no endpoint of the candidate is healthy")
            }
            (Order::Promote, State::RolledBack | State::RollingBack) => {
                Err("it was rolled back; resume starts it again")
            }
            (Order::Promote, State::Pending) => {
                self.paused = false;
                Ok(Some(self.start(plan, "started by a person")))
            }
            (Order::Promote, from) => {
                self.paused = false;
                let change = self.next_step(plan, "promoted by a person");
                let starts = from == State::Frozen;
                Ok(Some(Change { starts, ..change }))
            }
            (Order::Abort, State::RolledBack) => Err("it is rolled back already"),
            (Order::Abort, _) => {
                self.paused = false;
                let change = self.change(State::RolledBack, "aborted by a person");
                Ok(Some(Change {
                    new_share: true,
                    ..change
                }))
            }
        }
    }
}
