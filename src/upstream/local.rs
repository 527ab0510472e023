//! One worker's side of a pool: its pickers, and what they pick from.
//!
//! Owned by the worker, so nothing here is shared or locked. The pickers are
//! rebuilt when the pool's health picture changes, which a request notices by
//! comparing one number.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    connect::Connections,
    health::{Outcome, Picture, ProbeRequest},
    idle::LocalEndpoint,
    metrics::PoolMetrics,
    picker::{AnyPicker, Candidate, EndpointIndex, Load, LoadChanges, PickInput, Picker as _},
    pool::{Pool, View, ViewIndex},
    room::{LeastRecent, Siblings},
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
    loads: Vec<Load>,
    views: Vec<RefCell<LocalView>>,
    /// Counts upstream connections.
    pub(super) connections: Rc<Connections>,
    /// Which idle connection makes room.
    pub(super) least_recent: LeastRecent,
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
    tiers: Vec<AnyPicker>,
    /// What the pickers have to be told; none if they do not look at loads.
    changes: Option<LoadChanges>,
}

/// What the choice of an endpoint may depend on.
#[derive(Clone, Copy, Debug)]
pub struct PickRequest<'a> {
    /// Now.
    pub now: Instant,
    /// A uniform random draw.
    pub draw: u64,
    /// What the request hashes to.
    pub key: Option<u64>,
    /// Endpoints that failed this exchange already, or have no room.
    pub tried: &'a [EndpointIndex],
    /// Whether this request may be the one that tests an endpoint after its ejection.
    pub may_probe: bool,
}

/// The outcome of a pick.
#[derive(Debug)]
pub enum Picked {
    /// An endpoint, held until the [`Pick`] is dropped.
    Endpoint(Pick),
    /// Nobody may be picked yet: first health checks are under way.
    Pending,
    /// Nobody can serve.
    Nobody,
    /// All that could serve have `limits.per_endpoint` attempts under way.
    Full,
}

/// A picked endpoint: counts as load until it is finished or dropped.
#[derive(Debug)]
pub struct Pick {
    /// The pool it was picked from.
    pub pool: Rc<LocalPool>,
    /// Which endpoint.
    pub index: EndpointIndex,
    probe: Option<ProbeRequest>,
    limited: bool,
    started: Instant,
    finished: bool,
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
        let views = pool
            .views
            .iter()
            .map(|view| {
                let tiers: Vec<AnyPicker> = view.tiers.iter().map(|_| pickers()).collect();
                let follows = tiers.iter().any(AnyPicker::follows_loads);
                let mut local = LocalView {
                    serial: picture.serial,
                    picture: Arc::clone(&picture),
                    changes: follows.then(|| LoadChanges::of(&loads)),
                    tiers,
                };
                local.update(&pool, view);
                RefCell::new(local)
            })
            .collect();
        Self {
            pool,
            worker,
            endpoints,
            loads,
            views,
            connections,
            least_recent: LeastRecent::default(),
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
            local.update(&self.pool, &self.pool.views[view.0 as usize]);
        }
        local.hear(&self.loads);
        if request.may_probe
            && let Some(pick) = self.probe(&local, view, request)
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
        for picker in &mut local.tiers {
            let Some(index) = picker.pick(&input) else {
                continue;
            };
            let pick = match self.reserve(index) {
                Some(limited) => Pick::new(self, index, limited, request.now),
                None => match self.next_with_room(picker, &input) {
                    Some(index) => Pick::new(self, index, true, request.now),
                    None => return Picked::Full,
                },
            };
            pick.begin();
            if self.endpoints.len() >= COLD_MIN {
                self.fetch_upcoming(picker);
            }
            return Picked::Endpoint(pick);
        }
        if local.picture.pending {
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
        let shared = &self.endpoints[index.0 as usize].shared;
        shared.requests.try_take(max).then_some(true)
    }

    /// Any other endpoint of the tier with room; only when one met `limits.per_endpoint`.
    fn next_with_room(
        &self,
        picker: &mut AnyPicker,
        input: &PickInput<'_>,
    ) -> Option<EndpointIndex> {
        let mut tried: Vec<EndpointIndex> = input.tried.to_vec();
        for _ in 0..self.endpoints.len() {
            let index = picker.pick(&PickInput {
                tried: &tried,
                ..*input
            })?;
            if self.reserve(index).is_some() {
                return Some(index);
            }
            tried.push(index);
        }
        None
    }

