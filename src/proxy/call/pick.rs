//! Choice of an endpoint for an attempt, and the wait for one if that may help.

use std::{pin::pin, rc::Rc, sync::Arc};

use tokio::time::Instant;

use super::terms::CallTerms;
use crate::{
    exchange::{CallRecord, Obstacle, QueuedTime},
    failure::Failure,
    timer,
    upstream::{
        RequestPlace,
        acquire::{Acquired, Claim, Need},
        freed::Limit,
        local::LocalPool,
        pick::{MayTry, Pick, PickRequest, Picked, Regard},
        pool::{PoolLimits, ViewIndex},
        shared::PoolShared,
        tried::Tried,
    },
};

/// Wish for an endpoint of a pool.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) pool: &'a Rc<LocalPool>,
    pub(super) view: ViewIndex,
    pub(super) key: Option<u64>,
    /// Record of the call: the session and the version that the client asks for. By reference: the
    /// future is near its bound.
    pub(super) record: &'a CallRecord,
    pub(super) regard: Regard,
    pub(super) trial: MayTry,
    pub(super) deadline: Instant,
}

/// Picks an endpoint; waits for first health checks and for room if the pool allows it.
///
/// # Errors
/// [`Failure::NoEndpoint`] if no endpoint can serve, [`Failure::LimitReached`] if there was no room
/// in time.
pub(super) async fn pick(
    terms: &CallTerms<'_>,
    queued: &QueuedTime,
    wanted: &Wanted<'_>,
    tried: &mut Tried,
) -> Result<Pick, Failure> {
    let pool = wanted.pool;
    let (limit, deadline) = (Limit::Endpoint, wanted.deadline);
    in_turn(pool, limit, queued, deadline, async || {
        loop {
            let request = PickRequest {
                now: timer::recent(),
                draw: terms.worker.draw(),
                key: wanted.key,
                regard: wanted.regard,
                trial: wanted.trial,
                version: wanted.record.wanted(),
            };
            if let Some(pinned) = terms.pinned().filter(|pinned| !pinned.is_empty()) {
                let leads_to = |endpoint: &_| pinned.leads_to(endpoint);
                let now = request.now;
                let pick = pool.pick_pinned(wanted.view, now, tried, request.version, leads_to);
                if let Some(pick) = pick {
                    return Ok(pick);
                }
            }
            if let Some(session) = &wanted.record.session {
                let (now, version) = (request.now, request.version);
                let endpoint = session.endpoint;
                match pool.pick_session(wanted.view, now, tried, version, endpoint) {
                    Some(Some(pick)) => return Ok(Some(pick)),
                    // It waits for its endpoint where it may wait at all.
                    Some(None) if pool.pool.limits.queue > 0 => return Ok(None),
                    Some(None) | None => {}
                }
            }
            match pool.pick(wanted.view, &request, tried) {
                Picked::Endpoint(pick) => return Ok(Some(pick)),
                Picked::Full => return Ok(None),
                Picked::Nobody => return Err(Failure::NoEndpoint),
                Picked::Pending => {
                    pool.ready(wanted.deadline).await;
                    if timer::now() >= wanted.deadline {
                        return Err(Failure::NoEndpoint);
                    }
                }
            }
        }
    })
    .await
}

/// Gets a connection to a picked endpoint; waits for one as long as the pool's queue allows.
///
/// # Errors
/// The reason why there is none; nothing has been sent then.
pub(super) async fn connection(
    terms: &CallTerms<'_>,
    queued: &QueuedTime,
    pick: &Pick,
    mut need: Need<'_>,
) -> Result<Acquired, Failure> {
    let announced = pick.pool.pool.proxy_protocol;
    let announcement = announced.map(|version| terms.announcement().encode(version));
    need.announcement = announcement.as_deref();
    if let Some(pinned) = terms.pinned()
        && !need.fresh
    {
        let pool = &pick.pool.pool;
        let endpoint = &pick.endpoint;
        let (idle, lifetime) = (pool.idle_timeout, pool.lifetime);
        let own = pinned.take(endpoint, timer::recent(), pool.security, idle, lifetime);
        if let Some(connection) = own {
            return Ok(Acquired::Http1(connection));
        }
    }
    match pick.pool.acquire(&pick.endpoint, &need).await {
        // In memory of its own: most requests never wait.
        Err(Failure::LimitReached) if need.claim == Claim::Full => {
            let (limit, deadline) = (Limit::Connections, need.deadline);
            let look = async || match pick.pool.acquire(&pick.endpoint, &need).await {
                Err(Failure::LimitReached) => Ok(None),
                acquired => acquired.map(Some),
            };
            let waiting = Box::pin(wait_in_turn(&pick.pool, limit, queued, deadline, look));
            let acquired = waiting.await;
            pick.begin_again(timer::recent());
            acquired
        }
        acquired => acquired,
    }
}

