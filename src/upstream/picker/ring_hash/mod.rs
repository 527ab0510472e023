//! Picks by the key of the request, on a ring.
//!
//! Consistent hashing (Karger et al. 1997): each endpoint owns 256 points on a ring of 2^32,
//! independent of the others, and bids for a key the distance from the key to its next point,
//! divided by its weight. The lowest bid gets the key. Among equal weights that is the next point
//! on the ring, as usual; and since distances to points are (nearly) exponential, an endpoint wins
//! with the probability of its share of the weights, as in weighted rendezvous hashing.
//!
//! A bid depends on the key and its endpoint alone. So when an endpoint is removed or its weight
//! decreases, only its own keys move; when one is added or its weight increases, keys move only to
//! it: as few as the new shares require. If the number of points depended on weights, it could not
//! be bounded without moving the points of all when one changes.
//!
//! Loads are bounded (see `bounded_load`): a key spills over to the next lowest bid. Points depend
//! on the keys of the endpoints alone, so all workers and proxies agree. A share is off by about 6
//! % (1 / sqrt 256). A pick visits w / m points, with the largest weight w and the mean m: O(1) for
//! weights of the same order. The ring is immutable and has all endpoints of a tier, 8 bytes a point:
//! control makes it, all workers share it, and a pick passes endpoints that may not be picked now.
//! That leaves the keys of the others where they are, as if the points were not there.

mod ring;

use std::sync::Arc;

use super::bounded_load::BoundedLoad;
use super::{Candidate, EndpointIndex, Load, PickInput, Picker, mix};
pub(in crate::upstream) use ring::Ring;
use ring::upper;

/// A hash ring.
#[derive(Debug)]
pub struct RingHash {
    bounded: BoundedLoad,
    ring: Arc<Ring>,
}

impl RingHash {
    /// Starts with no endpoint; `load_max` is the load limit, at least 1.
    pub fn new(load_max: f64) -> Self {
        Self {
            bounded: BoundedLoad::new(load_max),
            ring: Arc::default(),
        }
    }

    /// Uses this ring from now on; only `candidates`, some of its members, may be picked.
    pub(super) fn use_ring(&mut self, ring: &Arc<Ring>, candidates: &[Candidate]) {
        self.bounded.update(ring.members(), candidates);
        if !Arc::ptr_eq(&self.ring, ring) {
            self.ring = Arc::clone(ring);
        }
    }
}

impl Picker for RingHash {
    fn update(&mut self, candidates: &[Candidate]) {
        let ring = Arc::new(Ring::following(&self.ring, candidates));
        self.use_ring(&ring, candidates);
    }

    fn pick(&mut self, input: &PickInput<'_>) -> Option<EndpointIndex> {
        // Without a key any place will do. Mixed, so that keys need not be good hashes.
        let hash = upper(mix(input.key.unwrap_or(input.draw)));
        self.bounded.settle(input.loads);
        let bounded = &self.bounded;
        let walk = self.ring.walk(hash, |place| bounded.is_candidate(place));
        bounded.choose(walk, input)
    }

    fn load_changed(&mut self, endpoint: EndpointIndex, loads: &[Load]) {
        self.bounded.load_changed(endpoint, loads);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, candidate, candidates};
    use super::*;

    const KEYS: u64 = 20_000;

    fn owners(bench: &mut Bench<RingHash>) -> Vec<u32> {
        (0..KEYS).map(|key| bench.pick_key(key).unwrap()).collect()
    }

    /// Returns the share of keys that move when the weights change, and that of keys that move
    /// between other endpoints than the last.
    fn moved(before: &[u32], after: &[u32]) -> (f64, f64) {
        let mut bench = Bench::new(RingHash::new(f64::INFINITY), before);
        let old = owners(&mut bench);
        bench.picker.update(&candidates(after));
        let new = owners(&mut bench);
        let last = u32::try_from(after.len() - 1).unwrap();
        let moves = old.iter().zip(&new).filter(|(old, new)| old != new);
        let due = moves
            .clone()
            .filter(|(old, new)| **old == last || **new == last);
        let share = |count: usize| count as f64 / KEYS as f64;
        (share(moves.count()), share(due.count()))
    }

    #[test]
    fn a_join_or_a_new_weight_moves_what_the_new_shares_demand() {
        let last = |mut weights: Vec<u32>, last| {
            weights.push(last);
            weights
        };
        for (before, after, demanded) in [
            (vec![1; 128], vec![1; 129], 1.0 / 129.0),
            (vec![1; 10], last(vec![1; 9], 2), 2.0 / 11.0 - 0.1),
            (last(vec![1; 9], 3), last(vec![1; 9], 4), 4.0 / 13.0 - 0.25),
            (
                last(vec![1; 9], 200),
                last(vec![1; 9], 100),
                200.0 / 209.0 - 100.0 / 109.0,
            ),
            (vec![7, 1, 1, 30], vec![7, 1, 1, 30, 9], 9.0 / 48.0),
        ] {
            let (all, due) = moved(&before, &after);
            assert!(
                (all - due).abs() < 1e-9,
                "{after:?}: {all} moved, {due} had to"
            );
            assert!(
                (0.5..1.6).contains(&(all / demanded)),
                "{after:?}: {all} of {demanded}"
            );
        }
    }

