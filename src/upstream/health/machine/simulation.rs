//! Property test: random events, invariants after each. `SEED=n` replays a run.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;
use crate::upstream::{
    health::{
        picture::Picture,
        settings::{CheckKind, CheckSettings, EjectionSettings},
        tally::Run,
        window::Figures,
    },
    picker::EndpointIndex,
};

const NAMES: [&str; 7] = ["a:1", "b:1", "c:1", "d:1", "e:1", "f:1", "g:1"];

#[test]
fn invariants_hold_under_random_events() {
    let given = std::env::var("SEED").ok().map(|seed| seed.parse().unwrap());
    for _ in 0..if given.is_some() { 1 } else { 60 } {
        let seed: u64 = given.unwrap_or_else(rand::random);
        println!("SEED={seed}");
        run(seed);
    }
}

fn run(seed: u64) {
    let mut draw = StdRng::seed_from_u64(seed);
    let mut now = Instant::now();
    let mut pool = PoolHealth::new(settings(&mut draw));
    let mut set = endpoints(&mut draw);
    pool.replace_endpoints(&set, now);
    pool.take_changed();
    for step in 0..400 {
        now += Duration::from_millis(draw.random_range(0..4000));
        let before = pool.picture(&set, 1, now);
        let changes = event(&mut pool, &mut set, &mut draw, now);
        let after = pool.picture(&set, 1, now);
        let context = format!("SEED={seed} step {step}: {changes:?}");
        ejections_stay_in_bounds(&pool, &after, &changes, &context);
        nothing_is_forgotten(&pool, now, &context);
        the_picture_is_consistent(&pool, &after, now, &context);
        changes_tell_the_whole_story(&before, &after, &changes, &context);
        assert!(
            pool.take_changed() || before.agrees_with(&after),
            "{context}"
        );
    }
}

fn settings(draw: &mut StdRng) -> HealthSettings {
    let checked = draw.random_bool(0.6);
    let ejecting = draw.random_bool(0.9);
    HealthSettings {
        check: checked.then(|| CheckSettings::new(CheckKind::Tcp)),
        ejection: ejecting.then(|| EjectionSettings {
            volume_min: draw.random_range(1..30),
            share_max: draw.random_range(0.0..1.0),
            ..EjectionSettings::default()
        }),
    }
}

fn endpoints(draw: &mut StdRng) -> Vec<Arc<str>> {
    NAMES
        .iter()
        .filter(|_| draw.random_bool(0.6))
        .map(|name| Arc::from(*name))
        .collect()
}

fn event(
    pool: &mut PoolHealth,
    set: &mut Vec<Arc<str>>,
    draw: &mut StdRng,
    now: Instant,
) -> Vec<Transition> {
    let address = NAMES[draw.random_range(0..NAMES.len())];
    match draw.random_range(0..100) {
        0..20 => pool.check_passed(address, now, now),
        20..45 => {
            let failures = [ProbeFailure::Refused, ProbeFailure::CutShort];
            pool.check_failed(address, &failures[draw.random_range(0..2)], now)
        }
        45..60 => {
            let bad = draw.random_range(1..8);
            let unanswered = draw.random_range(0..=bad);
            pool.failed_in_a_row(address, Run { bad, unanswered }, now)
        }
        60..70 => {
            let figures = Figures {
                successes: draw.random_range(0..10),
                bad_answers: draw.random_range(0..20),
                failures: draw.random_range(0..20),
            };
            let mut changes = pool.outcomes(address, figures, now);
            changes.extend(pool.judge(now));
            changes
        }
        70..78 => pool.trial_ended(address, draw.random_bool(0.5), now),
        78..84 => {
            let wishes = [
                AdminState::Enabled,
                AdminState::Enabled,
                AdminState::Draining,
                AdminState::Ejected,
            ];
            pool.set_admin(address, wishes[draw.random_range(0..wishes.len())], now)
                .unwrap_or_default()
        }
        84..87 => {
            *set = endpoints(draw);
            let changes = pool.replace_endpoints(set, now);
            pool.forget_departed(|_| false);
            changes
        }
        87..88 => pool.replace_settings(settings(draw), now),
        _ => pool.tick(now),
    }
}

