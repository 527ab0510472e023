//! Pickers by hash: bounded load, and keys that stay where they are.

use proptest::prelude::*;
use sluicegate::config::value::{HashKey, PickerSpec};
use sluicegate::upstream::picker::{EndpointIndex, Picker};

use super::{LOAD_MAX, Pool, candidates};

const HASHING: [PickerSpec; 2] = [
    PickerSpec::RingHash {
        key: HashKey::Path,
        load_max: LOAD_MAX,
    },
    PickerSpec::Maglev {
        key: HashKey::Path,
        load_max: LOAD_MAX,
    },
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn hashing_keeps_every_endpoint_within_its_bound(
        weights in prop::collection::vec(1..6_u32, 1..20), hot_keys in 1..4_u64, seed: u64,
    ) {
        for spec in &HASHING {
            let mut pool = Pool::new(spec, seed, &weights);
            let total = f64::from(weights.iter().sum::<u32>());
            for step in 0..300_u32 {
                let index = pool.pick(Some(u64::from(step) % hot_keys), &[]).unwrap();
                pool.start(index);
                let share = f64::from(weights[index.0 as usize]) / total;
                let bound = (LOAD_MAX * f64::from(step + 1) * share).ceil();
                let has = f64::from(pool.loads[index.0 as usize].in_flight());
                prop_assert!(has <= bound, "{spec:?}: {has} in flight, bound {bound}");
            }
        }
    }
}

/// Owner of each of 10,000 keys.
fn owners(pool: &mut Pool) -> Vec<EndpointIndex> {
    (0..10_000)
        .map(|key| pool.pick(Some(key), &[]).unwrap())
        .collect()
}

fn moved(before: &[EndpointIndex], after: &[EndpointIndex]) -> f64 {
    let moved = before
        .iter()
        .zip(after)
        .filter(|(old, new)| old != new)
        .count();
    f64::from(u32::try_from(moved).unwrap()) / 10_000.0
}

#[test]
fn few_keys_move_when_an_endpoint_leaves_or_joins() {
    for count in [3_usize, 10, 50, 200] {
        let all = candidates(&vec![1; count]);
        for (spec, slack) in HASHING.iter().zip([1.6, 3.0]) {
            let mut pool = Pool::new(spec, 1, &vec![1; count]);
            let before = owners(&mut pool);
            for left in [0, count / 2, count - 1] {
                let mut fewer = all.clone();
                fewer.remove(left);
                pool.picker.update(&fewer);
                let share = moved(&before, &owners(&mut pool));
                let least = 1.0 / f64::from(u32::try_from(count).unwrap());
                assert!(share > 0.3 * least, "{spec:?} of {count}: {share} moved");
                assert!(share < slack * least, "{spec:?} of {count}: {share} moved");
                pool.picker.update(&all);
                assert_eq!(before, owners(&mut pool), "back to where it was");
            }
        }
    }
}

#[test]
fn a_small_change_of_one_weight_moves_few_keys() {
    for spec in &HASHING {
        let mut pool = Pool::new(spec, 1, &[100; 10]);
        let before = owners(&mut pool);
        let mut changed = candidates(&[100; 10]);
        changed[4].weight = 90;
        pool.picker.update(&changed);
        let share = moved(&before, &owners(&mut pool));
        assert!(share > 0.0 && share < 0.05, "{spec:?}: {share} moved");
    }
}
