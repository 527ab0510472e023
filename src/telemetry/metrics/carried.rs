//! Counts that go over to another process, so that no counter goes back when it takes over.
//!
//! Gauges stay behind: they tell what is, and the other process has its own. A family that the
//! receiver does not know is kept for the process after it; one with other buckets is left out.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::descriptor::{Kind, Shape};
use super::family::FamilySums;

/// Counters and histograms at one moment, or what was added to them since another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts(BTreeMap<String, CountedFamily>);

/// The series of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CountedFamily {
    /// Upper bounds of a histogram.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    bounds_ns: Vec<u64>,
    /// Names of the labels.
    labels: Vec<String>,
    /// Values of the labels, and the cells.
    pub(super) series: Vec<(Vec<String>, Vec<u64>)>,
}

/// Counts of families that this version does not know.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<BTreeMap<String, CountedFamily>>);

impl Counts {
    pub(super) fn of(sums: &[FamilySums]) -> Self {
        let families = sums.iter().filter_map(|sums| {
            let family = CountedFamily::of(sums)?;
            Some((sums.shape.name.to_owned(), family))
        });
        Self(families.collect())
    }

    /// Returns the difference to an earlier moment. A removed series counts as unchanged.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let families = self.0.iter().filter_map(|(name, family)| {
            let before = before.0.get(name);
            let fresh = before.map_or_else(|| family.clone(), |before| family.since(before));
            (!fresh.series.is_empty()).then(|| (name.clone(), fresh))
        });
        Self(families.collect())
    }

    /// Returns true if nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Leaves only the series that satisfy this, which finds the values of labels by their names.
    pub fn retain(&mut self, keeps: impl Fn(&dyn Fn(&str) -> Option<String>) -> bool) {
        for family in self.0.values_mut() {
            let labels = &family.labels;
            family.series.retain(|(values, _)| {
                keeps(&|name| {
                    let place = labels.iter().position(|label| label == name)?;
                    values.get(place).cloned()
                })
            });
        }
        self.0.retain(|_, family| !family.series.is_empty());
    }

    pub(super) fn into_families(self) -> impl Iterator<Item = (String, CountedFamily)> {
        self.0.into_iter()
    }

    pub(super) fn insert(&mut self, name: &str, family: CountedFamily) {
        self.0.entry(name.to_owned()).or_insert(family);
    }
}

impl CountedFamily {
    fn of(sums: &FamilySums) -> Option<Self> {
        let bounds_ns = match sums.shape.kind {
            Kind::Counter => Vec::new(),
            Kind::Histogram { bounds_ns } => bounds_ns.to_vec(),
            Kind::Gauge | Kind::Millionths => return None,
        };
        let series = sums.series.iter().filter(|(_, cells)| counts(cells));
        let series: Vec<_> = series
            .map(|(labels, cells)| {
                let labels = labels.iter().map(|value| value.to_string());
                (labels.collect(), cells.clone())
            })
            .collect();
        (!series.is_empty()).then(|| Self {
            bounds_ns,
            labels: sums.shape.labels.iter().map(|&it| it.to_owned()).collect(),
            series,
        })
    }

    fn since(&self, before: &Self) -> Self {
        let before: HashMap<_, _> = before
            .series
            .iter()
            .map(|(it, cells)| (it, cells))
            .collect();
        let fresh = self.series.iter().filter_map(|(labels, cells)| {
            let mut cells = cells.clone();
            for (cell, old) in cells
                .iter_mut()
                .zip(before.get(labels).copied().into_iter().flatten())
            {
                *cell = cell.saturating_sub(*old);
            }
            counts(&cells).then(|| (labels.clone(), cells))
        });
        Self {
            series: fresh.collect(),
            ..self.clone_without_series()
        }
    }

    fn clone_without_series(&self) -> Self {
        Self {
            bounds_ns: self.bounds_ns.clone(),
            labels: self.labels.clone(),
            series: Vec::new(),
        }
    }

    /// Returns true if labels and buckets are those of this family.
    pub(super) fn fits(&self, shape: &Shape) -> bool {
        let same_bounds = match shape.kind {
            Kind::Counter => self.bounds_ns.is_empty(),
            Kind::Histogram { bounds_ns } => self.bounds_ns == bounds_ns,
            Kind::Gauge | Kind::Millionths => false,
        };
        same_bounds && self.labels == shape.labels
    }

