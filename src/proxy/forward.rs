//! The upstream call: attempts, one after the other, until there is an answer to pass on.
//!
//! [`crate::resilience::decide`] says whether there is another; here is what it takes:
//! endpoints in turn, time, the body kept for it. The pools of `failover` come last.

use std::rc::Rc;

use tokio::time::Instant;

use super::{
    attempt::AttemptEnd,
    http10,
    pick::{self, Wanted},
    search::{self, Home, Search},
    upload::upload_of,
};
use crate::{
    exchange::{Exchange, Request, Response},
    failure::{Failure, Side},
    http1::Framing,
    resilience::{self, AttemptResult, Facts, RetryVerdict, Why, Written},
    semantics::{Known, grpc, upgrade::Offer},
    state::Route,
    timer,
    upstream::{
        local::LocalPool,
        pick::{MayTry, Pick},
        pool::{PoolIndex, ViewIndex},
        transport::Upload,
        tried::Tried,
    },
    worker::Connection,
};

/// Sends a request to a pool and returns the response to pass on.
///
/// # Errors
/// The failure of the last attempt, or why there was none.
pub(super) async fn forward(
    connection: &Connection,
    exchange: &mut Exchange,
    pool: PoolIndex,
    view: ViewIndex,
    request: &mut Request,
    offer: Option<&Offer>,
) -> Result<Response, Failure> {
    let snapshot = Rc::clone(&exchange.snapshot);
    let Some(decision) = exchange.decision else {
        return Err(Failure::Internal);
    };
    let route = &snapshot.shared.routes[decision.route.0 as usize];
    let mut upload = upload_of(connection, exchange, route, request);
    let mut call = UpstreamCall {
        connection,
        route,
        request,
        offer,
        repeatable: false,
        end: end_of(exchange, route),
        home: (pool, view),
        entered: None,
        search: Search::Sound,
        ended: false,
        made: 0,
        uncounted: 0,
        unseen: false,
        previous_attempts: 0,
        reconnected: false,
        waited_ms: 0,
    };
    call.repeatable = route
        .retry
        .is_repeatable(&call.request.method, &call.request.headers);
    if exchange.grpc {
        call.previous_attempts = previous_attempts(call.request);
    }
    let mut last = Failure::NoEndpoint;
    loop {
        let mut place = 0;
        while let Some((index, view)) = search::pool_at(exchange, call.home, place) {
            place += 1;
            let pool = &snapshot.pools[index.0 as usize];
            if call.entered != Some(index) {
                match pick::take_place(exchange, pool, call.end).await {
                    Ok(place) => exchange.held.place = Some(place),
                    Err(failure) => {
                        last = failure;
                        continue;
                    }
                }
                exchange.held.request = Some(pool.budget.request_started());
                call.entered = Some(index);
            }
            match call.pool(exchange, index, pool, view, upload).await {
                PoolEnd::Answer(response) => return Ok(response),
                PoolEnd::Failed(failure) => return Err(failure),
                // Nobody here can serve: the next pool may, with whatever was the reason here.
                PoolEnd::Nobody(failure, rest) => {
                    if failure != Failure::NoEndpoint {
                        last = failure;
                    }
                    upload = *rest;
                }
            }
            if call.search == Search::Panic && call.made > 0 {
                break;
            }
        }
        // Where there was no room there is no panic.
        let ended = call.ended || (call.made == 0 && last != Failure::NoEndpoint);
        match call.search.next(call.made, call.unseen) {
            Some(next) if !ended => call.search = next,
            _ => return Err(last),
        }
    }
}

/// End of the attempts at one pool.
enum PoolEnd {
    /// With a response to pass on.
    Answer(Response),
    /// With a failure that no other attempt can mend.
    Failed(Failure),
    /// With nobody left to try; the request can still be sent.
    Nobody(Failure, Box<Upload>),
}

