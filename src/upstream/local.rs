//! One worker's side of a pool: its pickers, and their input.
//!
//! Owned by the worker, so nothing here is shared or locked. The endpoints and the pickers are
//! updated when the pool has another endpoint set or another health picture, which a request
//! notices by comparing two numbers.

use std::{cell::RefCell, fmt, rc::Rc, sync::Arc, time::Duration};

use smallvec::SmallVec;
use tokio::time::Instant;

use super::{
    connect::Connections,
    endpoint::Endpoint,
    idle::LocalEndpoint,
    local_set::{LocalEndpoints, LocalSet},
    metrics::PoolMetrics,
    occupancy::Slots,
    pick::{MayTry, Pick, PickRequest, Picked, Regard},
    picker::{AnyPicker, EndpointIndex, PickInput, Picker as _},
    pool::{Pool, ViewIndex},
    room::{LeastRecent, Siblings},
    standing::Standing,
    tier::Choice,
    transport::Http1Connection,
    tried::Tried,
};
use crate::{
    memory,
    resilience::{BudgetWorker, KnownQuantiles},
};

/// One worker's side of a pool.
pub struct LocalPool {
    /// The configured pool.
    pub pool: Arc<Pool>,
    /// Number of this worker: its index into the cells of state shared by workers.
    pub(super) worker: usize,
    /// The newest endpoint set known to this worker. Borrowed for a step, never for long.
    pub(super) set: RefCell<LocalSet>,
    /// Its endpoints in this worker.
    known: Rc<LocalEndpoints>,
    pub(super) pickers: Box<dyn Fn() -> AnyPicker>,
    /// Counts upstream connections.
    pub(super) connections: Rc<Connections>,
    /// Order in which idle connections are closed to make room.
    pub(super) least_recent: LeastRecent,
    /// Exchanges whose place is taken when there is no room.
    pub standing: Rc<Standing>,
    /// The other workers, to ask for room.
    pub(super) siblings: Siblings,
    /// Counts the requests that retries are measured against.
    pub budget: BudgetWorker,
    /// Quantiles of the pool's times to a response head, as this worker knows them.
    pub(super) quantiles: KnownQuantiles,
    /// Metrics of the pool.
    pub metrics: PoolMetrics,
}

impl LocalPool {
    /// Builds the worker's side of `pool`. Removed endpoints are retired.
    pub fn new(
        pool: Arc<Pool>,
        worker: usize,
        known: &Rc<LocalEndpoints>,
        pickers: impl Fn() -> AnyPicker + 'static,
        siblings: Siblings,
    ) -> Self {
        let budget = pool.shared.budget.worker(worker);
        let metrics = known.metrics();
        Self {
            worker,
            set: RefCell::new(LocalSet::new(&pool, known)),
            known: Rc::clone(known),
            pickers: Box::new(pickers),
            connections: Connections::new(&pool.shared, &metrics.open),
            least_recent: LeastRecent::default(),
            standing: Rc::default(),
            siblings,
            budget,
            quantiles: KnownQuantiles::default(),
            metrics,
            pool,
        }
    }

    /// Switches to the newest endpoint set, if there is a newer one.
    pub fn follow(&self) {
        let set = &mut *self.set.borrow_mut();
        if set.serial != self.pool.endpoints.serial() {
            self.take_up(set);
        }
    }

    #[cold]
    fn take_up(&self, set: &mut LocalSet) {
        set.take_up(&self.pool, &self.known);
        self.least_recent.forget();
    }

