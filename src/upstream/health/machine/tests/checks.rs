//! Verdicts of checks, and the start of a pool before there are any.

use super::*;

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
