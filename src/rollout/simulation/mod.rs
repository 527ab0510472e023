//! Simulation of many rollouts: how often a good version is rolled back, and how soon a bad one is.
//!
//! Deterministic; `SEED=n` replays another run. The suite has a reduced run. The whole one prints the
//! tables of the manual, from `ROLLOUTS` (10,000) rollouts a cell:
//!
//! ```text
//! cargo test --release --lib rollout::simulation -- --ignored --nocapture
//! ```

mod proofs;

use std::time::Duration;

use super::{
    latency::{Latencies, LatencyLimit, RunningQuantile, bucket_of},
    statistics::{Counts, Evidence},
};

/// Random numbers: SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small number that is not negative"
    )]
    fn poisson(&mut self, mean: f64) -> u64 {
        if mean > 30.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0) as u64;
        }
        let (mut product, mut count) = (self.uniform(), 0);
        while product > (-mean).exp() {
            product *= self.uniform();
            count += 1;
        }
        count
    }

    fn outcomes(&mut self, mean: f64, rate: f64) -> Counts {
        let total = self.poisson(mean);
        let mut bad = 0;
        for _ in 0..total {
            bad += u64::from(self.uniform() < rate);
        }
        Counts { total, bad }
    }
}

/// A situation: requests in a second, the candidate's share, and the failures of both.
#[derive(Clone, Copy)]
struct Cell {
    rate: f64,
    share: f64,
    baseline: f64,
    candidate: f64,
}

/// Result of many rollouts.
struct Found {
    /// Share of them that was rolled back.
    rolled_back: f64,
    /// Requests of the candidate until then: median and 90 % quantile.
    median: u64,
    late: u64,
}

/// Runs rollouts of 300 s, ten looks a second; `run` makes one, and returns the requests of the
/// candidate until its rollback.
fn run(rollouts: u64, mut one: impl FnMut(&mut Random) -> Option<u64>) -> Found {
    let given = std::env::var("SEED").ok().and_then(|it| it.parse().ok());
    let seed: u64 = given.unwrap_or(1);
    let mut hits: Vec<u64> = (0..rollouts)
        .filter_map(|number| one(&mut Random(seed.wrapping_mul(1 << 32) ^ number)))
        .collect();
    hits.sort_unstable();
    let at = |part: usize| hits.get(hits.len() * part / 100).copied().unwrap_or(0);
    Found {
        rolled_back: hits.len() as f64 / rollouts as f64,
        median: at(50),
        late: at(90),
    }
}

/// Rollouts with steady traffic.
fn errors(cell: Cell, rollouts: u64, seconds: u64) -> Found {
    run(rollouts, |random| {
        let mut evidence = Evidence::default();
        let mut requests = 0;
        for _ in 0..seconds * 10 {
            let of = cell.rate / 10.0;
            let baseline = random.outcomes(of * (1.0 - cell.share), cell.baseline);
            let candidate = random.outcomes(of * cell.share, cell.candidate);
            requests += candidate.total;
            evidence.add(baseline, candidate);
            if evidence.is_against(ALPHA) {
                return Some(requests);
            }
        }
        None
    })
}

/// Requests of the candidate that the best possible sequential test needs that knows both rates, in
/// the mean: Wald's bound.
fn bound(cell: Cell) -> f64 {
    let information = |rate: f64, under: f64| {
        let part = |a: f64, b: f64| if a > 0.0 { a * (a / b).ln() } else { 0.0 };
        part(rate, under) + part(1.0 - rate, 1.0 - under)
    };
    let others = (1.0 - cell.share) / cell.share;
    let pooled = cell.candidate * cell.share + cell.baseline * (1.0 - cell.share);
    let each = others * information(cell.baseline, pooled) + information(cell.candidate, pooled);
    (1.0 / ALPHA).ln() / each
}

/// Latencies: heavy tails, and a level that drifts to three times what it was and back, while the
/// traffic does the same. The candidate's are `factor` times as long.
fn latency(share: f64, factor: f64, rollouts: u64, seconds: u64) -> Found {
    let limit = LatencyLimit {
        quantile: 0.99,
        ratio_max: 1.3,
    };
    run(rollouts, |random| {
        let (mut evidence, mut quantile) = (Evidence::default(), RunningQuantile::default());
        let mut requests = 0;
        for tick in 0..seconds * 10 {
            let turn = std::f64::consts::TAU * tick as f64 / (seconds * 10) as f64;
            let level = 2.0 - turn.cos();
            let mut sample = |mean: f64, factor: f64| {
                let mut latencies = Latencies::default();
                for _ in 0..random.poisson(mean) {
                    // One of 50 is from a tail without a mean.
                    let ms = match random.uniform() < 0.02 {
                        true => 20.0 / random.uniform(),
                        false => 10.0 * (0.5 * random.normal()).exp(),
                    };
                    let took = Duration::from_secs_f64((ms * level * factor / 1e3).min(60.0));
                    latencies.0[bucket_of(took)] += 1;
                }
                latencies
            };
            let of = 20.0 * level;
            let baseline = sample(of * (1.0 - share), 1.0);
            let candidate = sample(of * share, factor);
            requests += candidate.0.iter().sum::<u64>();
            if let Some((of_baseline, of_candidate)) = quantile.slow(&limit, &baseline, &candidate)
            {
                evidence.add(of_baseline, of_candidate);
            }
            quantile.learn(&baseline);
            if evidence.is_against(ALPHA) {
                return Some(requests);
            }
        }
        None
    })
}