    fn probe(
        self: &Rc<Self>,
        local: &LocalView,
        view: ViewIndex,
        request: &PickRequest<'_>,
    ) -> Option<Pick> {
        let tiers = &self.pool.views[view.0 as usize].tiers;
        local.picture.probation.iter().find_map(|index| {
            let member = tiers.iter().any(|tier| tier.contains(index));
            if !member || request.tried.contains(index) {
                return None;
            }
            let limited = self.reserve(*index)?;
            let Some(probe) = self.pool.health.try_take_probe(*index) else {
                if limited {
                    self.endpoint(*index).shared.requests.give_back();
                }
                return None;
            };
            let mut pick = Pick::new(self, *index, limited, request.now);
            pick.probe = Some(probe);
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
            for picker in &mut self.tiers {
                picker.load_changed(index, loads);
            }
        });
    }

    /// Tells the pickers who may be picked now.
    fn update(&mut self, pool: &Pool, view: &View) {
        for (members, picker) in view.tiers.iter().zip(&mut self.tiers) {
            let candidates: Vec<Candidate> = members
                .iter()
                .filter(|index| self.picture.is_eligible(**index))
                .map(|index| {
                    let endpoint = &pool.endpoints[index.0 as usize];
                    Candidate {
                        index: *index,
                        weight: endpoint.weight,
                        key: endpoint.key(),
                    }
                })
                .filter(|candidate| candidate.weight > 0)
                .collect();
            picker.update(&candidates);
        }
    }
}

impl Pick {
    fn new(pool: &Rc<LocalPool>, index: EndpointIndex, limited: bool, started: Instant) -> Self {
        Self {
            pool: Rc::clone(pool),
            index,
            probe: None,
            limited,
            started,
            finished: false,
        }
    }

    fn begin(&self) {
        let pool = &self.pool;
        pool.loads[self.index.0 as usize].started();
        pool.metrics.picks[self.index.0 as usize].inc();
    }

    /// What a response turned out to be at its end: passive health hears of it.
    pub fn observe_end(&self, now: Instant, outcome: Outcome) {
        let health = &self.pool.pool.health;
        health.observe(self.pool.worker, self.index, outcome, now);
    }

    /// The attempt brought a head that does not say yet how it ends: the pickers hear of
    /// its time, and passive health hears of it at its end. False if this request tests an
    /// endpoint after its ejection, which does not wait that long.
    pub fn observe_head(&mut self, now: Instant) -> bool {
        if self.probe.is_some() {
            return false;
        }
        self.finished = true;
        let load = &self.pool.loads[self.index.0 as usize];
        load.observe(now, now - self.started, false, None);
        true
    }

    /// The endpoint as the configuration gives it.
    pub fn endpoint(&self) -> &super::endpoint::Endpoint {
        &self.pool.pool.endpoints[self.index.0 as usize]
    }

    /// The attempt brought an answer, or failed by the endpoint's fault: pickers and
    /// passive health hear of it. The endpoint stays loaded until the drop.
    pub fn observe(&mut self, now: Instant, outcome: Outcome, retry_after: Option<Duration>) {
        self.finished = true;
        let failed = outcome == Outcome::Failure;
        let load = &self.pool.loads[self.index.0 as usize];
        load.observe(now, now - self.started, failed, retry_after);
        match self.probe.take() {
            Some(probe) => probe.finish(outcome, now),
            None => self
                .pool
                .pool
                .health
                .observe(self.pool.worker, self.index, outcome, now),
        }
    }
}

impl Drop for Pick {
    fn drop(&mut self) {
        let pool = &self.pool;
        let load = &pool.loads[self.index.0 as usize];
        if self.finished {
            load.ended();
        } else {
            let now = Instant::now();
            load.abandoned(now, now - self.started);
        }
        if self.limited {
            pool.endpoint(self.index).shared.requests.give_back();
            pool.pool.shared.tell_freed();
        }
    }
}

/// With so many endpoints what belongs to one has left the cache when its turn comes.
const COLD_MIN: usize = 64;
