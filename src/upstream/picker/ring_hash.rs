//! Picks by the key of the request, on a ring.
//!
//! Consistent hashing (Karger et al. 1997): each endpoint owns [`POINTS`] points on a ring of 2^32,
//! whatever the others own, and bids for a key the way from the key to its next point, divided by
//! its weight. The lowest bid has the key. Among equal weights that is the next point on the ring,
//! as ever; and since ways to points are (nearly) exponential, an endpoint wins with the probability
//! of its share of the weights, as in weighted rendezvous hashing.
//!
//! A bid depends on the key and its endpoint alone. So when an endpoint leaves or weighs less, only
//! keys of its own move; when one joins or weighs more, keys move to it and nowhere else: as few as
//! the new shares demand. Points that follow from weights could not be bounded without that a
//! change of one endpoint moves the points of all.
//!
//! Loads are bounded (see `bounded_load`): a key spills over to the next lowest bid. Points follow
//! from the keys of the endpoints alone, so all workers and proxies agree. A share is off by about
//! 6 % (1 / sqrt 256). A pick looks at w / m points, with the largest weight w and the mean m:
//! O(1) for weights of the same order; an update costs O(points), 8 bytes each.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::bounded_load::BoundedLoad;
use super::{Candidate, EndpointIndex, Load, PickInput, Picker, mix};

/// A hash ring.
#[derive(Debug)]
pub struct RingHash {
    bounded: BoundedLoad,
    ring: Ring,
}

#[derive(Debug, Default)]
struct Ring {
    /// By hash, then by the key of the owner: equal hashes are settled the same way everywhere.
    points: Vec<Point>,
    owners: Vec<Owner>,
    /// Where the points begin whose hash has this number in its top bits.
    starts: Vec<u32>,
    /// Shifts a hash down to its top bits.
    shift: u32,
    weight_max: u32,
    is_even: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Point {
    hash: u32,
    owner: u32,
}

/// Who has points; it keeps them over updates.
#[derive(Clone, Copy, Debug)]
struct Owner {
    key: u64,
    weight: u32,
    /// Its place among the candidates.
    place: u32,
}

impl RingHash {
    /// Starts with no endpoint; `load_max` is the bound of load, at least 1.
    pub fn new(load_max: f64) -> Self {
        Self {
            bounded: BoundedLoad::new(load_max),
            ring: Ring::default(),
        }
    }
}

impl Picker for RingHash {
    fn update(&mut self, candidates: &[Candidate]) {
        self.bounded.update(candidates);
        self.ring.update(candidates);
    }

    fn pick(&mut self, input: &PickInput<'_>) -> Option<EndpointIndex> {
        // Without a key any place will do. Mixed, so that keys need not be good hashes.
        let walk = self.ring.walk(upper(mix(input.key.unwrap_or(input.draw))));
        self.bounded.choose(walk, input)
    }

    fn load_changed(&mut self, endpoint: EndpointIndex, loads: &[Load]) {
        self.bounded.load_changed(endpoint, loads);
    }
}

impl Ring {
    /// Takes the points of those who left, and merges those of the new ones in.
    fn update(&mut self, candidates: &[Candidate]) {
        let weights = candidates.iter().map(|candidate| candidate.weight.max(1));
        self.weight_max = weights.clone().max().unwrap_or(1);
        self.is_even = weights.clone().all(|weight| weight == self.weight_max);
        let mut new: HashMap<u64, (u32, u32)> = candidates
            .iter()
            .zip((0..).zip(weights))
            .map(|(candidate, at)| (candidate.key, at))
            .collect();
        let mut renumbered: Vec<Option<u32>> = Vec::with_capacity(self.owners.len());
        let mut kept = Vec::with_capacity(candidates.len());
        for owner in &self.owners {
            renumbered.push(new.remove(&owner.key).map(|(place, weight)| {
                let key = owner.key;
                kept.push(Owner { key, weight, place });
                index(kept.len() - 1)
            }));
        }
        let all_stay = new.is_empty() && kept.len() == self.owners.len();
        self.owners = kept;
        if all_stay {
            return;
        }
        let mut points = Vec::with_capacity(candidates.len() << POINTS.trailing_zeros());
        points.extend(self.points.iter().filter_map(|point| {
            let owner = renumbered.get(point.owner as usize).copied().flatten()?;
            Some(Point { owner, ..*point })
        }));
        for (key, (place, weight)) in new {
            let owner = index(self.owners.len());
            self.owners.push(Owner { key, weight, place });
            let hashes = (0..POINTS).map(|number| upper(mix(key ^ mix(number))));
            points.extend(hashes.map(|hash| Point { hash, owner }));
        }
        // Stable: the part that is in order already costs one pass.
        points.sort_by_key(|point| (point.hash, self.owners[point.owner as usize].key));
        self.points = points;
        self.index_points();
    }