    /// Chooses an untried endpoint of a view. Does not allocate unless the endpoint set or its
    /// health has changed, and does not wait.
    pub fn pick(
        self: &Rc<Self>,
        view: ViewIndex,
        request: &PickRequest<'_>,
        tried: &mut Tried,
    ) -> Picked {
        let set = &mut *self.set.borrow_mut();
        if set.serial != self.pool.endpoints.serial() {
            self.take_up(set);
        }
        let tried = tried.in_set(&set.shared);
        let Some(view) = set.narrowed(&self.pool, view, request.version) else {
            return Picked::Nobody;
        };
        let place = view.0 as usize;
        if set.is_behind(view) {
            set.update(&self.pool, view, &self.pickers);
        }
        set.views[place].hear(&set.loads);
        if !set.views[place].picture.probation.is_empty()
            && let Some(pick) = self.try_one(set, view, request, tried)
        {
            return Picked::Endpoint(pick);
        }
        let LocalSet {
            endpoints,
            loads,
            slots,
            views,
            ..
        } = &mut *set;
        let input = PickInput {
            now: request.now,
            draw: request.draw,
            key: request.key,
            tried,
            loads,
        };
        let mut full = false;
        for tier in &mut views[place].tiers {
            let Some(choice) = tier.choice(request.regard) else {
                continue;
            };
            let Some(mut index) = choice.picker.pick(&input) else {
                continue;
            };
            if !choice.ramps.is_empty() {
                index = choice.start_slowly(index, &input);
            }
            let endpoint = &endpoints[index.0 as usize];
            let pick = match self.reserve(endpoint) {
                Some(limited) => Pick::new(self, endpoint, limited, request.now),
                None => match self.next_with_room(endpoints, slots, choice, index, &input) {
                    Some(index) => Pick::new(self, &endpoints[index.0 as usize], true, request.now),
                    // The next tier may have room.
                    None => {
                        full = true;
                        continue;
                    }
                },
            };
            pick.begin();
            if endpoints.len() >= COLD_MIN {
                fetch_upcoming(endpoints, &choice.picker);
            }
            return Picked::Endpoint(pick);
        }
        if full {
            Picked::Full
        } else if request.regard == Regard::Anyone {
            self.pick_anyone(set, view, request, tried)
        } else if views[place].picture.pending {
            Picked::Pending
        } else {
            Picked::Nobody
        }
    }

    /// Waits while no endpoint may be picked, until that may have changed or the deadline has
    /// passed.
    pub async fn ready(&self, deadline: Instant) {
        let (serial, health) = {
            let set = self.set.borrow();
            (set.serial, Arc::clone(&set.shared.health))
        };
        let is_newest = || self.pool.endpoints.serial() == serial;
        health.ready(deadline, is_newest).await;
    }

    /// Last resort of a request that no healthy endpoint could serve: any untried endpoint, in the
    /// order of tiers, from a random one on. Pickers know the healthy ones only.
    #[cold]
    fn pick_anyone(
        self: &Rc<Self>,
        set: &LocalSet,
        view: ViewIndex,
        request: &PickRequest<'_>,
        tried: &[EndpointIndex],
    ) -> Picked {
        for members in &set.view(view).tiers {
            let first = usize::try_from(request.draw).unwrap_or(0) % members.len().max(1);
            let (before, from) = members.split_at(first);
            for index in from.iter().chain(before) {
                if tried.contains(index) || !self.may_be_used(set, view, *index) {
                    continue;
                }
                let endpoint = &set.endpoints[index.0 as usize];
                if let Some(pick) = self.take(endpoint, request.now) {
                    return Picked::Endpoint(pick);
                }
            }
        }
        Picked::Nobody
    }

    /// Returns true if an endpoint may be used: as a healthy one, or where health may be ignored.
    fn may_be_used(&self, set: &LocalSet, view: ViewIndex, index: EndpointIndex) -> bool {
        let picture = &set.views[view.0 as usize].picture;
        let usable = if self.pool.panic_threshold > 0.0 {
            picture.is_enabled(index)
        } else {
            picture.is_eligible(index)
        };
        usable && set.shared.has_weight(index)
    }

    /// Returns true if an endpoint of a view is left that may be used and is not among those
    /// `tried`.
    pub fn is_one_left(&self, view: ViewIndex, tried: impl Fn(&Endpoint) -> bool) -> bool {
        self.follow();
        let set = &*self.set.borrow();
        let mut members = set.shared.views[view.0 as usize].tiers.iter().flatten();
        members.any(|index| {
            let endpoint = set.shared.endpoint(*index);
            self.may_be_used(set, view, *index) && endpoint.is_some_and(|it| !tried(it))
        })
    }

    /// Calls `look` with this worker's sides of all endpoints. `look` must not pick among them.
    pub(super) fn with_endpoints<R>(&self, look: impl FnOnce(&[Rc<LocalEndpoint>]) -> R) -> R {
        look(&self.set.borrow().endpoints)
    }

    /// Maximum number of open upstream connections, over all workers; 0: no limit.
    pub(super) fn connections_max(&self) -> usize {
        let written = self.pool.limits.connections;
        written.unwrap_or_else(|| self.set.borrow().shared.connections_max)
    }

    /// Closes connections that have been idle for so long, or for as long as the pool allows; and
    /// those that have lived long enough.
    pub fn sweep(&self, now: Instant, idle: Duration) {
        self.follow();
        let idle = idle.min(self.pool.idle_timeout);
        self.with_endpoints(|endpoints| {
            for endpoint in endpoints {
                endpoint.sweep(now, idle, self.pool.lifetime);
            }
        });
    }

