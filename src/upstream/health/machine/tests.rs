use std::time::Duration;

use super::*;
use crate::upstream::{
    health::{
        picture::Picture,
        settings::{CheckKind, CheckSettings, EjectionSettings},
        tally::Run,
        transition::Withheld,
        window::Figures,
    },
    picker::EndpointIndex,
};

const SECOND: Duration = Duration::from_secs(1);
const A: &str = "a:1";
const B: &str = "b:1";

fn addresses(names: &[&str]) -> Vec<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}

/// A pool and its clock.
struct Bench {
    pool: PoolHealth,
    set: Vec<Arc<str>>,
    now: Instant,
}

impl Bench {
    fn new(names: &[&str], settings: HealthSettings) -> Self {
        let now = Instant::now();
        let mut pool = PoolHealth::new(settings);
        let set = addresses(names);
        assert!(pool.replace_endpoints(&set, now).is_empty());
        Self { pool, set, now }
    }

    fn passive(names: &[&str]) -> Self {
        Self::new(names, HealthSettings::default())
    }

    fn checked(names: &[&str]) -> Self {
        let check = Some(CheckSettings::new(CheckKind::Tcp));
        Self::new(
            names,
            HealthSettings {
                check,
                ..HealthSettings::default()
            },
        )
    }

    fn all_pass(mut self) -> Self {
        for address in self.set.clone() {
            self.pass(&address);
        }
        self
    }

    /// So many successes, bad answers and failures, judged at once.
    fn outcomes(
        &mut self,
        address: &str,
        successes: u64,
        bad_answers: u64,
        failures: u64,
    ) -> Vec<Transition> {
        let figures = Figures {
            successes,
            bad_answers,
            failures,
        };
        let mut changes = self.pool.outcomes(address, figures, self.now);
        changes.extend(self.pool.judge(self.now));
        changes
    }

    /// Five bad answers in a row.
    fn answer_badly(&mut self, address: &str) -> Vec<Transition> {
        let run = Run {
            bad: 5,
            unanswered: 0,
        };
        self.pool.failed_in_a_row(address, run, self.now)
    }

    fn pass(&mut self, address: &str) -> Vec<Transition> {
        self.pool.check_passed(address, self.now, self.now)
    }

    fn fail(&mut self, address: &str) -> Vec<Transition> {
        self.pool
            .check_failed(address, &ProbeFailure::Refused, self.now)
    }

    fn fail_requests(&mut self, address: &str) -> Vec<Transition> {
        let run = Run {
            bad: 5,
            unanswered: 5,
        };
        self.pool.failed_in_a_row(address, run, self.now)
    }

    fn after(&mut self, passed: Duration) -> Vec<Transition> {
        self.now += passed;
        self.pool.tick(self.now)
    }

    fn picture(&self) -> Picture {
        self.pool.picture(&self.set, 1, self.now)
    }

    fn eligible(&self) -> Vec<u32> {
        self.picture()
            .eligible
            .iter()
            .map(|index| index.0)
            .collect()
    }

    fn state(&self, address: &str) -> EndpointState {
        self.pool.state(address).unwrap()
    }

    /// Ejects an endpoint once more and returns how long that lasts.
    fn length_of_next_ejection(&mut self, address: &str) -> Duration {
        assert_eq!(self.fail_requests(address).len(), 1);
        let began = self.now;
        while self.state(address) == EndpointState::Ejected {
            self.after(SECOND);
        }
        let length = self.now - began;
        self.pool.trial_ended(address, true, self.now);
        length
    }
}

#[test]
fn a_pool_without_checks_serves_from_the_start() {
    let bench = Bench::passive(&[A, B]);
    assert_eq!(bench.eligible(), [0, 1]);
    assert!(
        bench
            .picture()
            .endpoints
            .iter()
            .all(|view| view.recovered.is_none())
    );
}

