//! Draws by weight in constant time.
//!
//! An alias table (Walker 1977, built as by Vose 1991) with integer thresholds: column and coin
//! come from one 64-bit draw, the probability of each endpoint is exact to 2^-64 per column.

use super::draw::{Draws, position};
use super::{Candidate, EndpointIndex};

/// Endpoints with weights, drawn independently.
#[derive(Debug, Default)]
pub(super) struct WeightedDraw {
    entries: Vec<Entry>,
    columns: Vec<Column>,
}

/// An endpoint with the weight that it is drawn by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) index: EndpointIndex,
    pub(super) weight: u32,
}

/// A column of the table: its own entry below the threshold, another one above.
#[derive(Clone, Copy, Debug)]
struct Column {
    threshold: u64,
    other: usize,
}

impl WeightedDraw {
    /// Builds the table in O(n).
    pub(super) fn update(&mut self, candidates: &[Candidate]) {
        self.entries.clear();
        self.entries
            .extend(candidates.iter().map(|candidate| Entry {
                index: candidate.index,
                weight: candidate.weight.max(1),
            }));
        self.columns = columns(&self.entries);
    }

    /// Draws one entry that is not refused, by the weights of the remaining ones. O(1) expected;
    /// O(n) if most of the weight is refused.
    pub(super) fn one(
        &self,
        draws: &mut Draws,
        refused: impl Fn(EndpointIndex) -> bool,
    ) -> Option<Entry> {
        for _ in 0..DRAWS_MAX {
            let entry = self.any(draws.next())?;
            if !refused(entry.index) {
                return Some(entry);
            }
        }
        self.scan(draws.next(), refused)
    }

    /// Draws two different entries that are not refused; one if only one is left.
    pub(super) fn two(
        &self,
        draws: &mut Draws,
        refused: impl Fn(EndpointIndex) -> bool,
    ) -> Option<(Entry, Option<Entry>)> {
        let first = self.one(draws, &refused)?;
        if self.entries.len() == 1 {
            return Some((first, None));
        }
        let second = self.one(draws, |index| index == first.index || refused(index));
        Some((first, second))
    }

    fn any(&self, draw: u64) -> Option<Entry> {
        let (coin, column) = draw.carrying_mul(self.columns.len() as u64, 0);
        let column = usize::try_from(column).ok()?;
        let drawn = self.columns.get(column)?;
        let slot = if coin < drawn.threshold {
            column
        } else {
            drawn.other
        };
        self.entries.get(slot).copied()
    }

    /// Draws exactly among the remaining ones, if guesses did not find one.
    fn scan(&self, draw: u64, refused: impl Fn(EndpointIndex) -> bool) -> Option<Entry> {
        let left = || self.entries.iter().filter(|entry| !refused(entry.index));
        let total: u64 = left().map(|entry| u64::from(entry.weight)).sum();
        let mut rank = super::draw::below(draw, total);
        for entry in left() {
            let weight = u64::from(entry.weight);
            if rank < weight {
                return Some(*entry);
            }
            rank -= weight;
        }
        None
    }
}

/// Draws an entry of `members` that is not refused, all with equal probability.
pub(super) fn uniform(
    members: &[EndpointIndex],
    draws: &mut Draws,
    refused: impl Fn(EndpointIndex) -> bool,
) -> Option<EndpointIndex> {
    for _ in 0..DRAWS_MAX {
        let member = *members.get(position(draws.next(), members.len()))?;
        if !refused(member) {
            return Some(member);
        }
    }
    let left = members.iter().filter(|member| !refused(**member)).count();
    let rank = position(draws.next(), left);
    members
        .iter()
        .copied()
        .filter(|member| !refused(*member))
        .nth(rank)
}

fn columns(entries: &[Entry]) -> Vec<Column> {
    let count = entries.len() as u128;
    let total: u128 = entries.iter().map(|entry| u128::from(entry.weight)).sum();
    // In units where a column holds `total`: what each entry still has to place.
    let mut rest: Vec<u128> = entries
        .iter()
        .map(|entry| u128::from(entry.weight) * count)
        .collect();
    let full = |slot| Column {
        threshold: u64::MAX,
        other: slot,
    };
    let mut columns: Vec<Column> = (0..entries.len()).map(full).collect();
    let (mut small, mut large): (Vec<usize>, Vec<usize>) =
        (0..entries.len()).partition(|&slot| rest[slot] < total);
    while let (Some(&slot), Some(&giver)) = (small.last(), large.last()) {
        small.pop();
        let threshold = (rest[slot] << 64) / total;
        columns[slot] = Column {
            threshold: u64::try_from(threshold).unwrap_or(u64::MAX),
            other: giver,
        };
        rest[giver] -= total - rest[slot];
        if rest[giver] < total {
            large.pop();
            small.push(giver);
        }
    }
    columns
}

/// Number of guesses before the exact scan. With half of the weight tried, 1 pick in 256 scans.
const DRAWS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::super::testing::candidates;
    use super::*;

    /// Returns the probability that the table gives to each slot, in 2^-64 of a column.
    fn mass(draw: &WeightedDraw) -> Vec<u128> {
        let mut mass = vec![0; draw.entries.len()];
        for (slot, column) in draw.columns.iter().enumerate() {
            let own = if column.other == slot {
                1 << 64
            } else {
                u128::from(column.threshold)
            };
            mass[slot] += own;
            mass[column.other] += (1 << 64) - own;
        }
        mass
    }

    #[test]
    fn the_table_holds_the_weights_exactly() {
        for weights in [
            &[1][..],
            &[1, 1],
            &[5, 1, 1],
            &[100, 1, 7, 3, 50],
            &[u32::MAX, 1],
        ] {
            let mut draw = WeightedDraw::default();
            draw.update(&candidates(weights));
            let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
            for (slot, mass) in mass(&draw).into_iter().enumerate() {
                let exact = ((weights.len() as u128) << 64) * u128::from(weights[slot]) / total;
                assert!(
                    mass.abs_diff(exact) <= weights.len() as u128,
                    "{weights:?} slot {slot}"
                );
            }
        }
    }

    #[test]
    fn a_light_endpoint_is_found_when_the_heavy_one_is_refused() {
        let mut draw = WeightedDraw::default();
        draw.update(&candidates(&[u32::MAX, 1]));
        let found = draw.one(&mut Draws::new(1), |index| index == EndpointIndex(0));
        assert_eq!(found.map(|entry| entry.index), Some(EndpointIndex(1)));
        assert!(draw.one(&mut Draws::new(1), |_| true).is_none());
    }

    #[test]
    fn two_are_different() {
        let mut draw = WeightedDraw::default();
        draw.update(&candidates(&[1000, 1, 1]));
        for seed in 0..1000 {
            let (first, second) = draw.two(&mut Draws::new(seed), |_| false).unwrap();
            assert_ne!(Some(first.index), second.map(|entry| entry.index));
        }
    }
}
