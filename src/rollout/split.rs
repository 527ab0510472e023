//! A split of a route's requests between pools by weight.

use std::sync::Arc;

use super::{
    cohort::{self, Arm},
    user::{KnownBy, User, UserRules},
    versions::Choice,
};
use crate::upstream::pool::{PoolIndex, ViewIndex};

/// A compiled split.
#[derive(Clone, Debug)]
pub struct Split {
    /// Its arms, in the order of their pools' names.
    pub arms: Box<[SplitArm]>,
    /// Rules by which users are recognised.
    pub users: UserRules,
}

/// A pool with its share of a split.
#[derive(Clone, Debug)]
pub struct SplitArm {
    /// The pool.
    pub pool: PoolIndex,
    /// The endpoints of it that serve the route.
    pub view: ViewIndex,
    /// Name of the pool.
    pub name: Arc<str>,
    /// Weight and identity.
    pub arm: Arm,
}

/// The choice that was made for an exchange.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cohort {
    /// The pool chosen.
    pub(crate) pool: PoolIndex,
    /// Part of the request that the user was recognised by.
    pub(crate) known_by: KnownBy,
    /// The choice between two versions, where the route has a rollout.
    pub(crate) choice: Option<Choice>,
}

impl Split {
    /// Returns the arm of a user; none if all weights are 0.
    pub fn choose(&self, user: &User) -> Option<&SplitArm> {
        let place = cohort::choose(user.hash, self.arms.iter().map(|arm| arm.arm))?;
        self.arms.get(place)
    }

    /// Returns the arm of a pool that some users go to.
    pub fn arm(&self, pool: &str) -> Option<&SplitArm> {
        let mut arms = self.arms.iter();
        arms.find(|arm| *arm.name == *pool && arm.arm.weight > 0)
    }

    /// Returns each arm with its share of the users, 0 to 1.
    pub fn shares(&self) -> impl Iterator<Item = (&SplitArm, f64)> {
        let sum: u64 = self.arms.iter().map(|arm| u64::from(arm.arm.weight)).sum();
        let arms = self.arms.iter();
        arms.map(move |arm| (arm, f64::from(arm.arm.weight) / sum.max(1) as f64))
    }
}
