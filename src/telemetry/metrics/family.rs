//! A family and its series: the data read by a scrape.
//!
//! Each family has a lock of its own, held while handles are made or dropped and while
//! its cells are summed, never while a metric is written.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::arena::CellRange;
use super::carried;
use super::descriptor::{Kind, Shape};
use super::endpoint_places;
use super::exemplar::{Exemplar, Exemplars};

/// Values of the labels, in the order of the family's label names.
pub(super) type Labels = Arc<[Box<str>]>;

/// All series of one name.
#[derive(Debug)]
pub(super) struct Family {
    shape: Shape,
    /// True if its series do not count towards the limit on series: they have another.
    free: bool,
    series: Mutex<BTreeMap<Labels, Series>>,
}

/// One label set.
#[derive(Debug, Default)]
struct Series {
    /// The live handles.
    handles: Vec<Handle>,
    /// Sums of the handles that have been dropped.
    retired: Vec<u64>,
    /// True if it counts towards the limit on series.
    counted: bool,
    /// Its object has left the configuration: the series is removed with the last handle.
    leaving: bool,
}

/// One handle's part of a series.
#[derive(Debug)]
struct Handle {
    cells: CellRange,
    exemplars: Option<Arc<Exemplars>>,
}

/// Sums of one family at one moment.
#[derive(Debug)]
pub(super) struct FamilySums {
    pub(super) shape: Shape,
    pub(super) series: Vec<(Labels, Vec<u64>)>,
    /// Exemplars of each series, by bucket; empty unless they were asked for.
    pub(super) exemplars: Vec<Vec<Option<Exemplar>>>,
}

impl Family {
    pub(super) fn new(shape: Shape) -> Self {
        Self {
            shape,
            free: shape.labels.is_empty() || endpoint_places::is_of_endpoints(shape.labels),
            series: Mutex::default(),
        }
    }

    /// Adds cells to a series. `may_add` is called before a new series is made; if it refuses, the
    /// cells go to the series `other`. Returns the labels used.
    pub(super) fn attach(
        &self,
        values: &[&str],
        cells: CellRange,
        may_add: impl FnOnce() -> bool,
    ) -> Attached {
        let mut all = self.lock();
        let (labels, overflow, series) = self.series(&mut all, values, may_add);
        let exemplars = self.shape.kind.has_exemplars() && !self.free;
        let exemplars = exemplars.then(Arc::default);
        series.handles.push(Handle {
            cells,
            exemplars: exemplars.clone(),
        });
        series.leaving = false;
        Attached {
            labels,
            overflow,
            exemplars,
        }
    }

    /// Returns true if its series are those of endpoints.
    pub(super) fn is_of_endpoints(&self) -> bool {
        self.free && !self.shape.labels.is_empty()
    }

    /// Descriptor of the family.
    pub(super) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Adds what another process has counted, as if a handle of ours had and was gone.
    pub(super) fn carry(&self, values: &[&str], cells: &[u64], may_add: impl FnOnce() -> bool) {
        let mut all = self.lock();
        let (_, _, series) = self.series(&mut all, values, may_add);
        series.retired.resize(self.shape.kind.cells() as usize, 0);
        carried::add(&mut series.retired, cells);
    }

