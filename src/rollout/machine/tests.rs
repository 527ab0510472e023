//! Courses of rollouts.

use super::*;
use crate::rollout::gate::{Doubt, Fault};

const SECOND: Duration = Duration::from_secs(1);
const HEALTHY: CandidateHealth = CandidateHealth::Healthy;
const WORSE: Verdict = Verdict::Worse(Fault::Errors(0.5, 0.01));

fn plan() -> Plan {
    let step = |share, hold| Step {
        share,
        hold: SECOND * hold,
    };
    Plan {
        steps: vec![step(0.01, 2), step(0.1, 3), step(0.5, 1)],
        watch: Duration::ZERO,
        on_failure: OnFailure::Rollback,
        approve: false,
    }
}

/// The state and the share after each second, as long as they change within `seconds`.
fn course(
    machine: &mut Machine,
    plan: &Plan,
    verdict: &Verdict,
    seconds: u32,
) -> Vec<(State, f64)> {
    let mut seen = vec![(machine.state, machine.share(plan))];
    for _ in 0..seconds {
        machine.tick(plan, SECOND, HEALTHY, verdict);
        let now = (machine.state, machine.share(plan));
        if seen.last() != Some(&now) {
            seen.push(now);
        }
    }
    seen
}

fn running(plan: &Plan) -> Machine {
    let mut machine = Machine::default();
    let change = machine.tick(plan, SECOND, HEALTHY, &Verdict::Pass).unwrap();
    assert!(change.starts && change.new_share);
    machine
}

#[test]
fn a_good_candidate_goes_through_all_steps() {
    use State::{Pending, Promoted, Running};
    let mut machine = Machine::default();
    let seen = course(&mut machine, &plan(), &Verdict::Pass, 7);
    let steps = [
        (Pending, 0.0),
        (Running, 0.01),
        (Running, 0.1),
        (Running, 0.5),
        (Promoted, 1.0),
    ];
    assert_eq!(seen, steps);
    // 2 s, 3 s and 1 s after the first tick.
    let mut machine = Machine::default();
    assert_eq!(course(&mut machine, &plan(), &Verdict::Pass, 6).len(), 4);
}

#[test]
fn it_starts_with_a_healthy_candidate_only() {
    let mut machine = Machine::default();
    for health in [
        CandidateHealth::Absent,
        CandidateHealth::Unhealthy,
        CandidateHealth::Unsure,
    ] {
        assert_eq!(machine.tick(&plan(), SECOND, health, &Verdict::Pass), None);
    }
    assert_eq!(machine.share(&plan()), 0.0);
}

#[test]
fn a_doubt_holds_and_never_promotes() {
    let mut machine = running(&plan());
    let doubt = Verdict::Wait(Doubt::Volume(3, 200));
    let seen = course(&mut machine, &plan(), &doubt, 1000);
    assert_eq!(seen.last(), Some(&(State::Holding, 0.01)));
    assert!(machine.reason.contains("3 of 200"));
    machine.tick(&plan(), SECOND, HEALTHY, &Verdict::Pass);
    assert_eq!((machine.state, machine.step), (State::Running, 1));
}

#[test]
fn a_worse_candidate_is_rolled_back_at_once_in_every_state_that_has_users() {
    for approve in [false, true] {
        let plan = Plan { approve, ..plan() };
        let mut machine = Machine::default();
        machine.obey(&plan, Order::Promote, HEALTHY).unwrap();
        course(&mut machine, &plan, &Verdict::Pass, 2);
        let change = machine
            .tick(&plan, Duration::ZERO, HEALTHY, &WORSE)
            .unwrap();
        assert_eq!((change.to, machine.share(&plan)), (State::RolledBack, 0.0));
        assert!(change.new_share && machine.reason.contains("50.00 %"));
        // And stays there.
        assert_eq!(course(&mut machine, &plan, &Verdict::Pass, 100).len(), 1);
    }
}

#[test]
fn a_dead_candidate_is_rolled_back_and_one_that_is_only_ejected_is_not() {
    let mut machine = running(&plan());
    let unsure = machine.tick(&plan(), SECOND, CandidateHealth::Unsure, &Verdict::Pass);
    let to = unsure.map(|change| (change.to, change.new_share));
    assert_eq!(to, Some((State::Holding, false)));
    machine.tick(&plan(), SECOND, CandidateHealth::Unhealthy, &Verdict::Pass);
    assert_eq!(machine.state, State::RolledBack);
}

#[test]
fn no_step_ends_while_nobody_can_meet_the_candidate() {
    let (plan, unsure) = (plan(), CandidateHealth::Unsure);
    let mut machine = running(&plan);
    machine.step = 2;
    for _ in 0..100 {
        machine.tick(&plan, SECOND, unsure, &Verdict::Pass);
        assert_eq!((machine.state, machine.share(&plan)), (State::Holding, 0.5));
    }
    // Its time begins where it stood.
    let seen = course(&mut machine, &plan, &Verdict::Pass, 2);
    let steps = [
        (State::Holding, 0.5),
        (State::Running, 0.5),
        (State::Promoted, 1.0),
    ];
    assert_eq!(seen, steps);
}

