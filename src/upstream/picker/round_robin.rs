//! Picks in turn, weights ignored.
//!
//! Each worker starts at a different place: if all began with the first endpoint, a pool with few
//! requests per worker would send most of them there. O(1) per pick.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::draw::{Draws, position};
use super::turns::wrapped;
use super::weighted_draw::uniform;
use super::{Candidate, EndpointIndex, PickInput, Picker, mix};

/// A rotation in the order of the endpoint set.
#[derive(Debug)]
pub struct RoundRobin {
    members: Vec<EndpointIndex>,
    keys: Vec<u64>,
    next: usize,
    seed: u64,
}

impl RoundRobin {
    /// Starts with no endpoint; the seed chooses where the rotation begins.
    pub fn new(seed: u64) -> Self {
        Self {
            members: Vec::new(),
            keys: Vec::new(),
            next: 0,
            seed,
        }
    }

    /// Returns the endpoint whose turn comes after this many others, while no update comes between.
    pub(super) fn upcoming(&self, after: usize) -> Option<EndpointIndex> {
        let place = wrapped(self.next + after, self.members.len());
        self.members.get(place).copied()
    }

    /// Returns the place in the new order of the first endpoint, from the next one on, that still
    /// exists.
    fn resume(&self, candidates: &[Candidate]) -> Option<usize> {
        let places: HashMap<u64, usize, FixedState> = candidates
            .iter()
            .enumerate()
            .map(|(place, candidate)| (candidate.key, place))
            .collect();
        let (served, due) = self.keys.split_at_checked(self.next)?;
        due.iter()
            .chain(served)
            .find_map(|key| places.get(key).copied())
    }
}

impl Picker for RoundRobin {
    fn update(&mut self, candidates: &[Candidate]) {
        self.next = self.resume(candidates).unwrap_or_else(|| {
            // Another place each time all endpoints come back.
            self.seed = mix(self.seed);
            position(self.seed, candidates.len())
        });
        self.members.clear();
        self.members
            .extend(candidates.iter().map(|candidate| candidate.index));
        self.keys.clear();
        self.keys
            .extend(candidates.iter().map(|candidate| candidate.key));
    }

    fn pick(&mut self, input: &PickInput<'_>) -> Option<EndpointIndex> {
        if !input.tried.is_empty() {
            // A retry takes no turn. If it did, requests and turns could fall into step: of two
            // endpoints a dead one would be the first choice of every request.
            let mut draws = Draws::new(input.draw);
            return uniform(&self.members, &mut draws, |index| input.is_tried(index));
        }
        let picked = *self.members.get(self.next)?;
        self.next += 1;
        if self.next == self.members.len() {
            self.next = 0;
        }
        Some(picked)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, candidate};
    use super::*;

    #[test]
    fn every_endpoint_has_its_turn() {
        let mut bench = Bench::new(RoundRobin::new(1), &[1, 9, 1]);
        let first = bench.pick().unwrap();
        let turns: Vec<_> = (0..5).map(|_| bench.pick().unwrap()).collect();
        let expected: Vec<_> = (1..6).map(|step| (first + step) % 3).collect();
        assert_eq!(turns, expected);
    }

    #[test]
    fn who_is_upcoming_is_picked_then() {
        let mut bench = Bench::new(RoundRobin::new(1), &[1; 5]);
        for _ in 0..10 {
            let ahead = [0, 1, 2].map(|after| bench.picker.upcoming(after).unwrap().0);
            let next = bench.pick().unwrap();
            assert_eq!(ahead[0], next);
            let later = [0, 1].map(|after| bench.picker.upcoming(after).unwrap().0);
            assert_eq!(ahead[1..], later);
        }
        assert_eq!(RoundRobin::new(1).upcoming(0), None);
    }

    #[test]
    fn workers_start_at_different_places() {
        let starts: Vec<_> = (0..64)
            .map(|seed| Bench::new(RoundRobin::new(seed), &[1; 4]).pick().unwrap())
            .collect();
        for endpoint in 0..4 {
            assert!(starts.iter().filter(|start| **start == endpoint).count() > 4);
        }
    }

    #[test]
    fn the_rotation_goes_on_when_the_set_changes_after_every_pick() {
        let mut bench = Bench::new(RoundRobin::new(1), &[1; 5]);
        let all: Vec<_> = (0..5).map(|index| candidate(index, 1)).collect();
        let mut counts = [0_u32; 5];
        for round in 0..5000 {
            counts[bench.pick().unwrap() as usize] += 1;
            let without = round % 2 + 3;
            bench
                .picker
                .update(&all[..if round % 3 == 0 { without } else { 5 }]);
        }
        let (kept, flapping) = counts.split_at(3);
        assert!(
            kept.iter().all(|count| count.abs_diff(kept[0]) <= 2),
            "{counts:?}"
        );
        assert!(flapping.iter().all(|count| *count > 300), "{counts:?}");
    }

    #[test]
    fn a_pool_that_comes_back_again_and_again_is_used_evenly() {
        let mut bench = Bench::new(RoundRobin::new(1), &[1; 4]);
        let all: Vec<_> = (0..4).map(|index| candidate(index, 1)).collect();
        let mut counts = [0_u32; 4];
        for _ in 0..4000 {
            counts[bench.pick().unwrap() as usize] += 1;
            bench.picker.update(&[]);
            bench.picker.update(&all);
        }
        assert!(
            counts.iter().all(|count| count.abs_diff(1000) < 150),
            "{counts:?}"
        );
    }

    #[test]
    fn a_dead_one_of_two_is_not_the_first_choice_of_every_request() {
        let mut bench = Bench::new(RoundRobin::new(1), &[1; 2]);
        let mut failed = 0;
        for _ in 0..100 {
            if bench.pick() == Some(0) {
                failed += 1;
                assert_eq!(bench.pick_untried(&[0]), Some(1));
            }
        }
        assert_eq!(failed, 50);
    }
}
