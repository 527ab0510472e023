//! A limit that follows the latency of the answers.
//!
//! After each window of samples the limit is multiplied with a gradient: the quiet latency times a
//! tolerance, over the latency of the window. Then a headroom is added, the square root of the
//! limit, so that it grows as long as latency stays where it is. The idea is that of Netflix's
//! concurrency-limits (Gradient2) and of Envoy's adaptive concurrency.
//!
//! The quiet latency is measured again at intervals. For that the limit is halved until 50 samples
//! were taken, mostly for a fraction of a second, and never goes to a fixed small number. It is also
//! measured as soon as the limit has fallen to half of what it was at the last measurement: if
//! fewer requests do not make answers faster, the latency has other causes.
//!
//! Pure: time and samples come as arguments. It holds 1 KiB.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// The limit, and what it follows from.
#[derive(Debug)]
pub struct Gradient {
    limit: f64,
    max: f64,
    /// Latency without a queue, in seconds; none before the first window.
    quiet: Option<f64>,
    quiet_since: Instant,
    /// The limit at the last measurement.
    limit_then: f64,
    phase: Phase,
    window: Window,
}

/// One successful answer.
#[derive(Clone, Copy, Debug)]
pub struct LatencySample {
    /// Time at which the request got its place.
    pub began: Instant,
    /// Time at which the head of its answer had arrived.
    pub answered: Instant,
    /// Places in use then, with its own.
    pub in_use: u32,
}

/// A limit that has adapted, for the next process of an upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CarriedGradient {
    limit: f64,
    /// In seconds.
    quiet: f64,
    limit_then: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// The limit grows by half with each window, until latency first rises.
    Start,
    /// The gradient moves the limit.
    Follow,
    /// The limit is halved to measure the quiet latency.
    Measure { since: Instant },
}

/// The latencies since `since`.
#[derive(Debug)]
struct Window {
    since: Instant,
    latencies: Vec<f64>,
    peak: u32,
}

impl Gradient {
    /// Makes one that begins at a small limit.
    pub fn new(now: Instant) -> Self {
        Self {
            limit: START,
            max: START,
            quiet: None,
            quiet_since: now,
            limit_then: START,
            phase: Phase::Start,
            window: Window::new(now),
        }
    }

    /// Returns what it has learned, for the next process; none before the first measurement.
    pub fn carried(&self) -> Option<CarriedGradient> {
        Some(CarriedGradient {
            limit: self.limit,
            quiet: self.quiet?,
            limit_then: self.limit_then,
        })
    }

    /// Goes on with what another process has learned. Numbers that it cannot have are passed over.
    pub fn take_over(&mut self, carried: CarriedGradient, max: u32, now: Instant) {
        let CarriedGradient {
            limit,
            quiet,
            limit_then,
        } = carried;
        let max = f64::from(max).max(LIMIT_MIN.into());
        let numbers = [limit, quiet, limit_then];
        if numbers.iter().all(|it| it.is_finite() && *it > 0.0) {
            self.max = max;
            self.limit = limit.clamp(LIMIT_MIN.into(), max);
            self.limit_then = limit_then.clamp(LIMIT_MIN.into(), max);
            self.quiet = Some(quiet);
            self.quiet_since = now;
            self.phase = Phase::Follow;
            self.window = Window::new(now);
        }
    }

