//! The ring itself: the owners of its points, and the walk of a key along them.

use std::{collections::HashMap, sync::Arc};

use smallvec::SmallVec;

use super::super::{Candidate, mix};

/// A ring of endpoints. Immutable: workers share it.
#[derive(Debug, Default)]
pub(in crate::upstream) struct Ring {
    /// The endpoints that it was made for.
    members: Vec<Candidate>,
    owners: Vec<Owner>,
    pub(super) points: Arc<Points>,
    weight_max: u32,
    is_even: bool,
}

/// The points of all owners.
#[derive(Debug, Default)]
pub(super) struct Points {
    /// Sorted by hash, then by the key of the owner: equal hashes are ordered the same way
    /// everywhere.
    pub(super) sorted: Vec<Point>,
    /// Index of the first point for each value of the hash's top bits.
    starts: Vec<u32>,
    /// Shifts a hash down to its top bits.
    shift: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    hash: u32,
    owner: u32,
}

/// An endpoint with points; it keeps them in later rings.
#[derive(Clone, Copy, Debug)]
struct Owner {
    key: u64,
    weight: u32,
    /// Its place among the members.
    place: u32,
}

impl Ring {
    /// Makes the ring of these members from an earlier one: without the points of removed
    /// endpoints, and with those of new ones merged in. O(points); O(members) if all stay.
    pub(in crate::upstream) fn following(before: &Self, members: &[Candidate]) -> Self {
        let weights = members.iter().map(|member| member.weight.max(1));
        let weight_max = weights.clone().max().unwrap_or(1);
        let is_even = weights.clone().all(|weight| weight == weight_max);
        let mut new: HashMap<u64, (u32, u32)> = members
            .iter()
            .zip((0..).zip(weights))
            .map(|(member, at)| (member.key, at))
            .collect();
        let mut renumbered: Vec<Option<u32>> = Vec::with_capacity(before.owners.len());
        let mut owners = Vec::with_capacity(members.len());
        for owner in &before.owners {
            renumbered.push(new.remove(&owner.key).map(|(place, weight)| {
                let key = owner.key;
                owners.push(Owner { key, weight, place });
                index(owners.len() - 1)
            }));
        }
        let points = if new.is_empty() && owners.len() == before.owners.len() {
            Arc::clone(&before.points)
        } else {
            let kept = before.points.sorted.iter().filter_map(|point| {
                let owner = renumbered.get(point.owner as usize).copied().flatten()?;
                Some(Point { owner, ..*point })
            });
            let mut added = Vec::with_capacity(new.len() << POINTS.trailing_zeros());
            for (key, (place, weight)) in new {
                let owner = index(owners.len());
                owners.push(Owner { key, weight, place });
                let hashes = (0..POINTS).map(|number| upper(mix(key ^ mix(number))));
                added.extend(hashes.map(|hash| Point { hash, owner }));
            }
            Arc::new(Points::merged(kept, added, &owners))
        };
        Self {
            members: members.to_vec(),
            owners,
            points,
            weight_max,
            is_even,
        }
    }

    /// The endpoints that it was made for.
    pub(in crate::upstream) fn members(&self) -> &[Candidate] {
        &self.members
    }

    /// Returns places of members, the lowest bid first. With different weights only those bid for
    /// which `bids` is true; with equal ones the others are passed by the caller.
    pub(super) fn walk<F: Fn(usize) -> bool>(&self, hash: u32, bids: F) -> Walk<'_, F> {
        Walk {
            ring: self,
            bids,
            hash,
            start: match self.points.sorted.is_empty() {
                true => 0,
                false => self.points.find(hash),
            },
            step: 0,
            named: SmallVec::new(),
        }
    }

    fn owner(&self, point: &Point) -> &Owner {
        &self.owners[point.owner as usize]
    }
}

