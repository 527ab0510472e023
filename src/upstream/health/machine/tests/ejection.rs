//! Ejections: their causes, limits, lengths and end.

use super::*;
use crate::upstream::health::settings::EjectionSettings;

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
