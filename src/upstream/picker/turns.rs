//! Turns by weight, spaced as evenly as whole turns allow.
//!
//! This is Tijdeman's chairman assignment ("The chairman assignment problem", 1980): with share `s`
//! the k-th turn must fall into the window from `k / s` (down) to `(k + 1) / s` (up), and among
//! those whose window is open the one that closes first gets the turn. A schedule that keeps all
//! windows exists, and earliest deadline first finds it, so at any time each has had less than one
//! turn more or less than its share, and exactly its share after each cycle.
//!
//! Endpoints of equal weight form a class; the windows are those of classes, and inside a class
//! turns go round. That keeps the limit (within two turns for a member), spreads groups evenly too
//! (one of weight 50 with fifty of weight 1: every other turn), and makes the cost depend on the
//! number d of distinct weights: O(log d) amortised, O(1) for equal weights. Windows advance by
//! whole and remainder as in Bresenham's line: exact, without division.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// An endless schedule over slots `0..n`.
#[derive(Debug, Default)]
pub(super) struct Turns {
    classes: Vec<Class>,
    /// Open windows: deadline, then the rarer class, class.
    open: BinaryHeap<Reverse<(i64, u64, usize)>>,
    /// Future windows: release, class.
    ahead: BinaryHeap<Reverse<(i64, usize)>>,
    /// Turns given since the start.
    now: i64,
    /// Sum of all weights: the length of a cycle.
    total: u64,
}

/// Slots of equal weight.
#[derive(Debug)]
struct Class {
    members: Vec<usize>,
    /// Number of members that had their turn in this round: those before it in `members`.
    served: usize,
    /// Sum of the weights of the members.
    weight: u64,
    /// Start of the window of its next turn: `whole + part / weight`.
    whole: i64,
    part: u64,
    /// Distance between two windows: `step + step_part / weight`.
    step: i64,
    step_part: u64,
}

/// Turns, or parts of one, that a slot is owed: in 2^-20.
pub(super) type Owed = i64;

impl Turns {
    /// Starts at the beginning of a cycle; slots of equal weight take turns in the order given.
    pub(super) fn new(weights: &[u32]) -> Self {
        Self::resume(weights, &[])
    }

    /// Starts where another schedule ended: those that are owed most come first. `owed` is by slot;
    /// none for missing ones.
    pub(super) fn resume(weights: &[u32], owed: &[Owed]) -> Self {
        let weights = bounded(weights);
        let total = weights.iter().sum();
        let mut members: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (slot, weight) in weights.iter().enumerate() {
            members.entry(*weight).or_default().push(slot);
        }
        let classes: Vec<Class> = members
            .into_iter()
            .map(|(weight, members)| Class::new(weight, members, total, owed))
            .collect();
        let ahead = classes
            .iter()
            .enumerate()
            .map(|(at, class)| Reverse((class.whole, at)));
        let mut schedule = Self {
            open: BinaryHeap::with_capacity(classes.len()),
            ahead: BinaryHeap::with_capacity(classes.len()),
            now: 0,
            total,
            classes: Vec::new(),
        };
        schedule.ahead.extend(ahead);
        schedule.classes = classes;
        schedule
    }

    /// The length of a cycle.
    pub(super) fn cycle(&self) -> u64 {
        self.total
    }

    /// Makes each class begin with another of its members, chosen by `by` from their number.
    pub(super) fn rotate(&mut self, mut by: impl FnMut(usize) -> usize) {
        for class in &mut self.classes {
            let first = by(class.members.len());
            if first < class.members.len() {
                class.members.rotate_left(first);
            }
        }
    }

    /// Returns the slot that has the turn; `None` if there are no slots.
    pub(super) fn next(&mut self) -> Option<usize> {
        self.open_windows();
        if self.open.is_empty() {
            // Only after a resume, when more was given in advance than is owed.
            let Reverse((release, _)) = self.ahead.peek()?;
            self.now = *release;
            self.open_windows();
        }
        let Reverse((_, _, at)) = self.open.pop()?;
        let class = self.classes.get_mut(at)?;
        let slot = class.turn();
        self.ahead.push(Reverse((class.whole, at)));
        self.now += 1;
        slot
    }

