//! Tiers: the endpoints of a view in groups of preference, by priority and by zone.
//!
//! Tells whether a tier can be relied on, and keeps one worker's pickers for it. Stands between the
//! health picture and the picker. Panic, in which health is ignored, is decided by tier: it needs a
//! tier with too few healthy endpoints, and no other sound tier of the view.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{
    endpoint_set::{EndpointSet, View},
    health::{EndpointState, Picture},
    occupancy::{SlotMask, Slots},
    pick::Regard,
    picker::{AnyPicker, Candidate, EndpointIndex, Load, PickInput, Picker as _, Table},
    pool::{Pool, ViewIndex},
    slow_start::Ramps,
};

/// State of a tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Enough of its endpoints are healthy.
    Sound,
    /// None is healthy, and a first check may change that soon.
    Waiting,
    /// Fewer are healthy than `panic_threshold` asks for.
    Short,
    /// None to send to: none is enabled, or none is healthy and health is never ignored.
    Empty,
}

/// One worker's pickers for a tier.
#[derive(Debug)]
pub(super) struct LocalTier {
    /// Picks among the healthy ones.
    healthy: Choice,
    /// Picks among all enabled ones; without candidates while the view is not in panic.
    enabled: Choice,
    standing: Standing,
}

/// A picker, and its candidates.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) picker: AnyPicker,
    /// Empty while `limits.per_endpoint` is not set.
    pub(super) slots: SlotMask,
    /// The endpoints that start slowly.
    pub(super) ramps: Ramps,
}

impl Standing {
    /// Returns the standing of a tier with these members.
    fn of(members: &[EndpointIndex], pool: &Pool, set: &EndpointSet, picture: &Picture) -> Self {
        let (mut enabled, mut healthy, mut waiting) = (0_u32, 0_u32, 0_u32);
        for view in members
            .iter()
            .filter(|index| set.has_weight(**index))
            .filter_map(|index| picture.endpoint(*index))
        {
            enabled += u32::from(view.state.is_enabled());
            healthy += u32::from(view.eligible);
            waiting += u32::from(view.state == EndpointState::Pending);
        }
        Self::judge(enabled, healthy, waiting, pool.panic_threshold)
    }

    /// Returns the standing of a tier from the numbers of its enabled endpoints, of healthy ones
    /// among them, and of those that wait for their first check.
    fn judge(enabled: u32, healthy: u32, waiting: u32, threshold: f64) -> Self {
        let enough = f64::from(healthy + waiting) >= threshold * f64::from(enabled);
        if enabled == 0 {
            Self::Empty
        } else if healthy == 0 && waiting > 0 {
            Self::Waiting
        } else if healthy > 0 && enough {
            Self::Sound
        } else if threshold > 0.0 {
            Self::Short
        } else {
            Self::Empty
        }
    }
}

/// Returns true if requests to a view ignore health: too few of its endpoints are healthy, and no
/// pool stands in for it.
pub fn is_in_panic(pools: &[Arc<Pool>], pool: &Pool, view: ViewIndex) -> bool {
    let standings = |pool: &Pool, view: ViewIndex| -> Vec<Standing> {
        let set = pool.endpoint_set();
        let picture = set.health.picture();
        let tiers = set.views[view.0 as usize].tiers.iter();
        let standings = tiers.map(|tier| Standing::of(tier, pool, &set, &picture));
        standings.collect()
    };
    let mut spare = pool.failover.iter().map(|index| &*pools[index.0 as usize]);
    panics(standings(pool, view).into_iter())
        && !spare.any(|pool| standings(pool, ViewIndex(0)).contains(&Standing::Sound))
}

fn panics(standings: impl Iterator<Item = Standing>) -> bool {
    let mut short = false;
    for standing in standings {
        match standing {
            Standing::Sound | Standing::Waiting => return false,
            Standing::Short => short = true,
            Standing::Empty => {}
        }
    }
    short
}

/// Tells the pickers of a view which endpoints may be picked now.
pub(super) fn update(
    tiers: &mut [LocalTier],
    pool: &Pool,
    set: &EndpointSet,
    view: &View,
    picture: &Picture,
    slots: &Slots,
) {
    for (at, (members, tier)) in view.tiers.iter().zip(&mut *tiers).enumerate() {
        tier.standing = Standing::of(members, pool, set, picture);
        let healthy = |index| picture.is_eligible(index);
        let candidates = candidates(members, set, healthy);
        tier.healthy.update(view.table(at), &candidates, slots);
        let ramps = &mut tier.healthy.ramps;
        ramps.update(pool.slow_start, members, set, picture);
    }
    let panic = panics(tiers.iter().map(|tier| tier.standing));
    for (at, (members, tier)) in view.tiers.iter().zip(tiers).enumerate() {
        let ignored = panic && tier.standing == Standing::Short;
        if !ignored {
            tier.enabled.update(None, &[], slots);
            continue;
        }
        let enabled = |index| picture.is_enabled(index);
        let candidates = candidates(members, set, enabled);
        tier.enabled.update(view.table(at), &candidates, slots);
    }
}

