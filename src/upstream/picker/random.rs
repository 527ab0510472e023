//! Picks at random by weight.
//!
//! No state besides the table: right for many proxies in front of many endpoints, where it spreads
//! as well as a picker that uses one proxy's own history. O(1) per pick.

use super::draw::Draws;
use super::weighted_draw::WeightedDraw;
use super::{Candidate, EndpointIndex, PickInput, Picker};

/// Independent draws by weight.
#[derive(Debug, Default)]
pub struct Random {
    draw: WeightedDraw,
}

impl Picker for Random {
    fn update(&mut self, candidates: &[Candidate]) {
        self.draw.update(candidates);
    }

    fn pick(&mut self, input: &PickInput<'_>) -> Option<EndpointIndex> {
        let mut draws = Draws::new(input.draw);
        let entry = self.draw.one(&mut draws, |index| input.is_tried(index))?;
        Some(entry.index)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;
    use super::*;

    #[test]
    fn shares_follow_the_weights() {
        let mut bench = Bench::new(Random::default(), &[1, 2, 7]);
        let counts = bench.counts(100_000);
        for (count, share) in counts.into_iter().zip([10_000, 20_000, 70_000]) {
            assert!(count.abs_diff(share) < 600, "{count} for {share}");
        }
    }

    #[test]
    fn the_rest_is_drawn_when_some_are_tried() {
        let mut bench = Bench::new(Random::default(), &[1, 2, 7]);
        assert_eq!(bench.pick_untried(&[0, 2]), Some(1));
        assert_eq!(bench.pick_untried(&[0, 1, 2]), None);
    }
}