#[test]
fn a_gradual_rollback_halves_the_share_until_it_is_nothing() {
    let plan = Plan {
        on_failure: OnFailure::Gradual,
        ..plan()
    };
    let mut machine = running(&plan);
    machine.step = 2;
    machine.tick(&plan, SECOND, HEALTHY, &WORSE);
    let seen = course(&mut machine, &plan, &WORSE, 100);
    let shares: Vec<f64> = seen.iter().map(|(_, share)| *share).collect();
    assert_eq!(
        shares,
        [0.25, 0.125, 0.0625, 0.031_25, 0.015_625, 0.007_812_5, 0.0]
    );
    assert_eq!(machine.state, State::RolledBack);
}

#[test]
fn a_frozen_rollout_keeps_its_share_until_a_person_decides() {
    let plan = Plan {
        on_failure: OnFailure::Freeze,
        ..plan()
    };
    let mut machine = running(&plan);
    let change = machine.tick(&plan, SECOND, HEALTHY, &WORSE).unwrap();
    assert!(!change.new_share);
    assert_eq!(
        course(&mut machine, &plan, &Verdict::Pass, 100),
        [(State::Frozen, 0.01)]
    );
    let change = machine
        .obey(&plan, Order::Promote, HEALTHY)
        .unwrap()
        .unwrap();
    assert!(change.starts && change.new_share);
    assert_eq!(machine.share(&plan), 0.1);
}

#[test]
fn each_raise_waits_for_approval() {
    let plan = Plan {
        approve: true,
        ..plan()
    };
    let mut machine = Machine::default();
    assert_eq!(
        course(&mut machine, &plan, &Verdict::Pass, 10),
        [(State::Pending, 0.0)]
    );
    for share in [0.01, 0.1, 0.5, 1.0] {
        machine.obey(&plan, Order::Promote, HEALTHY).unwrap();
        course(&mut machine, &plan, &Verdict::Pass, 100);
        assert_eq!(machine.share(&plan), share);
    }
    assert_eq!(machine.state, State::Promoted);
}

#[test]
fn with_no_steps_all_users_go_at_once_and_are_watched() {
    let plan = Plan {
        steps: Vec::new(),
        watch: SECOND * 5,
        ..plan()
    };
    let mut machine = running(&plan);
    assert!(machine.is_alone(&plan) && machine.compares());
    let mut worse = machine.clone();
    worse.tick(&plan, SECOND, HEALTHY, &WORSE);
    assert_eq!(worse.share(&plan), 0.0);
    let seen = course(
        &mut machine,
        &plan,
        &Verdict::Wait(Doubt::Volume(0, 200)),
        5,
    );
    assert_eq!(seen.last(), Some(&(State::Promoted, 1.0)));
}

#[test]
fn a_pause_stops_the_steps_and_not_the_watch() {
    let mut machine = running(&plan());
    machine.obey(&plan(), Order::Pause, HEALTHY).unwrap();
    assert_eq!(
        course(&mut machine, &plan(), &Verdict::Pass, 100),
        [(State::Holding, 0.01)]
    );
    let mut worse = machine.clone();
    worse.tick(&plan(), SECOND, HEALTHY, &WORSE);
    assert_eq!(worse.state, State::RolledBack);
    machine.obey(&plan(), Order::Resume, HEALTHY).unwrap();
    assert!(machine.obey(&plan(), Order::Resume, HEALTHY).is_err());
    course(&mut machine, &plan(), &Verdict::Pass, 2);
    assert_eq!(machine.step, 1);
}

#[test]
fn an_edit_never_moves_users() {
    let mut edited = plan();
    edited.steps.insert(
        1,
        Step {
            share: 0.05,
            hold: SECOND,
        },
    );
    for (step, share, after) in [(0, 0.01, 0), (1, 0.1, 2), (2, 0.5, 3), (3, 1.0, 4)] {
        let mut machine = running(&plan());
        (machine.step, machine.lasted) = (step, SECOND);
        machine.fit(&edited, share);
        assert_eq!((machine.step, machine.share(&edited)), (after, share));
    }
    let shorter = Plan {
        steps: vec![Step {
            share: 0.3,
            hold: SECOND,
        }],
        ..plan()
    };
    let mut machine = running(&plan());
    machine.step = 1;
    machine.fit(&shorter, 0.1);
    assert_eq!(machine.share(&shorter), 0.1);
    machine.tick(&shorter, SECOND, HEALTHY, &Verdict::Pass);
    assert_eq!(
        (machine.state, machine.share(&shorter)),
        (State::Running, 0.3)
    );
}

