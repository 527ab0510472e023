//! Cost of a pick, and of the update before it, by picker and number of endpoints.
//!
//! A pick is measured with its share of the upkeep: the attempt starts, an earlier one ends.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use sluicegate::config::value::{HashKey, PickerSpec};
use sluicegate::upstream::picker::{
    AnyPicker, Candidate, EndpointIndex, Load, PickInput, Picker, PickerError, Registered, mix,
};
use tokio::time::Instant;

const PICKERS: [(&str, PickerSpec); 8] = [
    ("random", PickerSpec::Random),
    ("round_robin", PickerSpec::RoundRobin),
    ("weighted_round_robin", PickerSpec::WeightedRoundRobin),
    ("least_requests", PickerSpec::LeastRequests),
    ("power_of_two", PickerSpec::PowerOfTwo),
    ("peak_ewma", PickerSpec::PeakEwma),
    (
        "ring_hash",
        PickerSpec::RingHash {
            key: HashKey::Path,
            load_max: 1.25,
        },
    ),
    (
        "maglev",
        PickerSpec::Maglev {
            key: HashKey::Path,
            load_max: 1.25,
        },
    ),
];
const SIZES: [u32; 5] = [2, 10, 100, 1_000, 10_000];

fn pool(spec: &PickerSpec, size: u32) -> Result<(AnyPicker, Vec<Candidate>), PickerError> {
    let candidates: Vec<Candidate> = (0..size)
        .map(|index| Candidate {
            index: EndpointIndex(index),
            weight: index % 10 + 1,
            key: mix(u64::from(index)),
        })
        .collect();
    let mut picker = AnyPicker::build(spec, 1, &Registered::default())?;
    picker.update(&candidates);
    Ok((picker, candidates))
}

fn pick(criterion: &mut Criterion) {
    for (name, spec) in &PICKERS {
        let mut group = criterion.benchmark_group(format!("pick/{name}"));
        for size in SIZES {
            let Ok((mut picker, candidates)) = pool(spec, size) else {
                continue;
            };
            let loads: Vec<Load> = candidates.iter().map(|_| Load::default()).collect();
            let (mut now, mut draw) = (Instant::now(), 1);
            let mut busy = [EndpointIndex(0); 64];
            for index in busy {
                loads[index.0 as usize].started();
            }
            group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
                bencher.iter(|| {
                    draw = mix(draw);
                    now += Duration::from_micros(10);
                    let key = Some(draw >> 8);
                    let input = PickInput {
                        now,
                        draw,
                        key,
                        tried: &[],
                        loads: &loads,
                    };
                    let Some(index) = picker.pick(black_box(&input)) else {
                        return;
                    };
                    loads[index.0 as usize].started();
                    picker.load_changed(index, &loads);
                    busy.rotate_right(1);
                    let ended = std::mem::replace(&mut busy[0], index);
                    let latency = Duration::from_micros(draw >> 54);
                    loads[ended.0 as usize].finished(now, latency, false, None);
                    picker.load_changed(ended, &loads);
                });
            });
        }
        group.finish();
    }
}

fn update(criterion: &mut Criterion) {
    for (name, spec) in &PICKERS {
        let mut group = criterion.benchmark_group(format!("update/{name}"));
        group.sample_size(10);
        for size in [10, 1_000, 10_000] {
            let Ok((mut picker, candidates)) = pool(spec, size) else {
                continue;
            };
            let mut without = true;
            group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
                bencher.iter(|| {
                    picker.update(black_box(&candidates[usize::from(without)..]));
                    without = !without;
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, pick, update);
criterion_main!(benches);
