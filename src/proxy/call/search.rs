//! Search for an endpoint: the order of pools, and the regard for health.

use std::rc::Rc;

use super::breaker;
use crate::{
    exchange::CallRecord,
    state::LocalSnapshot,
    upstream::{
        endpoint::Endpoint,
        endpoint_set::meets,
        pick::Regard,
        pool::{PoolIndex, ViewIndex},
        tried::Tried,
    },
};

/// Stage of a call's search for an endpoint. Each stage looks through the pool and those of
/// `failover`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// At tiers that have enough healthy endpoints. Nearly all requests end here.
    Sound,
    /// There are none: one attempt for which health is ignored.
    Panic,
    /// After a failed attempt: at all untried healthy endpoints.
    Healthy,
    /// At all untried endpoints.
    Anyone,
    /// At healthy endpoints again.
    HealthyAgain,
    /// At all endpoints again.
    AnyoneAgain,
}

/// A pool and the view of it that a request goes to.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) struct Home {
    pub(in crate::proxy) pool: PoolIndex,
    pub(in crate::proxy) view: ViewIndex,
}

impl Search {
    /// Returns the regard of picks for health.
    pub(super) fn regard(self, attempts: u32) -> Regard {
        match self {
            Self::Sound if attempts == 0 => Regard::Sound,
            Self::Sound | Self::Healthy | Self::HealthyAgain => Regard::Healthy,
            Self::Panic => Regard::Panic,
            Self::Anyone | Self::AnyoneAgain => Regard::Anyone,
        }
    }

    /// Returns true if endpoints that were tried are left out.
    pub(super) fn leaves_out_tried(self) -> bool {
        !matches!(self, Self::HealthyAgain | Self::AnyoneAgain)
    }

    /// Returns the next step, if no endpoint was found. After an attempt at which nothing was
    /// written (`unseen`) every other endpoint comes before those that were tried; else those that
    /// are known to be ill come last.
    pub(super) fn next(self, attempts: u32, unseen: bool) -> Option<Self> {
        match self {
            Self::Sound if attempts == 0 => Some(Self::Panic),
            Self::Panic if attempts == 0 => None,
            Self::Panic => Some(Self::Healthy),
            Self::Sound | Self::Healthy if unseen => Some(Self::Anyone),
            Self::Sound | Self::Healthy => Some(Self::HealthyAgain),
            Self::Anyone if unseen => Some(Self::HealthyAgain),
            Self::HealthyAgain if !unseen => Some(Self::Anyone),
            Self::Anyone | Self::HealthyAgain => Some(Self::AnyoneAgain),
            Self::AnyoneAgain => None,
        }
    }
}

/// Returns the pool of a call at 0, then its spare view if it has one, then its failover pools, with the
/// view of the same version.
pub(super) fn pool_at(
    snapshot: &LocalSnapshot,
    home: Home,
    spare: Option<ViewIndex>,
    place: usize,
) -> Option<(PoolIndex, ViewIndex)> {
    let Home { pool, view } = home;
    let Some(place) = place.checked_sub(1) else {
        return Some((pool, view));
    };
    let spare = match (spare, place) {
        (Some(other), 0) => return Some((pool, other)),
        (Some(_), place) => place - 1,
        (None, place) => place,
    };
    let pools = &snapshot.shared.pools;
    let own = &pools[pool.0 as usize];
    let index = *own.failover.get(spare)?;
    let requirement = &own.rules.requirements[view.0 as usize];
    let mut views = pools[index.0 as usize].rules.requirements.iter();
    let same = views.position(|other| other == requirement);
    let view = u32::try_from(same.unwrap_or(0)).unwrap_or(0);
    Some((index, ViewIndex(view)))
}

/// Returns the endpoints of a pool that a call has tried.
pub(super) fn tried(record: &CallRecord, pool: PoolIndex) -> Tried {
    let attempts = record.attempts.iter();
    let here = attempts.filter(|attempt| attempt.pool == pool);
    here.map(|attempt| Rc::clone(&attempt.endpoint)).collect()
}

/// Returns true if an endpoint is left that may be used and that the call has not tried, in its pool
/// or in one that stands in. A pool whose breaker is open has none.
#[cold]
pub(super) fn is_one_left(snapshot: &LocalSnapshot, record: &CallRecord, home: Home) -> bool {
    let mut pools = (0..).map_while(|place| pool_at(snapshot, home, record.spare(), place));
    pools.any(|(index, view)| {
        let tried = |endpoint: &Endpoint| {
            let mut attempts = record.attempts.iter();
            !meets(record.wanted(), endpoint)
                || attempts
                    .any(|attempt| attempt.pool == index && attempt.address() == &*endpoint.label)
        };
        let pool = &snapshot.pools[index.0 as usize];
        !breaker::is_open(&pool.pool) && pool.is_one_left(view, tried)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(first: Search, attempts: u32, unseen: bool) -> Vec<Search> {
        std::iter::successors(Some(first), |step| step.next(attempts, unseen)).collect()
    }

    #[test]
    fn every_search_ends_and_goes_to_the_healthy_first() {
        use Search::{Anyone, AnyoneAgain, Healthy, HealthyAgain, Panic, Sound};
        assert_eq!(steps(Sound, 0, false), [Sound, Panic]);
        let refused = steps(Panic, 1, true);
        assert_eq!(refused, [Panic, Healthy, Anyone, HealthyAgain, AnyoneAgain]);
        let failed = steps(Sound, 1, false);
        assert_eq!(failed, [Sound, HealthyAgain, Anyone, AnyoneAgain]);
    }
}
