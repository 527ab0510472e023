//! Handles with which a worker writes metrics.
//!
//! A [`WorkerMetrics`] and its handles belong to one thread (they are not `Send`): each
//! cell has one writer, so a relaxed load and store is enough where several writers
//! would need an atomic addition (0.2 ns instead of 8 ns, and no shared cache line).

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use super::arena::{Arena, CellRange, GaugeReader};
use super::buckets::bucket;
use super::carried::Counts;
use super::descriptor::{CounterDesc, GaugeDesc, HistogramDesc, Shape};
use super::exemplar::Exemplar;
use super::exposition::Exposition;
use super::family::Labels;
use super::registry::{Registry, Slot};
use super::shared::{ControlMetrics, SharedGauge};
use super::{names, process, text};

/// The registry of all metrics; a clone is another handle to the same one.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    _build: SharedGauge,
}

/// Limits on what a scrape may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesLimits {
    /// Maximum number of label sets, those of endpoints aside.
    pub series_max: usize,
    /// Maximum number of endpoints with series of their own.
    pub endpoints_max: usize,
}

/// Makes the handles of one worker thread.
#[derive(Clone, Debug)]
pub struct WorkerMetrics {
    registry: Arc<Registry>,
    arena: Rc<RefCell<Arena>>,
}

/// Counts up; clones write to the same cell.
#[derive(Clone, Debug)]
pub struct Counter(WorkerCells);

/// Goes up and down. Its value is dropped with its last clone.
#[derive(Clone, Debug)]
pub struct Gauge(WorkerCells);

/// Counts durations by size.
#[derive(Clone, Debug)]
pub struct Histogram {
    cells: WorkerCells,
    bounds_ns: &'static [u64],
}

/// Counters of one family by a small key, each made at its first use.
///
/// For label sets that are known only at the end of an exchange (status class, reason). The caller
/// must bound the key space; a look-up costs one hash of the key.
#[derive(Debug)]
pub struct CounterMap<K, const L: usize> {
    worker: WorkerMetrics,
    family: &'static CounterDesc<L>,
    counters: HashMap<K, Counter, foldhash::fast::FixedState>,
}

impl Metrics {
    /// Makes an empty registry that holds at most `series_max` label sets, and as many endpoints.
    pub fn new(series_max: usize) -> Self {
        Self::with(SeriesLimits {
            series_max,
            endpoints_max: series_max,
        })
    }

    /// Makes an empty registry with these limits.
    pub fn with(limits: SeriesLimits) -> Self {
        process::note_start();
        let registry = Arc::new(Registry::new(limits));
        let commit = option_env!("SLUICEGATE_COMMIT").unwrap_or_default();
        let build = ControlMetrics::new(Arc::clone(&registry))
            .gauge(&names::BUILD_INFO, [env!("CARGO_PKG_VERSION"), commit]);
        build.set(1);
        Self {
            registry,
            _build: build,
        }
    }

    /// Starts the recorder of one worker; call it on the thread of the worker.
    pub fn worker(&self) -> WorkerMetrics {
        WorkerMetrics {
            registry: Arc::clone(&self.registry),
            arena: Rc::default(),
        }
    }

    /// Makes handles for any thread, at the cost of an atomic addition.
    pub fn control(&self) -> ControlMetrics {
        ControlMetrics::new(Arc::clone(&self.registry))
    }

    /// Removes the series of removed objects: each that has one of `gone` as its values of
    /// `labels`, for instance `["a", "10.0.0.1:80"]` of `["pool", "endpoint"]`. Visits every series
    /// once, for any number of objects.
    ///
    /// A series with live handles is removed with the last of them, and stays if the object comes
    /// back before: no count is lost.
    pub fn remove_series<const L: usize>(&self, labels: [&str; L], gone: &[[&str; L]]) {
        if gone.is_empty() {
            return;
        }
        self.registry.endpoints.forget(labels, gone);
        for family in self.registry.families() {
            self.registry.forget(family.remove(labels, gone));
        }
    }

