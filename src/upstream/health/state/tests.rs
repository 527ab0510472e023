use std::{sync::Barrier, thread};

use super::*;
use crate::upstream::{
    health::{
        picture::Picture,
        settings::{CheckKind, CheckSettings, EjectionSettings},
        transition::Cause,
    },
    picker::EndpointIndex,
};

const FIRST: EndpointIndex = EndpointIndex(0);
const SECOND: EndpointIndex = EndpointIndex(1);
const WORKERS: usize = 4;

fn addresses(names: &[&str]) -> Vec<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}

fn pool(names: &[&str], settings: HealthSettings) -> (Arc<PoolHealthView>, Instant) {
    let now = Instant::now();
    let state = PoolHealthState::new("orders".into(), settings.clone(), WORKERS);
    let view = state.view(&addresses(names), now);
    state.adopt(&view, settings, now);
    (view, now)
}

fn passive(names: &[&str]) -> (Arc<PoolHealthView>, Instant) {
    pool(names, HealthSettings::default())
}

fn checked(names: &[&str]) -> (Arc<PoolHealthView>, Instant) {
    let check = Some(CheckSettings::new(CheckKind::Tcp));
    pool(
        names,
        HealthSettings {
            check,
            ..HealthSettings::default()
        },
    )
}

fn fail(view: &PoolHealthView, endpoint: EndpointIndex, times: usize, now: Instant) {
    for worker in 0..times {
        view.observe(worker % WORKERS, endpoint, Observed::Failure, now);
    }
}

fn states(picture: &Picture) -> Vec<EndpointState> {
    picture.endpoints.iter().map(|view| view.state).collect()
}

/// Brings the first endpoint of two onto probation.
fn on_probation() -> (Arc<PoolHealthView>, Instant) {
    let (view, now) = passive(&["a:1", "b:1"]);
    fail(&view, FIRST, 5, now);
    let later = now + Duration::from_secs(30);
    view.pool().tick(later);
    assert_eq!(view.picture().probation, [FIRST]);
    (view, later)
}

#[test]
fn the_failure_that_completes_a_run_ejects_before_the_next_pick() {
    let (view, now) = passive(&["a:1", "b:1"]);
    let serial = view.serial();
    fail(&view, FIRST, 4, now);
    assert_eq!(view.serial(), serial);
    fail(&view, FIRST, 1, now);
    assert_ne!(view.serial(), serial);
    assert_eq!(view.picture().serial, view.serial());
    assert_eq!(view.picture().eligible, [SECOND]);
}

#[test]
fn a_success_on_any_worker_interrupts_a_run() {
    let (view, now) = passive(&["a:1", "b:1"]);
    for _ in 0..10 {
        fail(&view, FIRST, 4, now);
        view.observe(3, FIRST, Observed::Success, now);
    }
    assert_eq!(view.picture().eligible, [FIRST, SECOND]);
}

#[test]
fn an_ejection_that_was_withheld_is_tried_again_while_failures_go_on() {
    let (view, now) = passive(&["a:1", "b:1"]);
    view.pool().set_admin("b:1", AdminState::Draining, now);
    fail(&view, FIRST, 7, now);
    assert_eq!(view.picture().eligible, [FIRST]);
    view.pool().set_admin("b:1", AdminState::Enabled, now);
    fail(&view, FIRST, 3, now);
    assert_eq!(view.picture().eligible, [SECOND]);
}

#[test]
fn the_share_of_failures_is_summed_over_workers_and_counted_once() {
    let (view, now) = passive(&["a:1", "b:1"]);
    let mixed = |rounds: usize| {
        for _ in 0..rounds {
            // Never five in a row, nine of ten in all.
            for _ in 0..2 {
                fail(&view, FIRST, 4, now);
                view.endpoint(FIRST).unwrap().tally().forget_failures();
            }
            fail(&view, FIRST, 1, now);
            view.observe(2, FIRST, Observed::Success, now);
        }
    };
    mixed(1);
    for _ in 0..5 {
        assert!(view.pool().tick(now).is_empty());
    }
    mixed(1);
    let told = view.pool().tick(now);
    assert_eq!(
        told[0].cause,
        Cause::FailureRatio {
            failures: 18,
            total: 20
        }
    );
    assert_eq!(view.picture().eligible, [SECOND]);
    assert!(view.pool().tick(now).is_empty());
}

