//! Picks by the key of the request, from a table.
//!
//! Maglev hashing (Eisenbud et al. 2016, section 3.4): each endpoint has its own order of
//! preference over the entries of a table, and in turns each takes the next free entry it prefers.
//! Here turns come by weight, evenly spaced ([`Turns`]), so entries match weights exactly, to one
//! entry. A lookup is one read. When an endpoint is removed, its keys move and a few others with
//! them (with 1 % of endpoints changed, about 1 %): more than on a ring, but the shares are far
//! more even. Loads are bounded (see `bounded_load`). The table depends on keys and weights alone,
//! so all workers and proxies agree. It is immutable and has all endpoints of a tier: control makes it,
//! all workers share it, and a pick passes endpoints that may not be picked now. So ill health moves
//! only the keys of the ill endpoint.
//!
//! O(1) per pick; the table is filled in O(m log m), a few milliseconds for 65,537 entries.

use std::sync::Arc;

use super::bounded_load::BoundedLoad;
use super::draw::{Draws, position};
use super::turns::Turns;
use super::{Candidate, EndpointIndex, Load, PickInput, Picker, mix};

/// Picks from a Maglev table.
#[derive(Debug)]
pub struct Maglev {
    bounded: BoundedLoad,
    table: Arc<MaglevTable>,
}

/// A table of endpoints. Immutable: workers share it.
#[derive(Debug, Default)]
pub(in crate::upstream) struct MaglevTable {
    /// The endpoints that it was made for.
    members: Vec<Candidate>,
    /// Places in the members; empty if there are none.
    entries: Arc<Vec<u32>>,
}

impl Maglev {
    /// Starts with no endpoint; `load_max` is the load limit, at least 1.
    pub fn new(load_max: f64) -> Self {
        let bounded = BoundedLoad::new(load_max);
        Self {
            bounded,
            table: Arc::default(),
        }
    }

    /// Uses this table from now on; only `candidates`, some of its members, may be picked.
    pub(super) fn use_table(&mut self, table: &Arc<MaglevTable>, candidates: &[Candidate]) {
        self.bounded.update(table.members(), candidates);
        if !Arc::ptr_eq(&self.table, table) {
            self.table = Arc::clone(table);
        }
    }
}

impl MaglevTable {
    /// Makes the table of these members, from an earlier one if only indexes changed: then the
    /// places in it still hold.
    pub(in crate::upstream) fn following(before: &Self, members: &[Candidate]) -> Self {
        let identity = |candidate: &Candidate| (candidate.key, candidate.weight);
        let (old, new) = (before.members.iter(), members.iter());
        let entries = if old.map(identity).eq(new.map(identity)) {
            Arc::clone(&before.entries)
        } else {
            Arc::new(fill(members))
        };
        Self {
            members: members.to_vec(),
            entries,
        }
    }

    /// The endpoints that it was made for.
    pub(in crate::upstream) fn members(&self) -> &[Candidate] {
        &self.members
    }
}

impl Picker for Maglev {
    fn update(&mut self, candidates: &[Candidate]) {
        let table = Arc::new(MaglevTable::following(&self.table, candidates));
        self.use_table(&table, candidates);
    }

    fn pick(&mut self, input: &PickInput<'_>) -> Option<EndpointIndex> {
        // Without a key any entry will do. Mixed, so that keys need not be good hashes.
        let hash = mix(input.key.unwrap_or(input.draw));
        let entries = &*self.table.entries;
        if entries.is_empty() {
            return None;
        }
        // After the entry of the key others at random, the same ones each time: neighbours in the
        // table belong together, and would not spread the keys of an endpoint alike.
        let mut draws = Draws::new(hash);
        let hashes = std::iter::once(hash).chain(std::iter::repeat_with(|| draws.next()));
        let entries = hashes.filter_map(|hash| entries.get(position(hash, entries.len())));
        let walk = entries.map(|place| *place as usize);
        self.bounded.settle(input.loads);
        self.bounded.choose(walk, input)
    }

    fn load_changed(&mut self, endpoint: EndpointIndex, loads: &[Load]) {
        self.bounded.load_changed(endpoint, loads);
    }
}

/// An endpoint's order of entries: every entry once, since the size is prime.
struct Preference {
    place: u32,
    next: u32,
    skip: u32,
}

impl Preference {
    fn new(place: u32, key: u64, size: u32) -> Self {
        let reduce = |hash: u64, size: u32| {
            let (_, reduced) = hash.carrying_mul(u64::from(size), 0);
            u32::try_from(reduced).unwrap_or_default()
        };
        let next = reduce(mix(key ^ OFFSET), size);
        let skip = 1 + reduce(mix(key ^ SKIP), size - 1);
        Self { place, next, skip }
    }

    fn advance(&mut self, size: u32) -> usize {
        let entry = self.next;
        self.next = (entry + self.skip) % size;
        entry as usize
    }
}

