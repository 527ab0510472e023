//! Safe upgrades: which of several destinations a request goes to, by weight and by user.
//!
//! Between the choice of a route and the choice of an endpoint. [`cohort`] is the pure rule; a
//! [`Split`] is that rule compiled for a route. Nothing here does I/O, and nothing is stored for a
//! user: all workers and all proxies with the same configuration agree.

pub mod cohort;
mod split;
mod user;

pub(crate) use split::Cohort;
pub use split::{Split, SplitArm};
pub use user::{KnownBy, User, UserRules};