/// Checks that an ejection leaves another endpoint serving and no more than the allowed share out.
fn ejections_stay_in_bounds(
    pool: &PoolHealth,
    picture: &Picture,
    changes: &[Transition],
    context: &str,
) {
    let by_requests = |change: &&Transition| {
        matches!(
            change.cause,
            Cause::ConsecutiveFailures(_) | Cause::FailureRatio { .. }
        )
    };
    for change in changes.iter().filter(by_requests) {
        assert_eq!(
            (change.from, change.to),
            (EndpointState::Healthy, EndpointState::Ejected),
            "{context}"
        );
        assert!(
            picture
                .endpoints
                .iter()
                .any(|view| view.state == EndpointState::Healthy),
            "{context}"
        );
        let enabled = pool.members.values().filter(|member| member.is_enabled());
        let out = enabled.clone().filter(|member| member.is_ejected()).count();
        let share_max = pool.settings.ejection.as_ref().unwrap().share_max;
        assert!(share(out, enabled.count()) <= share_max, "{context}");
    }
}

fn the_picture_is_consistent(pool: &PoolHealth, picture: &Picture, now: Instant, context: &str) {
    let states = || picture.endpoints.iter().map(|view| view.state);
    let usable = |state: EndpointState| {
        matches!(
            state,
            EndpointState::Healthy | EndpointState::Ejected | EndpointState::Probation
        )
    };
    assert!(
        !states().any(usable) || !picture.eligible.is_empty() || picture.pending,
        "somebody could serve and nobody may: {context}"
    );
    for (index, view) in (0..).map(EndpointIndex).zip(&picture.endpoints) {
        assert_eq!(
            picture.eligible.contains(&index),
            view.eligible,
            "{context}"
        );
        let by_operator = matches!(
            view.state,
            EndpointState::Draining | EndpointState::EjectedByOperator
        );
        assert!(!(view.eligible && by_operator), "{context}");
        assert_eq!(
            view.eligible,
            view.state == EndpointState::Healthy,
            "{context}"
        );
        let longest = pool
            .settings
            .ejection
            .as_ref()
            .map_or(Duration::ZERO, |ejection| ejection.max);
        assert!(
            view.ejected_until
                .is_none_or(|until| until <= now + longest),
            "{context}"
        );
    }
    assert!(!picture.pending || picture.eligible.is_empty(), "{context}");
}

/// Checks that the sums kept over all endpoints are right, and that all due changes are found.
fn nothing_is_forgotten(pool: &PoolHealth, now: Instant, context: &str) {
    let mut census = Census::default();
    for (address, member) in &pool.members {
        census.moved(Census::default(), member);
        let noted = member.due(&pool.settings).is_none_or(|due| {
            let noted = member.noted;
            noted.is_some_and(|noted| noted <= due)
        });
        assert!(noted || !member.current, "{address}: {context}");
        let bad = member.current && member.window.figures(now).bad() > 0;
        assert!(!bad || pool.suspects.contains(address), "{context}");
    }
    assert_eq!(census, pool.census, "{context}");
}

/// Checks that the reported transitions lead each endpoint from its state in one picture to that in
/// the other, in order.
fn changes_tell_the_whole_story(
    before: &Picture,
    after: &Picture,
    changes: &[Transition],
    context: &str,
) {
    for old in &before.endpoints {
        let Some(new) = after
            .endpoints
            .iter()
            .find(|view| view.address == old.address)
        else {
            continue;
        };
        let mut state = old.state;
        for change in changes
            .iter()
            .filter(|change| change.address == old.address)
        {
            assert_eq!(change.from, state, "{context}");
            state = change.to;
        }
        assert_eq!(state, new.state, "{context}");
    }
}
