//! Bad answers, which count only against an endpoint that fares worse than others.

use super::*;

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
