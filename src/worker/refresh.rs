//! Taking up a new snapshot: what kept its identity keeps its state on this worker.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
    sync::Arc,
};

use super::{Command, Worker};
use crate::{
    state::{LocalSnapshot, RouteMetrics, Snapshot},
    telemetry::metrics::names,
    upstream::{
        idle::LocalEndpoint, local::LocalPool, metrics::PoolMetrics, picker::AnyPicker, pool::Pool,
        room::Siblings,
    },
};

impl Worker {
    /// Builds this worker's view of the newest snapshot; what kept its identity keeps its state.
    ///
    /// Costs little where nothing changed: pools that are the same objects are taken over
    /// whole, routes and endpoints with their metric handles.
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
        self.retire_endpoints(&old, &shared);
        let names = shared.listeners.iter().map(|listener| &*listener.name);
        let names: HashSet<&str> = names.collect();
        self.counters.retain_listeners(|name| names.contains(name));
        *self.current.borrow_mut() = Rc::new(LocalSnapshot {
            shared: Arc::clone(&shared),
            listeners: shared.listeners.iter().cloned().map(Rc::new).collect(),
            pools,
            routes,
        });
        self.take_up_log();
    }

    /// The metric handles of the routes. They count by the places of listeners, so they are
    /// taken over only where these are the same.
    fn route_metrics(&self, old: &LocalSnapshot, new: &Snapshot) -> Vec<Rc<RouteMetrics>> {
        let registry = self.counters.registry();
        let (before, after) = (&old.shared.listeners, &new.listeners);
        let same =
            before.len() == after.len() && before.iter().zip(after).all(|(a, b)| a.name == b.name);
        let known: HashMap<&str, &Rc<RouteMetrics>> = if same {
            old.routes
                .iter()
                .map(|route| (route.name(), route))
                .collect()
        } else {
            HashMap::new()
        };
        let none: Arc<str> = "".into();
        let names = new.routes.iter().map(|route| &route.name).chain([&none]);
        names
            .map(|name| match known.get(&**name) {
                Some(known) => Rc::clone(known),
                None => Rc::new(RouteMetrics::new(registry, name)),
            })
            .collect()
    }

    fn local_pool(&self, old: &LocalSnapshot, pool: &Arc<Pool>) -> Rc<LocalPool> {
        // A pool that nothing changed about is the same object in both snapshots.
        let pools = &old.pools;
        let place = pools.binary_search_by(|local| local.pool.name.cmp(&pool.name));
        if let Ok(place) = place
            && Arc::ptr_eq(&pools[place].pool, pool)
        {
            return Rc::clone(&pools[place]);
        }
        let registry = self.counters.registry();
        let idle = registry.gauge(&names::IDLE_CONNECTIONS, [&pool.name]);
        let mut known = self.endpoints.borrow_mut();
        let endpoints = pool.endpoints.iter().map(|endpoint| {
            let key = (Arc::clone(&pool.name), Arc::clone(&endpoint.label));
            let local = known.entry(key).or_insert_with(|| {
                let labels = [&*pool.name, &*endpoint.label];
                let picks = registry.counter(&names::PICKS_TOTAL, labels);
                let local = LocalEndpoint::new(&pool.shared, &endpoint.label, idle.clone(), picks);
                Rc::new(local)
            });
            Rc::clone(local)
        });
        let build = || {
            // The names of pickers were checked when the snapshot was built.
            AnyPicker::build(&pool.picker, self.draw(), &self.shared.registered.pickers)
                .unwrap_or_else(|_| AnyPicker::Random(Default::default()))
        };
        let endpoints: Vec<Rc<LocalEndpoint>> = endpoints.collect();
        let picks = endpoints.iter().map(|endpoint| endpoint.picks.clone());
        let metrics = PoolMetrics::new(registry, pool, picks.collect());
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

    fn retire_endpoints(&self, old: &LocalSnapshot, new: &Snapshot) {
        let is_same = |pool: &Arc<Pool>| {
            let newest = new.pool(&pool.name);
            newest.is_some_and(|newest| Arc::ptr_eq(newest, pool))
        };
        let changed = old.pools.iter().filter(|local| !is_same(&local.pool));
        // The endpoints that each changed pool still has.
        let changed: HashMap<Arc<str>, HashSet<&str>> = changed
            .map(|local| {
                let name = &local.pool.name;
                let newest = new.pool(name).into_iter();
                let endpoints = newest.flat_map(|pool| &pool.endpoints);
                let labels = endpoints.map(|endpoint| &*endpoint.label);
                (Arc::clone(name), labels.collect())
            })
            .collect();
        if changed.is_empty() {
            return;
        }
        self.endpoints
            .borrow_mut()
            .retain(|(pool, address), local| {
                let stays = changed
                    .get(pool)
                    .is_none_or(|endpoints| endpoints.contains(&**address));
                if !stays {
                    // What is shared closes by itself, while the worker goes on.
                    let _ = local.retire();
                }
                stays
            });
    }
}
