//! Counters of the control thread.

use std::{
    collections::HashMap,
    sync::{Arc, Weak, atomic::Ordering},
    time::SystemTime,
};

use crate::{
    resilience::breaker::BreakerState,
    semantics::date::unix_seconds,
    state::{Route, Snapshot},
    task,
    telemetry::{
        log,
        metrics::{ControlMetrics, SharedCounter, SharedGauge, names},
    },
    upstream::{
        health::{Cause, EndpointState, PoolHealthView, Transition},
        pool::Pool,
    },
};

/// The metric handles of the control thread.
pub(super) struct ControlGauges {
    registry: ControlMetrics,
    generation: SharedGauge,
    last_success: SharedGauge,
    last_success_time: SharedGauge,
    closed: SharedGauge,
    tasks: SharedGauge,
    panics: SharedCounter,
    panics_seen: u64,
    log_lines_dropped: SharedCounter,
    log_lines_dropped_seen: u64,
    reloads: HashMap<&'static str, SharedCounter>,
    upgrades: HashMap<&'static str, SharedCounter>,
    /// By pool.
    healthy: HashMap<Arc<str>, Shown>,
    /// Those that ignore health show 1.
    in_panic: HashMap<Arc<str>, SharedGauge>,
    /// By pool, for those that have one.
    breakers: HashMap<Arc<str>, SharedGauge>,
    /// By address of the store.
    rate_stores: HashMap<String, SharedGauge>,
    /// In use, waiting and limit, by route.
    concurrency: HashMap<(Arc<str>, &'static str), [SharedGauge; 3]>,
    /// Bytes and entries of caches, by route; in memory, and on disk where there is one.
    caches: HashMap<Arc<str>, Vec<SharedGauge>>,
}

/// Health of a pool as last shown.
struct Shown {
    serial: u64,
    /// View of the endpoint set that was shown.
    view: Weak<PoolHealthView>,
    /// By address. Kept, since a gauge lives as long as its handle.
    gauges: HashMap<Arc<str>, SharedGauge>,
}

impl ControlGauges {
    pub(super) fn new(registry: &ControlMetrics) -> Self {
        let reloads = ["succeeded", "unchanged", "failed"].into_iter();
        Self {
            generation: registry.gauge(&names::CONFIG_GENERATION, []),
            last_success: registry.gauge(&names::CONFIG_LAST_RELOAD_SUCCESS, []),
            last_success_time: registry
                .gauge(&names::CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP_SECONDS, []),
            closed: registry.gauge(&names::ROUTES_IN_MAINTENANCE, []),
            tasks: registry.gauge(&names::TASKS, []),
            panics: registry.counter(&names::PANICS_TOTAL, []),
            panics_seen: 0,
            log_lines_dropped: registry.counter(&names::LOG_LINES_DROPPED_TOTAL, []),
            log_lines_dropped_seen: 0,
            reloads: reloads
                .map(|result| {
                    (
                        result,
                        registry.counter(&names::CONFIG_RELOADS_TOTAL, [result]),
                    )
                })
                .collect(),
            upgrades: ["succeeded", "failed"]
                .into_iter()
                .map(|result| (result, registry.counter(&names::UPGRADES_TOTAL, [result])))
                .collect(),
            healthy: HashMap::new(),
            in_panic: HashMap::new(),
            breakers: HashMap::new(),
            rate_stores: HashMap::new(),
            concurrency: HashMap::new(),
            caches: HashMap::new(),
            registry: registry.clone(),
        }
    }

    /// Notes the configuration in use.
    pub(super) fn loaded(&self, generation: u64, as_written: bool) {
        self.generation
            .set(i64::try_from(generation).unwrap_or(i64::MAX));
        self.last_success.set(i64::from(as_written));
        if as_written {
            let seconds = unix_seconds(SystemTime::now());
            self.last_success_time
                .set(i64::try_from(seconds).unwrap_or(i64::MAX));
        }
    }

