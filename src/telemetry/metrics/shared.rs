//! Handles for the control side: usable on any thread, with an atomic addition per event.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::arena::Arena;
use super::buckets::bucket;
use super::descriptor::{CounterDesc, GaugeDesc, HistogramDesc, Shape};
use super::registry::{Registry, Slot};

/// Makes handles that any thread may use; see [`super::Metrics::control`].
#[derive(Clone, Debug)]
pub struct ControlMetrics {
    registry: Arc<Registry>,
    arena: Arc<Mutex<Arena>>,
}

/// A counter for any thread; clones write to the same cell.
#[derive(Clone, Debug)]
pub struct SharedCounter(Arc<SharedSlot>);

/// A gauge for any thread. Its value is dropped with its last clone.
#[derive(Clone, Debug)]
pub struct SharedGauge(Arc<SharedSlot>);

/// A histogram for any thread.
#[derive(Clone, Debug)]
pub struct SharedHistogram {
    slot: Arc<SharedSlot>,
    bounds_ns: &'static [u64],
}

impl ControlMetrics {
    pub(super) fn new(registry: Arc<Registry>) -> Self {
        Self {
            registry,
            arena: Arc::default(),
        }
    }

    /// Makes a counter. Takes a lock: keep the handle.
    pub fn counter<const L: usize>(
        &self,
        family: &'static CounterDesc<L>,
        labels: [&str; L],
    ) -> SharedCounter {
        SharedCounter(self.slot(family.shape(), &labels))
    }

    /// Makes a gauge. Takes a lock: keep the handle. Two handles made for the same
    /// labels add up, so a value that is `set` needs one handle and its clones.
    pub fn gauge<const L: usize>(
        &self,
        family: &'static GaugeDesc<L>,
        labels: [&str; L],
    ) -> SharedGauge {
        SharedGauge(self.slot(family.shape(), &labels))
    }

    /// Makes a histogram. Takes a lock: keep the handle.
    pub fn histogram<const L: usize>(
        &self,
        family: &'static HistogramDesc<L>,
        labels: [&str; L],
    ) -> SharedHistogram {
        SharedHistogram {
            slot: self.slot(family.shape(), &labels),
            bounds_ns: family.bounds_ns(),
        }
    }

    /// Gives an endpoint series of its own, if there is room for them; returns true if it has them.
    pub fn admits_endpoint(&self, pool: &str, endpoint: &str) -> bool {
        self.registry.endpoints.admit(pool, endpoint)
    }

    fn slot(&self, shape: Shape, labels: &[&str]) -> Arc<SharedSlot> {
        let mut arena = self.arena.lock().unwrap_or_else(PoisonError::into_inner);
        let cells = arena.take(shape.kind.cells());
        drop(arena);
        Arc::new(SharedSlot {
            slot: Slot::new(&self.registry, shape, labels, cells),
            arena: Arc::clone(&self.arena),
        })
    }
}

impl SharedCounter {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.add(0, n);
    }
}

impl SharedGauge {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Subtracts one.
    pub fn dec(&self) {
        self.add(-1);
    }

    /// Adds `n`, which may be negative.
    pub fn add(&self, n: i64) {
        self.0.add(0, n.cast_unsigned());
    }

    /// Sets the value.
    pub fn set(&self, value: i64) {
        if let Some(cell) = self.0.slot.cells.cells().first() {
            cell.store(value.cast_unsigned(), Ordering::Relaxed);
        }
    }
}

impl SharedHistogram {
    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        let (ns, bucket) = bucket(self.bounds_ns, duration);
        self.slot.add(bucket, 1);
        self.slot.add(0, ns);
    }
}

#[derive(Debug)]
struct SharedSlot {
    slot: Slot,
    arena: Arc<Mutex<Arena>>,
}

impl SharedSlot {
    fn add(&self, at: usize, n: u64) {
        if let Some(cell) = self.slot.cells.cells().get(at) {
            cell.fetch_add(n, Ordering::Relaxed);
        }
    }
}

impl Drop for SharedSlot {
    fn drop(&mut self) {
        self.slot.leave();
        let mut arena = self.arena.lock().unwrap_or_else(PoisonError::into_inner);
        arena.give_back(self.slot.cells.clone());
    }
}
