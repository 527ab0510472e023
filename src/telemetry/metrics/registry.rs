//! Families of metrics, their number of series, and the handles in them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::arena::CellRange;
use super::carried::{CountedFamily, Counts, Waiting};
use super::counted::COUNTED;
use super::descriptor::Shape;
use super::endpoint_places::{EndpointPlaces, Place};
use super::exemplar::Exemplars;
use super::exposition::Exposition;
use super::family::{Attached, Family, FamilySums, Labels};
use super::names;
use super::recorder::SeriesLimits;

/// Families and the limit on their series.
#[derive(Debug)]
pub(super) struct Registry {
    families: Mutex<BTreeMap<&'static str, Arc<Family>>>,
    series: AtomicUsize,
    series_max: usize,
    dropped: AtomicU64,
    /// Endpoints with series of their own.
    pub(super) endpoints: EndpointPlaces,
    /// Counts of another process in families that this version does not know.
    waiting: Waiting,
}

impl Registry {
    pub(super) fn new(limits: SeriesLimits) -> Self {
        Self {
            families: Mutex::default(),
            series: AtomicUsize::new(0),
            series_max: limits.series_max,
            endpoints: EndpointPlaces::new(limits.endpoints_max),
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
                let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
                let labels = match labels[..] {
                    [pool, endpoint, ..] if family.is_of_endpoints() => {
                        self.endpoints.admit(pool, endpoint);
                        self.endpoints.place(pool, endpoint).apply(&labels)
                    }
                    _ => labels,
                };
                family.carry(&labels, cells, || self.may_add_series());
            }
        }
    }

    /// Returns the sums of all families by name, one lock after the other.
    pub(super) fn sums(&self, exposition: Exposition) -> Vec<FamilySums> {
        let families = self.families();
        let sums = families.iter().map(|family| match exposition {
            Exposition::Text => family.sums(),
            Exposition::OpenMetrics => family.sums_with_exemplars(),
        });
        let mut sums: Vec<_> = sums.collect();
        sums.push(FamilySums {
            shape: names::DROPPED_SERIES_TOTAL.shape(),
            series: vec![(
                Labels::default(),
                vec![self.dropped.load(Ordering::Relaxed)],
            )],
            exemplars: Vec::new(),
        });
        let folded = u64::try_from(self.endpoints.folded()).unwrap_or(u64::MAX);
        sums.push(FamilySums {
            shape: names::FOLDED_ENDPOINTS.shape(),
            series: vec![(Labels::default(), vec![folded])],
            exemplars: Vec::new(),
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
    /// Place for exemplars, where the family has them.
    pub(super) exemplars: Option<Arc<Exemplars>>,
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
        let place = match labels {
            [pool, endpoint, ..] if family.is_of_endpoints() => {
                registry.endpoints.place(pool, endpoint)
            }
            _ => Place::Own,
        };
        let attached = match place {
            Place::Own => family.attach(labels, cells.clone(), may_add),
            Place::OtherOfPool | Place::Removed => {
                family.attach(&place.apply(labels), cells.clone(), may_add)
            }
        };
        let Attached {
            labels,
            overflow,
            exemplars,
        } = attached;
        if overflow {
            registry.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Self {
            registry: Arc::clone(registry),
            family,
            labels,
            cells,
            exemplars,
        }
    }

    pub(super) fn leave(&self) {
        let removed = self.family.detach(&self.labels, &self.cells);
        self.registry.forget(removed);
    }
}