    #[test]
    fn updates_one_by_one_end_where_one_update_does() {
        let mut stepwise = Bench::new(RingHash::new(1.25), &[1; 3]);
        let all = candidates(&[1, 5, 2, 1, 9, 1, 1]);
        stepwise.picker.update(&all[2..5]);
        stepwise.picker.update(&all[..6]);
        stepwise.picker.update(&all);
        let mut at_once = Bench::new(RingHash::new(1.25), &[1, 5, 2, 1, 9, 1, 1]);
        stepwise.loads.clone_from(&at_once.loads);
        assert_eq!(owners(&mut stepwise), owners(&mut at_once));
    }

    #[test]
    fn only_the_keys_of_a_removed_endpoint_move() {
        let mut bench = Bench::new(RingHash::new(1.25), &[1; 10]);
        let before = owners(&mut bench);
        let mut left = candidates(&[1; 10]);
        left.remove(3);
        bench.picker.update(&left);
        let after = owners(&mut bench);
        assert!(
            before
                .iter()
                .zip(&after)
                .all(|(old, new)| old == new || *old == 3)
        );
    }

    #[test]
    fn passing_members_of_a_shared_ring_places_keys_as_a_ring_without_them() {
        for weights in [vec![1; 12], vec![3, 1, 9, 1, 2, 2, 7, 1, 1, 4, 30, 1]] {
            let all = candidates(&weights);
            let ring = Arc::new(Ring::following(&Ring::default(), &all));
            let left: Vec<_> = all
                .iter()
                .copied()
                .filter(|it| it.index.0 % 3 != 1)
                .collect();
            let mut shared = Bench::new(RingHash::new(1.25), &weights);
            shared.picker.use_ring(&ring, &left);
            let mut own = Bench::new(RingHash::new(1.25), &weights);
            own.picker.update(&left);
            assert_eq!(owners(&mut shared), owners(&mut own));
        }
    }

    #[test]
    fn shares_follow_the_weights() {
        let mut bench = Bench::new(RingHash::new(1.25), &[1, 1, 2]);
        let owners = owners(&mut bench);
        for (endpoint, share) in [(0, 0.25), (1, 0.25), (2, 0.5)] {
            let count = owners.iter().filter(|owner| **owner == endpoint).count();
            let off = count as f64 / KEYS as f64 / share;
            assert!((0.85..1.15).contains(&off), "{endpoint}: {off}");
        }
    }

    #[test]
    fn order_and_indexes_do_not_matter() {
        let mut bench = Bench::new(RingHash::new(1.25), &[1, 2, 3]);
        let before = owners(&mut bench);
        let renamed = |index: u32| candidate(index, index + 1).key;
        let turned = [2, 0, 1].map(|old| Candidate {
            index: EndpointIndex(2 - old),
            weight: old + 1,
            key: renamed(old),
        });
        bench.picker.update(&turned);
        let after = owners(&mut bench);
        assert!(before.iter().zip(after).all(|(old, new)| *old == 2 - new));
    }

    #[test]
    fn extreme_weights_are_followed_and_everyone_stays_on_the_ring() {
        let mut weights = vec![1; 300];
        weights[0] = u32::MAX;
        let mut bench = Bench::new(RingHash::new(f64::INFINITY), &weights);
        assert_eq!(bench.picker.ring.points.sorted.len(), 300 * 256);
        assert!(owners(&mut bench).iter().all(|owner| *owner == 0));
        let others: Vec<u32> = (0..KEYS)
            .map(|key| bench.pick_with(Some(key), &[0]).unwrap())
            .collect();
        let served = (1..300).filter(|index| others.contains(index)).count();
        assert!(served > 290, "{served}");
        assert_eq!(Bench::new(RingHash::new(1.25), &[]).pick_key(1), None);
    }

    #[test]
    fn a_key_that_was_refused_goes_to_the_next_lowest_bid() {
        let mut bench = Bench::new(RingHash::new(f64::INFINITY), &[1, 2, 3, 4]);
        for key in 0..500 {
            let first = bench.pick_key(key).unwrap();
            let second = bench.pick_with(Some(key), &[first]).unwrap();
            let mut left = candidates(&[1, 2, 3, 4]);
            left.remove(first as usize);
            bench.picker.update(&left);
            assert_eq!(bench.pick_key(key), Some(second));
            bench.picker.update(&candidates(&[1, 2, 3, 4]));
        }
    }
}
