//! What a worker counts besides routes and pools.

use std::{cell::RefCell, collections::HashMap, sync::Arc};

use crate::{
    state::Listener,
    telemetry::metrics::{Counter, CounterMap, Gauge, WorkerMetrics, names},
};

/// The metric handles of a worker.
#[derive(Debug)]
pub struct WorkerCounters {
    registry: WorkerMetrics,
    listeners: RefCell<HashMap<Arc<str>, ListenerMetrics>>,
    /// The listener asked for last: nearly always the one asked for next.
    recent: RefCell<Option<(Arc<str>, Gauge)>>,
    shed: RefCell<CounterMap<&'static str, 1>>,
    underscores: Counter,
}

/// The metric handles of a listener.
#[derive(Clone, Debug)]
pub(super) struct ListenerMetrics {
    pub(super) in_flight: Gauge,
    pub(super) connections: Gauge,
    pub(super) connections_total: Counter,
}

impl WorkerCounters {
    pub(super) fn new(registry: WorkerMetrics) -> Self {
        Self {
            listeners: RefCell::default(),
            recent: RefCell::default(),
            shed: RefCell::new(registry.counter_map(&names::SHED_TOTAL)),
            underscores: registry.counter(&names::HEADERS_DROPPED_TOTAL, ["underscore"]),
            registry,
        }
    }

    /// Where handles are made.
    pub fn registry(&self) -> &WorkerMetrics {
        &self.registry
    }

    /// Exchanges under way on a listener.
    pub fn in_flight(&self, listener: &Listener) -> Gauge {
        if let Some((name, gauge)) = &*self.recent.borrow()
            && Arc::ptr_eq(name, &listener.name)
        {
            return gauge.clone();
        }
        let gauge = self.listener(&listener.name).in_flight;
        *self.recent.borrow_mut() = Some((Arc::clone(&listener.name), gauge.clone()));
        gauge
    }

    /// Something was refused to protect the rest.
    pub fn shed(&self, reason: &'static str) {
        self.shed.borrow_mut().get(reason, || [reason]).inc();
    }

    /// Header fields were dropped because of an underscore.
    pub fn underscores_dropped(&self, count: usize) {
        self.underscores.add(count as u64);
    }

    pub(super) fn listener(&self, name: &Arc<str>) -> ListenerMetrics {
        let mut listeners = self.listeners.borrow_mut();
        listeners
            .entry(Arc::clone(name))
            .or_insert_with(|| ListenerMetrics {
                in_flight: self.registry.gauge(&names::REQUESTS_IN_FLIGHT, [name]),
                connections: self.registry.gauge(&names::CONNECTIONS, [name]),
                connections_total: self.registry.counter(&names::CONNECTIONS_TOTAL, [name]),
            })
            .clone()
    }

    /// Forgets listeners that have left.
    pub(super) fn retain_listeners(&self, keep: impl Fn(&str) -> bool) {
        self.listeners.borrow_mut().retain(|name, _| keep(name));
        self.recent.borrow_mut().take();
    }
}
