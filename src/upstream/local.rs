//! One worker's side of a pool: its pickers, and what they pick from.
//!
//! Owned by the worker, so nothing here is shared or locked. The pickers are
//! rebuilt when the pool's health picture changes, which a request notices by
//! comparing one number.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use smallvec::SmallVec;
use tokio::time::Instant;

use super::{
    connect::Connections,
    health::Picture,
    idle::LocalEndpoint,
    metrics::PoolMetrics,
    occupancy::Slots,
    pick::{MayTry, Pick, PickRequest, Picked, Regard},
    picker::{AnyPicker, EndpointIndex, Load, LoadChanges, PickInput, Picker as _},
    pool::{Pool, ViewIndex},
    room::{LeastRecent, Siblings},
    standing::Standing,
    tier::{self, Choice, LocalTier},
    transport::Http1Connection,
};
use crate::{memory, resilience::BudgetWorker};

/// One worker's side of a pool, for one endpoint set.
#[derive(Debug)]
pub struct LocalPool {
    /// What the configuration says of it.
    pub pool: Arc<Pool>,
    /// Which worker this is; names its cells in what workers share.
    pub(super) worker: usize,
    endpoints: Vec<Rc<LocalEndpoint>>,
    pub(super) loads: Vec<Load>,
    /// Where those with room are found, while `limits.per_endpoint` is set.
    slots: Slots,
    views: Vec<RefCell<LocalView>>,
    /// Counts upstream connections.
    pub(super) connections: Rc<Connections>,
    /// Which idle connection makes room.
    pub(super) least_recent: LeastRecent,
    /// Whose place is taken where there is no room.
    pub standing: Rc<Standing>,
    /// The other workers, asked for room.
    pub(super) siblings: Siblings,
    /// Counts what retries are measured against.
    pub budget: BudgetWorker,
    /// What is counted of the pool.
    pub metrics: PoolMetrics,
}

#[derive(Debug)]
struct LocalView {
    serial: u64,
    picture: Arc<Picture>,
    tiers: Vec<LocalTier>,
    /// What the pickers have to be told; none if they do not look at loads.
    changes: Option<LoadChanges>,
}

impl LocalPool {
    /// Builds the worker's side of `pool` from its side of each endpoint.
    pub fn new(
        pool: Arc<Pool>,
        worker: usize,
        endpoints: Vec<Rc<LocalEndpoint>>,
        pickers: &dyn Fn() -> AnyPicker,
        metrics: PoolMetrics,
        siblings: Siblings,
    ) -> Self {
        let loads: Vec<Load> = endpoints
            .iter()
            .map(|endpoint| endpoint.load.clone())
            .collect();
        let budget = pool.shared.budget.worker(worker);
        let connections = Connections::new(&pool.shared, &metrics.open);
        let picture = pool.health.picture();
        let slots = match pool.limits.per_endpoint {
            0 => Slots::default(),
            _ => Slots::of(endpoints.iter().map(|endpoint| &*endpoint.shared)),
        };
        let views = pool
            .views
            .iter()
            .map(|view| {
                let tiers = view.tiers.iter().map(|_| LocalTier::new(pickers));
                let tiers: Vec<LocalTier> = tiers.collect();
                let follows = tiers.iter().any(LocalTier::follows_loads);
                let mut local = LocalView {
                    serial: picture.serial,
                    picture: Arc::clone(&picture),
                    changes: follows.then(|| LoadChanges::of(&loads)),
                    tiers,
                };
                tier::update(&mut local.tiers, &pool, view, &picture, &slots);
                RefCell::new(local)
            })
            .collect();
        Self {
            pool,
            worker,
            endpoints,
            loads,
            slots,
            views,
            connections,
            least_recent: LeastRecent::default(),
            standing: Rc::default(),
            siblings,
            budget,
            metrics,
        }
    }

