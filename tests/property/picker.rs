//! Properties of every picker, and the promises of each.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use sluicegate::config::value::{HashKey, PickerSpec};
use sluicegate::upstream::picker::{
    AnyPicker, Candidate, EndpointIndex, Load, PickInput, Picker, Registered, mix,
};
use tokio::time::Instant;

use crate::allocation::allocations;

const ALL: [PickerSpec; 8] = [
    PickerSpec::Random,
    PickerSpec::RoundRobin,
    PickerSpec::WeightedRoundRobin,
    PickerSpec::LeastRequests,
    PickerSpec::PowerOfTwo,
    PickerSpec::PeakEwma,
    PickerSpec::RingHash {
        key: HashKey::Path,
        load_max: LOAD_MAX,
    },
    PickerSpec::Maglev {
        key: HashKey::Path,
        load_max: LOAD_MAX,
    },
];
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
const LOAD_MAX: f64 = 1.25;

fn build(spec: &PickerSpec, seed: u64) -> AnyPicker {
    AnyPicker::build(spec, seed, &Registered::default()).unwrap()
}

fn candidates(weights: &[u32]) -> Vec<Candidate> {
    (0..)
        .zip(weights)
        .map(|(index, &weight)| Candidate {
            index: EndpointIndex(index),
            weight,
            key: mix(u64::from(index) << 7),
        })
        .collect()
}

fn loads(count: usize) -> Vec<Load> {
    (0..count).map(|_| Load::default()).collect()
}

/// A picker with what it is asked with.
struct Pool {
    picker: AnyPicker,
    loads: Vec<Load>,
    now: Instant,
    draw: u64,
}

impl Pool {
    fn new(spec: &PickerSpec, seed: u64, weights: &[u32]) -> Self {
        let mut picker = build(spec, seed);
        picker.update(&candidates(weights));
        Self {
            picker,
            loads: loads(weights.len()),
            now: Instant::now(),
            draw: seed,
        }
    }

    fn pick(&mut self, key: Option<u64>, tried: &[EndpointIndex]) -> Option<EndpointIndex> {
        self.draw = mix(self.draw);
        let input = PickInput {
            now: self.now,
            draw: self.draw,
            key,
            tried,
            loads: &self.loads,
        };
        self.picker.pick(&input)
    }

    fn start(&mut self, endpoint: EndpointIndex) {
        self.loads[endpoint.0 as usize].started();
        self.picker.load_changed(endpoint, &self.loads);
    }

    fn finish(&mut self, endpoint: EndpointIndex, failed: bool) {
        let load = &self.loads[endpoint.0 as usize];
        load.finished(self.now, Duration::from_millis(5), failed, None);
        self.picker.load_changed(endpoint, &self.loads);
    }

    fn in_flight(&self) -> Vec<u32> {
        self.loads.iter().map(Load::in_flight).collect()
    }
}

/// An event in a pool between picks.
#[derive(Clone, Debug)]
enum Event {
    Pick {
        key: Option<u64>,
        tried: Vec<usize>,
        start: bool,
    },
    Finish {
        endpoint: usize,
        failed: bool,
    },
    Update {
        kept: Vec<bool>,
    },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let tried = prop::collection::vec(0..12_usize, 0..5);
    let event = prop_oneof![
        4 => (any::<Option<u64>>(), tried, any::<bool>())
            .prop_map(|(key, tried, start)| Event::Pick { key, tried, start }),
        2 => (0..12_usize, any::<bool>())
            .prop_map(|(endpoint, failed)| Event::Finish { endpoint, failed }),
        1 => prop::collection::vec(any::<bool>(), 12).prop_map(|kept| Event::Update { kept }),
    ];
    prop::collection::vec(event, 1..50)
}