    /// Sums the counters of a family whose labels match; `None` matches any value.
    pub fn total<const L: usize>(
        &self,
        family: &'static CounterDesc<L>,
        labels: [Option<&str>; L],
    ) -> u64 {
        let Some(family) = self.registry.find(family.name()) else {
            return 0;
        };
        let matches = |values: &Labels| {
            labels
                .iter()
                .zip(values.iter())
                .all(|(wanted, value)| wanted.is_none_or(|wanted| wanted == &**value))
        };
        let sums = family.sums();
        let matching = sums.series.iter().filter(|(values, _)| matches(values));
        matching.filter_map(|(_, sums)| sums.first()).sum()
    }

    /// Sums each counter of a family, by its labels.
    pub fn totals<const L: usize>(
        &self,
        family: &'static CounterDesc<L>,
    ) -> HashMap<Arc<[Box<str>]>, u64> {
        let Some(family) = self.registry.find(family.name()) else {
            return HashMap::new();
        };
        let series = family.sums().series.into_iter();
        series
            .map(|(labels, sums)| (labels, sums.first().copied().unwrap_or_default()))
            .collect()
    }

    /// Sums each histogram of a family, by its labels: the sum of its durations in nanoseconds, a
    /// count per bound, and a count of longer ones.
    pub fn histograms<const L: usize>(
        &self,
        family: &'static HistogramDesc<L>,
    ) -> HashMap<Arc<[Box<str>]>, Vec<u64>> {
        let family = self.registry.find(family.name());
        family.map_or_else(HashMap::new, |it| it.sums().series.into_iter().collect())
    }

    /// All counters and histograms as they are now, for another process.
    pub fn counts(&self) -> Counts {
        self.registry.counts()
    }

    /// Adds what another process has counted.
    pub fn carry(&self, counts: Counts) {
        self.registry.carry(counts);
    }

    /// Renders everything in the Prometheus text format.
    pub fn text(&self) -> String {
        self.exposed(Exposition::Text)
    }

    /// Renders everything in this format.
    ///
    /// Costs time in proportion to series times workers: call it on the control side.
    pub fn exposed(&self, exposition: Exposition) -> String {
        let mut out = String::with_capacity(32 * 1024);
        process::render(exposition, &mut out);
        text::render(&self.registry.sums(exposition), exposition, &mut out);
        out
    }
}

impl WorkerMetrics {
    /// Makes a counter. Takes a lock: keep the handle.
    pub fn counter<const L: usize>(
        &self,
        family: &'static CounterDesc<L>,
        labels: [&str; L],
    ) -> Counter {
        Counter(self.cells(family.shape(), &labels))
    }

    /// Makes a gauge. Takes a lock: keep the handle.
    pub fn gauge<const L: usize>(&self, family: &'static GaugeDesc<L>, labels: [&str; L]) -> Gauge {
        Gauge(self.cells(family.shape(), &labels))
    }

    /// Makes a histogram. Takes a lock: keep the handle.
    pub fn histogram<const L: usize>(
        &self,
        family: &'static HistogramDesc<L>,
        labels: [&str; L],
    ) -> Histogram {
        Histogram {
            cells: self.cells(family.shape(), &labels),
            bounds_ns: family.bounds_ns(),
        }
    }

    /// Makes an empty map of counters of one family.
    pub fn counter_map<K: Eq + Hash, const L: usize>(
        &self,
        family: &'static CounterDesc<L>,
    ) -> CounterMap<K, L> {
        CounterMap {
            worker: self.clone(),
            family,
            counters: HashMap::default(),
        }
    }

    /// Gives an endpoint series of its own, if there is room for them; returns true if it has them.
    /// Series of others are those of `other` of their pool.
    pub fn admits_endpoint(&self, pool: &str, endpoint: &str) -> bool {
        self.registry.endpoints.admit(pool, endpoint)
    }

    fn cells(&self, shape: Shape, labels: &[&str]) -> WorkerCells {
        let cells = self.arena.borrow_mut().take(shape.kind.cells());
        let slot = Rc::new(WorkerSlot {
            slot: Slot::new(&self.registry, shape, labels, cells.clone()),
            arena: Rc::clone(&self.arena),
        });
        WorkerCells { cells, slot }
    }
}

impl Counter {
    /// Adds one.
    #[inline]
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `n`.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.add(0, n);
    }
}

impl Gauge {
    /// Returns a handle with which other threads read this worker's part.
    pub fn reader(&self) -> GaugeReader {
        GaugeReader::new(self.0.cells.clone())
    }