    /// Chooses an endpoint of a view. Allocates nothing and waits for nothing.
    pub fn pick(self: &Rc<Self>, view: ViewIndex, request: &PickRequest<'_>) -> Picked {
        let mut local = self.views[view.0 as usize].borrow_mut();
        if local.serial != self.pool.health.serial() {
            local.picture = self.pool.health.picture();
            local.serial = local.picture.serial;
            local.update(&self.pool, view, &self.slots);
        }
        local.hear(&self.loads);
        if !local.picture.probation.is_empty()
            && let Some(pick) = self.try_one(&local, view, request)
        {
            return Picked::Endpoint(pick);
        }
        let input = PickInput {
            now: request.now,
            draw: request.draw,
            key: request.key,
            tried: request.tried,
            loads: &self.loads,
        };
        let mut full = false;
        for tier in &mut local.tiers {
            let Some(choice) = tier.choice(request.regard) else {
                continue;
            };
            let Some(index) = choice.picker.pick(&input) else {
                continue;
            };
            let pick = match self.reserve(index) {
                Some(limited) => Pick::new(self, index, limited, request.now),
                None => match self.next_with_room(choice, index, &input) {
                    Some(index) => Pick::new(self, index, true, request.now),
                    // The next tier may have room.
                    None => {
                        full = true;
                        continue;
                    }
                },
            };
            pick.begin();
            if self.endpoints.len() >= COLD_MIN {
                self.fetch_upcoming(&choice.picker);
            }
            return Picked::Endpoint(pick);
        }
        if full {
            Picked::Full
        } else if request.regard == Regard::Anyone {
            self.pick_anyone(&local, view, request)
        } else if local.picture.pending {
            Picked::Pending
        } else {
            Picked::Nobody
        }
    }

    /// Takes an endpoint that is not for the pickers to choose; none if it has no room.
    pub fn pick_pinned(self: &Rc<Self>, index: EndpointIndex, now: Instant) -> Option<Pick> {
        let pick = Pick::new(self, index, self.reserve(index)?, now);
        pick.begin();
        Some(pick)
    }

    /// The last resort of a request that nobody healthy could serve: any endpoint that was not
    /// tried, in the order of tiers, from a random one on. Pickers know the healthy only.
    #[cold]
    fn pick_anyone(
        self: &Rc<Self>,
        local: &LocalView,
        view: ViewIndex,
        request: &PickRequest<'_>,
    ) -> Picked {
        let tiers = &self.pool.views[view.0 as usize].tiers;
        for members in tiers {
            let first = usize::try_from(request.draw).unwrap_or(0) % members.len().max(1);
            let (before, from) = members.split_at(first);
            for index in from.iter().chain(before) {
                if request.tried.contains(index) || !self.may_be_used(local, *index) {
                    continue;
                }
                if let Some(limited) = self.reserve(*index) {
                    let pick = Pick::new(self, *index, limited, request.now);
                    pick.begin();
                    return Picked::Endpoint(pick);
                }
            }
        }
        Picked::Nobody
    }

    /// Whether an endpoint may be used at all: as a healthy one, or where health may be ignored.
    fn may_be_used(&self, local: &LocalView, index: EndpointIndex) -> bool {
        let usable = if self.pool.panic_threshold > 0.0 {
            local.picture.is_enabled(index)
        } else {
            local.picture.is_eligible(index)
        };
        usable && self.pool.endpoints[index.0 as usize].weight > 0
    }

    /// Whether an endpoint of a view is left that may be used and is none of those `tried`.
    pub fn is_one_left(&self, view: ViewIndex, tried: impl Fn(EndpointIndex) -> bool) -> bool {
        let local = self.views[view.0 as usize].borrow();
        let mut members = self.pool.views[view.0 as usize].tiers.iter().flatten();
        members.any(|index| self.may_be_used(&local, *index) && !tried(*index))
    }

    /// Has what belongs to those whose turn comes soon brought into the cache, step by step:
    /// where the connection of one lies is known when the endpoint itself is there.
    fn fetch_upcoming(&self, picker: &AnyPicker) {
        if let Some(index) = picker.upcoming(2) {
            memory::prefetch(&**self.endpoint(index));
        }
        if let Some(index) = picker.upcoming(1) {
            self.endpoint(index).look_at_idle(Http1Connection::prefetch);
        }
        if let Some(index) = picker.upcoming(0) {
            let endpoint = self.endpoint(index);
            endpoint.look_at_idle(Http1Connection::prefetch_rest);
            endpoint.load.prefetch();
        }
    }

    /// This worker's side of one endpoint.
    pub fn endpoint(&self, index: EndpointIndex) -> &Rc<LocalEndpoint> {
        &self.endpoints[index.0 as usize]
    }