#[test]
fn what_workers_caused_is_told_by_the_next_tick_and_only_by_it() {
    let (view, now) = passive(&["a:1", "b:1"]);
    fail(&view, FIRST, 5, now);
    let told = view.pool().tick(now);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].cause, Cause::ConsecutiveFailures(5));
    assert!(view.pool().tick(now).is_empty());
}

#[test]
fn exactly_one_worker_gets_the_trial_ended() {
    let (view, now) = on_probation();
    for _ in 0..50 {
        let start = Barrier::new(8);
        let claims: Vec<_> = thread::scope(|scope| {
            let claim = || {
                start.wait();
                view.try_take_trial(FIRST)
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(claim)).collect();
            threads
                .into_iter()
                .filter_map(|thread| thread.join().unwrap())
                .collect()
        });
        assert_eq!(claims.len(), 1);
        // Dropped here: the client went away, and another may try.
    }
    view.try_take_trial(FIRST)
        .unwrap()
        .finish(Observed::Success, now);
    assert_eq!(view.picture().eligible, [FIRST, SECOND]);
    assert!(view.try_take_trial(FIRST).is_none());
}

#[test]
fn a_trial_ended_that_fails_ejects_for_longer() {
    let (view, now) = on_probation();
    view.try_take_trial(FIRST)
        .unwrap()
        .finish(Observed::Failure, now);
    let again = view.picture().endpoints[0].ejected_until;
    assert_eq!(again, Some(now + Duration::from_secs(60)));
}

#[test]
fn a_trial_ended_that_outlived_its_probation_decides_nothing() {
    let (view, now) = on_probation();
    let old = view.try_take_trial(FIRST).unwrap();
    view.pool().set_admin("a:1", AdminState::Enabled, now);
    fail(&view, FIRST, 5, now);
    let later = now + Duration::from_secs(60);
    view.pool().tick(later);
    let new = view.try_take_trial(FIRST).unwrap();
    old.finish(Observed::Success, later);
    assert_eq!(view.picture().probation, [FIRST]);
    assert!(view.try_take_trial(FIRST).is_none());
    new.finish(Observed::Success, later);
    assert_eq!(view.picture().eligible, [FIRST, SECOND]);
}

#[test]
fn each_generation_keeps_its_own_indices() {
    let (old, now) = passive(&["a:1", "b:1", "c:1"]);
    let state = Arc::clone(old.pool());
    fail(&old, SECOND, 5, now);
    let new = state.view(&addresses(&["d:1", "b:1", "a:1"]), now);
    state.adopt(&new, HealthSettings::default(), now);
    assert_eq!(new.picture().eligible, [FIRST, EndpointIndex(2)]);
    assert_eq!(old.picture().eligible, [FIRST, EndpointIndex(2)]);
    // The last request of the old generation speaks of its own first endpoint, which is the new third.
    let settings = HealthSettings {
        ejection: Some(EjectionSettings {
            share_max: 1.0,
            ..EjectionSettings::default()
        }),
        ..HealthSettings::default()
    };
    state.adopt(&new, settings, now);
    fail(&old, FIRST, 5, now);
    let of_a = |picture: &Picture| {
        let mut views = picture.endpoints.iter();
        views.find(|view| *view.address == *"a:1").unwrap().state
    };
    assert_eq!(of_a(&new.picture()), EndpointState::Ejected);
    assert_eq!(of_a(&old.picture()), EndpointState::Ejected);

    drop(old);
    state.tick(now);
    assert!(!state.lock().numbers.contains_key("c:1"));
    assert_eq!(state.lock().endpoints.len(), 3);
    assert_eq!(state.lock().views.len(), 1);
}

