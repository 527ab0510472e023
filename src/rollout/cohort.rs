//! Cohorts of users: a deterministic and monotone choice by weight.
//!
//! A user is a hash; equal hashes get equal choices in every worker, proxy and release. Nothing is
//! stored. Between several arms the choice is weighted rendezvous hashing (Thaler and Ravishankar,
//! "Using name-based mappings to increase hit rates", 1998; weights after Schindelhauer and
//! Schomaker, 2005): the arm with the smallest `-ln(h) / weight` wins, where `h` in (0, 1) is a hash
//! of user and arm. An arm wins with the probability of its share of all weights. When weights
//! change, a user leaves an arm only for one whose weight has grown against it, so that no more
//! users move than the weights ask for.
//!
//! All arithmetic is on integers: the results are the same on every machine.

use crate::upstream::picker::mix;

/// An arm of a choice: something that a share of the users is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arm {
    /// Hash of its name, and not of its place: an arm that is added moves nobody between others.
    pub key: u64,
    /// Its weight; 0: nobody.
    pub weight: u32,
}

/// Returns the place of the user's arm; none if all weights are 0.
pub fn choose(user: u64, arms: impl Iterator<Item = Arm>) -> Option<usize> {
    let mut best: Option<(usize, u64, u32)> = None;
    for (place, arm) in arms.enumerate().filter(|(_, arm)| arm.weight > 0) {
        let cost = exponential(mix(user ^ mix(arm.key)));
        // cost / weight < best cost / best weight, without a division.
        let wins = best.is_none_or(|(_, least, weight)| {
            u128::from(cost) * u128::from(weight) < u128::from(least) * u128::from(arm.weight)
        });
        if wins {
            best = Some((place, cost, arm.weight));
        }
    }
    best.map(|(place, ..)| place)
}

/// Returns the point of a user in a comparison of two: uniform over all numbers, and independent of
/// his points under other keys.
pub fn point(user: u64, key: u64) -> u32 {
    u32::try_from(mix(user ^ mix(key)) >> 32).unwrap_or(u32::MAX)
}

/// A share of all users: those whose [`point`] is below it. It grows and shrinks at one end, so that
/// a growing share takes nobody out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u64);

impl Share {
    /// Nobody.
    pub const NONE: Self = Self(0);
    /// Everybody.
    pub const ALL: Self = Self(1 << 32);

    /// Makes the share of this ratio, 0 to 1.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the product is from 0 to 2^32"
    )]
    pub fn new(ratio: f64) -> Self {
        Self((ratio.clamp(0.0, 1.0) * (1_u64 << 32) as f64).round() as u64)
    }

    /// Makes the share from [`Self::bits`].
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The share in parts of 2^32.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The share as a ratio, 0 to 1.
    pub fn ratio(self) -> f64 {
        self.0 as f64 / (1_u64 << 32) as f64
    }

    /// The share in millionths, rounded.
    pub fn millionths(self) -> i64 {
        let scaled = (u128::from(self.0) * 1_000_000 + (1 << 31)) >> 32;
        i64::try_from(scaled).unwrap_or(0)
    }

    /// Returns true if the user of this point belongs to the share.
    pub fn has(self, point: u32) -> bool {
        u64::from(point) < self.0
    }
}

/// Returns `-log2` of a uniform hash as a fraction, in parts of 2^32. By one squaring for each bit:
/// floating point functions differ between platforms.
fn exponential(hash: u64) -> u64 {
    // In (0, 1), and never 0.
    let fraction = hash | 1;
    let zeros = fraction.leading_zeros();
    // From 1 to 2, in parts of 2^63.
    let mut mantissa = fraction << zeros;
    let mut log: u64 = 0;
    for _ in 0..BITS {
        let squared = (u128::from(mantissa) * u128::from(mantissa)) >> 63;
        let carry = squared >> 64;
        log = (log << 1) | u64::from(carry > 0);
        mantissa = u64::try_from(squared >> carry).unwrap_or(u64::MAX);
    }
    ((u64::from(zeros) + 1) << BITS).saturating_sub(log)
}

