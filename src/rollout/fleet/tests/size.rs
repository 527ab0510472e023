//! The bound on the size of a record.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use super::{Random, report, rollout, running, seed};
use crate::rollout::{
    fleet::{Figures, Lead, Merged, Record},
    gate::{Sample, Samples},
    latency::Latencies,
    statistics::Counts,
};

/// A transaction of Consul has as many bytes, and its value is in base64.
const CONSUL_BYTES: usize = (512 << 10) / 4 * 3;

/// Requests of all latencies.
fn wide(random: &mut Random) -> Figures {
    let mut sample = || {
        let mut latencies = Latencies::default();
        for count in &mut *latencies.0 {
            *count = random.below(1_000_000);
        }
        let total = latencies.0.iter().sum::<u64>() + 3;
        Sample {
            counts: Counts { total, bad: 3 },
            latencies,
        }
    };
    Figures {
        requests: Samples {
            baseline: sample(),
            candidate: sample(),
        },
        compared: Counts::default(),
    }
}

#[test]
fn a_record_fits_its_store_however_many_processes_come_and_go() {
    let (seed, now) = (seed(), Instant::now());
    let mut random = Random(seed);
    let rollout = rollout("orders", 0.25);
    let mut lead = running(&rollout, now);
    let generation = lead.record.generation;
    let mut all: BTreeMap<String, Figures> = BTreeMap::new();
    for number in 0..150 {
        // Each one is there for a while, and has reported its last sums before it goes.
        let present: Vec<String> = (0..8)
            .map(|back| format!("{:016x}", number + back))
            .collect();
        let reports = present.iter().map(|epoch| {
            let sums = all.entry(epoch.clone()).or_default();
            if *sums == Figures::default() {
                sums.add(&wide(&mut random));
            }
            report(&rollout, epoch, generation, sums.clone())
        });
        let reports: Vec<_> = reports.collect();
        lead.tick(&rollout, now, &reports, "a");
        assert_eq!(lead.left_out(), 0, "SEED={seed}");
        let text = serde_json::to_vec(&lead.record).unwrap();
        assert!(
            text.len() < CONSUL_BYTES,
            "SEED={seed}: {} bytes",
            text.len()
        );
        if number % 25 == 0 {
            let record = Record::read(&text).unwrap();
            lead = Lead::take_up(&rollout, record);
        }
    }
    let mut sum = Figures::default();
    all.values().for_each(|it| sum.add(it));
    assert_eq!(
        lead.record.merged.requests(),
        sum.requests,
        "SEED={seed}: nothing is lost"
    );
    // One of them comes back: it is not counted twice.
    let back = all.get("0000000000000000").unwrap();
    let mut more = back.clone();
    more.add(&wide(&mut random));
    let told = report(&rollout, "0000000000000000", generation, more);
    lead.tick(&rollout, now, &[told], "a");
    assert_eq!(lead.record.merged.requests(), sum.requests, "SEED={seed}");
}

#[test]
fn processes_that_are_all_there_wait_for_room_and_lose_nothing() {
    let seed = seed();
    let mut random = Random(seed);
    let rollout = rollout("orders", 0.25);
    let mut merged = Merged::default();
    let mut reports: Vec<_> = (0..150)
        .map(|number| report(&rollout, &number.to_string(), 1, wide(&mut random)))
        .collect();
    let present: BTreeSet<String> = reports.iter().map(|it| it.epoch.clone()).collect();
    let names: BTreeSet<&str> = present.iter().map(String::as_str).collect();
    let (mut sum, left_out) = merged.take(reports.iter(), &names);
    assert!(left_out > 0, "SEED={seed}");
    for _ in 0..5 {
        // What grows and has no room waits, too.
        for report in &mut reports {
            report.figures.add(&wide(&mut random));
        }
        let (more, _) = merged.take(reports.iter(), &names);
        sum.add(&more);
        assert_eq!(merged.requests(), sum.requests, "SEED={seed}");
        let text = serde_json::to_vec(&merged).unwrap();
        assert!(text.len() <= 256 << 10, "SEED={seed}: {} bytes", text.len());
    }
    // Most of them go: those that are left are counted to the last request.
    let rest = &reports[140..];
    let names: BTreeSet<&str> = rest.iter().map(|it| &*it.epoch).collect();
    let (more, left_out) = merged.take(rest.iter(), &names);
    sum.add(&more);
    assert_eq!(
        (left_out, merged.requests()),
        (0, sum.requests),
        "SEED={seed}"
    );
    for report in rest {
        assert_eq!(
            merged.of(&report.epoch),
            Some(&report.figures),
            "SEED={seed}"
        );
    }
}