    /// Finds or makes a series; returns its labels, and true if it is `other` for want of a place.
    fn series<'a>(
        &self,
        all: &'a mut BTreeMap<Labels, Series>,
        values: &[&str],
        may_add: impl FnOnce() -> bool,
    ) -> (Labels, bool, &'a mut Series) {
        let wanted: Labels = values.iter().map(|value| bounded(value)).collect();
        let known = all.contains_key(&wanted);
        let overflow = !known && !self.free && !may_add();
        let labels: Labels = match overflow {
            true => values.iter().map(|_| Box::from(OTHER)).collect(),
            false => wanted,
        };
        let series = all.entry(Arc::clone(&labels)).or_insert_with(|| Series {
            counted: !self.free && !overflow,
            ..Series::default()
        });
        (labels, overflow, series)
    }

    /// Takes cells out of their series and keeps their counts; the value of a gauge is dropped.
    /// Returns the number of counted series removed.
    pub(super) fn detach(&self, labels: &Labels, cells: &CellRange) -> usize {
        let mut all = self.lock();
        let Some(series) = all.get_mut(labels) else {
            return 0;
        };
        let Some(at) = series.handles.iter().position(|it| it.cells.is(cells)) else {
            return 0;
        };
        series.handles.swap_remove(at);
        let goes_with_handle = series.leaving || self.shape.kind.is_gauge();
        if series.handles.is_empty() && goes_with_handle {
            let counted = series.counted;
            all.remove(labels);
            return usize::from(counted);
        }
        if !self.shape.kind.is_gauge() {
            series.retired.resize(self.shape.kind.cells() as usize, 0);
            add_cells(&mut series.retired, cells);
        }
        0
    }

    /// Removes each series whose values of these labels are among `gone`; those with handles are
    /// removed with the last handle. Returns the number of places freed.
    pub(super) fn remove<const L: usize>(&self, labels: [&str; L], gone: &[[&str; L]]) -> usize {
        let place = |label: &str| self.shape.labels.iter().position(|known| *known == label);
        let places = labels.map(place);
        if places.contains(&None) {
            return 0;
        }
        let gone: Vec<_> = gone.iter().map(|values| values.map(bounded)).collect();
        let gone: HashSet<[&str; L]> = gone
            .iter()
            .map(|values| values.each_ref().map(|value| &**value))
            .collect();
        let mut given_back = 0;
        self.lock().retain(|values, series| {
            let value = |place: Option<usize>| place.and_then(|at| values.get(at));
            let value = |place| value(place).map_or("", |value| &**value);
            if !gone.contains(&places.map(value)) {
                return true;
            }
            series.leaving = true;
            if series.handles.is_empty() {
                given_back += usize::from(series.counted);
            }
            !series.handles.is_empty()
        });
        given_back
    }

    /// Sums each series over all handles, present and past. A few at a time, since a worker that makes
    /// a handle waits for the lock.
    pub(super) fn sums(&self) -> FamilySums {
        let mut sums: Vec<(Labels, Vec<u64>)> = Vec::new();
        loop {
            let all = self.lock();
            let after = match sums.last() {
                Some((last, _)) => Bound::Excluded(Arc::clone(last)),
                None => Bound::Unbounded,
            };
            let known = sums.len();
            let next = all.range((after, Bound::Unbounded)).take(SUMMED_AT_ONCE);
            sums.extend(
                next.map(|(labels, series)| (Arc::clone(labels), series.sum(self.shape.kind))),
            );
            if sums.len() - known < SUMMED_AT_ONCE {
                break;
            }
        }
        FamilySums {
            shape: self.shape,
            series: sums,
            exemplars: Vec::new(),
        }
    }

    /// As [`Self::sums`], with the exemplars.
    pub(super) fn sums_with_exemplars(&self) -> FamilySums {
        let mut sums = self.sums();
        if self.shape.kind.has_exemplars() && !self.free {
            let all = self.lock();
            let exemplars = sums.series.iter().map(|(labels, _)| {
                let series = all.get(labels);
                series.map_or_else(Vec::new, Series::exemplars)
            });
            sums.exemplars = exemplars.collect();
        }
        sums
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Labels, Series>> {
        // Sums stay meaningful whatever panicked beside them.
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Labels of an attached series.
pub(super) struct Attached {
    pub(super) labels: Labels,
    pub(super) overflow: bool,
    /// Place for exemplars, where the family has them.
    pub(super) exemplars: Option<Arc<Exemplars>>,
}

impl Series {
    fn sum(&self, kind: Kind) -> Vec<u64> {
        let mut sums = self.retired.clone();
        sums.resize(kind.cells() as usize, 0);
        for handle in &self.handles {
            add_cells(&mut sums, &handle.cells);
        }
        sums
    }

    fn exemplars(&self) -> Vec<Option<Exemplar>> {
        let mut merged = Vec::new();
        for exemplars in self.handles.iter().filter_map(|it| it.exemplars.as_ref()) {
            exemplars.add_to(&mut merged);
        }
        merged
    }
}

fn add_cells(sums: &mut [u64], cells: &CellRange) {
    for (sum, cell) in sums.iter_mut().zip(cells.cells()) {
        // Wrapping is what makes two's complement gauges add up.
        *sum = sum.wrapping_add(cell.load(Ordering::Relaxed));
    }
}

/// Cuts a label value to [`LABEL_BYTES_MAX`], at a character boundary.
fn bounded(value: &str) -> Box<str> {
    Box::from(&value[..value.floor_char_boundary(LABEL_BYTES_MAX)])
}

/// Label value of the series for label sets over the limit.
pub(super) const OTHER: &str = "other";

/// Number of series summed under one lock.
const SUMMED_AT_ONCE: usize = 256;

/// Maximum length of a label value; longer ones are cut.
const LABEL_BYTES_MAX: usize = 256;
