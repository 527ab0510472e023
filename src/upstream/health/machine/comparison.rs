//! Comparison of the endpoints of a pool with each other.
//!
//! Made once for all endpoints judged at a time: a pass over all of them for each would cost the
//! square of the pool's size if all answer badly.

use std::time::Duration;

use tokio::time::Instant;

use crate::upstream::health::window::{Figures, fraction};

/// Shares of bad outcomes in a pool at one time.
#[derive(Debug)]
pub(super) struct Comparison {
    at: Instant,
    /// Requests of each endpoint, in descending order, with the least share among those up to it.
    ranks: Vec<(u64, f64)>,
}

impl Comparison {
    /// Makes the comparison of these figures.
    pub(super) fn of(figures: impl Iterator<Item = Figures>, at: Instant) -> Self {
        let ranks = figures.map(|figures| (figures.total(), share(figures)));
        let mut ranks: Vec<(u64, f64)> = ranks.collect();
        ranks.sort_unstable_by_key(|(total, _)| std::cmp::Reverse(*total));
        let mut least = f64::INFINITY;
        for (_, share) in &mut ranks {
            least = least.min(*share);
            *share = least;
        }
        Self { at, ranks }
    }

    /// Returns true if it is recent enough to judge an endpoint with these figures, which is part
    /// of it.
    pub(super) fn holds(&self, own: Figures, volume_min: u32, now: Instant) -> bool {
        // The only one with enough traffic may be another.
        let known = self.at == now || self.comparable(own, volume_min).len() > 1;
        known && now < self.at + KEPT
    }

    /// Returns true if these figures are those of an endpoint that is worse than others, and not of
    /// requests that fail everywhere: another endpoint with enough traffic has less than half its
    /// share of failures, or no other endpoint has enough traffic.
    pub(super) fn stands_out(&self, own: Figures, volume_min: u32) -> bool {
        // Its own share among them is not less than half of itself.
        match self.comparable(own, volume_min) {
            [.., (_, least)] if *least < share(own) / 2.0 => true,
            comparable => comparable.len() < 2,
        }
    }

    /// Returns those with at least half as many requests, or half of `volume_min`, including the
    /// endpoint itself.
    fn comparable(&self, own: Figures, volume_min: u32) -> &[(u64, f64)] {
        let enough = own.total().min(u64::from(volume_min)).div_ceil(2).max(1);
        let count = self.ranks.partition_point(|(total, _)| *total >= enough);
        &self.ranks[..count]
    }
}

fn share(figures: Figures) -> f64 {
    fraction(figures.bad(), figures.total())
}

/// Maximum age of a comparison for runs of bad answers.
const KEPT: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_out_where_another_with_traffic_fares_better() {
        let stands_out = |own: Figures, others: &[Figures]| {
            let all = others.iter().copied().chain([own]);
            Comparison::of(all, Instant::now()).stands_out(own, 20)
        };
        let (broken, well, idle) = (figures(0, 5), figures(5, 0), figures(1, 0));
        assert!(stands_out(broken, &[well, broken]));
        assert!(!stands_out(broken, &[broken, broken]));
        // Half as bad is no better.
        assert!(!stands_out(broken, &[figures(5, 5)]));
        // Nobody to compare with.
        assert!(stands_out(broken, &[]));
        assert!(stands_out(broken, &[idle]));
        assert!(!stands_out(broken, &[idle, broken]));
        // Nor does one with less traffic and none of them bad.
        assert!(!stands_out(
            figures(0, 100),
            &[figures(9, 0), figures(0, 10)]
        ));
        assert!(stands_out(figures(0, 100), &[figures(10, 0)]));
    }

    fn figures(successes: u64, bad_answers: u64) -> Figures {
        Figures {
            successes,
            bad_answers,
            failures: 0,
        }
    }
}