    /// Returns the slot whose turn comes after this many others; known beforehand if all weights
    /// are equal.
    pub(super) fn upcoming(&self, after: usize) -> Option<usize> {
        let [class] = &self.classes[..] else {
            return None;
        };
        class
            .members
            .get(wrapped(class.served + after, class.members.len()))
            .copied()
    }

    /// Returns what each slot is owed now. Inside a class the next in line is owed most and the
    /// last served least, evenly spaced, so that a resumed schedule keeps the order.
    pub(super) fn owed(&self) -> impl Iterator<Item = (usize, Owed)> {
        self.classes.iter().flat_map(move |class| {
            let (due, served) = class.members.split_at_checked(class.served).map_or_else(
                || (&class.members[..], &[][..]),
                |(served, due)| (due, served),
            );
            let members = i64::try_from(class.members.len()).unwrap_or(i64::MAX);
            let owed = class.owed(self.now, self.total);
            (0..)
                .zip(due.iter().chain(served))
                .map(move |(place, &slot)| {
                    let ahead_of_middle = (members - 1 - 2 * place) * (TURN / 2);
                    (slot, (owed + ahead_of_middle) / members)
                })
        })
    }

    fn open_windows(&mut self) {
        while let Some(&Reverse((release, at))) = self.ahead.peek() {
            if release > self.now {
                return;
            }
            self.ahead.pop();
            if let Some(class) = self.classes.get(at) {
                self.open
                    .push(Reverse((class.deadline(), class.weight, at)));
            }
        }
    }
}

impl Class {
    fn new(weight: u64, mut members: Vec<usize>, total: u64, owed: &[Owed]) -> Self {
        let owed_to = |slot: usize| owed.get(slot).copied().unwrap_or_default();
        members.sort_by_key(|slot| Reverse(owed_to(*slot)));
        let weight = weight * members.len() as u64;
        // A class is never owed more than one turn: making up for more would be a burst.
        let owed = members
            .iter()
            .map(|slot| owed_to(*slot))
            .sum::<Owed>()
            .clamp(-TURN, TURN);
        let (whole, part) = divide(-i128::from(owed) * i128::from(total), weight, POINT);
        let (step, step_part) = divide(i128::from(total), weight, 0);
        Self {
            members,
            served: 0,
            weight,
            whole,
            part,
            step,
            step_part,
        }
    }

    fn turn(&mut self) -> Option<usize> {
        let slot = self.members.get(self.served).copied();
        self.served += 1;
        if self.served >= self.members.len() {
            self.served = 0;
        }
        (self.whole, self.part) = self.after();
        slot
    }

    fn deadline(&self) -> i64 {
        let (whole, part) = self.after();
        whole + i64::from(part > 0)
    }

    /// Returns the start of the window of the turn after the next one.
    fn after(&self) -> (i64, u64) {
        let (whole, part) = (self.whole + self.step, self.part + self.step_part);
        if part >= self.weight {
            (whole + 1, part - self.weight)
        } else {
            (whole, part)
        }
    }

    fn owed(&self, now: i64, total: u64) -> Owed {
        let late = i128::from(now - self.whole) * i128::from(self.weight) - i128::from(self.part);
        Owed::try_from((late << POINT) / i128::from(total.max(1))).unwrap_or_default()
    }
}

/// Wraps a place less than one round ahead, in a round of `length`.
pub(super) fn wrapped(place: usize, length: usize) -> usize {
    place.checked_sub(length).unwrap_or(place)
}

/// `number / 2^shift / divisor` as whole (rounded down) and remainder over `divisor`.
fn divide(number: i128, divisor: u64, shift: u32) -> (i64, u64) {
    let wide = i128::from(divisor.max(1)) << shift;
    let whole = i64::try_from(number.div_euclid(wide)).unwrap_or_default();
    let part = u64::try_from(number.rem_euclid(wide) >> shift).unwrap_or_default();
    (whole, part)
}