    fn index_points(&mut self) {
        let bits = self.points.len().next_power_of_two().trailing_zeros();
        self.shift = u32::BITS - bits.clamp(1, 24);
        self.starts.clear();
        let mut at = 0;
        for top in 0..1_u32 << (u32::BITS - self.shift) {
            let before = |point: &Point| point.hash >> self.shift < top;
            while self.points.get(at).is_some_and(before) {
                at += 1;
            }
            self.starts.push(index(at));
        }
    }

    /// The first point at or after the hash.
    fn find(&self, hash: u32) -> usize {
        let start = self.starts.get((hash >> self.shift) as usize);
        let start = start.map_or(0, |start| *start as usize);
        let mut later = self.points.iter().skip(start);
        let later = later.position(|point| point.hash >= hash);
        later.map_or(0, |steps| start + steps)
    }

    /// Places of candidates, the lowest bid first.
    fn walk(&self, hash: u32) -> Walk<'_> {
        Walk {
            ring: self,
            hash,
            start: if self.points.is_empty() {
                0
            } else {
                self.find(hash)
            },
            step: 0,
            named: SmallVec::new(),
        }
    }

    /// The points from `start` on, once round.
    fn from(&self, start: usize) -> impl Iterator<Item = &Point> {
        let (before, after) = self.points.split_at(start);
        after.iter().chain(before)
    }

    fn owner(&self, point: &Point) -> &Owner {
        &self.owners[point.owner as usize]
    }
}

/// The walk of one key.
struct Walk<'a> {
    ring: &'a Ring,
    hash: u32,
    start: usize,
    /// Points that have been passed, once bids do not matter any more.
    step: usize,
    /// Owners of the lowest bids so far.
    named: SmallVec<[u32; BIDS_MAX]>,
}

impl Iterator for Walk<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.ring.is_even || self.named.len() == BIDS_MAX {
            let at = self.start + self.step;
            let length = self.ring.points.len();
            let point = self
                .ring
                .points
                .get(if at < length { at } else { at - length })?;
            self.step += 1;
            (self.step <= length).then(|| self.ring.owner(point).place as usize)
        } else {
            let lowest = self.lowest_bid()?;
            self.named.push(lowest);
            Some(self.ring.owners[lowest as usize].place as usize)
        }
    }
}

impl Walk<'_> {
    /// Who bids lowest besides those named. The walk ends where no weight could bid less.
    fn lowest_bid(&self) -> Option<u32> {
        let ring = self.ring;
        // The mean number of steps is at most that of the endpoints.
        let steps_max = ring.owners.len().saturating_mul(8).max(1024);
        let mut lowest: Option<(u64, u64, u32)> = None;
        for point in ring.from(self.start).take(steps_max) {
            let way = u64::from(point.hash.wrapping_sub(self.hash)) + 1;
            // Ways are at most 2^32, weights less: the products fit.
            if let Some((best, weight, _)) = lowest
                && way * weight >= best * u64::from(ring.weight_max)
            {
                break;
            }
            let weight = u64::from(ring.owner(point).weight);
            let lower = lowest.is_none_or(|(best, other, _)| way * other < best * weight);
            if lower && !self.named.contains(&point.owner) {
                lowest = Some((way, weight, point.owner));
            }
        }
        lowest.map(|(_, _, owner)| owner)
    }
}

fn upper(hash: u64) -> u32 {
    u32::try_from(hash >> 32).unwrap_or_default()
}

fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Points of each endpoint.
const POINTS: u64 = 256;
/// Bids that are looked for in order; then the ring decides.
const BIDS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, candidate, candidates};
    use super::*;

    const KEYS: u64 = 20_000;

    fn owners(bench: &mut Bench<RingHash>) -> Vec<u32> {
        (0..KEYS).map(|key| bench.pick_key(key).unwrap()).collect()
    }

    /// The share of keys that move when the weights change, and that of those which move to or
    /// from nobody but the last endpoint.
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
    fn the_index_finds_what_a_search_finds() {
        for endpoints in [1, 2, 3, 50] {
            let mut ring = RingHash::new(1.25);
            ring.update(&candidates(&vec![1; endpoints]));
            let ring = ring.ring;
            let probes = (0..2000).map(|key| upper(mix(key))).chain([0, u32::MAX]);
            let around = ring.points.clone().into_iter().flat_map(|point| {
                [
                    point.hash,
                    point.hash.wrapping_add(1),
                    point.hash.wrapping_sub(1),
                ]
            });
            for hash in probes.chain(around) {
                let found = ring.points.partition_point(|point| point.hash < hash);
                assert_eq!(ring.find(hash), found % ring.points.len());
            }
        }
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
        assert_eq!(bench.picker.ring.points.len(), 300 * 256);
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
