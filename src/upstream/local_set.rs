//! One worker's side of an endpoint set: the input of its pickers.
//!
//! Follows the newest set of the pool. A switch costs a comparison for each unchanged endpoint, and
//! more work only for the changed ones; pickers are then told.

use std::{
    cell::RefCell,
    collections::HashMap,
    rc::{Rc, Weak},
    sync::Arc,
};

use semver::VersionReq;

use super::{
    derived::DerivedViews,
    endpoint::Endpoint,
    endpoint_metrics::EndpointMetrics,
    endpoint_set::{EndpointSet, View},
    health::{EndpointHealth, Picture},
    idle::{Described, LocalEndpoint},
    metrics::PoolMetrics,
    occupancy::Slots,
    picker::{AnyPicker, EndpointIndex, Load, LoadChanges},
    pool::{Pool, ViewIndex},
    shared::PoolShared,
    tier::{self, LocalTier},
    transport::Closing,
};
use crate::telemetry::metrics::{Gauge, Histogram, WorkerMetrics, names};

/// One worker's sides of the endpoints of a pool, by address: they outlive sets and reloads.
#[derive(Debug)]
pub struct LocalEndpoints {
    pool: Arc<PoolShared>,
    registry: WorkerMetrics,
    idle: Gauge,
    known: RefCell<HashMap<Arc<str>, Rc<LocalEndpoint>>>,
    /// Histograms by version, since endpoints of one version count together. Dropped with the last
    /// of them.
    durations: RefCell<HashMap<Option<Arc<str>>, Weak<Histogram>>>,
    /// Handles of the endpoints without series of their own.
    folded: RefCell<Weak<EndpointMetrics>>,
}

/// One worker's side of an endpoint set.
#[derive(Debug)]
pub(super) struct LocalSet {
    pub(super) serial: u64,
    pub(super) shared: Arc<EndpointSet>,
    /// By [`EndpointIndex`], like the loads.
    pub(super) endpoints: Vec<Rc<LocalEndpoint>>,
    pub(super) loads: Vec<Load>,
    /// Index of the endpoints with room, while `limits.per_endpoint` is set.
    pub(super) slots: Slots,
    /// Of the set's views, and behind them of the derived ones.
    pub(super) views: Vec<LocalView>,
    /// Views by versions that clients ask for.
    derived: DerivedViews,
}

/// One worker's pickers for a view.
#[derive(Debug)]
pub(super) struct LocalView {
    /// Serial of the picture that the pickers know; none until they know the set.
    serial: Option<u64>,
    pub(super) picture: Arc<Picture>,
    pub(super) tiers: Vec<LocalTier>,
    /// Changes of load to report to the pickers; none if they do not use loads.
    changes: Option<LoadChanges>,
}

impl LocalEndpoints {
    /// Makes the state without endpoints.
    pub fn new(pool: &Arc<PoolShared>, registry: &WorkerMetrics) -> Self {
        Self {
            pool: Arc::clone(pool),
            registry: registry.clone(),
            idle: registry.gauge(&names::IDLE_CONNECTIONS, [&pool.name]),
            known: RefCell::default(),
            durations: RefCell::default(),
            folded: RefCell::default(),
        }
    }

    /// Returns the requests in flight by address, where there are any.
    pub fn in_flight(&self) -> Vec<(Arc<str>, u32)> {
        let known = self.known.borrow();
        let loads = known.iter().map(|(address, endpoint)| {
            let in_flight = endpoint.load.in_flight();
            (Arc::clone(address), in_flight)
        });
        loads.filter(|(_, in_flight)| *in_flight > 0).collect()
    }

    /// Returns the pool's part of the registry.
    pub fn pool(&self) -> &Arc<PoolShared> {
        &self.pool
    }

    /// Gauge of the pool's idle connections.
    pub fn idle(&self) -> &Gauge {
        &self.idle
    }

    /// Retires all endpoints, as the pool was removed or the worker ends. Returns handles that tell
    /// when shared connections have closed.
    pub fn retire_all(&self) -> Vec<Closing> {
        let known = std::mem::take(&mut *self.known.borrow_mut());
        known.values().flat_map(|local| local.retire()).collect()
    }

    /// Retires the endpoints that are not in this set.
    pub(super) fn retire_others(&self, set: &EndpointSet) {
        self.known.borrow_mut().retain(|address, local| {
            let stays = set.find(address).is_some();
            if !stays {
                // What is shared closes by itself, while the worker goes on.
                let _ = local.retire();
            }
            stays
        });
    }