    /// This worker's sides of all endpoints, by index.
    pub fn endpoints(&self) -> &[Rc<LocalEndpoint>] {
        &self.endpoints
    }

    /// Closes idle connections whose time is over.
    pub fn sweep(&self, now: Instant) {
        for endpoint in &self.endpoints {
            endpoint.sweep(now, self.pool.idle_timeout, self.pool.lifetime);
        }
    }

    /// Takes a place at the endpoint: whether it is a counted one; none if there is no room.
    fn reserve(&self, index: EndpointIndex) -> Option<bool> {
        let max = self.pool.limits.per_endpoint;
        if max == 0 {
            return Some(false);
        }
        let endpoint = &self.endpoints[index.0 as usize].shared;
        endpoint
            .take_place(max, &self.pool.shared.full)
            .then_some(true)
    }

    /// Whether any endpoint has room under `limits.per_endpoint`.
    pub(super) fn has_room(&self) -> bool {
        let full = &self.pool.shared.full;
        self.slots
            .find(self.slots.all(), full, 0, |_| true)
            .is_some()
    }

    /// Another endpoint of the tier with room, when `full` has none: by the picker, as long as
    /// that finds one soon, else whichever has room. One step for 64 endpoints, no allocation.
    #[cold]
    fn next_with_room(
        &self,
        choice: &mut Choice,
        full: EndpointIndex,
        input: &PickInput<'_>,
    ) -> Option<EndpointIndex> {
        let set = &self.pool.shared.full;
        let has_room = |_| true;
        self.slots.find(&choice.slots, set, input.draw, has_room)?;
        let mut tried: SmallVec<[EndpointIndex; 8]> = SmallVec::from_slice(input.tried);
        tried.push(full);
        for _ in 0..PICKS_MAX {
            let index = choice.picker.pick(&PickInput {
                tried: &tried,
                ..*input
            })?;
            if self.reserve(index).is_some() {
                return Some(index);
            }
            tried.push(index);
        }
        self.slots.find(&choice.slots, set, input.draw, |index| {
            !input.tried.contains(&index) && self.reserve(index).is_some()
        })
    }

    /// Makes the request the trial of an endpoint on probation, if it may be that.
    #[cold]
    fn try_one(
        self: &Rc<Self>,
        local: &LocalView,
        view: ViewIndex,
        request: &PickRequest<'_>,
    ) -> Option<Pick> {
        let tiers = &self.pool.views[view.0 as usize].tiers;
        local.picture.probation.iter().find_map(|index| {
            let member = tiers.iter().any(|tier| tier.contains(index));
            let overdue = || {
                let view = local.picture.endpoint(*index);
                view.is_some_and(|view| view.overdue)
            };
            let wanted = match request.trial {
                MayTry::No => false,
                MayTry::Overdue => overdue(),
                MayTry::Any => true,
            };
            if !member || !wanted || request.tried.contains(index) {
                return None;
            }
            let limited = self.reserve(*index)?;
            let Some(trial) = self.pool.health.try_take_trial(*index) else {
                if limited {
                    let endpoint = &self.endpoint(*index).shared;
                    endpoint.give_place_back(&self.pool.shared.full);
                }
                return None;
            };
            let mut pick = Pick::new(self, *index, limited, request.now);
            pick.trial = Some(trial);
            pick.begin();
            Some(pick)
        })
    }
}

impl LocalView {
    /// Tells the pickers whose load changed since the last pick.
    fn hear(&mut self, loads: &[Load]) {
        let Some(changes) = &self.changes else {
            return;
        };
        changes.drain(|index| {
            for tier in &mut self.tiers {
                tier.load_changed(index, loads);
            }
        });
    }

    /// Tells the pickers who may be picked now.
    fn update(&mut self, pool: &Pool, view: ViewIndex, slots: &Slots) {
        let view = &pool.views[view.0 as usize];
        tier::update(&mut self.tiers, pool, view, &self.picture, slots);
    }
}

/// Picks after one that met a full endpoint; then any endpoint with room will do.
const PICKS_MAX: usize = 3;
/// With so many endpoints what belongs to one has left the cache when its turn comes.
const COLD_MIN: usize = 64;
