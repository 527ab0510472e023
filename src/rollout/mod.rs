//! Safe upgrades: which version or pool a user gets, and for how long.
//!
//! Between the choice of a route and the choice of an endpoint. [`cohort`] is the rule by which
//! users are divided: pure, and the same in all workers and proxies, so that nothing is stored for a
//! user. A [`Split`] is that rule between pools, a [`Rollout`] between two versions in a pool. A
//! rollout's share is moved by its [`machine`], after what its [`gate`] says of the figures that
//! workers count ([`tally`]); [`statistics`] and [`latency`] are the tests. All of these are pure;
//! [`RolloutState`] holds them together, and control lets its time pass. Where many proxies roll out
//! together, the leader of the [`fleet`] lets it pass for all.

mod asked;
pub mod cohort;
pub mod fleet;
pub mod gate;
pub mod latency;
pub mod machine;
mod progress;
pub mod proof;
pub mod shadow;
#[cfg(test)]
mod simulation;
mod split;
mod state;
pub mod statistics;
pub mod tally;
mod user;
mod versions;

pub use asked::{BadVersion, asked};
pub use progress::{Kept, Progress, Tick};
pub(crate) use split::Cohort;
pub use split::{Split, SplitArm};
pub use state::{Moved, RolloutState, RolloutView};
pub use user::{KnownBy, User, UserRules};
pub(crate) use versions::Choice;
pub use versions::Rollout;
