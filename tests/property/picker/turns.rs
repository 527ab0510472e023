//! Turns of the weighted round robin: their number and their spread.

use proptest::prelude::*;
use sluicegate::config::value::PickerSpec;

use super::Pool;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn weighted_turns_are_exact_over_a_cycle_and_never_far_from_their_share(
        weights in prop::collection::vec(1..40_u32, 1..25), seed: u64,
    ) {
        let mut pool = Pool::new(&PickerSpec::WeightedRoundRobin, seed, &weights);
        let total: u32 = weights.iter().sum();
        let mut counts = vec![0_u32; weights.len()];
        let mut last = vec![0_u32; weights.len()];
        for cycle in 1..=3 {
            for at in 1..=total {
                let picked = pool.pick(None, &[]).unwrap().0 as usize;
                let turn = (cycle - 1) * total + at;
                // A gap is below three shares: two for the bound at each end, one for the turn.
                let gap = f64::from(turn - last[picked]);
                let share = f64::from(total) / f64::from(weights[picked]);
                prop_assert!(gap <= 3.0 * share + 1.0, "gap {gap} where the share is {share}");
                last[picked] = turn;
                counts[picked] += 1;
                for (count, weight) in counts.iter().zip(&weights) {
                    let due = f64::from(turn) * f64::from(*weight) / f64::from(total);
                    // Two turns from the beginning of the cycle, which is not where this begins.
                    prop_assert!((f64::from(*count) - due).abs() < 4.0);
                }
            }
            let expected: Vec<u32> = weights.iter().map(|weight| weight * cycle).collect();
            prop_assert_eq!(&counts, &expected);
        }
    }

    #[test]
    fn a_run_is_no_longer_than_the_share_demands(
        heavy in 1..60_u32, light in prop::collection::vec(1..6_u32, 1..12), seed: u64,
    ) {
        let mut weights = light;
        weights.insert(0, heavy);
        let total: u32 = weights.iter().sum();
        let mut pool = Pool::new(&PickerSpec::WeightedRoundRobin, seed, &weights);
        let (mut runs, mut longest) = (0, 0);
        for _ in 0..4 * total {
            let heavy_turn = pool.pick(None, &[]).unwrap().0 == 0;
            runs = if heavy_turn { runs + 1 } else { 0 };
            longest = longest.max(runs);
        }
        // Windows of one share each: r turns in a row need r - 2 whole shares.
        let share = f64::from(heavy) / f64::from(total);
        let bound = 2.0 / (1.0 - share);
        prop_assert!(f64::from(longest) <= bound, "{longest} in a row, bound {bound}");
    }
}