    fn retire(&self, address: &str) {
        if let Some(local) = self.known.borrow_mut().remove(address) {
            let _ = local.retire();
        }
    }

    /// Returns the worker's side of an endpoint, with its new description.
    fn meet(&self, endpoint: &Arc<Endpoint>, health: &Arc<EndpointHealth>) -> Rc<LocalEndpoint> {
        let mut known = self.known.borrow_mut();
        let same = known.get(&endpoint.label);
        let described = Rc::new(Described {
            pool: Arc::clone(&self.pool.name),
            endpoint: Arc::clone(endpoint),
            health: Arc::clone(health),
            durations: self.durations(endpoint.version_label.as_ref()),
            metrics: match same {
                Some(local) => Rc::clone(&local.metrics),
                None => self.metrics_of(&endpoint.label),
            },
        });
        if let Some(local) = same {
            local.describe(described);
            return Rc::clone(local);
        }
        let local = LocalEndpoint::new(&self.pool, described, self.idle.clone());
        let local = Rc::new(local);
        known.insert(Arc::clone(&endpoint.label), Rc::clone(&local));
        local
    }

    fn metrics_of(&self, address: &Arc<str>) -> Rc<EndpointMetrics> {
        let (worker, pool) = (&self.registry, &self.pool.name);
        if worker.admits_endpoint(pool, address) {
            return Rc::new(EndpointMetrics::new(worker, pool, address));
        }
        let mut folded = self.folded.borrow_mut();
        folded.upgrade().unwrap_or_else(|| {
            let made = Rc::new(EndpointMetrics::new(worker, pool, &Arc::from("other")));
            *folded = Rc::downgrade(&made);
            made
        })
    }

    fn durations(&self, version: Option<&Arc<str>>) -> Rc<Histogram> {
        let mut durations = self.durations.borrow_mut();
        let version = version.cloned();
        if let Some(known) = durations.get(&version).and_then(Weak::upgrade) {
            return known;
        }
        durations.retain(|_, histogram| histogram.strong_count() > 0);
        let labels = [&*self.pool.name, version.as_deref().unwrap_or_default()];
        let histogram = self
            .registry
            .histogram(&names::ATTEMPT_DURATION_SECONDS, labels);
        let histogram = Rc::new(histogram);
        durations.insert(version, Rc::downgrade(&histogram));
        histogram
    }

    /// Returns the other metrics of the worker about the pool.
    pub fn metrics(&self) -> PoolMetrics {
        PoolMetrics::new(&self.registry, &self.pool.name)
    }
}

impl LocalSet {
    /// A worker's side of the newest set of a pool.
    pub(super) fn new(pool: &Pool, known: &LocalEndpoints) -> Self {
        let newest = pool.endpoint_set();
        let mut set = Self {
            serial: newest.serial,
            endpoints: Vec::with_capacity(newest.endpoints.len()),
            loads: Vec::with_capacity(newest.endpoints.len()),
            slots: Slots::default(),
            views: Vec::new(),
            derived: DerivedViews::default(),
            shared: newest,
        };
        set.meet(None, known);
        known.retire_others(&set.shared);
        set.renew_views(pool);
        set
    }

    /// Switches to the newest set of the pool.
    pub(super) fn take_up(&mut self, pool: &Pool, known: &LocalEndpoints) {
        let newest = pool.endpoint_set();
        self.serial = newest.serial;
        let before = std::mem::replace(&mut self.shared, newest);
        self.meet(Some(&before), known);
        self.renew_views(pool);
    }

    /// Adds the endpoints that differ from the set before, and retires removed ones.
    fn meet(&mut self, before: Option<&EndpointSet>, known: &LocalEndpoints) {
        let before = before.map_or(&[][..], |before| &before.endpoints);
        let set = Arc::clone(&self.shared);
        self.endpoints.truncate(set.endpoints.len());
        self.loads.truncate(set.endpoints.len());
        for (at, endpoint) in set.endpoints.iter().enumerate() {
            if before.get(at).is_some_and(|old| Arc::ptr_eq(old, endpoint)) {
                continue;
            }
            let index = EndpointIndex(u32::try_from(at).unwrap_or(u32::MAX));
            // The view of health is made of the same endpoints as the set.
            let Some(health) = set.health.endpoint(index) else {
                continue;
            };
            let local = known.meet(endpoint, health);
            let load = local.load.clone();
            match self.endpoints.get_mut(at) {
                Some(place) => {
                    *place = local;
                    self.loads[at] = load;
                }
                None => {
                    self.endpoints.push(local);
                    self.loads.push(load);
                }
            }
        }
        let stays = |at: usize, old: &Arc<Endpoint>| {
            let same = set.endpoints.get(at);
            same.is_some_and(|same| Arc::ptr_eq(same, old)) || set.find(&old.label).is_some()
        };
        let all = before.iter().enumerate();
        for (_, gone) in all.filter(|(at, old)| !stays(*at, old)) {
            known.retire(&gone.label);
        }
    }