#[test]
fn a_share_above_all_steps_waits_for_its_gate_before_the_candidate_gets_all() {
    let smaller = Plan {
        steps: vec![Step {
            share: 0.05,
            hold: 2 * SECOND,
        }],
        watch: Duration::ZERO,
        ..plan()
    };
    let told = |machine: &Machine, plan: &Plan| (machine.state, machine.share(plan));
    let mut machine = running(&plan());
    machine.step = 1;
    machine.fit(&smaller, 0.1);
    assert!(!machine.is_alone(&smaller));
    // Nothing moves before the time is over, and then only through the gate.
    machine.tick(&smaller, SECOND, HEALTHY, &Verdict::Pass);
    assert_eq!(told(&machine, &smaller), (State::Running, 0.1));
    let doubt = Verdict::Wait(Doubt::Volume(3, 200));
    for _ in 0..100 {
        machine.tick(&smaller, SECOND, HEALTHY, &doubt);
    }
    assert_eq!(told(&machine, &smaller), (State::Holding, 0.1));
    let mut paused = machine.clone();
    paused.obey(&smaller, Order::Pause, HEALTHY).unwrap();
    for _ in 0..100 {
        paused.tick(&smaller, SECOND, HEALTHY, &Verdict::Pass);
    }
    assert_eq!(told(&paused, &smaller), (State::Holding, 0.1));
    let approved = Plan {
        approve: true,
        ..smaller.clone()
    };
    let mut waiting = machine.clone();
    waiting.tick(&approved, SECOND, HEALTHY, &Verdict::Pass);
    assert_eq!(told(&waiting, &approved), (State::Waiting, 0.1));
    // A second edit keeps the share, too.
    machine.fit(&plan(), 0.1);
    assert_eq!((machine.step, machine.share(&plan())), (1, 0.1));
    machine.fit(&smaller, 0.1);
    machine.tick(&smaller, 2 * SECOND, HEALTHY, &Verdict::Pass);
    assert_eq!(told(&machine, &smaller), (State::Promoted, 1.0));
}

#[test]
fn a_rollout_that_only_needs_its_first_approval_is_shown_as_waiting() {
    let approved = Plan {
        approve: true,
        ..plan()
    };
    let mut machine = Machine::default();
    machine.tick(&approved, SECOND, HEALTHY, &Verdict::Pass);
    assert_eq!(machine.state, State::Pending);
    assert_eq!(machine.shown(), State::Waiting);
    machine.tick(&approved, SECOND, CandidateHealth::Absent, &Verdict::Pass);
    assert_eq!(machine.shown(), State::Pending);
}

#[test]
fn an_edited_rollout_is_at_the_step_whose_share_it_has_reached() {
    let hold = |seconds| Step {
        share: 0.0,
        hold: SECOND * seconds,
    };
    let steps = |shares: &[(f64, u32)]| Plan {
        steps: shares
            .iter()
            .map(|&(share, seconds)| Step {
                share,
                ..hold(seconds)
            })
            .collect(),
        watch: SECOND * 9,
        ..plan()
    };
    // At 10 % by the second of three steps: the step that is reached, and its time.
    for (edited, reached, minimum) in [
        (steps(&[(0.05, 7), (0.2, 8)]), 1, 7),
        (steps(&[(0.2, 8)]), 0, 8),
        (steps(&[(0.01, 6), (0.05, 7)]), 2, 7),
        (steps(&[(0.01, 6), (0.1, 5), (0.5, 4)]), 2, 5),
        (steps(&[]), 0, 9),
    ] {
        let mut machine = running(&plan());
        machine.step = 1;
        machine.fit(&edited, 0.1);
        assert_eq!(machine.reached(), reached, "{edited:?}");
        assert_eq!(machine.minimum(&edited), SECOND * minimum, "{edited:?}");
        assert_eq!(machine.share(&edited), 0.1);
    }
    let mut all = running(&steps(&[]));
    all.fit(&steps(&[]), 1.0);
    assert_eq!(all.reached(), 1);
}

#[test]
fn a_wait_is_known_by_itself_and_not_by_its_words() {
    let mut machine = running(&plan());
    let unsure = CandidateHealth::Unsure;
    machine.tick(&plan(), SECOND, unsure, &Verdict::Pass);
    assert_eq!(
        (machine.state, machine.wait),
        (State::Holding, Some(Wait::Candidate))
    );
    machine.reason = "other words".to_owned();
    machine.tick(&plan(), SECOND, HEALTHY, &Verdict::Pass);
    assert_eq!((machine.state, machine.wait), (State::Running, None));
    // A record of an earlier version has none.
    let text = serde_json::to_string(&machine).unwrap();
    assert!(!text.contains("wait"), "{text}");
    assert_eq!(serde_json::from_str::<Machine>(&text).unwrap(), machine);
}
