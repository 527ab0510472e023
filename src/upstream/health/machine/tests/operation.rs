//! An operator's words, reloads, and settings that change.

use super::*;
use crate::upstream::health::settings::EjectionSettings;

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
