//! Occupancy: endpoints of a pool that have all places of `limits.per_endpoint` taken, as a bit
//! set.
//!
//! One bit per endpoint, over all workers, so that one with room is found among many without
//! testing each: 64 in a step. The bits are hints: the count of the endpoint decides, in which a
//! pick takes its place. They are written only when an endpoint becomes full or is no longer full,
//! and only while the limit is set.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use super::{
    picker::{EndpointIndex, mix},
    shared::EndpointShared,
};

/// Full endpoints of a pool, by slot.
#[derive(Debug, Default)]
pub struct FullSet {
    /// Allocated at the first write.
    blocks: [OnceLock<Box<Block>>; BLOCKS],
}

type Block = [AtomicU64; BLOCK_WORDS];

/// Endpoints by slot and slots by endpoint, for one endpoint set. Empty if the limit is not set.
#[derive(Debug, Default)]
pub(super) struct Slots {
    endpoints: Vec<Option<EndpointIndex>>,
    slots: Vec<usize>,
    all: SlotMask,
}

/// A subset of the endpoints of a set.
#[derive(Debug, Default)]
pub(super) struct SlotMask(Vec<u64>);

impl FullSet {
    /// Returns the bits of these 64 slots.
    fn word(&self, at: usize) -> u64 {
        self.cell(at, false).map_or(0, |cell| cell.load(SeqCst))
    }

    fn set(&self, slot: usize) {
        if let Some(cell) = self.cell(slot / 64, true) {
            cell.fetch_or(1 << (slot % 64), SeqCst);
        }
    }

    fn clear(&self, slot: usize) {
        let bit = 1 << (slot % 64);
        if let Some(cell) = self.cell(slot / 64, false)
            && cell.load(SeqCst) & bit != 0
        {
            cell.fetch_and(!bit, SeqCst);
        }
    }

    /// Returns the cell of the bits; beyond the last block there are none, and no endpoint is
    /// marked full.
    fn cell(&self, word: usize, make: bool) -> Option<&AtomicU64> {
        let block = self.blocks.get(word / BLOCK_WORDS)?;
        let block = if make {
            block.get_or_init(|| Box::new([const { AtomicU64::new(0) }; BLOCK_WORDS]))
        } else {
            block.get()?
        };
        block.get(word % BLOCK_WORDS)
    }
}

impl EndpointShared {
    /// Takes one of `max` places; false if all are taken.
    pub(super) fn take_place(&self, max: usize, full: &FullSet) -> bool {
        let taken = self.requests.try_take(max);
        if !taken || self.requests.load(SeqCst) >= max {
            full.set(self.slot);
            // One given back before the bit was there found nothing to clear.
            if self.requests.load(SeqCst) < max {
                full.clear(self.slot);
            }
        }
        taken
    }

    /// Releases a place.
    pub(super) fn give_place_back(&self, full: &FullSet) {
        self.requests.give_back();
        full.clear(self.slot);
    }
}

impl Slots {
    pub(super) fn of<'a>(endpoints: impl Iterator<Item = &'a EndpointShared>) -> Self {
        let mut known = Self::default();
        for (index, endpoint) in (0..).zip(endpoints) {
            let slot = endpoint.slot;
            if known.endpoints.len() <= slot {
                known.endpoints.resize(slot + 1, None);
            }
            known.endpoints[slot] = Some(EndpointIndex(index));
            known.slots.push(slot);
        }
        let indexes = (0..)
            .zip(&known.slots)
            .map(|(index, _)| EndpointIndex(index));
        known.all = known.mask_of(indexes);
        known
    }

    /// Returns the mask of the whole set.
    pub(super) fn all(&self) -> &SlotMask {
        &self.all
    }

    /// Returns the mask of these endpoints.
    pub(super) fn mask_of(&self, endpoints: impl Iterator<Item = EndpointIndex>) -> SlotMask {
        let mut words = vec![0; self.endpoints.len().div_ceil(64)];
        for slot in endpoints.filter_map(|index| self.slots.get(index.0 as usize)) {
            words[slot / 64] |= 1 << (slot % 64);
        }
        SlotMask(words)
    }

    /// Offers those of the mask that are not full, from a random one on, until one is taken.
    pub(super) fn find(
        &self,
        mask: &SlotMask,
        full: &FullSet,
        draw: u64,
        mut take: impl FnMut(EndpointIndex) -> bool,
    ) -> Option<EndpointIndex> {
        let words = mask.0.len();
        let draw = mix(draw);
        let turn = u32::try_from(draw % 64).unwrap_or(0);
        let first = usize::try_from(draw >> 32).unwrap_or(0) % words.max(1);
        for at in (first..words).chain(0..first) {
            let mut free = (mask.0[at] & !full.word(at)).rotate_right(turn);
            while free != 0 {
                let bit = (free.trailing_zeros() + turn) % 64;
                free &= free - 1;
                let index = self.endpoints.get(at * 64 + bit as usize);
                let index = index.copied().flatten();
                if let Some(index) = index.filter(|index| take(*index)) {
                    return Some(index);
                }
            }
        }
        None
    }
}

/// 4,096 slots.
const BLOCK_WORDS: usize = 64;
/// 65,536 slots in total. Endpoints beyond are never marked full, only found to be.
const BLOCKS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(count: usize) -> Vec<EndpointShared> {
        (0..count).map(EndpointShared::at).collect()
    }

    #[test]
    fn the_one_with_room_is_found_among_many() {
        let (full, endpoints) = (FullSet::default(), endpoints(5000));
        let slots = Slots::of(endpoints.iter());
        let asked = (0..5000).filter(|index| index % 5 != 4);
        let mask = slots.mask_of(asked.map(EndpointIndex));
        for endpoint in &endpoints {
            assert!(endpoint.take_place(2, &full) && endpoint.take_place(2, &full));
            assert!(!endpoint.take_place(2, &full));
        }
        let find = |draw| {
            let take = |index: EndpointIndex| endpoints[index.0 as usize].take_place(2, &full);
            slots.find(&mask, &full, draw, take)
        };
        assert_eq!(find(1), None);
        endpoints[4320].give_place_back(&full);
        endpoints[4].give_place_back(&full);
        assert_eq!(find(2), Some(EndpointIndex(4320)));
        assert_eq!(find(3), None, "4 is not asked for");
    }

    #[test]
    fn those_with_room_are_found_alike() {
        let (full, endpoints) = (FullSet::default(), endpoints(100));
        let slots = Slots::of(endpoints.iter());
        let mask = slots.mask_of((0..100).map(EndpointIndex));
        let mut counts = [0; 100];
        for draw in 0..10_000 {
            let found = slots.find(&mask, &full, draw, |_| true).unwrap();
            counts[found.0 as usize] += 1;
        }
        assert!(counts.iter().all(|count| *count > 30), "{counts:?}");
    }

    #[test]
    fn a_place_given_back_while_the_bit_is_written_is_never_lost() {
        let (full, endpoints) = (FullSet::default(), endpoints(1));
        let endpoint = &endpoints[0];
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        if endpoint.take_place(2, &full) {
                            endpoint.give_place_back(&full);
                        }
                    }
                });
            }
        });
        assert_eq!((full.word(0), endpoint.requests.load(SeqCst)), (0, 0));
    }
}