#[test]
fn the_first_check_decides_at_once_and_later_ones_by_rise_and_fall() {
    let mut bench = Bench::checked(&[A, B]);
    assert!(bench.picture().pending);
    bench.pass(A);
    bench.fail(B);
    assert_eq!(
        (bench.state(A), bench.state(B)),
        (EndpointState::Healthy, EndpointState::Unhealthy)
    );
    assert!(!bench.picture().pending);

    assert!(bench.fail(A).is_empty());
    assert!(bench.fail(A).is_empty());
    bench.pass(A);
    assert!(bench.fail(A).is_empty());
    assert!(bench.fail(A).is_empty());
    let down = bench.fail(A);
    assert_eq!(down.len(), 1);
    assert_eq!(down[0].cause, Cause::CheckFailed(ProbeFailure::Refused));

    assert!(bench.pass(A).is_empty());
    bench.fail(A);
    assert!(bench.pass(A).is_empty());
    assert_eq!(bench.pass(A)[0].to, EndpointState::Healthy);
}

#[test]
fn a_pool_that_is_not_checked_in_time_is_trusted_until_the_first_answer() {
    let mut bench = Bench::checked(&[A, B]);
    bench.after(Duration::from_millis(1499));
    assert!(bench.picture().pending);
    assert!(bench.eligible().is_empty());
    let trusted = bench.after(Duration::from_millis(1));
    assert_eq!(trusted.len(), 2);
    assert_eq!(trusted[0].cause, Cause::HoldOver);
    assert_eq!(bench.eligible(), [0, 1]);
    assert_eq!(bench.fail(A)[0].to, EndpointState::Unhealthy);
}

#[test]
fn requests_are_held_rather_than_sent_to_endpoints_known_to_be_down() {
    let mut bench = Bench::checked(&[A, B, "c:1", "d:1"]);
    for address in [A, B, "c:1"] {
        bench.fail(address);
    }
    let picture = bench.picture();
    assert!(picture.pending && picture.eligible.is_empty());
    bench.fail("d:1");
    let picture = bench.picture();
    assert!(!picture.pending && picture.eligible.is_empty());
}

#[test]
fn pace_is_quick_while_down_or_between_two_states() {
    let mut bench = Bench::checked(&[A, B]);
    assert_eq!(bench.pool.pace(A), Pace::Quick);
    bench.pass(A);
    assert_eq!(bench.pool.pace(A), Pace::Steady);
    bench.fail(A);
    assert_eq!(bench.pool.pace(A), Pace::Quick);
    bench.pass(A);
    assert_eq!(bench.pool.pace(A), Pace::Steady);
    bench.fail(B);
    assert_eq!(bench.pool.pace(B), Pace::Quick);
}

/// Returns the reason why an ejection did not take place.
fn withheld(notice: &Transition) -> Option<Withheld> {
    match notice.cause {
        Cause::EjectionWithheld(reason, _) => Some(reason),
        _ => None,
    }
}

#[test]
fn the_last_endpoint_that_serves_is_never_ejected_and_that_is_said_once() {
    let mut alone = Bench::passive(&[A]);
    let notices = alone.fail_requests(A);
    assert_eq!(withheld(&notices[0]), Some(Withheld::LastOne));
    assert_eq!(notices[0].from, notices[0].to);
    assert_eq!(
        notices[0].cause.to_string(),
        "not ejected for 5 failures in a row: no other endpoint can serve"
    );
    assert!(alone.fail_requests(A).is_empty());
    assert_eq!(alone.state(A), EndpointState::Healthy);
    alone.after(11 * SECOND);
    assert_eq!(alone.fail_requests(A).len(), 1);

    let mut bench = Bench::checked(&[A, B]).all_pass();
    for _ in 0..3 {
        bench.fail(B);
    }
    assert_eq!(
        withheld(&bench.fail_requests(A)[0]),
        Some(Withheld::LastOne)
    );
}

#[test]
fn the_allowed_share_is_computed_after_the_ejection() {
    // One of three is a third, two of three would be two thirds: more than half.
    let mut bench = Bench::passive(&[A, B, "c:1"]);
    assert_eq!(bench.fail_requests(A)[0].to, EndpointState::Ejected);
    assert_eq!(withheld(&bench.fail_requests(B)[0]), Some(Withheld::Share));
    assert_eq!(bench.eligible(), [1, 2]);

    // A share under one endpoint ejects nobody, not "always one".
    let ejection = Some(EjectionSettings {
        share_max: 0.1,
        ..EjectionSettings::default()
    });
    let mut small = Bench::new(
        &[A, B, "c:1"],
        HealthSettings {
            ejection,
            ..HealthSettings::default()
        },
    );
    assert_eq!(withheld(&small.fail_requests(A)[0]), Some(Withheld::Share));
}

