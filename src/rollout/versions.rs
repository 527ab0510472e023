//! A rollout as a route uses it: two versions in a pool, and who gets which.

use std::sync::Arc;

use http::HeaderName;
use semver::{Version, VersionReq};

use super::{
    RolloutState, cohort,
    gate::Gate,
    machine::Plan,
    shadow::ShadowState,
    tally::Arm,
    user::{User, UserRules},
};
use crate::{
    semantics::Headers,
    upstream::pool::{PoolIndex, ViewIndex},
};

/// A compiled rollout.
#[derive(Debug)]
pub struct Rollout {
    /// Its name, and identity.
    pub name: Arc<str>,
    /// The pool that has both versions.
    pub pool: PoolIndex,
    /// Its endpoints by version: the baseline's first.
    pub views: [ViewIndex; 2],
    /// Requirements of both versions.
    pub versions: [VersionReq; 2],
    /// Hash of its name: cohorts of different rollouts are independent.
    pub key: u64,
    /// Rules by which users are recognised.
    pub users: UserRules,
    /// Headers by whose value a tester chooses: this value the candidate, [`NEVER`] the baseline.
    pub pins: Vec<(HeaderName, String)>,
    /// Its course.
    pub plan: Plan,
    /// Conditions of its steps.
    pub gate: Gate,
    /// Results of the shadows that compare the candidate's answers.
    pub shadows: Vec<Arc<ShadowState>>,
    /// Its progress and figures; outlives reloads.
    pub state: Arc<RolloutState>,
}

/// The choice of a version for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// The version.
    pub(crate) arm: Arm,
    /// Place of the user among all users.
    pub(crate) point: u32,
    /// Number of the share that it was made by; none if the user chose for himself, which is
    /// nothing to compare.
    pub(crate) epoch: Option<u32>,
}

impl Rollout {
    /// Chooses the version for a user.
    pub(crate) fn choose(&self, user: &User, headers: &Headers) -> Choice {
        let point = cohort::point(user.hash, self.key);
        if let Some(arm) = self.pinned(headers) {
            let epoch = None;
            return Choice { arm, point, epoch };
        }
        let shared = &self.state.shared;
        // Before the share: what is chosen by an older share is not compared.
        let epoch = Some(shared.epoch());
        let arm = match shared.share().has(point) {
            true => Arm::Candidate,
            false => Arm::Baseline,
        };
        Choice { arm, point, epoch }
    }

    /// Returns the version that the headers of a tester ask for.
    pub fn pinned(&self, headers: &Headers) -> Option<Arm> {
        self.pins.iter().find_map(|(name, always)| {
            let value = headers.get(name)?.as_bytes();
            match value {
                value if value == always.as_bytes() => Some(Arm::Candidate),
                value if value == NEVER => Some(Arm::Baseline),
                _ => None,
            }
        })
    }

    /// The endpoints of a version.
    pub fn view(&self, arm: Arm) -> ViewIndex {
        self.views[arm as usize]
    }

    /// The endpoints of the other version.
    pub fn other_view(&self, arm: Arm) -> ViewIndex {
        self.views[1 - arm as usize]
    }

    /// Returns the version of an endpoint; none if it is neither.
    pub fn arm_of(&self, version: Option<&Version>) -> Option<Arm> {
        let version = version?;
        let [baseline, candidate] = &self.versions;
        if candidate.matches(version) {
            Some(Arm::Candidate)
        } else {
            baseline.matches(version).then_some(Arm::Baseline)
        }
    }
}

/// The value of a pin's header that asks for the baseline.
const NEVER: &[u8] = b"never";