impl Points {
    /// Merges points in order with new ones in any order.
    fn merged(kept: impl Iterator<Item = Point>, mut added: Vec<Point>, owners: &[Owner]) -> Self {
        let rank = |point: &Point| (point.hash, owners[point.owner as usize].key);
        added.sort_unstable_by_key(|point| point.hash);
        for same in added.chunk_by_mut(|a, b| a.hash == b.hash) {
            if same.len() > 1 {
                same.sort_unstable_by_key(rank);
            }
        }
        let mut sorted = Vec::with_capacity(owners.len() << POINTS.trailing_zeros());
        let mut added = added.into_iter().peekable();
        for point in kept {
            while let Some(earlier) =
                added.next_if(|it| it.hash <= point.hash && rank(it) < rank(&point))
            {
                sorted.push(earlier);
            }
            sorted.push(point);
        }
        sorted.extend(added);
        Self::indexed(sorted)
    }

    fn indexed(sorted: Vec<Point>) -> Self {
        let bits = sorted.len().next_power_of_two().trailing_zeros();
        let shift = u32::BITS - bits.clamp(1, 24);
        let tops = 1_u32 << (u32::BITS - shift);
        let mut starts = Vec::with_capacity(tops as usize);
        let mut at = 0;
        for top in 0..tops {
            let before = |point: &Point| point.hash >> shift < top;
            while sorted.get(at).is_some_and(before) {
                at += 1;
            }
            starts.push(index(at));
        }
        Self {
            sorted,
            starts,
            shift,
        }
    }

    /// Returns the first point at or after the hash.
    pub(super) fn find(&self, hash: u32) -> usize {
        let start = self.starts.get((hash >> self.shift) as usize);
        let start = start.map_or(0, |start| *start as usize);
        let mut later = self.sorted.iter().skip(start);
        let later = later.position(|point| point.hash >= hash);
        later.map_or(0, |steps| start + steps)
    }

    /// Returns the points from `start` on, once round.
    fn from(&self, start: usize) -> impl Iterator<Item = &Point> {
        let (before, after) = self.sorted.split_at(start);
        after.iter().chain(before)
    }
}

/// The walk of one key.
pub(super) struct Walk<'a, F> {
    ring: &'a Ring,
    bids: F,
    hash: u32,
    start: usize,
    /// Number of points visited, once bids do not matter any more.
    step: usize,
    /// Owners of the lowest bids so far.
    named: SmallVec<[u32; BIDS_MAX]>,
}

impl<F: Fn(usize) -> bool> Iterator for Walk<'_, F> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.ring.is_even || self.named.len() == BIDS_MAX {
            let at = self.start + self.step;
            let points = &self.ring.points.sorted;
            let length = points.len();
            let point = points.get(if at < length { at } else { at - length })?;
            self.step += 1;
            (self.step <= length).then(|| self.ring.owner(point).place as usize)
        } else {
            let lowest = self.lowest_bid()?;
            self.named.push(lowest);
            Some(self.ring.owners[lowest as usize].place as usize)
        }
    }
}

impl<F: Fn(usize) -> bool> Walk<'_, F> {
    /// Returns the lowest bidder besides those named. The walk ends where no weight could bid less.
    fn lowest_bid(&self) -> Option<u32> {
        let ring = self.ring;
        // The mean number of steps is at most that of the endpoints.
        let steps_max = ring.owners.len().saturating_mul(8).max(1024);
        let mut lowest: Option<(u64, u64, u32)> = None;
        for point in ring.points.from(self.start).take(steps_max) {
            let way = u64::from(point.hash.wrapping_sub(self.hash)) + 1;
            // Ways are at most 2^32, weights less: the products fit.
            if let Some((best, weight, _)) = lowest
                && way * weight >= best * u64::from(ring.weight_max)
            {
                break;
            }
            let owner = ring.owner(point);
            let weight = u64::from(owner.weight);
            let lower = lowest.is_none_or(|(best, other, _)| way * other < best * weight);
            if lower && !self.named.contains(&point.owner) && (self.bids)(owner.place as usize) {
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
            let members = candidates(&vec![1; endpoints]);
            let ring = Ring::following(&Ring::default(), &members);
            let points = &ring.points;
            let hashes = (0..2000).map(|key| upper(mix(key))).chain([0, u32::MAX]);
            let around = points.sorted.iter().flat_map(|point| {
                [
                    point.hash,
                    point.hash.wrapping_add(1),
                    point.hash.wrapping_sub(1),
                ]
            });
            for hash in hashes.chain(around) {
                let found = points.sorted.partition_point(|point| point.hash < hash);
                assert_eq!(points.find(hash), found % points.sorted.len());
            }
        }
    }
}