fn weights() -> impl Strategy<Value = Vec<u32>> {
    let weight = prop_oneof![5 => 1..10_u32, 2 => 1..1000_u32, 1 => Just(u32::MAX)];
    prop::collection::vec(weight, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_untried_candidate_is_picked_whenever_there_is_one(
        weights in weights(), events in events(), seed: u64,
    ) {
        for spec in &ALL {
            let mut pool = Pool::new(spec, seed, &weights);
            let mut live = candidates(&weights);
            for event in &events {
                match event {
                    Event::Pick { key, tried, start } => {
                        let tried: Vec<_> = tried.iter().filter(|at| **at < weights.len())
                            .map(|at| EndpointIndex(u32::try_from(*at).unwrap())).collect();
                        let picked = pool.pick(*key, &tried);
                        let mut left = live.iter().map(|it| it.index)
                            .filter(|index| !tried.contains(index));
                        match picked {
                            Some(index) => {
                                prop_assert!(left.any(|it| it == index), "{spec:?}: {index:?}");
                                if *start { pool.start(index) }
                            }
                            None => prop_assert_eq!(left.next(), None, "{:?}", spec),
                        }
                    }
                    Event::Finish { endpoint, failed } => {
                        let index = endpoint % weights.len();
                        if pool.loads[index].in_flight() > 0 {
                            pool.finish(EndpointIndex(u32::try_from(index).unwrap()), *failed);
                        }
                        pool.now += Duration::from_millis(100);
                    }
                    Event::Update { kept } => {
                        live = candidates(&weights);
                        live.retain(|it| kept[it.index.0 as usize]);
                        pool.picker.update(&live);
                    }
                }
            }
        }
    }

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

    #[test]
    fn least_requests_agrees_with_a_scan(
        weights in prop::collection::vec(1..8_u32, 1..20),
        steps in prop::collection::vec((any::<u8>(), any::<u8>()), 1..150), seed: u64,
    ) {
        let mut pool = Pool::new(&PickerSpec::LeastRequests, seed, &weights);
        for (start, tried) in steps {
            let busy = usize::from(start) % weights.len();
            if start % 3 == 0 && pool.loads[busy].in_flight() > 0 {
                pool.finish(EndpointIndex(u32::try_from(busy).unwrap()), false);
            }
            let tried = [EndpointIndex(u32::from(tried) % 20)];
            let picked = pool.pick(None, &tried);
            let load = |at: usize| {
                f64::from(pool.loads[at].in_flight()) / f64::from(weights[at])
            };
            let least = (0..weights.len()).filter(|at| *at != tried[0].0 as usize)
                .map(load).min_by(f64::total_cmp);
            prop_assert_eq!(picked.map(|index| load(index.0 as usize)), least);
            if let Some(index) = picked { pool.start(index) }
        }
    }

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

#[test]
fn load_is_level_when_requests_are_long() {
    for spec in &ALL {
        if matches!(spec, PickerSpec::Random) {
            continue;
        }
        let mut pool = Pool::new(spec, 5, &[1; 20]);
        for key in 0..2000 {
            let index = pool.pick(Some(mix(key)), &[]).unwrap();
            pool.start(index);
        }
        let (most, least) = (
            pool.in_flight().into_iter().max(),
            pool.in_flight().into_iter().min(),
        );
        assert!(
            most.unwrap() <= 125 && least.unwrap() >= 50,
            "{spec:?}: {most:?} {least:?}"
        );
    }
}

#[test]
fn a_pick_never_allocates() {
    for spec in &ALL {
        let weights: Vec<u32> = (0..500).map(|index| index % 37 + 1).collect();
        let mut pool = Pool::new(spec, 9, &weights);
        let tried: Vec<_> = (0..3).map(EndpointIndex).collect();
        let count = allocations(|| {
            for key in 0..3000 {
                let index = pool.pick(Some(key % 5), &[]).unwrap();
                pool.start(index);
                pool.pick(None, &tried);
                if key % 2 == 0 {
                    pool.finish(index, key % 3 == 0);
                }
                pool.now += Duration::from_millis(10);
            }
        });
        assert_eq!(count, 0, "{spec:?}");
    }
}
