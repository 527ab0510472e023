//! One proxy in its fleet, commands, and edits.

use std::time::Duration;

use semver::VersionReq;
use tokio::time::Instant;

use super::{report, rollout, running, taken};
use crate::rollout::{
    fleet::{Figures, Lead, definition},
    machine::{Order, State},
    tally::{Arm, Outcome},
};

#[test]
fn a_proxy_reports_what_began_under_the_share_and_weighs_it_alone_when_cut_off() {
    let (rollout, now) = (rollout("orders", 0.25), Instant::now());
    let (state, shared) = (&rollout.state, &rollout.state.shared);
    let count = |arm, outcome, times| {
        for _ in 0..times {
            shared.count(0, arm, shared.epoch(), outcome);
        }
    };
    count(Arm::Baseline, Outcome::Untimed, 50);
    let mut lead = running(&rollout, now);
    state.adopt(&rollout, &lead.record, "x", None);
    assert_eq!(state.reported(&rollout), Some((2, Figures::default())));
    count(Arm::Baseline, Outcome::Untimed, 300);
    count(Arm::Candidate, Outcome::Untimed, 10);
    let (generation, told) = state.reported(&rollout).unwrap();
    assert_eq!(told.requests.baseline.counts.total, 300);
    lead.tick(
        &rollout,
        now,
        &[report(&rollout, "x", generation, told.clone())],
        "a",
    );
    state.adopt(&rollout, &lead.record, "x", None);
    // Cut off: what is merged is not weighed again, and nothing good moves anything.
    state.guard(&rollout);
    assert_eq!(state.view(&rollout).step.baseline.counts.total, 300);
    count(Arm::Candidate, Outcome::Bad, 40);
    count(Arm::Baseline, Outcome::Untimed, 100);
    state.guard(&rollout);
    let view = state.view(&rollout);
    assert!(view.withdrawn.is_some() && view.share < f64::EPSILON);
    assert_eq!(shared.share().bits(), 0);
    // What comes under no share is not compared.
    count(Arm::Baseline, Outcome::Untimed, 1000);
    let (generation, told) = state.reported(&rollout).unwrap();
    assert_eq!(told.requests.baseline.counts.total, 400);
    // The fleet answers, and does not know of it yet: it stays.
    state.adopt(&rollout, &lead.record, "x", None);
    assert!(state.view(&rollout).withdrawn.is_some());
    // A leader that has all of it and goes on is right.
    let mut fine = lead.clone();
    taken(&mut fine.record.merged, "x", &told);
    state.adopt(&rollout, &fine.record, "x", None);
    assert_eq!(state.view(&rollout).withdrawn, None);
    count(Arm::Baseline, Outcome::Untimed, 5);
    let after = state.reported(&rollout).unwrap().1;
    assert_eq!(after.requests.baseline.counts.total, 405);
    // This one is rolled back by it.
    lead.tick(
        &rollout,
        now,
        &[report(&rollout, "x", generation, told)],
        "a",
    );
    state.adopt(&rollout, &lead.record, "x", None);
    assert_eq!(state.state(), State::RolledBack);
    assert_eq!(state.view(&rollout).withdrawn, None);
}

#[test]
fn an_edit_goes_on_with_the_record_and_keeps_the_share() {
    let (first, now) = (rollout("orders", 0.25), Instant::now());
    let lead = running(&first, now);
    let record = lead.record.clone();
    let mut longer = rollout("orders", 0.25);
    longer.plan.steps[0].hold = Duration::from_secs(60);
    let mut next = Lead::take_up(&longer, record.clone());
    assert!(
        next.tick(&longer, now, &[], "b"),
        "the definition is written"
    );
    assert_eq!(next.record.definition, definition(&longer));
    assert_eq!(next.record.generation, record.generation);
    // Other versions are another rollout: everybody begins with its baseline.
    let mut other = rollout("orders", 0.25);
    other.versions[1] = VersionReq::parse("^3").unwrap();
    let mut next = Lead::take_up(&other, record.clone());
    assert!(next.tick(&other, now, &[], "b"));
    assert_eq!(next.record.kept.state(), State::Pending);
    assert_eq!(next.record.generation, record.generation + 1);
}

#[test]
fn a_command_changes_the_record_that_the_leader_goes_on_with() {
    let (rollout, now) = (rollout("orders", 0.25), Instant::now());
    let lead = running(&rollout, now);
    let mut told = Lead::take_up(&rollout, lead.record.clone());
    told.obey(&rollout, Order::Abort, "b").unwrap();
    assert_eq!(told.record.generation, lead.record.generation + 1);
    assert_eq!(told.record.by, "b");
    assert_eq!(told.obey(&rollout, Order::Promote, "b").ok(), None);
    let mut next = Lead::take_up(&rollout, told.record.clone());
    assert!(!next.tick(&rollout, now, &[], "a") || next.record.kept == told.record.kept);
    assert_eq!(next.record.kept.state(), State::RolledBack);
}
