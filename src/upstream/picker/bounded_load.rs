//! Walk of hashing pickers past endpoints that have more than their share.
//!
//! Consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam 2018): no endpoint may
//! have more than `c` times its share of the requests in flight, including the new one, rounded up.
//! A key goes to the first endpoint of its walk that has room, so a hot key spills over to the same
//! few endpoints instead of overloading one. With c >= 1 there is always one with room.
//!
//! The limit holds per worker: over W workers an endpoint may have up to W - 1 requests more than a
//! single limit over all would allow, from rounding up.

use super::draw::position;
use super::places::Places;
use super::{Candidate, EndpointIndex, Load, PickInput, in_flight, mix};

/// Members of a hashing picker's table, with the loads that the limit needs.
#[derive(Debug)]
pub(super) struct BoundedLoad {
    load_max: f64,
    /// In the order of the table.
    members: Vec<Member>,
    /// Number of members that are candidates.
    candidates: usize,
    places: Places,
    /// Requests in flight on all candidates.
    total: u64,
    /// Loads may differ from the counts: after an update, until the next pick.
    stale: bool,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    index: EndpointIndex,
    /// Its share of the weights of all candidates; 0 if it is none.
    share: f64,
    in_flight: u32,
}

impl BoundedLoad {
    /// `load_max` is c: at least 1; infinity turns the limit off.
    pub(super) fn new(load_max: f64) -> Self {
        Self {
            load_max,
            members: Vec::new(),
            candidates: 0,
            places: Places::default(),
            total: 0,
            stale: true,
        }
    }

    /// Replaces the members of the table, and those of them that may be picked.
    pub(super) fn update(&mut self, members: &[Candidate], candidates: &[Candidate]) {
        let weight = |candidate: &Candidate| f64::from(candidate.weight.max(1));
        let total: f64 = candidates.iter().map(weight).sum();
        self.members.clear();
        self.members.extend(members.iter().map(|member| Member {
            index: member.index,
            share: 0.0,
            in_flight: 0,
        }));
        self.places.update(members);
        self.candidates = 0;
        for candidate in candidates {
            let place = self.places.of(candidate.index);
            if let Some(member) = place.and_then(|place| self.members.get_mut(place)) {
                member.share = weight(candidate) / total;
                self.candidates += 1;
            }
        }
        self.stale = true;
    }

    /// Returns true if the member at this place of the table may be picked.
    pub(super) fn is_candidate(&self, place: usize) -> bool {
        self.members.get(place).is_some_and(Member::is_candidate)
    }

    pub(super) fn load_changed(&mut self, endpoint: EndpointIndex, loads: &[Load]) {
        if self.stale {
            return;
        }
        let place = self.places.of(endpoint);
        let member = place.and_then(|place| self.members.get_mut(place));
        if let Some(member) = member.filter(|member| member.is_candidate()) {
            let now = in_flight(loads, endpoint);
            self.total = self.total - u64::from(member.in_flight) + u64::from(now);
            member.in_flight = now;
        }
    }

    /// Counts the loads, if they may have changed unheard. Before each pick.
    pub(super) fn settle(&mut self, loads: &[Load]) {
        if self.stale {
            self.count(loads);
        }
    }

    /// Returns the first candidate of the walk (places in the table) that is untried and has room.
    pub(super) fn choose(
        &self,
        walk: impl Iterator<Item = usize>,
        input: &PickInput<'_>,
    ) -> Option<EndpointIndex> {
        if self.candidates == 0 {
            return None;
        }
        let fits = |member: &&Member| !input.is_tried(member.index) && self.has_room(member);
        let mut members = walk
            .take(WALK_MAX)
            .filter_map(|place| self.members.get(place));
        let found = members.find(fits).or_else(|| self.search(input, fits));
        let found = found.or_else(|| self.least_loaded(input));
        found.map(|member| member.index)
    }

    fn has_room(&self, member: &Member) -> bool {
        if !member.is_candidate() {
            return false;
        }
        let others_and_this = self.total as f64 + 1.0;
        let bound = (self.load_max * others_and_this * member.share).ceil();
        f64::from(member.in_flight) + 1.0 <= bound
    }

    /// Searches all members in order, each key from another one on, if the walk was too long.
    fn search(&self, input: &PickInput<'_>, fits: impl Fn(&&Member) -> bool) -> Option<&Member> {
        let hash = mix(input.key.unwrap_or(input.draw));
        let start = position(hash, self.members.len());
        let (before, after) = self.members.split_at_checked(start)?;
        after.iter().chain(before).find(fits)
    }