/// State of an exchange shared by its attempts.
pub(super) struct UpstreamCall<'a> {
    pub(super) connection: &'a Connection,
    pub(super) route: &'a Route,
    pub(super) request: &'a mut Request,
    pub(super) offer: Option<&'a Offer>,
    pub(super) repeatable: bool,
    /// End of the total time.
    pub(super) end: Instant,
    /// The pool that the route names, and the view.
    home: Home,
    /// The pool whose limits and budget it counts in.
    entered: Option<PoolIndex>,
    search: Search,
    /// True if no further attempt is allowed, except one at each pool that is left.
    ended: bool,
    /// Attempts made, reconnections left out.
    pub(super) made: u32,
    /// Number of them that do not count.
    pub(super) uncounted: u32,
    /// True if the last one did not count.
    unseen: bool,
    /// Attempts at a gRPC call that others made before, as the client says.
    pub(super) previous_attempts: u32,
    pub(super) reconnected: bool,
    /// Wait before the next attempt, in milliseconds.
    pub(super) waited_ms: u32,
}

impl UpstreamCall<'_> {
    /// Tries the endpoints of one pool.
    async fn pool(
        &mut self,
        exchange: &mut Exchange,
        index: PoolIndex,
        pool: &Rc<LocalPool>,
        view: ViewIndex,
        mut upload: Upload,
    ) -> PoolEnd {
        let mut tried = if self.made > 0 && self.search.leaves_out_tried() {
            search::tried(exchange, index)
        } else {
            Tried::default()
        };
        let mut failed: Option<Failure> = None;
        let key = pool.pool.hash_key.as_ref();
        let key = key.and_then(|key| pick::hash_key(key, exchange, self.request));
        loop {
            let wanted = Wanted {
                pool,
                view,
                key,
                regard: self.search.regard(self.made),
                trial: match self.made {
                    0 if self.repeatable && upload.can_rewind() => MayTry::Any,
                    0 => MayTry::Overdue,
                    _ => MayTry::No,
                },
                deadline: self.end,
            };
            let mut pick = match pick::pick(self.connection, exchange, &wanted, &mut tried).await {
                Ok(pick) => pick,
                // All were tried once more: the first of them again.
                Err(Failure::NoEndpoint)
                    if !tried.is_empty() && !self.search.leaves_out_tried() =>
                {
                    tried.clear();
                    continue;
                }
                Err(failure) => {
                    return PoolEnd::Nobody(failed.unwrap_or(failure), Box::new(upload));
                }
            };
            if upload.framing() == Framing::Chunked && pick.endpoint.is_http10() {
                // In memory of its own: seldom needed.
                if let Err(failure) = Box::pin(http10::measure(&mut upload)).await {
                    return PoolEnd::Failed(failure);
                }
            }
            let attempt = self.attempt(exchange, index, &mut pick, upload, false);
            let (mut end, verdict) = attempt.await;
            let waits = match verdict {
                RetryVerdict::MoveOn => false,
                RetryVerdict::Retry { immediately } => !immediately,
                RetryVerdict::Reconnect => return self.give_up(exchange, Some(pick), end),
                RetryVerdict::No(why) => {
                    exchange.stopped = Some(why);
                    return self.give_up(exchange, Some(pick), end);
                }
            };
            self.unseen = verdict == RetryVerdict::MoveOn;
            self.uncounted += u32::from(self.unseen);
            tried.push(pick.endpoint.described());
            drop(pick);
            if waits && let Err(why) = self.prepare_retry(exchange, pool, &end).await {
                exchange.stopped = Some(why);
                return self.give_up(exchange, None, end);
            }
            failed = match end.ended {
                AttemptResult::Failed(failure) => Some(failure),
                AttemptResult::Status(_) | AttemptResult::Grpc(_) => failed,
            };
            upload = match rewound(&mut end) {
                Some(upload) => upload,
                None => return self.give_up(exchange, None, end),
            };
            // From now on the healthy come first.
            if self.search == Search::Panic {
                let failure = failed.unwrap_or(Failure::NoEndpoint);
                return PoolEnd::Nobody(failure, Box::new(upload));
            }
        }
    }

    pub(super) fn verdict(&self, exchange: &Exchange, end: &AttemptEnd) -> RetryVerdict {
        let spent = end
            .upload
            .as_ref()
            .is_none_or(|upload| !upload.can_rewind());
        let facts = Facts {
            attempts: self.made - self.uncounted,
            uncounted: self.uncounted,
            one_left: end.written == Written::Nothing && search::is_one_left(exchange, self.home),
            outcome: end.ended,
            written: end.written,
            connection: end.carrier,
            reconnected: self.reconnected,
            repeatable: self.repeatable,
            body: if spent {
                resilience::Body::Spent
            } else {
                resilience::Body::Intact
            },
            response: end.progress,
            pushed_back: end.pushed_back,
            time_over: timer::recent() >= self.end,
        };
        resilience::decide(&self.route.retry, &facts)
    }

    /// Withdraws from the budget and waits; fails if the outcome has to stand.
    async fn prepare_retry(
        &mut self,
        exchange: &mut Exchange,
        pool: &Rc<LocalPool>,
        end: &AttemptEnd,
    ) -> Result<(), Why> {
        // The retry before this one is over.
        exchange.held.retry = None;
        let Some(guard) = pool.pool.shared.budget.try_withdraw() else {
            pool.metrics.budget_exhausted();
            return Err(Why::BudgetUsed);
        };
        exchange.held.retry = Some(guard);
        let left = self.end.saturating_duration_since(timer::recent());
        let draw = self.connection.worker.draw();
        let policy = &self.route.retry;
        match policy.wait(self.made - self.uncounted, draw, end.retry_after, left) {
            None => Err(Why::TimeOver),
            Some(wait) => {
                if !wait.is_zero() {
                    self.waited_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
                    timer::sleep_until(timer::now() + wait).await;
                    timer::now();
                }
                Ok(())
            }
        }
    }

    /// The outcome stands: an answer is passed on, a failure ends the exchange.
    ///
    /// The endpoint stays loaded until the response has ended.
    fn give_up(&mut self, exchange: &mut Exchange, pick: Option<Pick>, end: AttemptEnd) -> PoolEnd {
        exchange.answered = Some(timer::recent());
        // The retry is over, however long its answer is.
        exchange.held.retry = None;
        match (end.ended, end.response) {
            (AttemptResult::Failed(failure), _) => self.failed(failure, end.written, end.upload),
            // A plain answer is no fault of the endpoint, only no WebSocket.
            (_, Some(response)) if self.is_misled_by(response.status) => {
                PoolEnd::Failed(Failure::UpgradeFailed)
            }
            (_, Some(response)) => {
                if exchange.grpc {
                    exchange.grpc_status = grpc::status_in(&response.headers);
                }
                exchange.held.pick = pick;
                PoolEnd::Answer(Response {
                    status: response.status,
                    headers: response.headers,
                    body: response.body.into(),
                })
            }
            (_, None) => PoolEnd::Failed(Failure::Internal),
        }
    }

    /// No attempt more here; another pool may do when nothing was sent.
    fn failed(&mut self, failure: Failure, written: Written, upload: Option<Upload>) -> PoolEnd {
        let unseen = written == Written::Nothing;
        let elsewhere = failure.side() == Side::Upstream || failure == Failure::LimitReached;
        match upload {
            Some(mut upload) if unseen && elsewhere && upload.can_rewind() => {
                self.ended = true;
                upload.rewind();
                PoolEnd::Nobody(failure, Box::new(upload))
            }
            _ => PoolEnd::Failed(failure),
        }
    }
}

/// Attempts at a gRPC call that others made before.
fn previous_attempts(request: &Request) -> u32 {
    let previous = request.headers.get(Known::GrpcPreviousRpcAttempts);
    previous
        .and_then(|count| count.to_str()?.parse().ok())
        .unwrap_or(0)
}

pub(super) fn rewound(end: &mut AttemptEnd) -> Option<Upload> {
    let mut upload = end.upload.take()?;
    upload.rewind();
    Some(upload)
}

/// Returns the deadline of the response head: the end of the route's total time, or of the client's
/// deadline for a gRPC call.
fn end_of(exchange: &Exchange, route: &Route) -> Instant {
    let end = exchange.started + route.timeouts.total;
    exchange.grpc_deadline.map_or(end, |given| end.min(given))
}