    /// Adds one.
    #[inline]
    pub fn inc(&self) {
        self.0.add(0, 1);
    }

    /// Subtracts one.
    #[inline]
    pub fn dec(&self) {
        self.0.add(0, 1_u64.wrapping_neg());
    }

    /// Adds `n`, which may be negative.
    #[inline]
    pub fn add(&self, n: i64) {
        self.0.add(0, n.cast_unsigned());
    }

    /// Subtracts `n`.
    #[inline]
    pub fn sub(&self, n: i64) {
        self.add(n.wrapping_neg());
    }

    /// Sets this worker's part; a scrape shows the sum of all workers.
    #[inline]
    pub fn set(&self, value: i64) {
        if let Some(cell) = self.0.cells.cells().first() {
            cell.store(value.cast_unsigned(), Ordering::Relaxed);
        }
    }
}

impl Histogram {
    /// Counts one duration.
    #[inline]
    pub fn observe(&self, duration: Duration) {
        let (ns, bucket) = bucket(self.bounds_ns, duration);
        self.cells.add(bucket, 1);
        self.cells.add(0, ns);
    }

    /// Counts one duration here and in a histogram with fewer bounds; `cells` has its cell for each
    /// cell of this one (see [`super::coarser_cells`]).
    #[inline]
    pub fn observe_with(&self, duration: Duration, coarser: &Self, cells: &[u8]) {
        let (ns, bucket) = bucket(self.bounds_ns, duration);
        self.cells.add(bucket, 1);
        self.cells.add(0, ns);
        if let Some(bucket) = cells.get(bucket) {
            coarser.cells.add(usize::from(*bucket), 1);
            coarser.cells.add(0, ns);
        }
    }

    /// Keeps the trace of a request of this duration as the example of its bucket.
    pub fn exemplify(&self, duration: Duration, trace: [u8; 32], at: SystemTime) {
        if let Some(exemplars) = &self.cells.slot.slot.exemplars {
            let (took_ns, bucket) = bucket(self.bounds_ns, duration);
            let exemplar = Exemplar { trace, took_ns, at };
            exemplars.keep(bucket - 1, self.bounds_ns.len() + 1, exemplar);
        }
    }
}

impl<K: Copy + Eq + Hash, const L: usize> CounterMap<K, L> {
    /// Returns the counter for `key`; `labels` is called if it is new.
    #[inline]
    pub fn get<'l>(&mut self, key: K, labels: impl FnOnce() -> [&'l str; L]) -> &Counter {
        self.counters
            .entry(key)
            .or_insert_with(|| self.worker.counter(self.family, labels()))
    }

    /// Returns the same counters by other keys, without those whose new key is none.
    pub fn moved(&self, key: impl Fn(&K) -> Option<K>) -> Self {
        let counters = self.counters.iter();
        let counters = counters.filter_map(|(old, counter)| Some((key(old)?, counter.clone())));
        Self {
            worker: self.worker.clone(),
            family: self.family,
            counters: counters.collect(),
        }
    }

    /// Drops the counters for whose key `keep` is false, so that their series can be removed.
    pub fn retain(&mut self, mut keep: impl FnMut(&K) -> bool) {
        self.counters.retain(|key, _| keep(key));
    }
}

/// One worker's cells of a series. They are accessed without the slot, which an event then need not
/// bring into the cache.
#[derive(Clone, Debug)]
struct WorkerCells {
    cells: CellRange,
    slot: Rc<WorkerSlot>,
}

impl WorkerCells {
    /// Adds to a cell that only the calling thread writes.
    #[inline]
    fn add(&self, at: usize, n: u64) {
        if let Some(cell) = self.cells.cells().get(at) {
            let value = cell.load(Ordering::Relaxed).wrapping_add(n);
            cell.store(value, Ordering::Relaxed);
        }
    }
}

#[derive(Debug)]
struct WorkerSlot {
    slot: Slot,
    arena: Rc<RefCell<Arena>>,
}

impl Drop for WorkerSlot {
    fn drop(&mut self) {
        self.slot.leave();
        self.arena.borrow_mut().give_back(self.slot.cells.clone());
    }
}
