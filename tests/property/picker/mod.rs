//! Properties of every picker, and the promises of each.

mod hashing;
mod random;
mod turns;

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