/// Bits of a logarithm behind the point.
const BITS: u32 = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::endpoint::stable_hash;

    fn arms(weights: &[u32]) -> Vec<Arm> {
        let named = weights.iter().enumerate().map(|(place, weight)| Arm {
            key: stable_hash(format!("pool-{place}").as_bytes()),
            weight: *weight,
        });
        named.collect()
    }

    fn of(user: u64, weights: &[u32]) -> usize {
        choose(user, arms(weights).into_iter()).unwrap()
    }

    fn users() -> impl Iterator<Item = u64> {
        (0..100_000_u32).map(|user| stable_hash(format!("user {user}").as_bytes()))
    }

    #[test]
    fn every_arm_gets_its_share() {
        for weights in [
            &[90, 10][..],
            &[1, 999],
            &[50, 30, 20],
            &[1, 1, 1, 1, 1],
            &[1_000_000, 10_000],
            &[0, 7, 3],
        ] {
            let mut counts = vec![0_u32; weights.len()];
            users().for_each(|user| counts[of(user, weights)] += 1);
            let sum: u32 = weights.iter().sum();
            for (count, weight) in counts.iter().zip(weights) {
                let share = f64::from(*weight) / f64::from(sum);
                let deviation = (100_000.0 * share * (1.0 - share)).sqrt();
                let off = (f64::from(*count) - 100_000.0 * share).abs();
                assert!(off <= 4.0 * deviation, "{weights:?}: {counts:?}");
            }
        }
    }

    #[test]
    fn a_user_moves_only_to_an_arm_that_has_grown_against_his() {
        let steps: [&[u32]; 8] = [
            &[100, 0, 5],
            &[99, 1, 5],
            &[90, 10, 5],
            &[90, 10, 0],
            &[50, 50, 0],
            &[10, 90, 40],
            &[0, 100, 40],
            &[7, 1, 1],
        ];
        for step in steps.windows(2) {
            let (before, after) = (step[0], step[1]);
            for user in users().take(20_000) {
                let (from, to) = (of(user, before), of(user, after));
                // after[to] / before[to] > after[from] / before[from]
                let grown = |arm: usize, other: usize| {
                    u64::from(after[arm]) * u64::from(before[other])
                        > u64::from(after[other]) * u64::from(before[arm])
                };
                assert!(from == to || grown(to, from), "{before:?} {after:?}");
            }
        }
    }

    #[test]
    fn no_more_users_move_than_the_weights_ask_for() {
        let moved = |before: &[u32], after: &[u32]| {
            let moves = users().filter(|user| of(*user, before) != of(*user, after));
            u32::try_from(moves.count()).map(f64::from).unwrap() / 100_000.0
        };
        assert!((moved(&[90, 10], &[80, 20]) - 0.1).abs() < 0.005);
        assert!((moved(&[50, 30, 20, 0], &[50, 30, 20, 25]) - 0.2).abs() < 0.006);
        assert!(moved(&[9, 1], &[90, 10]) < f64::EPSILON);
    }

    #[test]
    fn the_place_of_an_arm_does_not_matter() {
        let all = arms(&[50, 30, 20]);
        let turned: Vec<Arm> = all.iter().rev().copied().collect();
        for user in users().take(1000) {
            let first = choose(user, all.iter().copied()).map(|place| all[place].key);
            let second = choose(user, turned.iter().copied()).map(|place| turned[place].key);
            assert_eq!(first, second);
        }
    }

    #[test]
    fn where_all_weights_are_0_nobody_is_chosen() {
        assert_eq!(choose(7, arms(&[0, 0]).into_iter()), None);
        assert_eq!(choose(7, std::iter::empty()), None);
    }

    #[test]
    fn a_growing_share_takes_nobody_out_and_is_as_large_as_it_says() {
        let key = stable_hash(b"orders");
        let shares = [0.0, 0.01, 0.1, 0.5, 0.999, 1.0].map(Share::new);
        assert_eq!((shares[0], shares[5]), (Share::NONE, Share::ALL));
        let mut counts = [0_u32; 6];
        for user in users() {
            let point = point(user, key);
            let inside = shares.map(|share| share.has(point));
            assert!(inside.is_sorted());
            for (count, inside) in counts.iter_mut().zip(inside) {
                *count += u32::from(inside);
            }
        }
        for (count, share) in counts.into_iter().zip(shares) {
            let share = share.ratio();
            let deviation = (100_000.0 * share * (1.0 - share)).sqrt();
            assert!((f64::from(count) - 100_000.0 * share).abs() <= 4.0 * deviation);
        }
    }

    #[test]
    fn logarithms_are_right() {
        for hash in [1_u64, 3, 1 << 20, u64::MAX / 3, u64::MAX / 2, u64::MAX] {
            let expected = -((hash | 1) as f64 / 2_f64.powi(64)).log2();
            let found = exponential(hash) as f64 / 2_f64.powi(32);
            assert!(
                (found - expected).abs() < 1e-8,
                "{hash}: {found} {expected}"
            );
        }
    }

    // Other proxies of a fleet rely on these: they must never change.
    #[test]
    fn choices_are_the_same_in_every_release() {
        let chosen: Vec<usize> = users()
            .take(16)
            .map(|user| of(user, &[50, 30, 20]))
            .collect();
        assert_eq!(chosen, CHOSEN);
        assert_eq!(point(stable_hash(b"user 0"), stable_hash(b"orders")), POINT);
    }

    const CHOSEN: [usize; 16] = [0, 0, 1, 0, 0, 0, 1, 0, 2, 0, 0, 1, 2, 0, 2, 0];
    const POINT: u32 = 2_668_300_838;
}
