//! Picks in turn by weight, without bursts.
//!
//! With weights 5, 1, 1 the turns are a a b a a c a, starting at any place. Over a cycle (the sum
//! of the weights) each endpoint gets exactly its weight; at any moment it is within two turns of
//! its share. nginx's smooth weighted round robin gives the same quality at O(n) per pick; the
//! schedule of [`Turns`] costs O(log d) for d distinct weights.
//!
//! Workers start at different places of the cycle. An update carries over what each endpoint is
//! owed, so updates in quick succession (slow start, flapping health) neither favour the first
//! endpoints nor cause bursts.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::draw::{Draws, below, position};
use super::turns::{Owed, Turns};
use super::weighted_draw::WeightedDraw;
use super::{Candidate, EndpointIndex, PickInput, Picker, mix};

/// A smooth rotation by weight.
#[derive(Debug)]
pub struct WeightedRoundRobin {
    candidates: Vec<Candidate>,
    turns: Turns,
    retries: WeightedDraw,
    seed: u64,
}

impl WeightedRoundRobin {
    /// Starts with no endpoint; the seed chooses where in the cycle it begins.
    pub fn new(seed: u64) -> Self {
        Self {
            candidates: Vec::new(),
            turns: Turns::default(),
            retries: WeightedDraw::default(),
            seed,
        }
    }

    /// Returns the endpoint whose turn comes after this many others, while no update comes between;
    /// known beforehand where all weights are equal.
    pub(super) fn upcoming(&self, after: usize) -> Option<EndpointIndex> {
        let slot = self.turns.upcoming(after)?;
        self.candidates.get(slot).map(|candidate| candidate.index)
    }

    fn begin(&mut self, weights: &[u32]) -> Turns {
        // Another place each time all endpoints come back.
        self.seed = mix(self.seed);
        let mut draws = Draws::new(self.seed);
        let mut turns = Turns::new(weights);
        turns.rotate(|members| position(draws.next(), members));
        for _ in 0..below(draws.next(), turns.cycle().min(BEGIN_MAX)) {
            turns.next();
        }
        turns
    }

    fn resume(&self, candidates: &[Candidate], weights: &[u32]) -> Turns {
        let owed: HashMap<u64, Owed, FixedState> = self
            .turns
            .owed()
            .filter_map(|(slot, turns)| Some((self.candidates.get(slot)?.key, turns)))
            .collect();
        let owed: Vec<Owed> = candidates
            .iter()
            .map(|candidate| owed.get(&candidate.key).copied().unwrap_or_default())
            .collect();
        Turns::resume(weights, &owed)
    }

    fn is_same(&self, candidates: &[Candidate]) -> bool {
        let identity = |candidate: &Candidate| (candidate.key, candidate.weight);
        self.candidates
            .iter()
            .map(identity)
            .eq(candidates.iter().map(identity))
    }
}

impl Picker for WeightedRoundRobin {
    fn update(&mut self, candidates: &[Candidate]) {
        if !self.is_same(candidates) {
            let weights: Vec<u32> = candidates
                .iter()
                .map(|candidate| candidate.weight.max(1))
                .collect();
            self.turns = if self.candidates.is_empty() {
                self.begin(&weights)
            } else {
                self.resume(candidates, &weights)
            };
        }
        self.candidates.clear();
        self.candidates.extend_from_slice(candidates);
        self.retries.update(candidates);
    }

    fn pick(&mut self, input: &PickInput<'_>) -> Option<EndpointIndex> {
        if !input.tried.is_empty() {
            // A retry takes no turn, so that the shares of first attempts stay exact and
            // requests do not fall into step with turns (see `RoundRobin`).
            let mut draws = Draws::new(input.draw);
            let entry = self
                .retries
                .one(&mut draws, |index| input.is_tried(index))?;
            return Some(entry.index);
        }
        let slot = self.turns.next()?;
        self.candidates.get(slot).map(|candidate| candidate.index)
    }
}

/// Maximum offset into the cycle at which a worker begins; bounds the work of the first update.
const BEGIN_MAX: u64 = 1024;

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, candidate, candidates};
    use super::*;

    #[test]
    fn shares_are_exact_over_any_cycle() {
        for seed in 0..20 {
            let mut bench = Bench::new(WeightedRoundRobin::new(seed), &[5, 1, 1]);
            assert_eq!(bench.counts(7), [5, 1, 1]);
            assert_eq!(bench.counts(70), [50, 10, 10]);
        }
    }

    #[test]
    fn workers_start_at_different_places() {
        let firsts = |weights: &[u32]| {
            (0..700)
                .filter(|seed| {
                    Bench::new(WeightedRoundRobin::new(*seed), weights).pick() == Some(0)
                })
                .count()
        };
        assert!((430..570).contains(&firsts(&[5, 1, 1])));
        assert!((50..150).contains(&firsts(&[3; 7])));
    }

    #[test]
    fn an_update_that_changes_nothing_keeps_the_turn() {
        let weights = [5, 3, 2, 2];
        let mut quiet = Bench::new(WeightedRoundRobin::new(3), &weights);
        let mut busy = Bench::new(WeightedRoundRobin::new(3), &weights);
        for _ in 0..48 {
            assert_eq!(quiet.pick(), busy.pick());
            busy.picker.update(&candidates(&weights));
        }
    }

    #[test]
    fn a_flapping_endpoint_does_not_bend_the_shares_of_the_others() {
        let mut bench = Bench::new(WeightedRoundRobin::new(3), &[4, 2, 2, 3]);
        let all = candidates(&[4, 2, 2, 3]);
        let mut counts = [0_i32; 4];
        for round in 0..8000_usize {
            counts[bench.pick().unwrap() as usize] += 1;
            bench.picker.update(if round.is_multiple_of(2) {
                &all[..3]
            } else {
                &all
            });
        }
        assert!((counts[0] - 2 * counts[1]).abs() < 300, "{counts:?}");
        assert!((counts[1] - counts[2]).abs() < 150, "{counts:?}");
    }

    #[test]
    fn slow_start_raises_one_weight_without_bursts() {
        let mut bench = Bench::new(WeightedRoundRobin::new(9), &[100, 100, 1]);
        let mut run = 0;
        for step in 1..=1000_u32 {
            let weight = (step / 10).max(1);
            bench
                .picker
                .update(&[candidate(0, 100), candidate(1, 100), candidate(2, weight)]);
            run = if bench.pick() == Some(2) { run + 1 } else { 0 };
            assert!(run <= 2, "step {step}");
        }
    }

    #[test]
    fn retries_take_no_turn() {
        let mut bench = Bench::new(WeightedRoundRobin::new(1), &[3, 1]);
        let mut counts = [0; 2];
        for _ in 0..400 {
            let picked = bench.pick().unwrap();
            counts[picked as usize] += 1;
            assert_eq!(bench.pick_untried(&[picked]), Some(1 - picked));
        }
        assert_eq!(counts, [300, 100]);
        assert_eq!(bench.pick_untried(&[0, 1]), None);
    }
}