#[test]
fn a_tick_looks_at_what_has_changed_and_not_at_every_endpoint() {
    let names: Vec<String> = (0..10_000).map(|name| name.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (view, began) = checked(&names);
    let pool = view.pool();
    for address in view.addresses() {
        pool.checked(address, Ok(()), began, began);
    }
    // Not one picture of 10,000 for each of 10,000 answers.
    assert!(pool.lock().drawn <= DRAWN_MAX + names.len());
    // When the first answers would have been waited for long enough, each is looked at once more.
    let now = began + Duration::from_secs(60);
    assert_eq!(pool.tick(now).len(), UNREPORTED_MAX);
    assert_eq!(view.picture().eligible.len(), names.len());
    let mut seen = pool.lock().machine.looks;
    let mut looks = |now| {
        pool.tick(now);
        let before = std::mem::replace(&mut seen, pool.lock().machine.looks);
        seen - before
    };
    for tick in 1..=100 {
        assert_eq!(looks(now + TICK * tick), 0, "nothing happened");
    }
    let now = now + TICK * 101;
    view.observe(0, EndpointIndex(4711), Observed::Success, now);
    view.observe(1, EndpointIndex(9999), Observed::Success, now);
    assert_eq!(looks(now), 2);
    assert_eq!(looks(now + TICK), 0);
    // Ejected, on probation, readmitted and forgiven: a few looks at the one.
    fail(&view, EndpointIndex(4711), 5, now);
    let sum: usize = (1..=1000).map(|tick| looks(now + TICK * tick)).sum();
    assert!((1..=100).contains(&sum), "{sum}");
    assert_eq!(view.picture().probation, [EndpointIndex(4711)]);
}

#[test]
fn a_check_that_finds_nothing_new_draws_no_picture_and_looks_at_no_other_endpoint() {
    let names: Vec<String> = (0..10_000).map(|name| name.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (view, began) = checked(&names);
    let pool = view.pool();
    let answer_all = |now| {
        for address in view.addresses() {
            pool.checked(address, Ok(()), now, now);
        }
    };
    answer_all(began);
    let now = began + Duration::from_secs(60);
    pool.tick(now);
    let counts = || {
        let inner = pool.lock();
        (inner.drawn, inner.serial, inner.machine.looks)
    };
    let before = counts();
    answer_all(now + TICK);
    assert_eq!(counts(), before);
}

#[test]
fn a_set_that_is_never_adopted_leaves_no_trace() {
    let (view, now) = passive(&["a:1"]);
    let refused = view.pool().view(&addresses(&["a:1", "x:1"]), now);
    assert_eq!(refused.picture().eligible, [FIRST, SECOND]);
    drop(refused);
    view.pool().tick(now);
    let inner = view.pool().lock();
    assert_eq!(inner.endpoints.len(), 1);
    assert_eq!(inner.machine.state("x:1"), None);
}

#[tokio::test(start_paused = true)]
async fn requests_wait_for_the_first_check_and_no_longer() {
    let (view, began) = checked(&["a:1", "b:1"]);
    let waiting = tokio::spawn({
        let view = Arc::clone(&view);
        async move { view.ready(began + Duration::from_secs(10), || true).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished());
    let now = Instant::now();
    view.pool().checked("b:1", Ok(()), now, now);
    let picture = waiting.await.unwrap();
    assert_eq!(picture.eligible, [SECOND]);
    assert_eq!(Instant::now(), now);
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_at_the_deadline_of_the_request() {
    let (view, began) = checked(&["a:1"]);
    let deadline = began + Duration::from_secs(1);
    assert!(view.ready(deadline, || true).await.pending);
    assert!(Instant::now() >= deadline);
}

#[test]
fn under_failures_on_all_threads_somebody_always_serves() {
    let names: Vec<String> = (0..8).map(|port| format!("a:{port}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let settings = HealthSettings {
        ejection: Some(EjectionSettings {
            share_max: 1.0,
            base: Duration::from_millis(50),
            ..EjectionSettings::default()
        }),
        ..HealthSettings::default()
    };
    let (view, start) = pool(&names, settings);
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let view = &view;
            scope.spawn(move || {
                for round in 0..400_u32 {
                    let now = start + Duration::from_millis(u64::from(round));
                    let picture = view.picture();
                    assert!(!picture.eligible.is_empty());
                    let endpoint = picture.eligible[round as usize % picture.eligible.len()];
                    view.observe(worker, endpoint, Observed::Failure, now);
                    if let Some(trial) = view.try_take_trial(EndpointIndex(round % 8)) {
                        trial.finish(Observed::Failure, now);
                    }
                    if worker == 0 {
                        view.pool().tick(now);
                    }
                }
            });
        }
    });
    let picture = view.picture();
    assert!(states(&picture).contains(&EndpointState::Healthy));
    assert!(states(&picture).contains(&EndpointState::Ejected));
}
