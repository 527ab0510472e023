//! Taking up a new snapshot: what kept its identity keeps its state on this worker.

use std::{rc::Rc, sync::Arc};

use super::{Command, Worker};
use crate::{
    proxy::RouteMetrics,
    state::{LocalSnapshot, Snapshot},
    telemetry::metrics::names,
    upstream::{
        idle::LocalEndpoint, local::LocalPool, metrics::PoolMetrics, picker::AnyPicker, pool::Pool,
        room::Siblings,
    },
};

impl Worker {
    /// Builds this worker's view of the newest snapshot; what kept its identity keeps its state.
    pub(super) fn refresh(&self) {
        let shared = self.shared.snapshot();
        let old = Rc::clone(&self.current.borrow());
        let registry = self.counters.registry();
        let pools = shared
            .pools
            .iter()
            .map(|pool| self.local_pool(&old, pool))
            .collect();
        let none: Arc<str> = "".into();
        let names = shared.routes.iter().map(|route| &route.name).chain([&none]);
        let routes = names
            .map(|name| RouteMetrics::new(registry, name))
            .collect();
        self.generation.set(shared.generation);
        self.retire_endpoints(&shared);
        let names = shared.listeners.iter().map(|listener| &*listener.name);
        let names: Vec<&str> = names.collect();
        self.counters.retain_listeners(|name| names.contains(&name));
        *self.current.borrow_mut() = Rc::new(LocalSnapshot {
            shared: Arc::clone(&shared),
            listeners: shared.listeners.iter().cloned().map(Rc::new).collect(),
            pools,
            routes,
        });
        self.take_up_log();
    }

    fn local_pool(&self, old: &LocalSnapshot, pool: &Arc<Pool>) -> Rc<LocalPool> {
        // A pool that nothing changed about is the same object in both snapshots.
        let same = old
            .pools
            .iter()
            .find(|local| Arc::ptr_eq(&local.pool, pool));
        if let Some(same) = same {
            return Rc::clone(same);
        }
        let registry = self.counters.registry();
        let idle = registry.gauge(&names::IDLE_CONNECTIONS, [&pool.name]);
        let mut known = self.endpoints.borrow_mut();
        let endpoints = pool.endpoints.iter().map(|endpoint| {
            let key = (Arc::clone(&pool.name), Arc::clone(&endpoint.label));
            let local = known.entry(key).or_insert_with(|| {
                let idle = idle.clone();
                Rc::new(LocalEndpoint::new(&pool.shared, &endpoint.label, idle))
            });
            Rc::clone(local)
        });
        let build = || {
            // The names of pickers were checked when the snapshot was built.
            AnyPicker::build(&pool.picker, self.draw(), &self.shared.registered.pickers)
                .unwrap_or_else(|_| AnyPicker::Random(Default::default()))
        };
        let metrics = PoolMetrics::new(registry, pool);
        let endpoints = endpoints.collect();
        pool.shared.idle.show(self.index, idle.reader());
        Rc::new(LocalPool::new(
            Arc::clone(pool),
            self.index,
            endpoints,
            &build,
            metrics,
            self.siblings(),
        ))
    }

    /// How pools ask other workers for room. A wish that finds a full queue is lost.
    fn siblings(&self) -> Siblings {
        let shared = Arc::clone(&self.shared);
        Siblings::new(move |worker, request| {
            if let Some(place) = shared.workers.get(worker) {
                let _ = place.commands.try_send(Command::MakeRoom(request));
            }
        })
    }

    fn retire_endpoints(&self, snapshot: &Snapshot) {
        self.endpoints
            .borrow_mut()
            .retain(|(pool, address), local| {
                let stays = snapshot.pool(pool).is_some_and(|pool| {
                    let mut endpoints = pool.endpoints.iter();
                    endpoints.any(|endpoint| endpoint.label == *address)
                });
                if !stays {
                    // What is shared closes by itself, while the worker goes on.
                    let _ = local.retire();
                }
                stays
            });
    }
}