#[test]
fn ejections_grow_up_to_the_maximum_and_good_behaviour_shrinks_them() {
    let ejection = Some(EjectionSettings {
        max: 70 * SECOND,
        ..EjectionSettings::default()
    });
    let mut bench = Bench::new(
        &[A, B],
        HealthSettings {
            ejection,
            ..HealthSettings::default()
        },
    );
    let lengths: Vec<u64> = (0..4)
        .map(|_| bench.length_of_next_ejection(A).as_secs())
        .collect();
    assert_eq!(lengths, [30, 60, 70, 70]);
    // Four times ejected, two forgiven: the next is the third.
    bench.after(20 * SECOND);
    assert_eq!(bench.picture().endpoints[0].ejections, 2);
    assert_eq!(bench.length_of_next_ejection(A).as_secs(), 70);
    bench.after(3600 * SECOND);
    assert_eq!(bench.length_of_next_ejection(A).as_secs(), 30);
}

#[test]
fn after_an_ejection_one_request_decides() {
    let mut bench = Bench::passive(&[A, B]);
    bench.fail_requests(A);
    assert_eq!(bench.after(30 * SECOND)[0].cause, Cause::EjectionOver);
    let picture = bench.picture();
    assert_eq!(
        (picture.probation, picture.eligible),
        (vec![EndpointIndex(0)], vec![EndpointIndex(1)])
    );

    let failed = bench.pool.trial_ended(A, false, bench.now);
    assert_eq!(
        (failed[0].to, &failed[0].cause),
        (EndpointState::Ejected, &Cause::TrialFailed)
    );
    bench.after(59 * SECOND);
    assert_eq!(bench.state(A), EndpointState::Ejected);
    bench.after(SECOND);
    let passed = bench.pool.trial_ended(A, true, bench.now);
    assert_eq!(passed[0].to, EndpointState::Healthy);
    assert_eq!(bench.picture().endpoints[0].recovered, Some(bench.now));
    assert!(bench.pool.trial_ended(A, false, bench.now).is_empty());
}

#[test]
fn only_a_check_that_began_after_the_ejection_cuts_it_short() {
    let mut bench = Bench::checked(&[A, B]).all_pass();
    let before = bench.now;
    bench.after(SECOND);
    bench.fail_requests(A);
    bench.after(SECOND);
    assert!(bench.pool.check_passed(A, before, bench.now).is_empty());
    let early = bench.pass(A);
    assert_eq!(
        (early[0].to, &early[0].cause),
        (EndpointState::Probation, &Cause::EjectionCutShort)
    );
}

#[test]
fn a_check_or_answers_on_probation_readmit() {
    let mut bench = Bench::checked(&[A, B]).all_pass();
    bench.fail_requests(A);
    bench.after(SECOND);
    bench.pass(A);
    let before = bench.now;
    bench.after(SECOND);
    let second = bench.pass(A);
    assert_eq!(second[0].to, EndpointState::Healthy);
    assert_eq!(second[0].cause, Cause::CheckPassed);

    bench.fail_requests(A);
    bench.after(SECOND);
    bench.pass(A);
    // One that was under way when probation began says nothing of it.
    assert!(bench.pool.check_passed(A, before, bench.now).is_empty());
    let mixed = bench.outcomes(A, 3, 0, 1);
    assert!(mixed.is_empty());
    let answered = bench.outcomes(A, 1, 0, 0);
    assert_eq!(answered[0].to, EndpointState::Healthy);
    assert_eq!(answered[0].cause, Cause::Answered);
}