/// Takes one of the pool's places for requests, waiting for one as long as the pool's queue
/// allows.
///
/// # Errors
/// [`Failure::LimitReached`].
pub(super) async fn take_place(
    queued: &QueuedTime,
    pool: &Rc<LocalPool>,
    deadline: Instant,
) -> Result<RequestPlace, Failure> {
    let max = pool.pool.limits.requests;
    if max == 0 {
        return Ok(RequestPlace::unlimited());
    }
    let shared = &pool.pool.shared;
    in_turn(pool, Limit::Requests, queued, deadline, async || {
        Ok(RequestPlace::try_take(shared, max))
    })
    .await
}

/// Looks for what a limit of the pool may hold back, and looks again when something was given
/// back, as long as the pool's queue allows.
///
/// # Errors
/// [`Failure::LimitReached`] when it was full or its time is over; those of the look.
async fn in_turn<T>(
    pool: &LocalPool,
    limit: Limit,
    queued: &QueuedTime,
    deadline: Instant,
    mut look: impl AsyncFnMut() -> Result<Option<T>, Failure>,
) -> Result<T, Failure> {
    match look().await {
        Ok(Some(found)) => Ok(found),
        // In memory of its own: most requests never wait.
        Ok(None) => Box::pin(wait_in_turn(pool, limit, queued, deadline, look)).await,
        Err(failure) => Err(failure),
    }
}

async fn wait_in_turn<T>(
    pool: &LocalPool,
    limit: Limit,
    queued: &QueuedTime,
    deadline: Instant,
    mut look: impl AsyncFnMut() -> Result<Option<T>, Failure>,
) -> Result<T, Failure> {
    let shared = &pool.pool.shared;
    let waiting = shared.freed.of(limit);
    // Looked at once more from inside the queue: only now is a release told to us.
    let place = Queued::join(shared, &pool.pool.limits, timer::now());
    let obstacle = match limit {
        Limit::Connections => Obstacle::PoolConnections,
        Limit::Requests => Obstacle::PoolRequests,
        Limit::Endpoint => Obstacle::PerEndpoint,
    };
    let Some(place) = place else {
        queued.refused_by(obstacle, false);
        pool.metrics.limit_refused(limit.key());
        return Err(Failure::LimitReached);
    };
    let deadline = place.deadline.min(deadline);
    let mut seen = None;
    let found = loop {
        // Registered before the look, so that no release in between is missed.
        let mut freed = pin!(waiting.freed());
        freed.as_mut().enable();
        let releases = waiting.releases();
        let was_told = seen.replace(releases);
        if was_told != Some(releases) {
            match look().await {
                Ok(Some(found)) => break Ok(found),
                Ok(None) => {}
                Err(failure) => {
                    // Whatever it was told of is for the next one.
                    waiting.pass_on();
                    break Err(failure);
                }
            }
        }
        // It may be for another: of another version, or one that has not tried the endpoint.
        if was_told.is_some() && pool.is_free(limit) {
            waiting.pass_on();
        }
        let waited = timer::until(deadline, freed).await;
        timer::now();
        if waited.is_err() {
            queued.refused_by(obstacle, true);
            pool.metrics.limit_refused(limit.key());
            break Err(Failure::LimitReached);
        }
    };
    place.end(queued, timer::now());
    found
}

/// A place in the pool's queue; released on drop.
struct Queued {
    shared: Arc<PoolShared>,
    since: Instant,
    deadline: Instant,
}

impl Queued {
    fn join(shared: &Arc<PoolShared>, limits: &PoolLimits, now: Instant) -> Option<Self> {
        shared.queued.try_take(limits.queue).then(|| Self {
            shared: Arc::clone(shared),
            since: now,
            deadline: now + limits.queue_timeout,
        })
    }

    fn end(self, queued: &QueuedTime, now: Instant) {
        queued.add(now.saturating_duration_since(self.since));
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.shared.queued.give_back();
    }
}