    /// Returns true if the pickers of a view do not know the newest set or health.
    pub(super) fn is_behind(&self, view: ViewIndex) -> bool {
        self.views[view.0 as usize].serial != Some(self.shared.health.serial())
    }

    /// A view of the set, or a derived one.
    pub(super) fn view(&self, view: ViewIndex) -> &View {
        view_of(&self.shared, &self.derived, view)
    }

    /// Returns the view of those endpoints of a view that a request may go to; none if there are none.
    pub(super) fn narrowed(
        &mut self,
        pool: &Pool,
        base: ViewIndex,
        wanted: Option<&VersionReq>,
    ) -> Option<ViewIndex> {
        match wanted {
            None => Some(base),
            Some(wanted) => self.derive(pool, base, wanted),
        }
    }

    /// Returns the view of those endpoints of a view whose version meets a further requirement; none
    /// if there are none.
    #[cold]
    fn derive(&mut self, pool: &Pool, base: ViewIndex, wanted: &VersionReq) -> Option<ViewIndex> {
        let place = self.derived.find(&self.shared, &pool.rules, base, wanted)?;
        let index = self.shared.views.len() + place.index;
        if place.is_new {
            let fresh = LocalView::new(self.shared.health.picture());
            match self.views.get_mut(index) {
                Some(view) => *view = fresh,
                None => self.views.push(fresh),
            }
        }
        u32::try_from(index).ok().map(ViewIndex)
    }

    /// Tells the pickers of a view which endpoints may be picked now.
    pub(super) fn update(&mut self, pool: &Pool, view: ViewIndex, pickers: &dyn Fn() -> AnyPicker) {
        let local = &mut self.views[view.0 as usize];
        let view = view_of(&self.shared, &self.derived, view);
        if local.serial.is_none() {
            local
                .tiers
                .resize_with(view.tiers.len(), || LocalTier::new(pickers));
            let follows = local.tiers.iter().any(LocalTier::follows_loads);
            local.changes = follows.then(|| LoadChanges::of(&self.loads));
        }
        local.picture = self.shared.health.picture();
        local.serial = Some(local.picture.serial);
        tier::update(
            &mut local.tiers,
            pool,
            &self.shared,
            view,
            &local.picture,
            &self.slots,
        );
    }

    /// Takes up the views of a new set. Their pickers hear of it one view at a time, each before
    /// its next pick, so that a pool with many views stalls for one.
    fn renew_views(&mut self, pool: &Pool) {
        self.slots = match pool.limits.per_endpoint {
            0 => Slots::default(),
            _ => Slots::of(self.endpoints.iter().map(|endpoint| &*endpoint.shared)),
        };
        let picture = self.shared.health.picture();
        let known = self.shared.views.len();
        self.derived.clear();
        self.views.truncate(known);
        self.views
            .resize_with(known, || LocalView::new(Arc::clone(&picture)));
        for local in &mut self.views {
            local.serial = None;
            local.picture = Arc::clone(&picture);
        }
    }
}

fn view_of<'s>(set: &'s EndpointSet, derived: &'s DerivedViews, view: ViewIndex) -> &'s View {
    let place = view.0 as usize;
    match set.views.get(place) {
        Some(view) => view,
        None => derived.get(place - set.views.len()),
    }
}

impl LocalView {
    fn new(picture: Arc<Picture>) -> Self {
        Self {
            serial: None,
            picture,
            tiers: Vec::new(),
            changes: None,
        }
    }

    /// Reports the loads that changed since the last pick to the pickers.
    pub(super) fn hear(&mut self, loads: &[Load]) {
        let Some(changes) = &self.changes else {
            return;
        };
        changes.drain(|index| {
            for tier in &mut self.tiers {
                tier.load_changed(index, loads);
            }
        });
    }
}
