//! Simulation of a pool with so many slots and a queue, behind a limit that adapts to it.
//!
//! Deterministic: events by their time, numbers from a seed. `SEED=n` replays another run.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use super::gradient::{Gradient, LIMIT_MIN, LatencySample};

struct Pool {
    start: Instant,
    now_us: u64,
    gradient: Gradient,
    /// Requests in a second.
    rate: f64,
    /// Requests that are served at once; others wait.
    slots: usize,
    service_ms: f64,
    /// Spread of the service time (of its logarithm).
    jitter: f64,
    in_use: u32,
    /// Ends of service, with the beginnings of the requests.
    serving: BinaryHeap<Reverse<(u64, u64)>>,
    waiting: VecDeque<u64>,
    draw: u64,
}

/// Figures of a part of a run.
#[derive(Debug)]
struct Run {
    served: f64,
    lowest: u32,
    highest: u32,
    /// Mean latency.
    latency_ms: f64,
}

impl Pool {
    fn new(slots: usize, service_ms: f64, rate: f64) -> Self {
        let start = Instant::now();
        let given = std::env::var("SEED").ok().and_then(|it| it.parse().ok());
        Self {
            start,
            now_us: 0,
            gradient: Gradient::new(start),
            rate,
            slots,
            service_ms,
            jitter: 0.1,
            in_use: 0,
            serving: BinaryHeap::new(),
            waiting: VecDeque::new(),
            draw: given.unwrap_or(0x9e37_79b9_7f4a_7c15),
        }
    }

    /// A number from 0 to 1.
    fn uniform(&mut self) -> f64 {
        self.draw ^= self.draw << 13;
        self.draw ^= self.draw >> 7;
        self.draw ^= self.draw << 17;
        f64::from(u32::try_from(self.draw >> 33).unwrap()) / f64::from(1_u32 << 31)
    }

    /// A service time, lognormal around its median.
    fn service_us(&mut self) -> u64 {
        let (radius, angle) = (self.uniform().max(1e-9), self.uniform());
        let normal = (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos();
        micros(self.service_ms * 1e-3 * (self.jitter * normal).exp())
    }

    fn at(&self, us: u64) -> Instant {
        self.start + Duration::from_micros(us)
    }

    fn serve(&mut self, began: u64) {
        let end = self.now_us + self.service_us();
        self.serving.push(Reverse((end, began)));
    }

    fn run(&mut self, seconds: u64) -> Run {
        let end = self.now_us + seconds * 1_000_000;
        let mut run = Run {
            served: 0.0,
            lowest: u32::MAX,
            highest: 0,
            latency_ms: 0.0,
        };
        let mut arrival = self.now_us;
        while self.now_us < end {
            match self.serving.peek() {
                Some(Reverse((done, _))) if *done <= arrival => {
                    let Some(Reverse((done, began))) = self.serving.pop() else {
                        break;
                    };
                    self.now_us = done;
                    let sample = LatencySample {
                        began: self.at(began),
                        answered: self.at(done),
                        in_use: self.in_use,
                    };
                    self.gradient.sample(sample, MAX);
                    self.in_use -= 1;
                    run.served += 1.0;
                    run.latency_ms += Duration::from_micros(done - began).as_secs_f64() * 1e3;
                }
                _ => {
                    self.now_us = arrival;
                    let gap = -self.uniform().max(1e-9).ln() / self.rate;
                    arrival += micros(gap).max(1);
                    let limit = self.gradient.limit(MAX);
                    run.lowest = run.lowest.min(limit);
                    run.highest = run.highest.max(limit);
                    if self.in_use < limit {
                        self.in_use += 1;
                        self.waiting.push_back(self.now_us);
                    }
                }
            }
            while self.serving.len() < self.slots
                && let Some(began) = self.waiting.pop_front()
            {
                self.serve(began);
            }
        }
        run.latency_ms /= run.served;
        run
    }
}

fn micros(seconds: f64) -> u64 {
    u64::try_from(Duration::from_secs_f64(seconds).as_micros()).unwrap()
}

const MAX: u32 = 1000;

#[test]
fn it_finds_a_change_of_capacity_within_seconds() {
    let mut pool = Pool::new(40, 20.0, 6000.0);
    pool.run(5);
    let steady = pool.run(20);
    assert!(steady.highest < 110 && steady.lowest >= 20, "{steady:?}");
    assert!(steady.served > 0.97 * 40_000.0, "{steady:?}");
    assert!(steady.latency_ms < 50.0, "{steady:?}");
    // A quarter of it.
    pool.slots = 10;
    pool.run(5);
    let less = pool.run(10);
    assert!(less.highest < 40, "{less:?}");
    assert!(less.served > 0.95 * 5000.0, "{less:?}");
    // Ten times as much.
    pool.slots = 100;
    pool.run(5);
    let more = pool.run(10);
    assert!(more.highest >= 100 && more.highest < 260, "{more:?}");
    assert!(more.served > 0.95 * 50_000.0, "{more:?}");
}

#[test]
fn it_does_not_collapse_under_jitter() {
    for jitter in [0.5, 1.0] {
        let mut pool = Pool::new(40, 20.0, 3000.0);
        pool.jitter = jitter;
        pool.run(10);
        let run = pool.run(120);
        // The mean of a lognormal time.
        let capacity = 40.0 / (0.02 * (jitter * jitter / 2.0_f64).exp());
        assert!(run.served > 0.9 * 120.0 * capacity, "{jitter}: {run:?}");
        assert!(run.lowest >= 12 && run.highest < 200, "{jitter}: {run:?}");
    }
}

#[test]
fn it_does_not_grow_without_load() {
    let mut pool = Pool::new(40, 20.0, 200.0);
    let run = pool.run(600);
    assert!(run.highest <= 45, "{run:?}");
    assert!(run.lowest >= 10, "{run:?}");
}

#[test]
fn slower_answers_without_a_queue_do_not_pin_it_down() {
    let mut pool = Pool::new(200, 10.0, 30_000.0);
    pool.run(5);
    pool.service_ms = 40.0;
    pool.run(10);
    let run = pool.run(20);
    assert!(run.highest >= 200, "{run:?}");
    assert!(run.served > 0.93 * 20.0 * 5000.0, "{run:?}");
}

#[test]
fn it_never_leaves_its_bounds() {
    let mut pool = Pool::new(1, 5.0, 2000.0);
    assert!(pool.run(150).lowest >= LIMIT_MIN);
    // That of a pool that serves fewer than about ten at once is never much lower.
    let run = pool.run(30);
    assert!(run.lowest >= LIMIT_MIN && run.highest < 30, "{run:?}");
    let mut pool = Pool::new(100_000, 50.0, 50_000.0);
    pool.run(3);
    assert_eq!(pool.run(1).highest, MAX);
}
