//! Probation: the way back from an ejection.

use super::*;
use crate::upstream::picker::EndpointIndex;

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
