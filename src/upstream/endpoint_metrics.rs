//! Metrics of one worker about one endpoint.
//!
//! An endpoint without a place for series of its own shares those of `other` with others of its
//! pool. Counters that many endpoints never need are made at their first use.

use std::{
    cell::{OnceCell, RefCell},
    sync::Arc,
    time::Duration,
};

use crate::telemetry::metrics::{
    Counter, CounterMap, Gauge, Histogram, WorkerMetrics, coarser_cells, names,
};

/// One worker's metric handles of an endpoint.
#[derive(Debug)]
pub struct EndpointMetrics {
    /// Number of times it was picked.
    pub picks: Counter,
    /// Attempts under way.
    pub in_flight: Gauge,
    /// Open connections.
    pub connections: Gauge,
    durations: Histogram,
    /// By status class.
    answered: [OnceCell<Counter>; 6],
    failed: RefCell<CounterMap<&'static str, 3>>,
    worker: WorkerMetrics,
    pool: Arc<str>,
    endpoint: Arc<str>,
}

impl EndpointMetrics {
    /// Makes the handles of an endpoint of this pool, or those of `other`.
    pub fn new(worker: &WorkerMetrics, pool: &Arc<str>, endpoint: &Arc<str>) -> Self {
        let labels = [&**pool, &**endpoint];
        Self {
            picks: worker.counter(&names::PICKS_TOTAL, labels),
            in_flight: worker.gauge(&names::ENDPOINT_REQUESTS_IN_FLIGHT, labels),
            connections: worker.gauge(&names::ENDPOINT_CONNECTIONS, labels),
            durations: worker.histogram(&names::ENDPOINT_ATTEMPT_DURATION_SECONDS, labels),
            answered: Default::default(),
            failed: RefCell::new(worker.counter_map(&names::ENDPOINT_FAILURES_TOTAL)),
            worker: worker.clone(),
            pool: Arc::clone(pool),
            endpoint: Arc::clone(endpoint),
        }
    }

    /// Counts the duration of an attempt here and in the histogram of its version.
    #[inline]
    pub fn observe(&self, took: Duration, of_version: &Histogram) {
        of_version.observe_with(took, &self.durations, &COARSER);
    }

    /// Counts an answer by its status.
    #[inline]
    pub fn answered(&self, status: u16) {
        let class = usize::from(status / 100).min(5);
        if let Some(counter) = self.answered[class].get() {
            return counter.inc();
        }
        self.first(class);
    }

    #[cold]
    fn first(&self, class: usize) {
        let counter = self.answered[class].get_or_init(|| {
            let labels = [&*self.pool, &*self.endpoint, CLASSES[class]];
            self.worker.counter(&names::ENDPOINT_REQUESTS_TOTAL, labels)
        });
        counter.inc();
    }

    /// Counts a failure.
    #[cold]
    pub fn failed(&self, word: &'static str) {
        let mut failed = self.failed.borrow_mut();
        let labels = || [&*self.pool, &*self.endpoint, word];
        failed.get(word, labels).inc();
    }
}

const CLASSES: [&str; 6] = ["", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// Cells of an endpoint's histogram by those of a version's.
static COARSER: [u8; names::DURATION_BOUNDS_NS.len() + 2] =
    coarser_cells(names::DURATION_BOUNDS_NS, names::ENDPOINT_BOUNDS_NS);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::Metrics;

    #[test]
    fn the_bounds_of_an_endpoint_are_some_of_those_of_a_version() {
        for bound in names::ENDPOINT_BOUNDS_NS {
            assert!(names::DURATION_BOUNDS_NS.contains(bound), "{bound}");
        }
    }

    #[test]
    fn a_duration_is_counted_under_the_same_bound_for_its_version_and_its_endpoint() {
        let metrics = Metrics::new(1000);
        let worker = metrics.worker();
        let (pool, endpoint) = (Arc::from("app"), Arc::from("a:1"));
        worker.admits_endpoint(&pool, &endpoint);
        let own = EndpointMetrics::new(&worker, &pool, &endpoint);
        let direct = worker.histogram(&names::ENDPOINT_ATTEMPT_DURATION_SECONDS, ["app", "other"]);
        let of_version = worker.histogram(&names::ATTEMPT_DURATION_SECONDS, ["app", ""]);
        for bound in names::DURATION_BOUNDS_NS {
            for ns in [bound - 1, *bound, bound + 1] {
                own.observe(Duration::from_nanos(ns), &of_version);
                direct.observe(Duration::from_nanos(ns));
            }
        }
        let all = metrics.histograms(&names::ENDPOINT_ATTEMPT_DURATION_SECONDS);
        let by = |endpoint: &str| {
            let mut found = all.iter().filter(|(labels, _)| &*labels[1] == endpoint);
            found.next().map(|(_, cells)| cells.clone())
        };
        assert_eq!(by("a:1"), by("other"));
        assert!(by("a:1").is_some());
    }
}