    /// Notes how many routes are closed for maintenance.
    pub(super) fn closed(&self, snapshot: &Snapshot) {
        let closed = snapshot.routes.iter().filter(|it| it.filters.is_closed());
        self.closed
            .set(i64::try_from(closed.count()).unwrap_or(i64::MAX));
    }

    /// Notes the end of a reload.
    pub(super) fn reloaded(&self, result: &'static str, generation: u64) {
        if let Some(counter) = self.reloads.get(result) {
            counter.inc();
        }
        self.loaded(generation, result != "failed");
    }

    /// An upgrade of the binary has ended.
    pub(super) fn upgraded(&self, result: &str) {
        if let Some(counter) = self.upgrades.get(result) {
            counter.inc();
        }
    }

    /// Counts a change of an endpoint's state.
    pub(super) fn transition(&self, pool: &str, transition: &Transition) {
        // The process before has counted that one.
        if matches!(transition.cause, Cause::Carried(_)) {
            return;
        }
        if transition.to == EndpointState::Ejected && transition.from != transition.to {
            self.registry.counter(&names::EJECTIONS_TOTAL, [pool]).inc();
        }
    }

    /// Shows the health of a pool, if it changed; returns true if so.
    pub(super) fn pool(&mut self, pool: &Pool) -> bool {
        let health = Arc::clone(&pool.endpoint_set().health);
        let serial = health.serial();
        let view = Arc::downgrade(&health);
        let shown = self.healthy.get(&pool.name);
        if shown.is_some_and(|shown| shown.serial == serial && shown.view.ptr_eq(&view)) {
            return false;
        }
        let picture = health.picture();
        let known = self.healthy.remove(&pool.name);
        let mut known = known.map_or_else(HashMap::new, |shown| shown.gauges);
        let mut gauges = HashMap::new();
        // Endpoints without series of their own are counted in one.
        let mut others = None;
        for endpoint in &picture.endpoints {
            let address = &endpoint.address;
            let healthy = i64::from(endpoint.state == EndpointState::Healthy);
            if !self.registry.admits_endpoint(&pool.name, address) {
                *others.get_or_insert(0) += healthy;
                continue;
            }
            let (address, gauge) = known.remove_entry(address).unwrap_or_else(|| {
                let labels = [&*pool.name, &**address];
                let gauge = self.registry.gauge(&names::ENDPOINT_HEALTHY, labels);
                (Arc::clone(address), gauge)
            });
            gauge.set(healthy);
            gauges.insert(address, gauge);
        }
        if let Some(healthy) = others {
            let (other, gauge) = known.remove_entry("other").unwrap_or_else(|| {
                let labels = [&*pool.name, "other"];
                let gauge = self.registry.gauge(&names::ENDPOINT_HEALTHY, labels);
                ("other".into(), gauge)
            });
            gauge.set(healthy);
            gauges.insert(other, gauge);
        }
        // Those of endpoints that have left go with their handles.
        drop(known);
        let shown = Shown {
            serial,
            view,
            gauges,
        };
        self.healthy.insert(Arc::clone(&pool.name), shown);
        true
    }