fn fill(candidates: &[Candidate]) -> Vec<u32> {
    let size = size(candidates.len());
    // Turns go by key, so that the order of the candidates does not matter.
    let mut order: Vec<(u32, &Candidate)> = (0..).zip(candidates).collect();
    order.sort_unstable_by_key(|(_, candidate)| candidate.key);
    let weights: Vec<u32> = order
        .iter()
        .map(|(_, candidate)| candidate.weight)
        .collect();
    let mut turns = Turns::new(&weights);
    let mut preferences: Vec<Preference> = order
        .iter()
        .map(|(place, it)| Preference::new(*place, it.key, size))
        .collect();
    let mut table = vec![FREE; size as usize];
    for _ in 0..size {
        let turn = turns.next().and_then(|slot| preferences.get_mut(slot));
        let Some(preference) = turn else {
            return Vec::new();
        };
        let mut entry = preference.advance(size);
        while table[entry] != FREE {
            entry = preference.advance(size);
        }
        table[entry] = preference.place;
    }
    table
}

/// Returns the smallest size that leaves each endpoint ten entries or more.
fn size(endpoints: usize) -> u32 {
    let enough = |size: &&u32| **size as usize / ENTRIES_EACH_MIN >= endpoints;
    SIZES.iter().find(enough).copied().unwrap_or(SIZE_LARGEST)
}

const FREE: u32 = u32::MAX;
/// Primes.
const SIZES: [u32; 2] = [65_537, 131_071];
const SIZE_LARGEST: u32 = 524_287;
const ENTRIES_EACH_MIN: usize = 10;
/// Makes two hashes of one key.
const OFFSET: u64 = 0x6f66_6673_6574;
const SKIP: u64 = 0x736b_6970;

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, candidates};
    use super::*;

    fn entries(table: &[u32], endpoints: usize) -> Vec<usize> {
        let mut entries = vec![0; endpoints];
        table.iter().for_each(|place| entries[*place as usize] += 1);
        entries
    }

    #[test]
    fn entries_match_the_weights() {
        let weights = [1, 2, 3, 10, 10, 100];
        let total: u32 = weights.iter().sum();
        let table = fill(&candidates(&weights));
        for (entries, weight) in entries(&table, weights.len()).into_iter().zip(weights) {
            let exact = f64::from(weight) * 65_537.0 / f64::from(total);
            assert!(
                (entries as f64 - exact).abs() <= 2.0,
                "{entries} for {exact}"
            );
        }
    }

    #[test]
    fn few_keys_move_when_one_of_a_hundred_leaves() {
        let all = candidates(&[1; 100]);
        let (before, after) = (fill(&all), fill(&all[..99]));
        let moved = before
            .iter()
            .zip(&after)
            .filter(|(old, new)| old != new)
            .count();
        let least = before.iter().filter(|place| **place == 99).count();
        assert!(moved < 3 * least, "{moved} entries moved, {least} had to");
    }

    #[test]
    fn the_order_of_candidates_does_not_matter() {
        let mut turned = candidates(&[1, 2, 3]);
        turned.reverse();
        let before = fill(&candidates(&[1, 2, 3]));
        assert!(
            before
                .iter()
                .zip(fill(&turned))
                .all(|(old, new)| *old == 2 - new)
        );
    }

    #[test]
    fn the_size_grows_with_the_endpoints() {
        assert_eq!(
            [1, 6553, 6554, 13_107, 13_108, 1 << 20].map(size),
            [65_537, 65_537, 131_071, 131_071, 524_287, 524_287]
        );
    }

    #[test]
    fn a_key_keeps_its_endpoint_and_no_endpoint_is_no_pick() {
        let mut bench = Bench::new(Maglev::new(1.25), &[1, 1, 1]);
        let owner = bench.pick_key(42);
        assert!(owner.is_some());
        assert_eq!(bench.pick_key(42), owner);
        assert_ne!(bench.pick_with(Some(42), &[owner.unwrap()]), owner);
        bench.picker.update(&[]);
        assert_eq!(bench.pick_key(42), None);
    }

    #[test]
    fn ill_health_moves_only_the_keys_of_the_ill_and_spreads_them() {
        let all = candidates(&[1; 10]);
        let mut bench = Bench::new(Maglev::new(f64::INFINITY), &[1; 10]);
        let owners = |bench: &mut Bench<Maglev>| -> Vec<u32> {
            (0..20_000)
                .map(|key| bench.pick_key(key).unwrap())
                .collect()
        };
        let before = owners(&mut bench);
        let table = Arc::clone(&bench.picker.table);
        bench.picker.use_table(&table, &all[1..]);
        let after = owners(&mut bench);
        let mut gained = [0; 10];
        for (old, new) in before.iter().zip(&after) {
            assert!(old == new || *old == 0);
            gained[*new as usize] += usize::from(old != new);
        }
        assert_eq!(gained[0], 0);
        assert!(
            gained[1..].iter().all(|count| (170..280).contains(count)),
            "{gained:?}"
        );
    }
}
