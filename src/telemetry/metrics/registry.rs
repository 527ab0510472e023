//! Families of metrics, their number of series, and the handles in them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::arena::CellRange;
use super::carried::{CountedFamily, Counts, Waiting};
use super::counted::COUNTED;
use super::descriptor::Shape;
use super::family::{Attached, Family, FamilySums, Labels};
use super::names;

/// Families and the limit on their series.
#[derive(Debug)]
pub(super) struct Registry {
    families: Mutex<BTreeMap<&'static str, Arc<Family>>>,
    series: AtomicUsize,
    series_max: usize,
    dropped: AtomicU64,
    /// Counts of another process in families that this version does not know.
    waiting: Waiting,
}

impl Registry {
    pub(super) fn new(series_max: usize) -> Self {
        Self {
            families: Mutex::default(),
            series: AtomicUsize::new(0),
            series_max,
            dropped: AtomicU64::new(0),
            waiting: Waiting::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Arc<Family>>> {
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn find(&self, name: &str) -> Option<Arc<Family>> {
        self.lock().get(name).map(Arc::clone)
    }

    pub(super) fn families(&self) -> Vec<Arc<Family>> {
        self.lock().values().map(Arc::clone).collect()
    }

    fn family(&self, shape: Shape) -> Arc<Family> {
        let mut families = self.lock();
        let family = families
            .entry(shape.name)
            .or_insert_with(|| Arc::new(Family::new(shape)));
        Arc::clone(family)
    }

    /// All counters and histograms as they are now.
    pub(super) fn counts(&self) -> Counts {
        let families = self.families();
        let sums: Vec<_> = families.iter().map(|family| family.sums()).collect();
        let mut counts = Counts::of(&sums);
        self.waiting.add_to(&mut counts);
        counts
    }

    /// Adds what another process has counted.
    pub(super) fn carry(&self, counts: Counts) {
        for (name, carried) in counts.into_families() {
            let shapes = COUNTED.iter().map(|known| known.counted());
            match shapes.into_iter().find(|shape| shape.name == name) {
                Some(shape) => self.carry_into(&self.family(shape), &carried),
                // Of another version: it is kept for the process after this one.
                None => self.waiting.put(name, carried),
            }
        }
    }

    fn carry_into(&self, family: &Family, carried: &CountedFamily) {
        if carried.fits(family.shape()) {
            for (labels, cells) in &carried.series {
                family.carry(labels, cells, || self.may_add_series());
            }
        }
    }

    /// Returns the sums of all families by name, one lock after the other.
    pub(super) fn sums(&self) -> Vec<FamilySums> {
        let mut sums: Vec<_> = self.families().iter().map(|family| family.sums()).collect();
        sums.push(FamilySums {
            shape: names::DROPPED_SERIES_TOTAL.shape(),
            series: vec![(
                Labels::default(),
                vec![self.dropped.load(Ordering::Relaxed)],
            )],
        });
        sums.sort_by_key(|family| family.shape.name);
        sums
    }

    /// Subtracts removed series from the count.
    pub(super) fn forget(&self, series: usize) {
        self.series.fetch_sub(series, Ordering::Relaxed);
    }

    fn may_add_series(&self) -> bool {
        let add = |series| (series < self.series_max).then_some(series + 1);
        self.series
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add)
            .is_ok()
    }
}

/// A handle's registration; removed on drop.
#[derive(Debug)]
pub(super) struct Slot {
    registry: Arc<Registry>,
    family: Arc<Family>,
    labels: Labels,
    pub(super) cells: CellRange,
}

impl Slot {
    pub(super) fn new(
        registry: &Arc<Registry>,
        shape: Shape,
        labels: &[&str],
        cells: CellRange,
    ) -> Self {
        let family = registry.family(shape);
        let may_add = || registry.may_add_series();
        let Attached { labels, overflow } = family.attach(labels, cells.clone(), may_add);
        if overflow {
            registry.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Self {
            registry: Arc::clone(registry),
            family,
            labels,
            cells,
        }
    }

    pub(super) fn leave(&self) {
        let removed = self.family.detach(&self.labels, &self.cells);
        self.registry.forget(removed);
    }
}