    /// Takes an endpoint; none if it has no room.
    pub(super) fn take(
        self: &Rc<Self>,
        endpoint: &Rc<LocalEndpoint>,
        now: Instant,
    ) -> Option<Pick> {
        let limited = self.reserve(endpoint)?;
        let pick = Pick::new(self, endpoint, limited, now);
        pick.begin();
        Some(pick)
    }

    /// Takes a place at the endpoint; returns whether it is counted, or none if there is no room.
    fn reserve(&self, endpoint: &LocalEndpoint) -> Option<bool> {
        let max = self.pool.limits.per_endpoint;
        if max == 0 {
            return Some(false);
        }
        let taken = endpoint.shared.take_place(max, &self.pool.shared.full);
        taken.then_some(true)
    }

    /// Returns true if any endpoint has room under `limits.per_endpoint`.
    pub(super) fn has_room(&self) -> bool {
        let slots = &self.set.borrow().slots;
        let full = &self.pool.shared.full;
        slots.find(slots.all(), full, 0, |_| true).is_some()
    }

    /// Returns another endpoint of the tier with room, if `full` has none: by the picker, if that
    /// finds one soon, else any with room. One step for 64 endpoints, no allocation.
    #[cold]
    fn next_with_room(
        &self,
        endpoints: &[Rc<LocalEndpoint>],
        slots: &Slots,
        choice: &mut Choice,
        full: EndpointIndex,
        input: &PickInput<'_>,
    ) -> Option<EndpointIndex> {
        let set = &self.pool.shared.full;
        let has_room = |_| true;
        slots.find(&choice.slots, set, input.draw, has_room)?;
        let mut tried: SmallVec<[EndpointIndex; 8]> = SmallVec::from_slice(input.tried);
        tried.push(full);
        let reserve = |index: EndpointIndex| self.reserve(&endpoints[index.0 as usize]).is_some();
        for _ in 0..PICKS_MAX {
            let index = choice.picker.pick(&PickInput {
                tried: &tried,
                ..*input
            })?;
            if reserve(index) {
                return Some(index);
            }
            tried.push(index);
        }
        slots.find(&choice.slots, set, input.draw, |index| {
            !input.tried.contains(&index) && reserve(index)
        })
    }

    /// Makes the request the trial of an endpoint on probation, if it may be one.
    #[cold]
    fn try_one(
        self: &Rc<Self>,
        set: &LocalSet,
        view: ViewIndex,
        request: &PickRequest<'_>,
        tried: &[EndpointIndex],
    ) -> Option<Pick> {
        let tiers = &set.view(view).tiers;
        let picture = &set.views[view.0 as usize].picture;
        picture.probation.iter().find_map(|index| {
            let member = tiers.iter().any(|tier| tier.contains(index));
            let overdue = || {
                let view = picture.endpoint(*index);
                view.is_some_and(|view| view.overdue)
            };
            let wanted = match request.trial {
                MayTry::No => false,
                MayTry::Overdue => overdue(),
                MayTry::Any => true,
            };
            if !member || !wanted || tried.contains(index) {
                return None;
            }
            let endpoint = &set.endpoints[index.0 as usize];
            let limited = self.reserve(endpoint)?;
            let Some(trial) = set.shared.health.try_take_trial(*index) else {
                if limited {
                    endpoint.shared.give_place_back(&self.pool.shared.full);
                }
                return None;
            };
            let mut pick = Pick::new(self, endpoint, limited, request.now);
            pick.trial = Some(trial);
            pick.begin();
            Some(pick)
        })
    }
}

impl fmt::Debug for LocalPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalPool")
            .field("pool", &self.pool.name)
            .field("worker", &self.worker)
            .finish_non_exhaustive()
    }
}

/// Prefetches the state of the next endpoints in turn into the cache, step by step: the place of a
/// connection is known only when its endpoint is there.
fn fetch_upcoming(endpoints: &[Rc<LocalEndpoint>], picker: &AnyPicker) {
    let upcoming = |after| {
        let index = picker.upcoming(after)?;
        endpoints.get(index.0 as usize)
    };
    if let Some(endpoint) = upcoming(2) {
        memory::prefetch(&**endpoint);
    }
    if let Some(endpoint) = upcoming(1) {
        endpoint.look_at_idle(Http1Connection::prefetch);
    }
    if let Some(endpoint) = upcoming(0) {
        endpoint.look_at_idle(Http1Connection::prefetch_rest);
        endpoint.load.prefetch();
        endpoint.prefetch_described();
    }
}

/// Number of picks after one that met a full endpoint; then any endpoint with room is taken.
const PICKS_MAX: usize = 3;
/// Number of endpoints from which the state of one has left the cache when its turn comes.
const COLD_MIN: usize = 64;
