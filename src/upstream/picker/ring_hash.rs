//! Picks by the key of the request, on a ring.
//!
//! Consistent hashing (Karger et al. 1997, points per endpoint as in ketama): endpoints own points
//! on a ring of 2^64, a key belongs to the next point. When an endpoint leaves, only its keys
//! move; when one joins, only keys that become its own. Loads are bounded (see `bounded_load`).
//! Points follow from the keys of the endpoints alone, so all workers and proxies agree.
//!
//! The heaviest endpoint has 256 to 512 points; halved, step by step, while all would exceed
//! [`POINTS_MAX`]. Expected O(1) per pick, through an index by the top bits; O(p log p) for an update.

use super::bounded_load::BoundedLoad;
use super::{Candidate, EndpointIndex, Load, PickInput, Picker, mix};

/// A hash ring.
#[derive(Debug)]
pub struct RingHash {
    bounded: BoundedLoad,
    /// By hash.
    points: Vec<Point>,
    /// Where the points begin whose hash has this number in its top bits.
    starts: Vec<usize>,
    /// Shifts a hash down to its top bits.
    shift: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    hash: u64,
    /// The owner's key settles equal hashes the same way everywhere.
    key: u64,
    place: usize,
}

impl RingHash {
    /// Starts with no endpoint; `load_max` is the bound of load, at least 1.
    pub fn new(load_max: f64) -> Self {
        let bounded = BoundedLoad::new(load_max);
        Self {
            bounded,
            points: Vec::new(),
            starts: Vec::new(),
            shift: 0,
        }
    }

    fn index_points(&mut self) {
        let bits = self
            .points
            .len()
            .next_power_of_two()
            .trailing_zeros()
            .max(1);
        self.shift = u64::BITS - bits;
        self.starts.clear();
        let mut at = 0;
        for top in 0..1_u64 << bits {
            while self
                .points
                .get(at)
                .is_some_and(|point| point.hash >> self.shift < top)
            {
                at += 1;
            }
            self.starts.push(at);
        }
    }

    /// The first point at or after the hash.
    fn find(&self, hash: u64) -> usize {
        let top = usize::try_from(hash >> self.shift).unwrap_or_default();
        let start = self.starts.get(top).copied().unwrap_or_default();
        let later = self
            .points
            .iter()
            .skip(start)
            .position(|point| point.hash >= hash);
        later.map_or(0, |steps| start + steps)
    }
}

impl Picker for RingHash {
    fn update(&mut self, candidates: &[Candidate]) {
        self.bounded.update(candidates);
        let counts = point_counts(candidates);
        self.points.clear();
        for (place, (candidate, count)) in candidates.iter().zip(counts).enumerate() {
            let key = candidate.key;
            let hashes = (0..count).map(|number| mix(key ^ mix(number)));
            self.points
                .extend(hashes.map(|hash| Point { hash, key, place }));
        }
        self.points.sort_unstable();
        self.index_points();
    }

    fn pick(&mut self, input: &PickInput<'_>) -> Option<EndpointIndex> {
        // Without a key any place will do. Mixed, so that keys need not be good hashes.
        let start = self.find(mix(input.key.unwrap_or(input.draw)));
        let (before, after) = self.points.split_at_checked(start)?;
        let walk = after.iter().chain(before).map(|point| point.place);
        self.bounded.choose(walk, input)
    }

    fn load_changed(&mut self, endpoint: EndpointIndex, loads: &[Load]) {
        self.bounded.load_changed(endpoint, loads);
    }
}

/// How many points each candidate has. Relative to the heaviest weight rounded up to a power of
/// two: then a change of one weight seldom changes the points of others.
fn point_counts(candidates: &[Candidate]) -> Vec<u64> {
    let weights = || {
        candidates
            .iter()
            .map(|candidate| u64::from(candidate.weight.max(1)))
    };
    let unit = weights().max().unwrap_or(1).next_power_of_two();
    let total: u64 = weights().sum();
    let budget = POINTS_MAX.max(candidates.len() as u64 * POINTS_EACH_MIN);
    let mut per_unit = POINTS_PER_UNIT;
    while per_unit > 1 && total.saturating_mul(per_unit) / unit > budget {
        per_unit /= 2;
    }
    weights()
        .map(|weight| (weight * per_unit / unit).max(1))
        .collect()
}

/// Points of an endpoint of the weight that all are compared with.
const POINTS_PER_UNIT: u64 = 512;
/// All points: 24 bytes each, on each worker.
const POINTS_MAX: u64 = 1 << 16;
/// Beyond 2,048 endpoints the ring grows with them, to keep shares from drifting apart.
const POINTS_EACH_MIN: u64 = 32;

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, candidate, candidates};
    use super::*;

    const KEYS: u64 = 20_000;

    fn owners(bench: &mut Bench<RingHash>) -> Vec<u32> {
        (0..KEYS).map(|key| bench.pick_key(key).unwrap()).collect()
    }

    #[test]
    fn the_index_finds_what_a_search_finds() {
        for endpoints in [1, 2, 3, 50] {
            let mut ring = RingHash::new(1.25);
            ring.update(&candidates(&vec![1; endpoints]));
            let probes = (0..2000).map(mix).chain([0, u64::MAX]);
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
    fn extreme_weights_keep_the_ring_bounded_and_everyone_on_it() {
        let mut weights = vec![1; 3000];
        weights[0] = u32::MAX;
        let counts = point_counts(&candidates(&weights));
        assert!(counts.iter().sum::<u64>() <= POINTS_MAX.max(3000 * POINTS_EACH_MIN) + 3000);
        assert!(counts.iter().all(|count| *count >= 1));
        assert!(point_counts(&[]).is_empty());
        assert_eq!(Bench::new(RingHash::new(1.25), &[]).pick_key(1), None);
    }
}
