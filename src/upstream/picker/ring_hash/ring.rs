//! The ring itself: the owners of its points, and the walk of a key along them.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::super::{Candidate, mix};

/// The points of all endpoints.
#[derive(Debug, Default)]
pub(super) struct Ring {
    /// Sorted by hash, then by the key of the owner: equal hashes are ordered the same way
    /// everywhere.
    pub(super) points: Vec<Point>,
    owners: Vec<Owner>,
    /// Index of the first point for each value of the hash's top bits.
    starts: Vec<u32>,
    /// Shifts a hash down to its top bits.
    shift: u32,
    weight_max: u32,
    is_even: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    hash: u32,
    owner: u32,
}

/// An endpoint with points; it keeps them over updates.
#[derive(Clone, Copy, Debug)]
struct Owner {
    key: u64,
    weight: u32,
    /// Its place among the candidates.
    place: u32,
}

impl Ring {
    /// Removes the points of removed endpoints, and merges those of new ones in.
    pub(super) fn update(&mut self, candidates: &[Candidate]) {
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

    /// Returns the first point at or after the hash.
    fn find(&self, hash: u32) -> usize {
        let start = self.starts.get((hash >> self.shift) as usize);
        let start = start.map_or(0, |start| *start as usize);
        let mut later = self.points.iter().skip(start);
        let later = later.position(|point| point.hash >= hash);
        later.map_or(0, |steps| start + steps)
    }

    /// Returns places of candidates, the lowest bid first.
    pub(super) fn walk(&self, hash: u32) -> Walk<'_> {
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

    /// Returns the points from `start` on, once round.
    fn from(&self, start: usize) -> impl Iterator<Item = &Point> {
        let (before, after) = self.points.split_at(start);
        after.iter().chain(before)
    }

    fn owner(&self, point: &Point) -> &Owner {
        &self.owners[point.owner as usize]
    }
}

/// The walk of one key.
pub(super) struct Walk<'a> {
    ring: &'a Ring,
    hash: u32,
    start: usize,
    /// Number of points visited, once bids do not matter any more.
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
    /// Returns the lowest bidder besides those named. The walk ends where no weight could bid less.
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

/// Returns the half of a hash that places it on the ring.
pub(super) fn upper(hash: u64) -> u32 {
    u32::try_from(hash >> 32).unwrap_or_default()
}

fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Number of points of each endpoint.
const POINTS: u64 = 256;
/// Number of bids that are found in order; then the ring decides.
const BIDS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::super::super::testing::candidates;
    use super::*;

    #[test]
    fn the_index_finds_what_a_search_finds() {
        for endpoints in [1, 2, 3, 50] {
            let mut ring = Ring::default();
            ring.update(&candidates(&vec![1; endpoints]));
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
}
