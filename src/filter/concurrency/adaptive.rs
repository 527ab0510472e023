//! The limit that adapts, shared by all workers.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use tokio::time::Instant;

use crate::resilience::concurrency::{CarriedGradient, Gate, Gradient, LatencySample};

/// A limit that follows the latency of answers. The registry keeps it over reloads.
#[derive(Debug)]
pub struct Adaptive {
    limit: AtomicU32,
    gradient: Mutex<Gradient>,
}

impl Adaptive {
    /// Makes one that begins at a small limit.
    pub fn new(now: Instant) -> Self {
        let gradient = Gradient::new(now);
        Self {
            limit: AtomicU32::new(gradient.limit(u32::MAX)),
            gradient: Mutex::new(gradient),
        }
    }

    /// Returns what it has learned, for the next process.
    pub fn carried(&self) -> Option<CarriedGradient> {
        self.lock().carried()
    }

    /// Goes on with what another process has learned.
    pub fn take_over(&self, carried: CarriedGradient, max: u32, now: Instant) {
        let mut gradient = self.lock();
        gradient.take_over(carried, max, now);
        self.limit.store(gradient.limit(max), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Gradient> {
        self.gradient.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of places.
    pub(super) fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Takes a sample. If another worker is at it, this one is left out: there are more to come.
    pub(super) fn sample(&self, began: Instant, answered: Instant, gate: &Arc<Gate>, max: u32) {
        let Ok(mut gradient) = self.gradient.try_lock() else {
            return;
        };
        let sample = LatencySample {
            began,
            answered,
            in_use: u32::try_from(gate.view().in_use).unwrap_or(u32::MAX),
        };
        if !gradient.sample(sample, max) {
            return;
        }
        let limit = gradient.limit(max);
        self.limit.store(limit, Ordering::Relaxed);
        drop(gradient);
        gate.resize(limit);
    }
}
