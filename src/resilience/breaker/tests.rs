use super::*;

fn settings() -> BreakerSettings {
    BreakerSettings {
        failure_ratio: 0.5,
        volume_min: 20,
        window: Duration::from_secs(10),
        open: Duration::from_secs(5),
        consecutive: 0,
        slow: None,
    }
}

fn calls(good: u64, failed: u64, slow: u64) -> Calls {
    Calls { good, failed, slow }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn opened(settings: BreakerSettings, now: Instant) -> Machine {
    let mut machine = Machine::new(settings, now);
    let change = machine.calls(calls(0, 100, 0), 100, now).unwrap();
    assert_eq!(change.to, BreakerState::Open);
    machine
}

#[test]
fn it_opens_at_the_ratio_and_not_below_the_volume() {
    let now = Instant::now();
    for (seen, opens) in [
        (calls(0, 19, 0), false),
        (calls(11, 9, 0), false),
        (calls(10, 10, 0), true),
        (calls(10, 4, 6), true),
        (calls(0, 0, 0), false),
    ] {
        let mut machine = Machine::new(settings(), now);
        assert_eq!(machine.calls(seen, 0, now).is_some(), opens, "{seen:?}");
    }
    let mut machine = Machine::new(settings(), now);
    let change = machine.calls(calls(10, 4, 6), 0, now).unwrap();
    assert_eq!(
        change.cause.to_string(),
        "10 of 20 calls failed, 6 by being slow"
    );
}

#[test]
fn calls_leave_the_window() {
    let now = Instant::now();
    let mut machine = Machine::new(settings(), now);
    assert_eq!(machine.calls(calls(0, 19, 0), 0, now), None);
    assert_eq!(machine.calls(calls(0, 1, 0), 0, now + seconds(11)), None);
    let change = machine.calls(calls(0, 19, 0), 0, now + seconds(12));
    assert_eq!(change.unwrap().cause, BreakerCause::Ratio(calls(0, 20, 0)));
}

#[test]
fn calls_in_a_row_open_it_whatever_the_volume() {
    let now = Instant::now();
    let own = BreakerSettings {
        consecutive: 3,
        ..settings()
    };
    let mut machine = Machine::new(own, now);
    assert_eq!(machine.calls(calls(5, 2, 0), 2, now), None);
    let change = machine.calls(calls(0, 1, 0), 3, now).unwrap();
    assert_eq!(change.cause, BreakerCause::Consecutive(3));
}

#[test]
fn open_it_refuses_then_one_trial_decides() {
    let now = Instant::now();
    let mut machine = opened(settings(), now);
    let until = now + seconds(5);
    assert_eq!(
        machine.ask(now + seconds(4)),
        (Admission::Refused(until), None)
    );
    let (admission, change) = machine.ask(until);
    assert_eq!(admission, Admission::Trial(1));
    assert_eq!(change.unwrap().to, BreakerState::HalfOpen);
    let lease = until + seconds(5);
    assert_eq!(machine.ask(until), (Admission::Refused(lease), None));
    // Calls of before it opened say nothing.
    assert_eq!(machine.calls(calls(0, 500, 0), 500, until), None);
    let change = machine.trial_ended(1, false, until + seconds(1)).unwrap();
    assert_eq!(
        (change.to, change.cause),
        (BreakerState::Open, BreakerCause::TrialFailed)
    );
    assert_eq!(machine.refuses_until(), Some(until + seconds(6)));
    let (admission, _) = machine.ask(until + seconds(6));
    assert_eq!(admission, Admission::Trial(2));
    assert_eq!(
        machine.trial_ended(1, true, until + seconds(7)),
        None,
        "an old one"
    );
    let change = machine.trial_ended(2, true, until + seconds(7)).unwrap();
    assert_eq!(change.to, BreakerState::Closed);
    assert_eq!(machine.ask(until + seconds(7)), (Admission::Pass, None));
    assert_eq!(machine.window(until + seconds(7)), Calls::default());
}

#[test]
fn a_trial_without_a_verdict_never_wedges_it() {
    let now = Instant::now();
    let mut machine = opened(settings(), now);
    let at = now + seconds(5);
    assert_eq!(machine.ask(at).0, Admission::Trial(1));
    machine.trial_given_up(1);
    assert_eq!(machine.ask(at).0, Admission::Trial(2));
    // It hangs: after the open time another takes its place.
    assert_eq!(machine.ask(at + seconds(5)).0, Admission::Trial(3));
    machine.trial_given_up(2);
    assert_eq!(
        machine.ask(at + seconds(6)).0,
        Admission::Refused(at + seconds(10))
    );
    assert!(machine.trial_ended(3, true, at + seconds(6)).is_some());
}

#[test]
fn other_settings_keep_the_state_and_may_shorten_it() {
    let now = Instant::now();
    let mut machine = opened(settings(), now);
    let shorter = BreakerSettings {
        open: seconds(1),
        window: seconds(60),
        ..settings()
    };
    machine.replace_settings(shorter, now);
    assert_eq!(machine.state(), BreakerState::Open);
    assert_eq!(machine.refuses_until(), Some(now + seconds(1)));
    let mut machine = Machine::new(settings(), now);
    machine.calls(calls(0, 19, 0), 0, now);
    machine.replace_settings(shorter, now);
    assert!(
        machine.calls(calls(0, 1, 0), 0, now).is_some(),
        "the window is kept"
    );
}

/// In any order of events: at most one trial at a time, no call passes while it is
/// open, and after twice the open time without a verdict a call may be made.
#[test]
fn any_history_keeps_the_promises() {
    for seed in 0..200_u64 {
        let mut draw = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut next = |bound: u64| {
            draw ^= draw << 13;
            draw ^= draw >> 7;
            draw ^= draw << 17;
            draw % bound
        };
        let mut now = Instant::now();
        let own = BreakerSettings {
            consecutive: u32::try_from(next(4)).unwrap(),
            volume_min: 5,
            ..settings()
        };
        let mut machine = Machine::new(own, now);
        let mut trials: Vec<(u64, Instant)> = Vec::new();
        for _ in 0..400 {
            now += Duration::from_millis(next(2000));
            match next(5) {
                0 => {
                    let seen = calls(next(4), next(4), next(2));
                    let before = machine.state();
                    let change = machine.calls(seen, u32::try_from(next(5)).unwrap(), now);
                    assert!(change.is_none() || before == BreakerState::Closed);
                }
                1 | 2 => match machine.ask(now).0 {
                    Admission::Pass => assert_eq!(machine.state(), BreakerState::Closed),
                    Admission::Trial(number) => {
                        assert_eq!(machine.state(), BreakerState::HalfOpen);
                        trials.retain(|(_, since)| now - *since < own.open);
                        assert!(trials.is_empty(), "seed {seed}: two trials at a time");
                        trials.push((number, now));
                    }
                    Admission::Refused(until) => {
                        assert!(until > now && until - now <= own.open, "seed {seed}");
                    }
                },
                3 => {
                    if let Some((number, _)) = trials.pop() {
                        machine.trial_given_up(number);
                    }
                }
                _ => {
                    if let Some((number, _)) = trials.pop() {
                        machine.trial_ended(number, next(2) == 0, now);
                    }
                }
            }
            if machine.state() != BreakerState::HalfOpen {
                trials.clear();
            }
        }
        now += own.open * 2;
        assert!(
            !matches!(machine.ask(now).0, Admission::Refused(_)),
            "seed {seed}: wedged"
        );
    }
}

fn breaker(workers: usize, settings: &BreakerSettings, now: Instant) -> Arc<Breaker> {
    let breaker = Arc::new(Breaker::new(workers, now));
    breaker.set(Some(settings), now);
    breaker
}

#[test]
fn the_failure_that_is_one_too_many_opens_it_before_the_next_call() {
    let now = Instant::now();
    let breaker = breaker(2, &settings(), now);
    for count in 0..20 {
        let mut permit = breaker.admit(now).unwrap();
        breaker.observe(count % 2, &mut permit, CallOutcome::Failed, now);
    }
    assert_eq!(breaker.refuses(now), Some(seconds(5)));
    assert_eq!(breaker.admit(now + seconds(2)).unwrap_err(), seconds(3));
    let changes = breaker.tick(now + seconds(2));
    assert_eq!(changes.len(), 1);
    let trial = breaker.admit(now + seconds(5)).unwrap();
    assert!(trial.is_trial());
    assert!(breaker.admit(now + seconds(5)).is_err());
    drop(trial);
    let mut trial = breaker.admit(now + seconds(5)).unwrap();
    breaker.observe(0, &mut trial, CallOutcome::Good, now + seconds(5));
    assert!(!breaker.admit(now + seconds(5)).unwrap().is_trial());
    assert_eq!(breaker.tick(now + seconds(5)).len(), 2);
}

#[test]
fn calls_of_before_say_nothing_after_it_has_closed_again() {
    let now = Instant::now();
    let own = BreakerSettings {
        consecutive: 2,
        ..settings()
    };
    let breaker = breaker(1, &own, now);
    let mut hanging: Vec<_> = (0..30).map(|_| breaker.admit(now).unwrap()).collect();
    for permit in hanging.iter_mut().take(2) {
        breaker.observe(0, permit, CallOutcome::Failed, now);
    }
    let later = now + seconds(6);
    let mut trial = breaker.admit(later).unwrap();
    breaker.observe(0, &mut trial, CallOutcome::Good, later);
    for permit in &mut hanging {
        breaker.observe(0, permit, CallOutcome::Failed, later);
    }
    assert_eq!(breaker.view(later).unwrap().state, BreakerState::Closed);
    assert_eq!(breaker.view(later).unwrap().calls, Calls::default());
}

#[test]
fn turned_off_it_passes_all_and_says_so() {
    let now = Instant::now();
    let own = BreakerSettings {
        consecutive: 1,
        ..settings()
    };
    let breaker = breaker(1, &own, now);
    let mut permit = breaker.admit(now).unwrap();
    breaker.observe(0, &mut permit, CallOutcome::Slow, now);
    assert!(breaker.admit(now).is_err());
    breaker.set(None, now);
    assert!(breaker.admit(now).is_ok() && breaker.view(now).is_none());
    let causes: Vec<_> = breaker
        .tick(now)
        .iter()
        .map(|change| change.cause)
        .collect();
    assert_eq!(
        causes,
        [BreakerCause::Consecutive(1), BreakerCause::Settings]
    );
}

#[test]
fn workers_at_once_share_one_trial() {
    let start = Instant::now();
    let own = BreakerSettings {
        consecutive: 1,
        ..settings()
    };
    let breaker = breaker(4, &own, start);
    let mut permit = breaker.admit(start).unwrap();
    breaker.observe(0, &mut permit, CallOutcome::Failed, start);
    let now = start + seconds(5);
    let (under_way, trials) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    if let Ok(permit) = breaker.admit(now) {
                        assert!(permit.is_trial());
                        assert_eq!(under_way.fetch_add(1, Relaxed), 0);
                        trials.fetch_add(1, Relaxed);
                        under_way.fetch_sub(1, Relaxed);
                    }
                }
            });
        }
    });
    assert!(trials.load(Relaxed) > 0);
}
