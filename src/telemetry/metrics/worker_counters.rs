//! Counters of a worker besides those of routes and pools.

use std::{cell::RefCell, collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;

use super::{Counter, CounterMap, Gauge, WorkerMetrics, names};

/// The metric handles of a worker.
#[derive(Debug)]
pub struct WorkerCounters {
    registry: WorkerMetrics,
    listeners: RefCell<HashMap<Arc<str>, ListenerMetrics, RandomState>>,
    shed: RefCell<CounterMap<&'static str, 1>>,
    floods: RefCell<HashMap<(Arc<str>, &'static str), Counter>>,
    underscores: Counter,
    proxy_protocol: RefCell<CounterMap<&'static str, 1>>,
    interim: RefCell<CounterMap<&'static str, 1>>,
    handshakes: RefCell<HashMap<(Arc<str>, &'static str), Counter>>,
}

/// Metric handles of a listener. A gauge shows the sum of its handles: keep the handle that counted
/// something up to count it down.
#[derive(Clone, Debug)]
pub struct ListenerMetrics {
    /// Exchanges under way.
    pub in_flight: Gauge,
    /// Open connections.
    pub connections: Gauge,
    /// Connections accepted.
    pub connections_total: Counter,
}

impl WorkerCounters {
    pub(crate) fn new(registry: WorkerMetrics) -> Self {
        Self {
            listeners: RefCell::default(),
            shed: RefCell::new(registry.counter_map(&names::SHED_TOTAL)),
            floods: RefCell::default(),
            underscores: registry.counter(&names::HEADERS_DROPPED_TOTAL, ["underscore"]),
            proxy_protocol: RefCell::new(
                registry.counter_map(&names::PROXY_PROTOCOL_FAILURES_TOTAL),
            ),
            interim: RefCell::new(registry.counter_map(&names::INTERIM_RESPONSES_TOTAL)),
            handshakes: RefCell::default(),
            registry,
        }
    }

    /// The registry that makes handles.
    pub fn registry(&self) -> &WorkerMetrics {
        &self.registry
    }

    /// Counts work refused to protect the rest.
    pub fn shed(&self, reason: &'static str) {
        self.shed.borrow_mut().get(reason, || [reason]).inc();
    }

    /// Counts a missing PROXY protocol header.
    pub fn proxy_protocol_failed(&self, reason: &'static str) {
        let mut failures = self.proxy_protocol.borrow_mut();
        failures.get(reason, || [reason]).inc();
    }

    /// Counts an interim response of an endpoint.
    pub fn interim(&self, outcome: &'static str) {
        self.interim.borrow_mut().get(outcome, || [outcome]).inc();
    }

    /// Counts a connection that was ended because of a flood.
    pub fn flooded(&self, listener: &Arc<str>, reason: &'static str) {
        let mut floods = self.floods.borrow_mut();
        let labels = [&**listener, reason];
        floods
            .entry((Arc::clone(listener), reason))
            .or_insert_with(|| self.registry.counter(&names::HTTP2_FLOODS_TOTAL, labels))
            .inc();
    }

    /// Counts an HTTP/3 connection that was ended because of a flood. Such are rare.
    #[cfg(feature = "http3")]
    pub fn flooded_http3(&self, listener: &Arc<str>, reason: &'static str) {
        let labels = [&**listener, reason];
        self.registry
            .counter(&names::HTTP3_FLOODS_TOTAL, labels)
            .inc();
    }

    /// Header fields that were dropped because of an underscore.
    pub fn underscores_dropped(&self) -> &Counter {
        &self.underscores
    }

    /// Counts a TLS handshake with a client.
    pub fn handshake(&self, listener: &Arc<str>, result: &'static str) {
        let mut handshakes = self.handshakes.borrow_mut();
        handshakes
            .entry((Arc::clone(listener), result))
            .or_insert_with(|| {
                let labels = [&**listener, result];
                self.registry.counter(&names::TLS_HANDSHAKES_TOTAL, labels)
            })
            .inc();
    }

    /// Returns the handles of a listener.
    pub(crate) fn listener(&self, name: &Arc<str>) -> ListenerMetrics {
        let mut listeners = self.listeners.borrow_mut();
        if let Some(known) = listeners.get(name) {
            return known.clone();
        }
        let made = ListenerMetrics {
            in_flight: self.registry.gauge(&names::REQUESTS_IN_FLIGHT, [name]),
            connections: self.registry.gauge(&names::CONNECTIONS, [name]),
            connections_total: self.registry.counter(&names::CONNECTIONS_TOTAL, [name]),
        };
        listeners.insert(Arc::clone(name), made.clone());
        made
    }

    /// Removes listeners that have left the configuration.
    pub(crate) fn retain_listeners(&self, keep: impl Fn(&str) -> bool) {
        self.listeners.borrow_mut().retain(|name, _| keep(name));
        self.floods.borrow_mut().retain(|(name, _), _| keep(name));
        let mut handshakes = self.handshakes.borrow_mut();
        handshakes.retain(|(name, _), _| keep(name));
    }
}