impl LocalTier {
    /// Makes pickers without endpoints.
    pub(super) fn new(pickers: &dyn Fn() -> AnyPicker) -> Self {
        Self {
            healthy: Choice::of(pickers()),
            enabled: Choice::of(pickers()),
            standing: Standing::Empty,
        }
    }

    /// Returns the picker to use, if any.
    pub(super) fn choice(&mut self, regard: Regard) -> Option<&mut Choice> {
        match regard {
            Regard::Sound if self.standing == Standing::Sound => Some(&mut self.healthy),
            Regard::Healthy => Some(&mut self.healthy),
            Regard::Panic => Some(&mut self.enabled),
            Regard::Sound | Regard::Anyone => None,
        }
    }

    /// Returns true if the pickers must be told of loads.
    pub(super) fn follows_loads(&self) -> bool {
        self.healthy.picker.follows_loads()
    }

    /// Reports that the requests in flight of an endpoint changed.
    pub(super) fn load_changed(&mut self, index: EndpointIndex, loads: &[Load]) {
        self.healthy.picker.load_changed(index, loads);
        self.enabled.picker.load_changed(index, loads);
    }
}

impl Choice {
    fn of(picker: AnyPicker) -> Self {
        let slots = SlotMask::default();
        Self {
            picker,
            slots,
            ramps: Ramps::default(),
        }
    }

    /// Takes the pick, unless it falls on an endpoint that starts slowly and has not earned it;
    /// then the picker chooses again. The pick stands if nobody else is found.
    #[cold]
    pub(super) fn start_slowly(
        &mut self,
        picked: EndpointIndex,
        input: &PickInput<'_>,
    ) -> EndpointIndex {
        if !self.ramps.begin(input.now) || self.ramps.admits(picked, input.now) {
            return picked;
        }
        let mut tried: SmallVec<[EndpointIndex; 16]> = SmallVec::from_slice(input.tried);
        let mut index = picked;
        for _ in 0..PICKS_MAX {
            tried.push(index);
            let again = PickInput {
                tried: &tried,
                ..*input
            };
            match self.picker.pick(&again) {
                Some(next) if self.ramps.admits(next, input.now) => return next,
                Some(next) => index = next,
                None => break,
            }
        }
        picked
    }

    fn update(&mut self, table: Option<&Table>, candidates: &[Candidate], slots: &Slots) {
        self.picker.update_within(table, candidates);
        self.slots = slots.mask_of(candidates.iter().map(|candidate| candidate.index));
    }
}

/// Picks in place of one that was not earned: so many endpoints that start slowly are passed over.
const PICKS_MAX: usize = 8;

fn candidates(
    members: &[EndpointIndex],
    set: &EndpointSet,
    wanted: impl Fn(EndpointIndex) -> bool,
) -> Vec<Candidate> {
    let members = members.iter().filter(|index| wanted(**index));
    members
        .filter_map(|index| set.candidate(*index).copied())
        .filter(|candidate| candidate.weight > 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_is_short_with_fewer_healthy_than_the_threshold_and_empty_where_that_is_off() {
        for (enabled, healthy, waiting, threshold, standing) in [
            (0, 0, 0, 0.5, Standing::Empty),
            (4, 2, 0, 0.5, Standing::Sound),
            (4, 1, 0, 0.5, Standing::Short),
            (4, 0, 0, 0.5, Standing::Short),
            (4, 0, 0, 0.0, Standing::Empty),
            (4, 1, 0, 0.0, Standing::Sound),
            // A first check may change it.
            (4, 0, 1, 0.5, Standing::Waiting),
            (4, 0, 1, 0.0, Standing::Waiting),
            (4, 1, 1, 0.5, Standing::Sound),
            // The default: only with none in a hundred.
            (100, 1, 0, 0.01, Standing::Sound),
            (100, 0, 0, 0.01, Standing::Short),
        ] {
            let judged = Standing::judge(enabled, healthy, waiting, threshold);
            assert_eq!(judged, standing, "{healthy} of {enabled}");
        }
    }

    #[test]
    fn one_sound_tier_or_one_that_may_become_it_keeps_a_view_from_panic() {
        use Standing::{Empty, Short, Sound, Waiting};
        for (standings, panic) in [
            (&[Short][..], true),
            (&[Empty, Short], true),
            (&[Short, Sound], false),
            (&[Short, Waiting], false),
            (&[Empty], false),
            (&[], false),
        ] {
            assert_eq!(panics(standings.iter().copied()), panic, "{standings:?}");
        }
    }
}
