//! Picks the less busy of two drawn at random.
//!
//! Two choices instead of one reduce the longest queue from log n / log log n to log log n
//! (Mitzenmacher: "The power of two choices in randomized load balancing", 2001), and unlike with
//! the least loaded endpoint two proxies seldom agree on the same one. Both are drawn by weight,
//! the one with fewer requests in flight for its weight wins. O(1).

use super::draw::Draws;
use super::weighted_draw::WeightedDraw;
use super::{Candidate, EndpointIndex, PickInput, Picker, in_flight};

/// The better of two draws.
#[derive(Debug, Default)]
pub struct PowerOfTwo {
    draw: WeightedDraw,
}

impl Picker for PowerOfTwo {
    fn update(&mut self, candidates: &[Candidate]) {
        self.draw.update(candidates);
    }

    fn pick(&mut self, input: &PickInput<'_>) -> Option<EndpointIndex> {
        let mut draws = Draws::new(input.draw);
        let (first, second) = self.draw.two(&mut draws, |index| input.is_tried(index))?;
        let Some(second) = second else {
            return Some(first.index);
        };
        let first_load = u64::from(in_flight(input.loads, first.index)) * u64::from(second.weight);
        let second_load = u64::from(in_flight(input.loads, second.index)) * u64::from(first.weight);
        Some(if second_load < first_load {
            second.index
        } else {
            first.index
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;
    use super::*;

    #[test]
    fn the_busiest_is_never_picked() {
        let mut bench = Bench::new(PowerOfTwo::default(), &[1, 1, 1]);
        bench.start(2);
        let counts = bench.counts(10_000);
        assert_eq!(counts[2], 0);
        assert!(counts[0].abs_diff(5000) < 300, "{counts:?}");
    }

    #[test]
    fn load_is_taken_for_its_weight() {
        let mut bench = Bench::new(PowerOfTwo::default(), &[1, 4]);
        for _ in 0..3 {
            bench.start(1);
        }
        bench.start(0);
        assert_eq!(bench.counts(100), [0, 100]);
    }

    #[test]
    fn queues_stay_short() {
        let mut bench = Bench::new(PowerOfTwo::default(), &[1; 100]);
        for _ in 0..10_000 {
            let picked = bench.pick().unwrap();
            bench.start(picked);
        }
        let longest = bench
            .loads
            .iter()
            .map(super::super::Load::in_flight)
            .max()
            .unwrap();
        assert!(longest <= 104, "{longest}");
    }
}
