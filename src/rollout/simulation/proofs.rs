//! Simulation of proofs, and of the comparison by user.

use super::{ALPHA, Cell, Found, bound, bursts, errors, run};
use crate::rollout::{proof::Proof, statistics::Evidence};

/// Proof that a candidate is not worse by one in 100; the requests of the candidate until it is given.
fn proofs(cell: Cell, rollouts: u64, seconds: u64) -> Found {
    run(rollouts, |random| {
        let (mut evidence, mut proof) = (Evidence::default(), Proof::default());
        let mut requests = 0;
        for _ in 0..seconds * 10 {
            let of = cell.rate / 10.0;
            let baseline = random.outcomes(of * (1.0 - cell.share), cell.baseline);
            let candidate = random.outcomes(of * cell.share, cell.candidate);
            requests += candidate.total;
            proof.add(baseline, candidate, evidence.baseline_rate(), INCREASE);
            evidence.add(baseline, candidate);
            if proof.share(ALPHA) >= 1.0 {
                return Some(requests);
            }
        }
        None
    })
}

/// Failures in bursts of one user, as in [`bursts`], of which each user's first request counts: at 200
/// requests a second.
fn of_users(share: f64, burst: u64, candidate: f64) -> Cell {
    Cell {
        rate: 200.0 / burst as f64,
        share,
        baseline: 0.01,
        candidate,
    }
}

fn users(share: f64, burst: u64, rollouts: u64, seconds: u64) -> Found {
    errors(of_users(share, burst, 0.01), rollouts, seconds)
}

const INCREASE: f64 = 0.01;

#[test]
fn a_version_that_is_worse_by_the_increase_is_hardly_ever_proved_good_and_a_good_one_soon() {
    for baseline in [0.001, 0.01, 0.06] {
        let cell = Cell {
            rate: 1000.0,
            share: 0.1,
            baseline,
            candidate: baseline + INCREASE,
        };
        let wrong = proofs(cell, 60, 30).rolled_back;
        assert!(wrong <= 0.05, "{baseline} {wrong}");
        let good = Cell {
            candidate: baseline,
            ..cell
        };
        let found = proofs(good, 21, 300);
        assert!(found.rolled_back > 0.99, "{baseline}");
    }
}

#[test]
fn bursts_of_one_user_do_no_harm_where_users_are_counted() {
    assert!(users(0.5, 5, 60, 60).rolled_back <= 0.05);
    assert!(
        bursts(0.5, 5, 60, 60).rolled_back > 0.1,
        "the reason for it"
    );
}

#[test]
#[ignore = "takes minutes: prints the tables of the manual"]
fn tables_of_proofs() {
    let given = std::env::var("ROLLOUTS").ok();
    let rollouts: u64 = given.and_then(|it| it.parse().ok()).unwrap_or(10_000);
    println!("| share | old fails | new fails | proved | median | 90 % |");
    for share in [0.1, 0.5] {
        for baseline in [0.001, 0.01, 0.06] {
            for more in [0.0, 0.005, INCREASE] {
                let cell = Cell {
                    rate: 200.0,
                    share,
                    baseline,
                    candidate: baseline + more,
                };
                let found = proofs(cell, rollouts, 600);
                println!(
                    "| {} % | {} % | {:.1} % | {:.2} % | {} | {} |",
                    share * 100.0,
                    baseline * 100.0,
                    (baseline + more) * 100.0,
                    found.rolled_back * 100.0,
                    found.median,
                    found.late
                );
            }
        }
    }
}

#[test]
#[ignore = "takes minutes: prints the tables of the manual"]
fn tables_of_users() {
    let given = std::env::var("ROLLOUTS").ok();
    let rollouts: u64 = given.and_then(|it| it.parse().ok()).unwrap_or(10_000);
    println!("| share | requests of a user | rolled back by request | by user |");
    for share in [0.1, 0.5] {
        for burst in [1, 2, 5, 20] {
            let by_request = bursts(share, burst, rollouts, 300).rolled_back * 100.0;
            let by_user = users(share, burst, rollouts, 300).rolled_back * 100.0;
            println!(
                "| {} % | {burst} | {by_request:.2} % | {by_user:.2} % |",
                share * 100.0
            );
        }
    }
    println!(
        "\n| share | requests of a user | new fails for | rolled back | users: median | 90 % | best |"
    );
    for share in [0.1, 0.5] {
        for burst in [2, 5, 20] {
            for candidate in [0.02, 0.06, 0.3] {
                let cell = of_users(share, burst, candidate);
                let found = errors(cell, rollouts, 100_000);
                println!(
                    "| {} % | {burst} | {:.0} % | {:.2} % | {} | {} | {:.0} |",
                    share * 100.0,
                    candidate * 100.0,
                    found.rolled_back * 100.0,
                    found.median,
                    found.late,
                    bound(cell)
                );
            }
        }
    }
}
