mod member;
mod size;

use std::{collections::HashMap, sync::Arc, time::Duration};

use semver::VersionReq;
use tokio::time::Instant;

use super::{Figures, Lead, Merged, Record, Report, definition, governing, health_of};
use crate::rollout::{
    Rollout, RolloutState, UserRules,
    gate::{Gate, Sample, Samples},
    latency::Latencies,
    machine::{CandidateHealth, OnFailure, Plan, State, Step},
    statistics::Counts,
};
use crate::upstream::pool::{PoolIndex, ViewIndex};

/// Random numbers: SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % bound
    }

    fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }
}

fn seed() -> u64 {
    let seed = std::env::var("SEED").ok().and_then(|it| it.parse().ok());
    seed.unwrap_or_else(rand::random)
}

fn sample(total: u64, bad: u64, place: usize) -> Sample {
    let mut latencies = Latencies::default();
    latencies.0[place] = total - bad;
    Sample {
        counts: Counts { total, bad },
        latencies,
    }
}

fn figures(baseline: (u64, u64), candidate: (u64, u64)) -> Figures {
    Figures {
        requests: Samples {
            baseline: sample(baseline.0, baseline.1, 20),
            candidate: sample(candidate.0, candidate.1, 30),
        },
        compared: Counts::default(),
    }
}

fn rollout(name: &str, share: f64) -> Rollout {
    let version = |text: &str| VersionReq::parse(text).unwrap();
    Rollout {
        name: name.into(),
        pool: PoolIndex(0),
        views: [ViewIndex(0), ViewIndex(1)],
        versions: [version("^1"), version("^2")],
        key: 7,
        users: UserRules {
            by: None,
            cookie: "c".to_owned(),
        },
        pins: Vec::new(),
        plan: Plan {
            steps: vec![Step {
                share,
                hold: Duration::from_secs(3),
            }],
            watch: Duration::ZERO,
            on_failure: OnFailure::Rollback,
            approve: false,
        },
        gate: Gate {
            volume_min: 100,
            error_ratio_max: None,
            error_increase_max: 0.01,
            latency: None,
            shadow_mismatch_max: None,
            proof: false,
            by_user: false,
            confidence: 0.99,
        },
        shadows: Vec::new(),
        state: Arc::new(RolloutState::new(1)),
    }
}

fn begun(rollout: &Rollout) -> Lead {
    Lead::begin(rollout, &rollout.state.kept(rollout), "a", 1)
}

/// A fleet that is in the first step of a rollout: its one proxy finds the candidate healthy.
fn running(rollout: &Rollout, now: Instant) -> Lead {
    let mut lead = begun(rollout);
    let quiet = report(rollout, "x", 0, Figures::default());
    assert!(lead.tick(rollout, now, &[quiet], "a"));
    assert_eq!(lead.record.kept.state(), State::Running);
    lead
}

fn report(rollout: &Rollout, epoch: &str, generation: u64, figures: Figures) -> Report {
    let health = CandidateHealth::Healthy;
    Report::new(
        ["a", epoch],
        definition(rollout),
        generation,
        health,
        figures,
    )
}

/// Merges the sums of one process; returns what is new in them.
fn taken(merged: &mut Merged, epoch: &str, sums: &Figures) -> Figures {
    let report = report(&rollout("orders", 0.25), epoch, 1, sums.clone());
    let (new, left_out) = merged.take([&report].into_iter(), &[epoch].into_iter().collect());
    assert_eq!(left_out, 0);
    new
}

