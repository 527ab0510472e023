//! Room for one more connection when `limits.connections` of the pool is reached.
//!
//! The limit counts idle connections, and these belong to workers. So at the limit an idle one
//! makes room: the one that this worker used least recently, else that of another worker, which is
//! asked for it and sends its place; last comes an exchange whose client stands still
//! ([`super::standing`]). All of this happens at the limit only; an ordinary request does no extra
//! counting for it.

use std::{
    cell::RefCell,
    cmp::Reverse,
    fmt,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use super::{
    acquire::Claim,
    connect::ConnectionGuard,
    freed::Limit,
    idle::LocalEndpoint,
    local::LocalPool,
    picker::EndpointIndex,
    shared::PoolShared,
    standing::{Dismissal, Held},
};
use crate::{task, telemetry::metrics::GaugeReader, timer};

/// A place among the connections of a pool that is not used by a connection; released on drop.
#[derive(Debug)]
pub struct Place(Option<Arc<PoolShared>>);

/// One worker's request for a place. If it is not answered, it is dropped.
#[derive(Debug)]
pub struct RoomRequest {
    /// The pool without room.
    pub pool: Arc<PoolShared>,
    answer: oneshot::Sender<Place>,
}

/// Sends the request of one worker for a place to another, by its number. The request may be lost.
#[derive(Clone)]
pub struct Siblings(Rc<dyn Fn(usize, RoomRequest)>);

/// Idle connections of each worker to a pool, as far as they are known to the others: a number may
/// change while it is read.
#[derive(Debug, Default)]
pub struct IdleCounts(Mutex<Vec<Option<GaugeReader>>>);

/// Idle connections of one worker to one pool, those used last in front.
///
/// A part of them, which is renewed when it is used up. Connections returned later were used later,
/// so the order holds until the list is empty; connections taken meanwhile are skipped.
#[derive(Debug, Default)]
pub(super) struct LeastRecent(RefCell<Vec<(Instant, EndpointIndex)>>);

impl LocalPool {
    /// Counts one more connection; at the limit an idle one of any worker is closed for it.
    pub(super) async fn count_connection(
        &self,
        claim: Claim,
        deadline: Instant,
    ) -> Option<ConnectionGuard> {
        match (self.count_here(), claim) {
            (Some(guard), _) => Some(guard),
            (None, Claim::Spare) => None,
            (None, Claim::Full) => Box::pin(self.count_elsewhere(deadline)).await,
        }
    }

    /// Ends an exchange whose client stands still, for its stream to this endpoint: false if there
    /// was none until `deadline`.
    pub(super) async fn free_stream(&self, endpoint: &LocalEndpoint, deadline: Instant) -> bool {
        let _contends = self.pool.shared.contend();
        let deadline = deadline.min(Instant::now() + PATIENCE);
        self.dismiss(Held::Stream(endpoint.number()), deadline)
            .await
    }

    /// Returns true if a place of this limit is free, for any waiter.
    pub fn is_free(&self, limit: Limit) -> bool {
        let (shared, limits) = (&self.pool.shared, &self.pool.limits);
        match limit {
            Limit::Endpoint => self.has_room(),
            Limit::Requests => shared.requests.load(Ordering::SeqCst) < limits.requests,
            Limit::Connections => {
                let open = shared.connections.load(Ordering::SeqCst);
                let max = self.connections_max();
                max == 0 || open < max || shared.idle.most(usize::MAX).is_some()
            }
        }
    }

    /// Gives up a place for another worker: a free one, else that of an idle connection.
    ///
    /// If there is none, the place of an exchange whose client stands still, once it is free.
    pub fn make_room(self: &Rc<Self>, request: RoomRequest) {
        if let Some(place) = self.place_here() {
            // If nobody waits any more, the place comes back and is free.
            let _ = request.answer.send(place);
            return;
        }
        let pool = Rc::clone(self);
        let deadline = Instant::now() + PATIENCE;
        task::spawn_local("room", async move {
            while !request.answer.is_closed() && pool.dismiss(Held::Connection, deadline).await {
                if let Some(place) = pool.place_here() {
                    let _ = request.answer.send(place);
                    return;
                }
            }
        });
    }

    /// Takes a free place, else that of an idle connection.
    fn place_here(&self) -> Option<Place> {
        loop {
            let place = Place::take(&self.pool.shared, self.connections_max());
            if place.is_some() || !self.close_least_recent() {
                return place;
            }
        }
    }

    /// Takes the place of an exchange whose client stands still, or waits until one may lose it:
    /// the caller looks for room then, as others may have left some. False if there is none until
    /// `deadline`.
    async fn dismiss(&self, held: Held, deadline: Instant) -> bool {
        match self.standing.dismiss(held, Instant::now()) {
            Dismissal::Gone(gone) => timer::until(deadline, gone).await.is_ok(),
            Dismissal::At(end) if end < deadline => {
                timer::sleep_until(end).await;
                true
            }
            Dismissal::At(_) | Dismissal::Nobody => false,
        }
    }

    /// Counts one more connection in the place of an exchange whose client stands still: one of
    /// this worker, else of another.
    async fn count_instead(&self, deadline: Instant) -> Option<ConnectionGuard> {
        let shared = &self.pool.shared;
        while self.dismiss(Held::Connection, deadline).await {
            if let Some(guard) = self.count_here() {
                return Some(guard);
            }
        }
        for worker in shared.idle.others(self.worker) {
            let (answer, place) = oneshot::channel();
            let pool = Arc::clone(shared);
            (self.siblings.0)(worker, RoomRequest { pool, answer });
            if let Ok(place) = timer::until(deadline, place).await.ok()? {
                return Some(self.connections.take_up(place));
            }
        }
        self.count_here()
    }

    fn count_here(&self) -> Option<ConnectionGuard> {
        let max = self.connections_max();
        let take = || self.connections.take(max);
        take().or_else(|| {
            if self.close_least_recent() {
                take()
            } else {
                None
            }
        })
    }

    async fn count_elsewhere(&self, deadline: Instant) -> Option<ConnectionGuard> {
        let shared = &self.pool.shared;
        let _contends = shared.contend();
        let deadline = deadline.min(Instant::now() + PATIENCE);
        for _ in 0..ASKS_MAX {
            let Some(worker) = shared.idle.most(self.worker) else {
                break;
            };
            let (answer, place) = oneshot::channel();
            let pool = Arc::clone(shared);
            (self.siblings.0)(worker, RoomRequest { pool, answer });
            if let Ok(place) = timer::until(deadline, place).await.ok()? {
                return Some(self.connections.take_up(place));
            }
            // It had none left. What became free meanwhile will do as well.
            if let Some(guard) = self.count_here() {
                return Some(guard);
            }
        }
        self.count_instead(deadline).await
    }

    /// Closes the least recently used idle connection, else one that waits for its client; false if
    /// there is none.
    fn close_least_recent(&self) -> bool {
        self.with_endpoints(|endpoints| {
            let order = &mut *self.least_recent.0.borrow_mut();
            close_least_recent(endpoints, order)
        })
    }
}

fn close_least_recent(
    endpoints: &[Rc<LocalEndpoint>],
    order: &mut Vec<(Instant, EndpointIndex)>,
) -> bool {
    let close = |(since, index): (Instant, EndpointIndex)| {
        let endpoint = &endpoints[index.0 as usize];
        endpoint.oldest_idle() == Some(since) && endpoint.close_oldest()
    };
    while let Some(next) = order.pop() {
        if close(next) {
            return true;
        }
    }
    for (index, endpoint) in (0..).zip(endpoints) {
        endpoint.each_idle(|since| order.push((since, EndpointIndex(index))));
    }
    order.sort_unstable_by_key(|(since, _)| Reverse(*since));
    let later = order.len().saturating_sub(KNOWN_MAX);
    order.drain(..later);
    order.shrink_to(KNOWN_MAX);
    let closed = order.pop().is_some_and(close);
    closed || endpoints.iter().any(|it| it.close_pinned())
}

impl LeastRecent {
    /// Drops the remembered order: the endpoints have other places now.
    pub(super) fn forget(&self) {
        self.0.borrow_mut().clear();
    }
}

impl Place {
    /// Takes one of `max`; 0 means no limit.
    fn take(pool: &Arc<PoolShared>, max: usize) -> Option<Self> {
        let max = if max == 0 { usize::MAX } else { max };
        let taken = pool.connections.try_take(max);
        taken.then(|| Self(Some(Arc::clone(pool))))
    }

    /// Transfers the place to the connection that counts from now on.
    pub(super) fn hand_over(mut self) {
        self.0 = None;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(pool) = &self.0 {
            pool.connections.give_back();
            pool.tell_freed(Limit::Connections);
        }
    }
}

impl Siblings {
    /// Makes a sender from this function.
    pub fn new(ask: impl Fn(usize, RoomRequest) + 'static) -> Self {
        Self(Rc::new(ask))
    }
}

impl fmt::Debug for Siblings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Siblings").finish_non_exhaustive()
    }
}

impl IdleCounts {
    /// Shows the count of a worker to the others.
    pub fn show(&self, worker: usize, count: GaugeReader) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() <= worker {
            counts.resize_with(worker + 1, || None);
        }
        counts[worker] = Some(count);
    }

    /// Returns all known workers but `own`.
    fn others(&self, own: usize) -> Vec<usize> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (0..counts.len()).filter(|worker| *worker != own).collect()
    }

    /// Returns the worker with most idle connections besides `own`; none if none has any.
    fn most(&self, own: usize) -> Option<usize> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = counts.iter().enumerate().filter_map(|(worker, count)| {
            let idle = count.as_ref()?.value();
            (worker != own && idle > 0).then_some((idle, worker))
        });
        counts.max().map(|(_, worker)| worker)
    }
}

/// Maximum wait for another worker: it reads its messages between any two steps.
const PATIENCE: Duration = Duration::from_secs(1);
/// Maximum number of requests to others for one connection. Each had one a moment before.
const ASKS_MAX: usize = 8;
/// Number of idle connections whose order is remembered: 6 KiB per pool and worker, at the limit
/// only.
const KNOWN_MAX: usize = 256;
