//! Outcomes of calls, counted by worker.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::Calls;

#[derive(Debug, Default)]
pub(super) struct Counts {
    good: AtomicU32,
    failed: AtomicU32,
    slow: AtomicU32,
}

/// Sums of counts, which begin again at 0 after 2^32.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals([u32; 3]);

/// Outcome of a call to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// It went well.
    Good,
    /// It failed by the endpoint's fault.
    Failed,
    /// It went well otherwise, and took too long.
    Slow,
}

impl Counts {
    /// Adds one. A single writer: no locked instruction.
    pub(super) fn bump(&self, outcome: CallOutcome) {
        let counter = match outcome {
            CallOutcome::Good => &self.good,
            CallOutcome::Failed => &self.failed,
            CallOutcome::Slow => &self.slow,
        };
        counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
    }

    pub(super) fn totals(&self) -> Totals {
        Totals([&self.good, &self.failed, &self.slow].map(|count| count.load(Relaxed)))
    }
}

impl Totals {
    pub(super) fn plus(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| {
            self.0[at].wrapping_add(other.0[at])
        }))
    }

    pub(super) fn since(self, earlier: Self) -> Calls {
        let [good, failed, slow] =
            std::array::from_fn(|at| u64::from(self.0[at].wrapping_sub(earlier.0[at])));
        Calls { good, failed, slow }
    }
}