#[test]
fn a_merge_counts_each_request_once_whatever_restarts_and_reorderings() {
    let seed = seed();
    let mut random = Random(seed);
    for _ in 0..200 {
        let mut merged = Merged::default();
        let mut sum = Figures::default();
        // The reports of each process so far, and its last sums.
        let mut processes: Vec<Vec<Figures>> = Vec::new();
        for _ in 0..60 {
            let is_new = processes.is_empty() || random.below(12) == 0;
            if is_new {
                processes.push(vec![Figures::default()]);
            }
            let place = random.place(processes.len());
            let reports = &mut processes[place];
            if random.below(3) > 0 {
                let mut next = reports.last().unwrap().clone();
                let bad = random.below(3);
                next.add(&figures((random.below(9) + bad, bad), (bad, bad)));
                reports.push(next);
            }
            // Any of them arrives, also an old one, or the same again.
            let told = &reports[random.place(reports.len())];
            let before = sum.clone();
            sum.add(&taken(&mut merged, &place.to_string(), told));
            assert!(sum.contains(&before), "SEED={seed}: it went back");
        }
        // At last the newest one of each.
        let mut all = Figures::default();
        for (place, reports) in processes.iter().enumerate() {
            let newest = reports.last().unwrap();
            sum.add(&taken(&mut merged, &place.to_string(), newest));
            all.add(newest);
        }
        assert_eq!(sum, all, "SEED={seed}");
        assert_eq!(merged.requests(), all.requests, "SEED={seed}");
    }
}

#[test]
fn leaders_that_die_at_any_time_lose_and_repeat_nothing() {
    let seed = seed();
    let mut random = Random(seed);
    let now = Instant::now();
    for _ in 0..50 {
        let rollout = rollout("orders", 0.25);
        let mut stored = begun(&rollout).record;
        let mut sums: HashMap<&str, Figures> = HashMap::new();
        let mut lead = Lead::take_up(&rollout, stored.clone());
        for _ in 0..40 {
            let epoch = ["x", "y", "z"][random.place(3)];
            let more = figures((random.below(30), 0), (random.below(8), 0));
            sums.entry(epoch).or_default().add(&more);
            let reports: Vec<Report> = sums
                .iter()
                .map(|(epoch, sum)| report(&rollout, epoch, stored.generation, sum.clone()))
                .collect();
            // The clock stands still: it stays at its step.
            lead.tick(&rollout, now, &reports, "a");
            if lead.record.generation != stored.generation {
                sums.clear();
            }
            match random.below(4) {
                // It dies before it has written.
                0 => lead = Lead::take_up(&rollout, stored.clone()),
                // It dies afterwards.
                1 => {
                    stored = lead.record.clone();
                    lead = Lead::take_up(&rollout, stored.clone());
                }
                _ => stored = lead.record.clone(),
            }
        }
        let generation = stored.generation;
        let reports: Vec<Report> = sums
            .iter()
            .map(|(epoch, sum)| report(&rollout, epoch, generation, sum.clone()))
            .collect();
        lead.tick(&rollout, now, &reports, "a");
        let mut all = Figures::default();
        sums.values().for_each(|sum| all.add(sum));
        assert_eq!(lead.record.merged.requests(), all.requests, "SEED={seed}");
        let step = &lead.progress().comparison.step;
        assert_eq!(step.candidate.counts, all.requests.candidate.counts);
        assert_eq!(*step, all.requests, "SEED={seed}: latencies, too");
    }
}

#[test]
fn figures_of_another_share_or_definition_are_not_compared() {
    let (rollout, now) = (rollout("orders", 0.25), Instant::now());
    let mut lead = running(&rollout, now);
    let generation = lead.record.generation;
    let counted = figures((300, 0), (100, 0));
    let late = report(&rollout, "x", generation - 1, counted.clone());
    let mut foreign = report(&rollout, "y", generation, counted.clone());
    foreign.definition = "other".to_owned();
    lead.tick(&rollout, now, &[late, foreign], "a");
    assert_eq!(lead.record.merged, Merged::default());
    let right = report(&rollout, "x", generation, counted.clone());
    lead.tick(&rollout, now, &[right], "a");
    assert_eq!(lead.record.merged.requests(), counted.requests);
}

