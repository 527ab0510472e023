//! The plan of a rollout, as it is configured.

use std::time::Duration;

/// Course of a rollout.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Steps, each with the candidate's share, 0 to 1. After them it has all.
    pub steps: Vec<Step>,
    /// Time for which the candidate is watched once it has all, before it is promoted.
    pub watch: Duration,
    /// Reaction to a candidate that is worse.
    pub on_failure: OnFailure,
    /// True if each raise of the share waits for a person.
    pub approve: bool,
}

/// A step of a plan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Share of the users, 0 to 1.
    pub share: f64,
    /// Minimum time.
    pub hold: Duration,
}

/// Reaction to a candidate that is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// All users go back at once.
    Rollback,
    /// The share is halved every [`RETREAT`](super::RETREAT).
    Gradual,
    /// The share stays, and a person decides.
    Freeze,
}