#[test]
fn any_request_may_be_the_trial_of_an_endpoint_that_has_waited_for_it() {
    let mut bench = Bench::passive(&[A, B]);
    bench.fail_requests(A);
    bench.after(30 * SECOND);
    let overdue = |bench: &Bench| bench.picture().endpoints[0].overdue;
    assert_eq!(bench.state(A), EndpointState::Probation);
    bench.after(4 * SECOND);
    assert!(!overdue(&bench));
    bench.after(SECOND);
    assert!(overdue(&bench) && bench.pool.take_changed());
    bench.pool.trial_ended(A, true, bench.now);
    assert!(!overdue(&bench));
}

#[test]
fn a_share_of_failures_ejects_from_the_volume_on() {
    let mut bench = Bench::passive(&[A, B]);
    assert!(bench.outcomes(A, 0, 0, 19).is_empty());
    let ejected = bench.outcomes(A, 0, 0, 1);
    assert_eq!(
        ejected[0].cause,
        Cause::FailureRatio {
            failures: 20,
            total: 20
        }
    );
    assert!(bench.outcomes(B, 4, 0, 16).is_empty());
    // What it did before it was out does not eject it again.
    bench.after(30 * SECOND);
    bench.pool.trial_ended(A, true, bench.now);
    assert!(bench.outcomes(A, 0, 0, 19).is_empty());
}

#[test]
fn an_ejection_ends_when_nobody_else_is_left() {
    let mut bench = Bench::checked(&[A, B]).all_pass();
    bench.fail_requests(A);
    let changes = bench
        .pool
        .set_admin(B, AdminState::Draining, bench.now)
        .unwrap();
    let told: Vec<_> = changes
        .iter()
        .map(|change| (&*change.address, change.to))
        .collect();
    assert_eq!(
        told,
        [(B, EndpointState::Draining), (A, EndpointState::Healthy)]
    );
    assert_eq!(changes[1].cause, Cause::LastLeft);
}

#[test]
fn an_operator_drains_ejects_and_enables() {
    let mut bench = Bench::passive(&[A, B]);
    bench.pool.set_admin(A, AdminState::Draining, bench.now);
    let view = bench.picture().endpoints[0].clone();
    assert!(!view.eligible && view.serves_sessions());
    bench.pool.set_admin(A, AdminState::Ejected, bench.now);
    let view = bench.picture().endpoints[0].clone();
    assert!(!view.eligible && !view.serves_sessions());
    bench.pool.set_admin(A, AdminState::Enabled, bench.now);
    bench.fail_requests(A);
    assert_eq!(bench.state(A), EndpointState::Ejected);
    bench.pool.set_admin(A, AdminState::Enabled, bench.now);
    assert_eq!(bench.state(A), EndpointState::Healthy);
    assert!(
        bench
            .pool
            .set_admin("nobody:1", AdminState::Draining, bench.now)
            .is_none()
    );
}

#[test]
fn a_reload_carries_state_over_by_address() {
    let mut bench = Bench::checked(&[A, B, "c:1"]).all_pass();
    bench.fail_requests(A);
    bench.pool.set_admin(B, AdminState::Draining, bench.now);
    let old = bench.set.clone();
    bench.set = addresses(&["new:1", B, A]);
    bench.after(SECOND);
    bench.pool.replace_endpoints(&bench.set, bench.now);
    let states: Vec<_> = bench
        .picture()
        .endpoints
        .iter()
        .map(|view| view.state)
        .collect();
    assert_eq!(
        states,
        [
            EndpointState::Pending,
            EndpointState::Draining,
            EndpointState::Ejected
        ]
    );
    assert_eq!(bench.picture().endpoints[0].recovered, Some(bench.now));
    // The old set is still drawn right, until nobody needs it.
    assert_eq!(
        bench.pool.picture(&old, 1, bench.now).endpoints[2].state,
        EndpointState::Healthy
    );
    bench.pool.forget_departed(|_| false);
    assert_eq!(bench.pool.state("c:1"), None);
}

