//! A worker's own view of a snapshot: its side of each pool, its metric handles.
//!
//! Passed from exchange to exchange by a plain reference count, so that no counter that other
//! workers write is touched on the request path.

use std::{rc::Rc, sync::Arc};

use super::{Action, Listener, Snapshot};
use crate::{
    filter::LocalStates,
    route::RouteIndex,
    state::RouteMetrics,
    upstream::{local::LocalPool, pool::PoolIndex},
};

/// A worker's own reference to a listener: every exchange holds one, and a count shared by workers
/// would move between their caches.
pub type LocalListener = Rc<Arc<Listener>>;

/// One worker's view of a snapshot.
#[derive(Debug)]
pub struct LocalSnapshot {
    /// Number of the worker.
    pub(crate) worker: usize,
    /// Snapshot shared by all workers.
    pub shared: Arc<Snapshot>,
    /// The listeners, in the order of the snapshot.
    pub listeners: Vec<LocalListener>,
    /// This worker's side of each pool, by `PoolIndex`.
    pub pools: Vec<Rc<LocalPool>>,
    /// State of filters of an embedding program on this worker, by their numbers.
    pub(crate) filters: Rc<[LocalStates]>,
    /// This worker's metric handles of each route, by `RouteIndex`; the last is for no route.
    pub(crate) routes: Vec<Rc<RouteMetrics>>,
}

impl LocalSnapshot {
    /// Returns the part needed at the end of an exchange that was decided long ago: the route, as
    /// the only one, and these pools in this order.
    pub(crate) fn only(&self, route: RouteIndex, pools: &[PoolIndex]) -> Self {
        let places = pools.iter().map(|pool| pool.0 as usize);
        let metrics = [self.routes.get(route.0 as usize), self.routes.last()];
        Self {
            worker: self.worker,
            shared: Arc::new(self.shared.only(route, pools)),
            listeners: Vec::new(),
            filters: Rc::clone(&self.filters),
            pools: places
                .filter_map(|place| self.pools.get(place).cloned())
                .collect(),
            routes: metrics.into_iter().flatten().cloned().collect(),
        }
    }

    /// Returns the pool of this name. Not for the result of [`Self::only`].
    pub(crate) fn pool(&self, name: &str) -> Option<&Rc<LocalPool>> {
        // They are in the order of their names.
        let place = self
            .pools
            .binary_search_by(|pool| (*pool.pool.name).cmp(name));
        place.ok().map(|place| &self.pools[place])
    }

    /// Returns the pool that a route names, if it names one alone.
    pub(crate) fn pool_of(&self, route: RouteIndex) -> Option<PoolIndex> {
        match self.shared.routes.get(route.0 as usize)?.action {
            Action::Pool(pool, _) => Some(pool),
            Action::Split(_) | Action::Rollout(_) | Action::Redirect(_) | Action::Respond(_) => {
                None
            }
        }
    }
}
