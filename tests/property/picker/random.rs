//! Random picks: uniform, and independent of one another.

use std::collections::HashMap;

use sluicegate::config::value::PickerSpec;

use super::Pool;

#[test]
fn random_is_uniform_by_chi_square() {
    for seed in 1..=10 {
        let weights = [1, 1, 2, 4, 8];
        let mut pool = Pool::new(&PickerSpec::Random, seed, &weights);
        let mut counts: HashMap<u32, f64> = HashMap::new();
        for _ in 0..16_000 {
            *counts.entry(pool.pick(None, &[]).unwrap().0).or_default() += 1.0;
        }
        let chi: f64 = (0..)
            .zip(weights)
            .map(|(index, weight)| {
                let expected = f64::from(weight) * 1000.0;
                (counts[&index] - expected).powi(2) / expected
            })
            .sum();
        // 4 degrees of freedom: beyond 18.5 once in a thousand; below 0.09 just as seldom.
        assert!((0.09..18.5).contains(&chi), "seed {seed}: {chi}");
    }
}

#[test]
fn pairs_of_draws_are_independent() {
    let mut pool = Pool::new(&PickerSpec::Random, 3, &[1; 4]);
    let mut pairs: HashMap<(u32, u32), f64> = HashMap::new();
    let mut last = pool.pick(None, &[]).unwrap().0;
    for _ in 0..16_000 {
        let next = pool.pick(None, &[]).unwrap().0;
        *pairs.entry((last, next)).or_default() += 1.0;
        last = next;
    }
    let chi: f64 = pairs
        .values()
        .map(|count| (count - 1000.0).powi(2) / 1000.0)
        .sum();
    assert_eq!(pairs.len(), 16);
    assert!(chi < 37.7, "15 degrees of freedom: {chi}");
}
