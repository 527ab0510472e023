//! Metrics of a worker about the exchanges of one route.

use std::{
    cell::RefCell,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::StatusCode;

use super::Listener;
use crate::{
    semantics::trace::TraceId,
    telemetry::metrics::{Counter, CounterMap, Histogram, WorkerMetrics, names},
};

/// One worker's metric handles of a route.
#[derive(Debug)]
pub(crate) struct RouteMetrics {
    duration: Histogram,
    /// Counter used last for a successful exchange, mostly the next one needed.
    latest: RefCell<Option<Latest>>,
    counts: RefCell<CounterMap<(u32, u16, &'static str), 4>>,
    /// By listener.
    bytes: RefCell<Vec<BodyBytes>>,
    /// Rules of rate limits that refused a request, or would have (`true`).
    limited: RefCell<Vec<(Arc<str>, bool, Counter)>>,
    /// Results of asking the store of a rule.
    asked: RefCell<Vec<(Arc<str>, &'static str, Counter)>>,
    /// Requests that got no place, by the requests that share these.
    refused_places: RefCell<Vec<(&'static str, Counter)>>,
    /// Faults that were injected, by their kind.
    /// By kind and class of the status.
    faults: RefCell<Vec<((&'static str, &'static str), Counter)>>,
    /// Requests at the cache, by what it did.
    cache: RefCell<Vec<(&'static str, Counter)>>,
    /// Requests by the pool that a split chose.
    chosen: RefCell<Vec<(Arc<str>, Counter)>>,
    /// Copies of requests by result.
    shadows: RefCell<Vec<(&'static str, Counter)>>,
    worker: WorkerMetrics,
    name: Arc<str>,
}

#[derive(Debug)]
struct Latest {
    listener: u32,
    class: u16,
    counter: Counter,
    bytes: BodyBytes,
}

/// Bytes of bodies of a route at one listener.
#[derive(Clone, Debug)]
struct BodyBytes {
    listener: u32,
    requests: Counter,
    responses: Counter,
}

impl RouteMetrics {
    /// Makes the handles of the route of this name.
    pub(crate) fn new(worker: &WorkerMetrics, name: &Arc<str>) -> Self {
        Self {
            duration: worker.histogram(&names::REQUEST_DURATION_SECONDS, [name]),
            latest: RefCell::default(),
            counts: RefCell::new(worker.counter_map(&names::REQUESTS_TOTAL)),
            bytes: RefCell::default(),
            limited: RefCell::default(),
            asked: RefCell::default(),
            refused_places: RefCell::default(),
            faults: RefCell::default(),
            cache: RefCell::default(),
            chosen: RefCell::default(),
            shadows: RefCell::default(),
            worker: worker.clone(),
            name: Arc::clone(name),
        }
    }

    /// Returns handles of the same route for other listeners, from the same counters. `moved` has
    /// the new index of each listener by its old one; none if it was removed, and its counters go.
    pub(crate) fn moved(&self, moved: &[Option<u32>]) -> Self {
        let place = |old: u32| moved.get(old as usize).copied().flatten();
        let counts = self.counts.borrow();
        let counts =
            counts.moved(|(listener, class, reason)| Some((place(*listener)?, *class, *reason)));
        let bytes = self.bytes.borrow();
        let bytes = bytes.iter().filter_map(|it| {
            let listener = place(it.listener)?;
            Some(BodyBytes {
                listener,
                ..it.clone()
            })
        });
        Self {
            duration: self.duration.clone(),
            latest: RefCell::default(),
            counts: RefCell::new(counts),
            bytes: RefCell::new(bytes.collect()),
            limited: RefCell::new(self.limited.borrow().clone()),
            asked: RefCell::new(self.asked.borrow().clone()),
            faults: RefCell::new(self.faults.borrow().clone()),
            cache: RefCell::new(self.cache.borrow().clone()),
            chosen: RefCell::new(self.chosen.borrow().clone()),
            shadows: RefCell::new(self.shadows.borrow().clone()),
            refused_places: RefCell::new(self.refused_places.borrow().clone()),
            worker: self.worker.clone(),
            name: Arc::clone(&self.name),
        }
    }

    /// Drops the counters of rules of rate limits that have left, so that their series can be
    /// removed.
    pub(crate) fn keep_rules(&self, stays: impl Fn(&str) -> bool) {
        let mut limited = self.limited.borrow_mut();
        limited.retain(|(rule, ..)| stays(rule));
        let mut asked = self.asked.borrow_mut();
        asked.retain(|(rule, ..)| stays(rule));
    }

    /// Counts a request that a rule of a rate limit refused; in a dry run, one that it would have
    /// refused.
    pub(crate) fn count_limited(&self, rule: &Arc<str>, dry_run: bool) {
        let mut limited = self.limited.borrow_mut();
        let known = limited
            .iter()
            .find(|(name, dry, _)| name == rule && *dry == dry_run);
        if let Some((.., counter)) = known {
            return counter.inc();
        }
        let family = if dry_run {
            &names::RATE_LIMIT_DRY_RUN_TOTAL
        } else {
            &names::RATE_LIMITED_TOTAL
        };
        let counter = self.worker.counter(family, [&self.name, rule]);
        counter.inc();
        limited.push((Arc::clone(rule), dry_run, counter));
    }

    /// Counts a result of asking the store of a rule.
    pub(crate) fn count_store(&self, rule: &Arc<str>, result: &'static str) {
        let mut asked = self.asked.borrow_mut();
        let known = asked
            .iter()
            .find(|(name, known, _)| name == rule && *known == result);
        if let Some((.., counter)) = known {
            return counter.inc();
        }
        let labels = [&*self.name, rule, result];
        let counter = self.worker.counter(&names::RATE_LIMIT_STORE_TOTAL, labels);
        counter.inc();
        asked.push((Arc::clone(rule), result, counter));
    }

    /// Counts a request that `concurrency` refused, by the requests that share its places.
    pub(crate) fn count_refused_place(&self, per: &'static str) {
        let mut refused = self.refused_places.borrow_mut();
        if let Some((_, counter)) = refused.iter().find(|(known, _)| *known == per) {
            return counter.inc();
        }
        let labels = [&*self.name, per];
        let counter = self
            .worker
            .counter(&names::CONCURRENCY_REFUSED_TOTAL, labels);
        counter.inc();
        refused.push((per, counter));
    }

    /// Drops the counters of limits on requests at once that have left.
    pub(crate) fn keep_limits(&self, stays: impl Fn(&str) -> bool) {
        self.refused_places
            .borrow_mut()
            .retain(|(per, _)| stays(per));
    }

    /// Counts an injected fault of this kind, with the class of its status.
    pub(crate) fn count_fault(&self, kind: &'static str, class: &'static str) {
        let mut faults = self.faults.borrow_mut();
        let fault = (kind, class);
        if let Some((_, counter)) = faults.iter().find(|(known, _)| *known == fault) {
            return counter.inc();
        }
        let labels = [&*self.name, kind, class];
        let counter = self.worker.counter(&names::FAULTS_INJECTED_TOTAL, labels);
        counter.inc();
        faults.push((fault, counter));
    }

    /// Counts a request at the cache.
    pub(crate) fn count_cache(&self, result: &'static str) {
        let mut cache = self.cache.borrow_mut();
        if let Some((_, counter)) = cache.iter().find(|(known, _)| *known == result) {
            return counter.inc();
        }
        let labels = [&*self.name, result];
        let counter = self.worker.counter(&names::CACHE_REQUESTS_TOTAL, labels);
        counter.inc();
        cache.push((result, counter));
    }

    /// Counts a request by the pool that a split chose for it.
    pub(crate) fn count_split(&self, pool: &Arc<str>) {
        let mut chosen = self.chosen.borrow_mut();
        if let Some((_, counter)) = chosen.iter().find(|(known, _)| known == pool) {
            return counter.inc();
        }
        let labels = [&*self.name, pool];
        let counter = self.worker.counter(&names::SPLIT_REQUESTS_TOTAL, labels);
        counter.inc();
        chosen.push((Arc::clone(pool), counter));
    }

    /// Counts a request that was chosen to be copied, by its result.
    pub(crate) fn count_shadow(&self, result: &'static str) {
        let mut shadows = self.shadows.borrow_mut();
        if let Some((_, counter)) = shadows.iter().find(|(known, _)| *known == result) {
            return counter.inc();
        }
        let labels = [&*self.name, result];
        let counter = self.worker.counter(&names::SHADOW_REQUESTS_TOTAL, labels);
        counter.inc();
        shadows.push((result, counter));
    }

    /// Name of the route; empty for none.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Records the duration of an exchange.
    pub(crate) fn observe(&self, took: Duration) {
        self.duration.observe(took);
    }

    /// Keeps an exchange with a recorded trace as the example of its duration.
    #[cold]
    pub(crate) fn exemplify(&self, took: Duration, trace: TraceId, at: SystemTime) {
        self.duration.exemplify(took, trace.text(), at);
    }

    /// Counts an exchange by its listener and result, and the bytes of its bodies.
    pub(crate) fn count(
        &self,
        listener: &Listener,
        status: StatusCode,
        reason: &'static str,
        (bytes_in, bytes_out): (u64, u64),
    ) {
        let class = status.as_u16() / 100;
        let place = listener.index;
        let mut latest = self.latest.borrow_mut();
        let again = |it: &&Latest| it.listener == place && it.class == class;
        if reason.is_empty()
            && let Some(latest) = latest.as_ref().filter(again)
        {
            latest.counter.inc();
            return latest.bytes.add(bytes_in, bytes_out);
        }
        let bytes = self.bytes_at(listener);
        bytes.add(bytes_in, bytes_out);
        let mut counts = self.counts.borrow_mut();
        let counter = counts.get((place, class, reason), || {
            let class = CLASSES[usize::from(class).min(5)];
            [&*listener.name, &*self.name, class, reason]
        });
        counter.inc();
        if reason.is_empty() {
            *latest = Some(Latest {
                listener: place,
                class,
                counter: counter.clone(),
                bytes,
            });
        }
    }

    fn bytes_at(&self, listener: &Listener) -> BodyBytes {
        let mut known = self.bytes.borrow_mut();
        if let Some(known) = known.iter().find(|it| it.listener == listener.index) {
            return known.clone();
        }
        let labels = [&*listener.name, &*self.name];
        let made = BodyBytes {
            listener: listener.index,
            requests: self
                .worker
                .counter(&names::REQUEST_BODY_BYTES_TOTAL, labels),
            responses: self
                .worker
                .counter(&names::RESPONSE_BODY_BYTES_TOTAL, labels),
        };
        known.push(made.clone());
        made
    }
}

impl BodyBytes {
    #[inline]
    fn add(&self, requests: u64, responses: u64) {
        if requests > 0 {
            self.requests.add(requests);
        }
        self.responses.add(responses);
    }
}

const CLASSES: [&str; 6] = ["", "1xx", "2xx", "3xx", "4xx", "5xx"];