    /// Shows which pools ignore health.
    pub(super) fn in_panic<'p>(&mut self, pools: impl Iterator<Item = (&'p Arc<str>, bool)>) {
        for (pool, panics) in pools {
            let gauge = self.in_panic.entry(Arc::clone(pool));
            let gauge =
                gauge.or_insert_with(|| self.registry.gauge(&names::POOL_IN_PANIC, [&**pool]));
            gauge.set(panics.into());
        }
    }

    /// The breaker of a pool changed its state.
    pub(super) fn breaker_changed(&self, pool: &str, to: BreakerState) {
        let labels = [pool, to.word()];
        let counter = &names::BREAKER_TRANSITIONS_TOTAL;
        self.registry.counter(counter, labels).inc();
    }

    /// Shows the state of the breaker of a pool; none if it has none.
    pub(super) fn breaker(&mut self, pool: &Arc<str>, state: Option<BreakerState>) {
        let Some(state) = state else {
            if !self.breakers.is_empty() {
                self.breakers.remove(pool);
            }
            return;
        };
        let gauge = self.breakers.entry(Arc::clone(pool));
        let gauge = gauge.or_insert_with(|| self.registry.gauge(&names::BREAKER_STATE, [&**pool]));
        gauge.set(match state {
            BreakerState::Closed => 0,
            BreakerState::HalfOpen => 1,
            BreakerState::Open => 2,
        });
    }

    /// Shows which stores of rate limits are asked; forgets those that are not listed.
    pub(super) fn rate_stores(&mut self, up: &HashMap<String, bool>) {
        self.rate_stores.retain(|store, _| up.contains_key(store));
        for (store, up) in up {
            let gauge = self.rate_stores.entry(store.clone());
            let gauge = gauge.or_insert_with(|| {
                self.registry
                    .gauge(&names::RATE_LIMIT_STORE_UP, [store.as_str()])
            });
            gauge.set((*up).into());
        }
    }

    /// Shows the limits on requests at once of these routes; those of others go.
    pub(super) fn concurrency(&mut self, routes: &[Route]) {
        let mut known = std::mem::take(&mut self.concurrency);
        for route in routes {
            for limit in route.filters.concurrency() {
                let view = limit.view();
                let key = (Arc::clone(&route.name), view.per);
                let gauges = known.remove(&key).unwrap_or_else(|| {
                    let families = [
                        &names::CONCURRENCY_IN_USE,
                        &names::CONCURRENCY_WAITING,
                        &names::CONCURRENCY_LIMIT,
                    ];
                    families.map(|family| self.registry.gauge(family, [&*key.0, key.1]))
                });
                let values = [view.now.in_use, view.now.waiting, view.limit.into()];
                for (gauge, value) in gauges.iter().zip(values) {
                    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
                }
                self.concurrency.insert(key, gauges);
            }
        }
    }

    /// Shows what the caches of these routes hold; those of others go.
    pub(super) fn caches(&mut self, routes: &[Route]) {
        let mut known = std::mem::take(&mut self.caches);
        for route in routes {
            let Some(cache) = route.filters.cache() else {
                continue;
            };
            let view = cache.store.view();
            let mut values = vec![
                (&names::CACHE_BYTES, view.bytes),
                (&names::CACHE_ENTRIES, view.entries),
            ];
            if let Some(disk) = cache.disk.as_ref().map(|disk| disk.view()) {
                values.push((&names::CACHE_DISK_BYTES, disk.bytes));
                values.push((&names::CACHE_DISK_ENTRIES, disk.keys));
                values.push((&names::CACHE_DISK_FAILING, disk.standing.is_down().into()));
            }
            let gauges = known.remove(&route.name);
            let gauges = gauges.filter(|it| it.len() == values.len());
            let gauges = gauges.unwrap_or_else(|| {
                let gauge = |(family, _): &(_, u64)| self.registry.gauge(*family, [&*route.name]);
                values.iter().map(gauge).collect()
            });
            for (gauge, (_, value)) in gauges.iter().zip(&values) {
                gauge.set(i64::try_from(*value).unwrap_or(i64::MAX));
            }
            self.caches.insert(Arc::clone(&route.name), gauges);
        }
    }

    /// Removes pools that have left the configuration.
    pub(super) fn retain_pools(&mut self, keep: impl Fn(&str) -> bool) {
        self.healthy.retain(|name, _| keep(name));
        self.in_panic.retain(|name, _| keep(name));
        self.breakers.retain(|name, _| keep(name));
    }

    pub(super) fn tick(&mut self) {
        self.tasks.set(task::TASKS.load(Ordering::Relaxed));
        let panics = task::PANICS.load(Ordering::Relaxed);
        self.panics.add(panics - self.panics_seen);
        self.panics_seen = panics;
        let dropped = log::LINES_DROPPED.load(Ordering::Relaxed);
        self.log_lines_dropped
            .add(dropped - self.log_lines_dropped_seen);
        self.log_lines_dropped_seen = dropped;
    }
}