#[test]
fn turning_checks_or_ejection_on_and_off_doubts_nobody_and_keeps_nobody_out() {
    let mut bench = Bench::checked(&[A, B, "c:1", "d:1"]).all_pass();
    for _ in 0..3 {
        bench.fail(A);
    }
    bench.fail_requests(B);
    let off = HealthSettings {
        check: None,
        ejection: None,
    };
    let on = bench.pool.settings().clone();
    assert_eq!(bench.pool.replace_settings(off, bench.now).len(), 2);
    assert_eq!(bench.eligible(), [0, 1, 2, 3]);
    assert!(bench.pool.replace_settings(on, bench.now).is_empty());
    assert_eq!(bench.eligible(), [0, 1, 2, 3]);
    assert!(bench.fail(A).is_empty());
}

#[test]
fn absurd_settings_and_strangers_do_no_harm() {
    let ejection = EjectionSettings {
        base: Duration::MAX,
        max: Duration::MAX,
        interval: Duration::MAX,
        ..EjectionSettings::default()
    };
    let mut bench = Bench::new(
        &[A, B, A],
        HealthSettings {
            ejection: Some(ejection),
            check: None,
        },
    );
    assert_eq!(bench.fail_requests(A).len(), 1);
    bench.after(3600 * SECOND);
    assert_eq!(bench.eligible(), [1]);
    assert!(bench.fail_requests("nobody:1").is_empty());
    bench.pass("nobody:1");
    bench.outcomes("nobody:1", 1, 0, 1);
    let empty = Bench::passive(&[]);
    assert!(empty.picture().eligible.is_empty());
}

#[test]
fn bad_answers_eject_only_an_endpoint_that_fares_worse_than_others() {
    let mut bench = Bench::passive(&[A, B, "c:1", "d:1"]);
    // One address that answers 500 everywhere.
    for address in [A, B, "c:1", "d:1"] {
        let figures = Figures {
            bad_answers: 20,
            ..Figures::default()
        };
        assert!(bench.pool.outcomes(address, figures, bench.now).is_empty());
    }
    let notices = bench.pool.judge(bench.now);
    assert_eq!(withheld(&notices[0]), Some(Withheld::Alike));
    assert!(bench.answer_badly(A).is_empty());
    assert_eq!(bench.eligible(), [0, 1, 2, 3]);
    // Answers that never came speak for themselves.
    assert_eq!(bench.fail_requests(B)[0].to, EndpointState::Ejected);
    let ejected = &bench.outcomes("d:1", 60, 0, 0)[0];
    assert_eq!((&*ejected.address, ejected.to), (A, EndpointState::Ejected));
}

#[test]
fn a_pool_that_answers_badly_everywhere_is_looked_at_once_and_not_once_for_each_endpoint() {
    let names: Vec<String> = (0..2000).map(|name| name.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut bench = Bench::passive(&names);
    let figures = Figures {
        bad_answers: 20,
        ..Figures::default()
    };
    for address in &names {
        bench.pool.outcomes(address, figures, bench.now);
    }
    let before = bench.pool.looks;
    assert_eq!(bench.pool.judge(bench.now).len(), names.len());
    for address in &names {
        bench.after(Duration::from_micros(10));
        assert!(bench.answer_badly(address).is_empty());
    }
    let looks = bench.pool.looks - before;
    assert!(looks <= 5 * names.len(), "{looks}");
}

#[test]
fn bad_answers_eject_an_endpoint_whose_checks_pass_only_if_most_of_its_traffic_fails() {
    let check = |kind| HealthSettings {
        check: Some(CheckSettings::new(kind)),
        ..HealthSettings::default()
    };
    let mut bench = Bench::new(&[A, B, "c:1"], check(CheckKind::http("/"))).all_pass();
    bench.outcomes(B, 20, 0, 0);
    assert!(bench.outcomes(A, 4, 6, 0).is_empty());
    assert!(bench.answer_badly(A).is_empty());
    let ejected = bench.outcomes(A, 0, 25, 0);
    assert_eq!(
        ejected[0].cause,
        Cause::FailureRatio {
            failures: 31,
            total: 35
        }
    );
    // A check that asks for a connection says nothing of answers.
    let mut open = Bench::new(&[A, B, "c:1"], check(CheckKind::Tcp)).all_pass();
    open.outcomes(B, 5, 0, 0);
    open.outcomes(A, 0, 5, 0);
    assert_eq!(open.answer_badly(A)[0].to, EndpointState::Ejected);
}