#[test]
fn time_passes_only_with_the_ticks_of_a_leader() {
    let (rollout, begin) = (rollout("orders", 0.25), Instant::now());
    let lead = running(&rollout, begin);
    let reports = |lead: &Lead, figures| [report(&rollout, "x", lead.record.generation, figures)];
    let enough = figures((300, 0), (100, 0));
    // An hour without a leader is no hour of the step.
    let later = begin + Duration::from_secs(3600);
    let mut lead = Lead::take_up(&rollout, lead.record);
    for second in 0..3 {
        let now = later + Duration::from_secs(second);
        let told = reports(&lead, enough.clone());
        lead.tick(&rollout, now, &told, "b");
        assert_eq!(lead.record.kept.state(), State::Running, "{second}");
    }
    let told = reports(&lead, enough);
    lead.tick(&rollout, later + Duration::from_secs(3), &told, "b");
    assert_eq!(lead.record.kept.state(), State::Promoted);
    assert_eq!(lead.record.by, "b");
    let done = lead.record.clone();
    let quiet = reports(&lead, Figures::default());
    assert!(!lead.tick(&rollout, later + Duration::from_secs(9), &quiet, "b"));
    assert_eq!(
        lead.record, done,
        "nothing is written while nothing happens"
    );
}

#[test]
fn a_record_survives_its_text_and_a_hostile_one_is_refused() {
    let rollout = rollout("orders", 0.25);
    let mut lead = begun(&rollout);
    lead.tick(
        &rollout,
        Instant::now(),
        &[report(&rollout, "x", 1, figures((3, 1), (2, 0)))],
        "a",
    );
    let text = serde_json::to_vec(&lead.record).unwrap();
    let read = Record::read(&text).unwrap();
    // Logarithms may lose their last digit.
    assert_eq!(read.kept.state(), State::Running);
    assert_eq!(
        (read.generation, &read.merged, read.definition),
        (2, &lead.record.merged, definition(&rollout))
    );
    let told = report(&rollout, "x", 1, figures((30, 1), (20, 2)));
    let text = serde_json::to_string(&told).unwrap();
    assert_eq!(Report::read(text.as_bytes()), Some(told));
    for (from, to) in [
        ("[30,1,", "[1,30,"),
        ("[30,1,", "[-1,0,"),
        ("[30,1,", "[18446744073709551615,1,"),
        ("[[20,", "[[65000,"),
        ("\"version\":1", "\"version\":2"),
    ] {
        assert!(text.contains(from), "{text}");
        assert_eq!(
            Report::read(text.replace(from, to).as_bytes()),
            None,
            "{to}"
        );
    }
}

#[test]
fn most_proxies_decide_what_holds_and_whether_the_candidate_is_healthy() {
    let rollout = rollout("orders", 0.25);
    let with = |definition: &str, health| {
        let mut report = report(&rollout, "x", 1, Figures::default());
        (report.definition, report.health) = (definition.to_owned(), health);
        report
    };
    let healthy = Healthy;
    let two = [with("new", healthy), with("old", healthy)];
    assert_eq!(governing(Some("old"), &two), Some("old"));
    assert_eq!(governing(Some("new"), &two), Some("new"));
    let three = [&two[..], &[with("new", healthy)]].concat();
    assert_eq!(governing(Some("old"), &three), Some("new"));
    assert_eq!(governing(Some("old"), &[]), None);
    let mut gone = with("new", healthy);
    gone.left = true;
    let with_gone = [&two[..], &[gone]].concat();
    assert_eq!(
        governing(Some("old"), &with_gone),
        Some("old"),
        "it has left"
    );
    let of = |all: &[CandidateHealth]| {
        let all: Vec<Report> = all.iter().map(|it| with("d", *it)).collect();
        health_of(all.iter())
    };
    use CandidateHealth::{Absent, Healthy, Unhealthy, Unsure};
    assert_eq!(of(&[Healthy]), Healthy);
    assert_eq!(of(&[Healthy, Unhealthy]), Unsure);
    assert_eq!(of(&[Healthy, Healthy, Unhealthy]), Healthy);
    assert_eq!(of(&[Healthy, Unhealthy, Absent]), Unhealthy);
    assert_eq!(of(&[Absent, Absent, Unhealthy]), Absent);
    assert_eq!(of(&[Healthy, Unsure, Unsure]), Unsure);
    assert_eq!(of(&[]), Unsure);
}

#[test]
fn a_definition_is_what_the_leader_decides_by() {
    let one = rollout("orders", 0.25);
    assert_eq!(definition(&one), definition(&rollout("orders", 0.25)));
    assert_ne!(definition(&one), definition(&rollout("orders", 0.5)));
    // Other releases rely on it.
    assert_eq!(definition(&one), "7fb82a2e2ade26b5");
}