    fn join(&mut self, other: Self) {
        if self.bounds_ns != other.bounds_ns || self.labels != other.labels {
            return;
        }
        for (labels, cells) in other.series {
            match self.series.iter_mut().find(|(known, _)| *known == labels) {
                Some((_, known)) => add(known, &cells),
                None => self.series.push((labels, cells)),
            }
        }
    }
}

impl Waiting {
    /// Keeps counts for another process.
    pub(super) fn put(&self, name: String, family: CountedFamily) {
        let mut waiting = self.lock();
        match waiting.get_mut(&name) {
            Some(known) => known.join(family),
            None => {
                waiting.insert(name, family);
            }
        }
    }

    /// Adds them to what goes over to the next process.
    pub(super) fn add_to(&self, counts: &mut Counts) {
        for (name, family) in &*self.lock() {
            counts.insert(name, family.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, CountedFamily>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds cell by cell.
pub(super) fn add(cells: &mut [u64], more: &[u64]) {
    for (cell, more) in cells.iter_mut().zip(more) {
        *cell = cell.wrapping_add(*more);
    }
}

fn counts(cells: &[u64]) -> bool {
    cells.iter().any(|cell| *cell != 0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::telemetry::metrics::{Metrics, names};

    #[test]
    fn what_one_process_counted_and_goes_on_counting_is_added_in_another() {
        let old = Metrics::new(1000);
        let control = old.control();
        let reloads = control.counter(&names::CONFIG_RELOADS_TOTAL, ["succeeded"]);
        let attempts = control.histogram(&names::ATTEMPT_DURATION_SECONDS, ["app", ""]);
        let gauge = control.gauge(&names::CONNECTIONS, ["web"]);
        reloads.add(3);
        gauge.set(9);
        attempts.observe(Duration::from_millis(3));
        let first = old.counts();

        let new = Metrics::new(1000);
        let known = new
            .control()
            .counter(&names::CONFIG_RELOADS_TOTAL, ["succeeded"]);
        known.inc();
        let text = serde_json::to_string(&first).unwrap();
        new.carry(serde_json::from_str(&text).unwrap());
        reloads.inc();
        attempts.observe(Duration::from_millis(3));
        new.carry(old.counts().since(&first));
        assert!(old.counts().since(&old.counts()).is_empty());

        let total = |metrics: &Metrics| metrics.total(&names::CONFIG_RELOADS_TOTAL, [None]);
        assert_eq!(total(&new), 5);
        let text = new.text();
        let count = "sluicegate_attempt_duration_seconds_count{pool=\"app\",version=\"\"} 2";
        assert!(text.contains(count), "{text}");
        assert!(!text.contains("sluicegate_connections{"), "{text}");
    }

    #[test]
    fn what_a_later_version_counts_goes_through_an_older_one() {
        let text = r#"{"sluicegate_later_total":{"labels":["a"],"series":[[["x"],[3]]]}}"#;
        let old = Metrics::new(1000);
        old.carry(serde_json::from_str(text).unwrap());
        old.carry(serde_json::from_str(text).unwrap());
        assert!(!old.text().contains("later"));
        let told = serde_json::to_string(&old.counts()).unwrap();
        assert!(told.contains(r#""series":[[["x"],[6]]]"#), "{told}");
    }

    #[test]
    fn what_the_receiver_does_not_have_is_left_out() {
        let old = Metrics::new(1000);
        let control = old.control();
        control.counter(&names::EJECTIONS_TOTAL, ["kept"]).inc();
        control.counter(&names::EJECTIONS_TOTAL, ["gone"]).inc();
        let mut counts = old.counts();
        counts.retain(|value_of| value_of("pool").as_deref() == Some("kept"));
        let new = Metrics::new(1000);
        new.carry(counts);
        let _made = new.control().counter(&names::EJECTIONS_TOTAL, ["kept"]);
        assert_eq!(new.total(&names::EJECTIONS_TOTAL, [Some("kept")]), 1);
        assert_eq!(new.total(&names::EJECTIONS_TOTAL, [Some("gone")]), 0);
    }
}