    /// Picks the least loaded member, for the case that only tried ones have room.
    fn least_loaded(&self, input: &PickInput<'_>) -> Option<&Member> {
        let untried = self
            .members
            .iter()
            .filter(|member| member.is_candidate() && !input.is_tried(member.index));
        untried.min_by(|a, b| {
            let load = |member: &Member| f64::from(member.in_flight) / member.share;
            load(a).total_cmp(&load(b))
        })
    }

    fn count(&mut self, loads: &[Load]) {
        self.total = 0;
        for member in self.members.iter_mut().filter(|it| it.is_candidate()) {
            member.in_flight = in_flight(loads, member.index);
            self.total += u64::from(member.in_flight);
        }
        self.stale = false;
    }
}

impl Member {
    fn is_candidate(&self) -> bool {
        self.share > 0.0
    }
}

/// Maximum number of steps of a walk before all members are searched in order. With c = 1.25 a walk
/// of more than 512 steps is a sign that most of the weight is tried.
const WALK_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::super::testing::{candidates, loads};
    use super::*;
    use tokio::time::Instant;

    fn input<'a>(loads: &'a [Load], tried: &'a [EndpointIndex]) -> PickInput<'a> {
        PickInput {
            now: Instant::now(),
            draw: 0,
            key: None,
            tried,
            loads,
        }
    }

    fn update(bounded: &mut BoundedLoad, weights: &[u32]) {
        bounded.update(&candidates(weights), &candidates(weights));
    }

    #[test]
    fn the_walk_passes_members_at_their_bound() {
        let mut bounded = BoundedLoad::new(1.25);
        update(&mut bounded, &[1, 1, 2]);
        let loads = loads(3);
        let mut picked = [0; 3];
        for _ in 0..80 {
            bounded.settle(&loads);
            let index = bounded
                .choose([0, 1, 2].into_iter().cycle(), &input(&loads, &[]))
                .unwrap();
            loads[index.as_usize()].started();
            bounded.load_changed(index, &loads);
            picked[index.as_usize()] += 1;
        }
        // Bounds with 80 in flight: 25, 25, 50.
        assert_eq!(picked, [25, 25, 30]);
    }

    #[test]
    fn without_a_bound_the_first_untried_is_taken() {
        let mut bounded = BoundedLoad::new(f64::INFINITY);
        update(&mut bounded, &[1, 1]);
        let loads = loads(2);
        (0..100).for_each(|_| loads[1].started());
        bounded.settle(&loads);
        let walk = || [1, 0].into_iter();
        assert_eq!(
            bounded.choose(walk(), &input(&loads, &[])),
            Some(EndpointIndex(1))
        );
        let tried = [EndpointIndex(1)];
        assert_eq!(
            bounded.choose(walk(), &input(&loads, &tried)),
            Some(EndpointIndex(0))
        );
    }

    #[test]
    fn a_walk_that_finds_nobody_ends_in_a_search_that_spreads_keys() {
        let mut bounded = BoundedLoad::new(2.0);
        update(&mut bounded, &[1000, 1, 1, 1, 1]);
        let loads = loads(5);
        bounded.settle(&loads);
        let mut picked = [0; 5];
        for key in 0..400 {
            let tried = [EndpointIndex(0)];
            let input = PickInput {
                key: Some(key),
                ..input(&loads, &tried)
            };
            picked[bounded
                .choose(std::iter::repeat(0), &input)
                .unwrap()
                .as_usize()] += 1;
        }
        assert_eq!(picked[0], 0);
        assert!(picked[1..].iter().all(|count| *count > 40), "{picked:?}");
    }

    #[test]
    fn one_without_room_is_better_than_none() {
        let mut bounded = BoundedLoad::new(1.0);
        update(&mut bounded, &[1, 1]);
        let loads = loads(2);
        (0..100).for_each(|_| loads[1].started());
        bounded.settle(&loads);
        let tried = [EndpointIndex(0)];
        assert_eq!(
            bounded.choose([0].into_iter(), &input(&loads, &tried)),
            Some(EndpointIndex(1))
        );
    }

    #[test]
    fn members_that_are_no_candidates_are_passed_and_their_load_does_not_count() {
        let all = candidates(&[1, 1, 1]);
        let mut bounded = BoundedLoad::new(1.0);
        bounded.update(&all, &all[1..]);
        let loads = loads(3);
        (0..100).for_each(|_| loads[0].started());
        bounded.settle(&loads);
        let walk = || [0, 1, 2].into_iter();
        assert_eq!(
            bounded.choose(walk(), &input(&loads, &[])),
            Some(EndpointIndex(1))
        );
        loads[1].started();
        bounded.load_changed(EndpointIndex(1), &loads);
        assert_eq!(
            bounded.choose(walk(), &input(&loads, &[])),
            Some(EndpointIndex(2))
        );
        bounded.update(&all, &[]);
        bounded.settle(&loads);
        assert_eq!(bounded.choose(walk(), &input(&loads, &[])), None);
    }
}