    /// Returns the limit now: from [`LIMIT_MIN`] to `max`.
    pub fn limit(&self, max: u32) -> u32 {
        let limit = match self.phase {
            Phase::Start | Phase::Follow => self.limit,
            Phase::Measure { .. } => self.limit / 2.0,
        };
        // Rounded down, and in these bounds.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 4 to a million"
        )]
        let limit = limit.clamp(0.0, 1e6) as u32;
        limit.max(LIMIT_MIN).min(max)
    }

    /// Takes a sample; true if the limit may have changed.
    pub fn sample(&mut self, sample: LatencySample, max: u32) -> bool {
        self.max = max.into();
        let now = sample.answered;
        if let Phase::Measure { since } = self.phase {
            if now.saturating_duration_since(since) > MEASURE_MAX {
                // Too slow to tell. What is known stays.
                self.resume(now);
                return true;
            }
            // It has waited with those that came before.
            if sample.began < self.window.since {
                return false;
            }
        }
        let latency = now.saturating_duration_since(sample.began).as_secs_f64();
        self.window.add(latency.max(1e-6), sample.in_use);
        let age = now.saturating_duration_since(self.window.since);
        if self.window.latencies.len() < SAMPLES_MIN || age < WINDOW_MIN {
            return false;
        }
        let latency = self.window.median();
        let peak = f64::from(self.window.peak);
        self.window = Window::new(now);
        match self.phase {
            Phase::Measure { .. } => {
                self.learn(latency, now);
                self.resume(now);
            }
            Phase::Start | Phase::Follow => self.follow(latency, peak, now),
        }
        true
    }

    fn follow(&mut self, latency: f64, peak: f64, now: Instant) {
        let Some(quiet) = self.quiet else {
            return self.learn(latency, now);
        };
        if peak <= self.limit / 2.0 {
            // Nothing is held back: this is the quiet latency.
            self.learn(quiet + 0.3 * (latency - quiet), now);
            return;
        }
        let gradient = (quiet * TOLERANCE / latency).clamp(0.5, 1.0);
        if gradient < 1.0 {
            self.phase = Phase::Follow;
        }
        let headroom = self.limit.sqrt();
        self.limit = match self.phase {
            Phase::Start => self.limit * 1.5,
            _ if gradient < 1.0 => self.limit * f64::midpoint(1.0, gradient) + headroom / 2.0,
            _ => self.limit + headroom,
        };
        self.limit = self
            .limit
            .clamp(f64::from(LIMIT_MIN), self.max.max(f64::from(LIMIT_MIN)));
        let due = now.saturating_duration_since(self.quiet_since) >= MEASURE_EVERY;
        if due || self.limit < self.limit_then / 2.0 {
            self.phase = Phase::Measure { since: now };
            // Requests that begin later than this meet what the halved limit has left.
            self.window.since = now + Duration::from_secs_f64((2.0 * latency).min(1.0));
        }
    }

    fn learn(&mut self, latency: f64, now: Instant) {
        self.quiet = Some(latency);
        self.quiet_since = now;
        self.limit_then = self.limit;
    }

    fn resume(&mut self, now: Instant) {
        self.phase = Phase::Follow;
        self.quiet_since = now;
        self.limit_then = self.limit;
        self.window = Window::new(now);
    }
}

impl Window {
    fn new(now: Instant) -> Self {
        Self {
            since: now,
            latencies: Vec::new(),
            peak: 0,
        }
    }

    /// Adds a latency. Of many, the last ones count.
    fn add(&mut self, latency: f64, in_use: u32) {
        self.peak = self.peak.max(in_use);
        if self.latencies.len() == SAMPLES_MAX {
            self.latencies.swap_remove(0);
        }
        self.latencies.push(latency);
    }

    fn median(&mut self) -> f64 {
        let middle = self.latencies.len() / 2;
        let (_, median, _) = self
            .latencies
            .select_nth_unstable_by(middle, f64::total_cmp);
        *median
    }
}

/// Smallest limit that adapts.
pub const LIMIT_MIN: u32 = 4;
/// The limit of a new process.
const START: f64 = 20.0;
/// Ratio of latency to quiet latency that is no queue yet.
const TOLERANCE: f64 = 1.5;
const SAMPLES_MIN: usize = 50;
const SAMPLES_MAX: usize = 128;
const WINDOW_MIN: Duration = Duration::from_millis(100);
const MEASURE_EVERY: Duration = Duration::from_secs(10);
const MEASURE_MAX: Duration = Duration::from_secs(5);