/// Failures in bursts: one in `users` of the users is unlucky, and each of his `burst` requests
/// fails, with both versions alike.
fn bursts(share: f64, burst: u64, rollouts: u64, seconds: u64) -> Found {
    run(rollouts, |random| {
        let mut evidence = Evidence::default();
        let mut requests = 0;
        for _ in 0..seconds * 10 {
            let of = 20.0 / burst as f64;
            let times = |counts: Counts| Counts {
                total: counts.total * burst,
                bad: counts.bad * burst,
            };
            let baseline = times(random.outcomes(of * (1.0 - share), 0.01));
            let candidate = times(random.outcomes(of * share, 0.01));
            requests += candidate.total;
            evidence.add(baseline, candidate);
            if evidence.is_against(ALPHA) {
                return Some(requests);
            }
        }
        None
    })
}

const NULLS: [f64; 4] = [0.0, 0.001, 0.01, 0.06];
const PAIRS: [(f64, f64); 6] = [
    (0.001, 0.011),
    (0.01, 0.02),
    (0.01, 0.06),
    (0.001, 0.3),
    (0.001, 1.0),
    (0.05, 0.1),
];
const ALPHA: f64 = 0.01;

#[test]
fn a_good_version_is_hardly_ever_rolled_back() {
    for (rate, share) in [(20.0, 0.5), (200.0, 0.1)] {
        for rate_of_failures in NULLS {
            let cell = Cell {
                rate,
                share,
                baseline: rate_of_failures,
                candidate: rate_of_failures,
            };
            let found = errors(cell, 60, 30);
            assert!(found.rolled_back <= 0.05, "{share} {rate_of_failures}");
        }
        assert!(latency(share, 1.0, 20, 20).rolled_back <= 0.05);
    }
}

#[test]
fn a_bad_version_is_found_within_twice_what_the_best_test_needs() {
    for (baseline, candidate) in [(0.001, 0.011), (0.01, 0.02), (0.01, 0.06)] {
        let cell = Cell {
            rate: 1000.0,
            share: 0.1,
            baseline,
            candidate,
        };
        let found = errors(cell, 21, 300);
        assert!(found.rolled_back > 0.99);
        let most = 2.0 * bound(cell);
        assert!(found.median as f64 <= most, "{} {most}", found.median);
    }
    let slower = latency(0.25, 2.5, 11, 120);
    assert!(
        slower.rolled_back > 0.9 && slower.late < 5000,
        "{}",
        slower.late
    );
}

#[test]
#[ignore = "takes minutes: prints the tables of the manual"]
fn tables() {
    let given = std::env::var("ROLLOUTS")
        .ok()
        .and_then(|it| it.parse().ok());
    let rollouts: u64 = given.unwrap_or(10_000);
    println!("| requests/s | share | both fail | rolled back |\n|---|---|---|---|");
    for (rate, share) in [
        (20.0, 0.1),
        (20.0, 0.5),
        (200.0, 0.01),
        (200.0, 0.1),
        (200.0, 0.5),
    ] {
        for failures in NULLS {
            let cell = Cell {
                rate,
                share,
                baseline: failures,
                candidate: failures,
            };
            let found = errors(cell, rollouts, 300);
            let (share, failures) = (share * 100.0, failures * 100.0);
            println!(
                "| {rate} | {share} % | {failures} % | {:.2} % |",
                found.rolled_back * 100.0
            );
        }
    }
    println!("\n| share | old fails | new fails | median | 90 % | best possible | ratio |");
    println!("|---|---|---|---|---|---|---|");
    for share in [0.01, 0.1, 0.5] {
        for (baseline, candidate) in PAIRS {
            let cell = Cell {
                rate: 200.0,
                share,
                baseline,
                candidate,
            };
            let found = errors(cell, rollouts, 7200);
            let best = bound(cell);
            println!(
                "| {} % | {} % | {} % | {} | {} | {best:.0} | {:.2} |",
                share * 100.0,
                baseline * 100.0,
                (candidate * 1000.0).round() / 10.0,
                found.median,
                found.late,
                found.median as f64 / best.max(1.0)
            );
        }
    }
    println!("\n| share | new takes | rolled back | median | 90 % |\n|---|---|---|---|---|");
    for share in [0.1, 0.5] {
        for factor in [1.0, 1.3, 2.0, 5.0] {
            let found = latency(share, factor, rollouts / 10, 300);
            println!(
                "| {} % | {factor} times | {:.2} % | {} | {} |",
                share * 100.0,
                found.rolled_back * 100.0,
                found.median,
                found.late
            );
        }
    }
    println!("\n| requests of a user | share | rolled back |\n|---|---|---|");
    for burst in [1, 2, 5, 20] {
        let found = bursts(0.1, burst, rollouts, 300);
        println!("| {burst} | 10 % | {:.2} % |", found.rolled_back * 100.0);
    }
}
