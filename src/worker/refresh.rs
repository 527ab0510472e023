//! Use of a new snapshot: objects that kept their identity keep their state on this worker.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
    sync::Arc,
};

use super::{Command, Worker};
use crate::{
    state::{Listener, LocalSnapshot, RouteMetrics, Snapshot},
    upstream::{
        local::LocalPool, local_set::LocalEndpoints, picker::AnyPicker, pool::Pool, room::Siblings,
    },
};

impl Worker {
    /// Builds this worker's view of the newest snapshot; objects that kept their identity keep
    /// their state.
    ///
    /// Cheap if nothing changed: pools that are the same objects are reused as a whole, routes and
    /// endpoints with their metric handles.
    pub(crate) fn refresh(&self) {
        let shared = self.shared.snapshot();
        let old = Rc::clone(&self.current.borrow());
        let pools = shared
            .pools
            .iter()
            .map(|pool| self.local_pool(&old, pool))
            .collect();
        let routes = self.route_metrics(&old, &shared);
        self.generation.set(shared.generation);
        self.retire_pools(&shared);
        let names = shared.listeners.iter().map(|listener| &*listener.name);
        let names: HashSet<&str> = names.collect();
        self.counters.retain_listeners(|name| names.contains(name));
        *self.current.borrow_mut() = Rc::new(LocalSnapshot {
            worker: self.index,
            shared: Arc::clone(&shared),
            listeners: shared.listeners.iter().cloned().map(Rc::new).collect(),
            pools,
            filters: Rc::clone(&old.filters),
            routes,
        });
        self.take_up_log();
    }

    /// Returns the metric handles of the routes. They count by the indexes of listeners: where
    /// these moved, so do the counters. Only new routes are registered.
    fn route_metrics(&self, old: &LocalSnapshot, new: &Snapshot) -> Vec<Rc<RouteMetrics>> {
        let registry = self.counters.registry();
        let moved = moved(&old.shared, new);
        let known = old.routes.iter().map(|route| (route.name(), route));
        let known: HashMap<&str, &Rc<RouteMetrics>> = known.collect();
        let none: Arc<str> = "".into();
        let names = new.routes.iter().map(|route| &route.name).chain([&none]);
        let metrics: Vec<Rc<RouteMetrics>> = names
            .map(|name| match (known.get(&**name), &moved) {
                (Some(known), None) => Rc::clone(known),
                (Some(known), Some(moved)) => Rc::new(known.moved(moved)),
                (None, _) => Rc::new(RouteMetrics::new(registry, name)),
            })
            .collect();
        for (metrics, route) in metrics.iter().zip(&new.routes) {
            metrics.keep_limits(|per| route.filters.concurrency().any(|it| it.per() == per));
            metrics.keep_rules(|rule| route.filters.rate_rules().any(|it| *it.label == *rule));
        }
        if let Some(none) = metrics.last() {
            none.keep_rules(|rule| new.listener_rates().any(|it| *it.label == *rule));
        }
        metrics
    }

    fn local_pool(&self, old: &LocalSnapshot, pool: &Arc<Pool>) -> Rc<LocalPool> {
        // A pool that nothing changed about is the same object in both snapshots.
        if let Some(local) = old.pool(&pool.name)
            && Arc::ptr_eq(&local.pool, pool)
        {
            return Rc::clone(local);
        }
        let known = self.local_endpoints(pool);
        pool.shared.idle.show(self.index, known.idle().reader());
        let (spec, shared) = (pool.picker.clone(), Arc::clone(&self.shared));
        let build = move || {
            // The names of pickers were checked when the snapshot was built.
            AnyPicker::build(&spec, rand::random(), &shared.registered.pickers)
                .unwrap_or_else(|_| AnyPicker::Random(Default::default()))
        };
        let pool = Arc::clone(pool);
        Rc::new(LocalPool::new(
            pool,
            self.index,
            &known,
            build,
            self.siblings(),
        ))
    }

    /// Returns this worker's side of the endpoints of a pool; new ones if the pool is not the one
    /// that had the name before.
    fn local_endpoints(&self, pool: &Arc<Pool>) -> Rc<LocalEndpoints> {
        let mut endpoints = self.endpoints.borrow_mut();
        if let Some(known) = endpoints.get(&pool.name) {
            if Arc::ptr_eq(known.pool(), &pool.shared) {
                return Rc::clone(known);
            }
            let _ = known.retire_all();
        }
        let new = LocalEndpoints::new(&pool.shared, self.counters.registry());
        let new = Rc::new(new);
        endpoints.insert(Arc::clone(&pool.name), Rc::clone(&new));
        new
    }

    /// Returns the way for pools to ask other workers for room. A request that finds a full queue
    /// is lost.
    fn siblings(&self) -> Siblings {
        let shared = Arc::clone(&self.shared);
        Siblings::new(move |worker, request| {
            if let Some(place) = shared.workers.get(worker) {
                let _ = place.commands.try_send(Command::MakeRoom(request));
            }
        })
    }

    /// Closes the endpoints of removed pools.
    fn retire_pools(&self, new: &Snapshot) {
        self.endpoints.borrow_mut().retain(|name, known| {
            let stays = new.pool(name).is_some();
            if !stays {
                // What is shared closes by itself, while the worker goes on.
                let _ = known.retire_all();
            }
            stays
        });
    }
}

/// Returns the new index of each listener of the old snapshot, none for a removed one; nothing if
/// all kept theirs.
fn moved(old: &Snapshot, new: &Snapshot) -> Option<Vec<Option<u32>>> {
    let new: HashMap<&str, u32> = new
        .listeners
        .iter()
        .map(|it| (&*it.name, it.index))
        .collect();
    let listeners = old.listeners.iter();
    let stay = |it: &Arc<Listener>| new.get(&*it.name) == Some(&it.index);
    let places = listeners.clone().map(|it| new.get(&*it.name).copied());
    (!listeners.clone().all(stay)).then(|| places.collect())
}