/// Limits weights so that their sum leaves room for exact arithmetic; only beyond 2^40 they lose
/// low bits.
fn bounded(weights: &[u32]) -> Vec<u64> {
    let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    let shift = (u64::BITS - total.leading_zeros()).saturating_sub(TOTAL_BITS_MAX);
    weights
        .iter()
        .map(|weight| (u64::from(*weight) >> shift).max(1))
        .collect()
}

const POINT: u32 = 20;
const TURN: Owed = 1 << POINT;
const TOTAL_BITS_MAX: u32 = 40;

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(weights: &[u32], turns: usize) -> Vec<usize> {
        let mut schedule = Turns::new(weights);
        (0..turns).map(|_| schedule.next().unwrap()).collect()
    }

    #[test]
    fn a_heavy_endpoint_is_spread_between_the_light_ones() {
        assert_eq!(sequence(&[5, 1, 1], 7), [0, 0, 1, 0, 0, 2, 0]);
        assert_eq!(sequence(&[2, 1], 6), [0, 1, 0, 0, 1, 0]);
        assert_eq!(sequence(&[1, 1, 1], 6), [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn one_against_many_takes_every_other_turn() {
        let mut weights = vec![1; 51];
        weights[0] = 50;
        let turns = sequence(&weights, 200);
        assert!(
            turns
                .windows(2)
                .all(|pair| (pair[0] == 0) != (pair[1] == 0)),
            "{turns:?}"
        );
    }

    #[test]
    fn nobody_is_ever_a_turn_away_from_his_share() {
        for weights in [&[7, 5, 3, 2, 1][..], &[50, 7, 1], &[1, 2], &[97, 89, 13, 4]] {
            let total: i64 = weights.iter().copied().map(i64::from).sum();
            let mut schedule = Turns::new(weights);
            let mut counts = vec![0_i64; weights.len()];
            for turn in 1..=3 * total {
                counts[schedule.next().unwrap()] += 1;
                for (count, weight) in counts.iter().zip(weights) {
                    let off = count * total - turn * i64::from(*weight);
                    assert!(off.abs() < total, "{weights:?} turn {turn}: {counts:?}");
                }
            }
        }
    }

    #[test]
    fn a_resumed_schedule_keeps_what_is_owed() {
        let weights = [7, 3, 3, 1];
        let mut whole = Turns::new(&weights);
        let mut cut = Turns::new(&weights);
        let mut counts = [[0_i32; 4]; 2];
        for _ in 0..14 * 50 {
            counts[0][whole.next().unwrap()] += 1;
            counts[1][cut.next().unwrap()] += 1;
            let mut owed = [0; 4];
            cut.owed().for_each(|(slot, turns)| owed[slot] = turns);
            cut = Turns::resume(&weights, &owed);
        }
        assert_eq!(counts[0], [350, 150, 150, 50]);
        for (cut, whole) in counts[1].iter().zip(counts[0]) {
            assert!((cut - whole).abs() <= 4, "{counts:?}");
        }
    }

    #[test]
    fn upcoming_turns_are_those_that_are_given() {
        let mut equal = Turns::new(&[3; 5]);
        for _ in 0..11 {
            let ahead = [0, 1, 4].map(|after| equal.upcoming(after));
            assert_eq!(ahead[0], equal.next());
            assert_eq!(ahead[1..], [0, 3].map(|after| equal.upcoming(after)));
        }
        assert_eq!(Turns::new(&[1, 2]).upcoming(0), None);
        assert_eq!(Turns::new(&[]).upcoming(0), None);
    }

    #[test]
    fn huge_weights_do_not_overflow() {
        let mut schedule = Turns::new(&[u32::MAX, u32::MAX, 1]);
        let turns: Vec<_> = (0..1000).map(|_| schedule.next().unwrap()).collect();
        let ones = turns.iter().filter(|slot| **slot == 1).count();
        assert!((498..=501).contains(&ones), "{ones}");
    }

    #[test]
    fn no_slots_no_turn() {
        assert_eq!(Turns::new(&[]).next(), None);
        assert_eq!(Turns::default().next(), None);
    }
}
