//! The upstream call: attempts, one after the other, until there is an answer to pass on.
//!
//! [`crate::resilience::decide`] says whether there is another; here is what it
//! takes: endpoint, connection, time, the body kept for it. Pools tried after this
//! one come last.

use std::{rc::Rc, sync::LazyLock, time::Duration};

use ::http::{
    HeaderValue, Method, Request, Response, StatusCode, header, request::Parts, uri::PathAndQuery,
};
use http_body::Body as _;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::pick::{self, RequestPlace, Wanted};
use crate::{
    exchange::{Attempt, AttemptOutcome, Body, Exchange, Failure, Side},
    http::{grpc, upgrade::Offer},
    http1::{Framing, HeadLimits},
    listener::Connection,
    resilience::{
        self, Connection as Carrier, Facts, Outcome as Ended, Response as Progress, Verdict,
        Written,
    },
    state::Route,
    timer,
    upstream::{
        health::Outcome as Observed,
        local::{Acquired, LocalPool, Pick},
        picker::EndpointIndex,
        pool::{PoolIndex, ViewIndex},
        transport::{Inbound, Outbound, Patience, Upload},
    },
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
    request: Request<Body>,
    offer: Option<&Offer>,
) -> Result<Response<Body>, Failure> {
    let snapshot = Rc::clone(&exchange.snapshot);
    let Some(decision) = exchange.decision else {
        return Err(Failure::Internal);
    };
    let route = &snapshot.shared.routes[decision.route.0 as usize];
    let (parts, body) = request.into_parts();
    let framing = framing_of(&body, &parts.method);
    let keep_max = if route.retry.attempts > 1 {
        usize::try_from(route.retry.body_max).unwrap_or(usize::MAX)
    } else {
        0
    };
    let mut call = Call {
        connection,
        route,
        parts,
        offer,
        repeatable: false,
        end: end_of(exchange, route),
        made: 0,
        previous_attempts: 0,
        reconnected: false,
    };
    call.repeatable = route
        .retry
        .is_repeatable(&call.parts.method, &call.parts.headers);
    let previous = call.parts.headers.get(grpc::PREVIOUS_ATTEMPTS);
    call.previous_attempts = previous
        .and_then(|count| count.to_str().ok()?.parse().ok())
        .unwrap_or(0);
    let mut upload = Upload::new(body, framing, keep_max);
    let pools = std::iter::once((pool, view)).chain(failover(exchange, pool, view));
    let mut last = Failure::NoEndpoint;
    for (index, view) in pools {
        let pool = &snapshot.pools[index.0 as usize];
        match RequestPlace::take(exchange, pool, call.end).await {
            Ok(place) => exchange.held.place = Some(place),
            Err(failure) => {
                last = failure;
                continue;
            }
        }
        exchange.held.request = Some(pool.budget.request_started());
        match call.pool(exchange, index, pool, view, upload).await {
            PoolEnd::Answer(response) => return Ok(response),
            PoolEnd::Failed(failure) => return Err(failure),
            // Nobody here can serve: the next pool may, with whatever was the reason here.
            PoolEnd::Nobody(failure, rest) => {
                if last == Failure::NoEndpoint {
                    last = failure;
                }
                upload = *rest;
            }
        }
    }
    Err(last)
}

/// How the attempts at one pool ended.
enum PoolEnd {
    /// With a response to pass on.
    Answer(Response<Body>),
    /// With a failure that no other attempt can mend.
    Failed(Failure),
    /// With nobody left to try; the request can still be sent.
    Nobody(Failure, Box<Upload>),
}

/// What stays the same over the attempts of an exchange.
struct Call<'a> {
    connection: &'a Connection,
    route: &'a Route,
    parts: Parts,
    offer: Option<&'a Offer>,
    repeatable: bool,
    /// When the total time is over.
    end: Instant,
    /// Attempts made, reconnections left out.
    made: u32,
    /// Attempts at a gRPC call that others made before, as the client says.
    previous_attempts: u32,
    reconnected: bool,
}

/// How one attempt ended.
struct AttemptEnd {
    ended: Ended,
    response: Option<Inbound>,
    written: Written,
    carrier: Carrier,
    progress: Progress,
    upload: Option<Upload>,
    retry_after: Option<Duration>,
    /// The endpoint asked for no other attempt.
    pushed_back: bool,
    /// Its head leaves open how it went: a gRPC status is to follow.
    undecided: bool,
}

impl Call<'_> {
    /// Tries the endpoints of one pool.
    async fn pool(
        &mut self,
        exchange: &mut Exchange,
        index: PoolIndex,
        pool: &Rc<LocalPool>,
        view: ViewIndex,
        mut upload: Upload,
    ) -> PoolEnd {
        let mut tried: SmallVec<[EndpointIndex; 4]> = SmallVec::new();
        let mut failed: Option<Failure> = None;
        let key = pool.pool.hash_key.as_ref().and_then(|key| {
            let request = Request::from_parts(self.parts.clone(), ());
            pick::hash_key(key, exchange, &request)
        });
        loop {
            let wanted = Wanted {
                pool,
                view,
                key,
                may_probe: self.made == 0 && self.repeatable && upload.can_rewind(),
                deadline: self.end,
            };
            let picked = pick::pick(self.connection, exchange, &wanted, &tried).await;
            let mut pick = match picked {
                Ok(pick) => pick,
                // All were tried: another pool, else one of them again.
                Err(Failure::NoEndpoint) if !tried.is_empty() && pool.pool.failover.is_empty() => {
                    tried.clear();
                    continue;
                }
                Err(failure) => {
                    return PoolEnd::Nobody(failed.unwrap_or(failure), Box::new(upload));
                }
            };
            let mut end = self
                .attempt(exchange, index, &mut pick, upload, false)
                .await;
            let mut verdict = self.verdict(&end);
            if verdict == Verdict::Reconnect {
                self.reconnected = true;
                let Some(again) = rewound(&mut end) else {
                    return self.give_up(exchange, Some(pick), end);
                };
                self.made -= 1;
                exchange.attempts.pop();
                end = self.attempt(exchange, index, &mut pick, again, true).await;
                verdict = self.verdict(&end);
            }
            let Verdict::Retry { immediately } = verdict else {
                return self.give_up(exchange, Some(pick), end);
            };
            tried.push(pick.index);
            drop(pick);
            if !immediately && !self.prepare_retry(exchange, pool, &end).await {
                return self.give_up(exchange, None, end);
            }
            failed = match end.ended {
                Ended::Failed(failure) => Some(failure),
                Ended::Status(_) | Ended::Grpc(_) => failed,
            };
            upload = match rewound(&mut end) {
                Some(upload) => upload,
                None => return self.give_up(exchange, None, end),
            };
        }
    }

    /// One attempt, from the connection to the response head.
    async fn attempt(
        &mut self,
        exchange: &mut Exchange,
        pool: PoolIndex,
        pick: &mut Pick,
        upload: Upload,
        fresh: bool,
    ) -> AttemptEnd {
        self.made += 1;
        let started = Instant::now();
        let endpoint = pick.endpoint();
        exchange.attempts.push(Attempt {
            pool,
            index: pick.index,
            endpoint: std::sync::Arc::clone(&endpoint.label),
            version: endpoint.version_label.clone(),
            outcome: None,
            took: Duration::ZERO,
        });
        let timeouts = &self.route.timeouts;
        let patience = Patience {
            deadline: self.end.min(started + timeouts.attempt),
            attempt: timeouts
                .attempt
                .min(self.end.saturating_duration_since(started)),
            idle: timeouts.idle,
        };
        if exchange.grpc {
            self.stamp(exchange, started);
        }
        let mut end = self.call(exchange, pick, upload, fresh, patience).await;
        let took = Instant::now() - started;
        if let Some(attempt) = exchange.attempts.last_mut() {
            attempt.took = took;
            attempt.outcome = Some(match end.ended {
                Ended::Failed(failure) => AttemptOutcome::Failed(failure),
                Ended::Status(status) => AttemptOutcome::Answered(status),
                Ended::Grpc(_) => AttemptOutcome::Answered(StatusCode::OK),
            });
        }
        pick.pool.metrics.took(pick.index, took);
        self.observe(exchange, pick, &mut end);
        end
    }

    /// Tells metrics, pickers and passive health how an attempt went, as far as that is known.
    fn observe(&self, exchange: &mut Exchange, pick: &mut Pick, end: &mut AttemptEnd) {
        let now = Instant::now();
        let went_well = match end.ended {
            Ended::Status(status) => !status.is_server_error(),
            Ended::Grpc(status) => !grpc::is_failure(status),
            Ended::Failed(_) => false,
        };
        if self.made > 1 {
            pick.pool.metrics.retried(went_well);
        }
        exchange.held.undecided = end.undecided && pick.observe_head(now);
        if exchange.held.undecided {
            return;
        }
        pick.pool.metrics.attempted(&end.ended);
        match end.ended {
            Ended::Status(_) | Ended::Grpc(_) if went_well => {
                pick.observe(now, Observed::Success, None);
            }
            Ended::Status(_) | Ended::Grpc(_) => {
                pick.observe(now, Observed::Failure, end.retry_after);
            }
            // An idle connection that the endpoint had closed is nobody's fault, and a client
            // that gives up early says nothing of the endpoint.
            Ended::Failed(failure) if failure.side() == Side::Upstream => {
                let excused = self.verdict(end) == Verdict::Reconnect || exchange.is_given_up(now);
                if !excused {
                    pick.observe(now, Observed::Failure, None);
                }
            }
            Ended::Failed(_) => {}
        }
    }

    /// Tells the endpoint of a gRPC call what is left of its time, and how many attempts came
    /// before. What the client waits for is not cut to the route's total time: that one ends
    /// with the head of the response, the call with its trailers.
    fn stamp(&mut self, exchange: &Exchange, now: Instant) {
        let headers = &mut self.parts.headers;
        let left = exchange
            .grpc_deadline
            .map(|deadline| deadline.saturating_duration_since(now));
        if let Some(left) = left.and_then(grpc::write_timeout) {
            headers.insert(grpc::TIMEOUT, left);
        }
        if self.made > 1 {
            let before = self.previous_attempts.saturating_add(self.made - 1);
            headers.insert(grpc::PREVIOUS_ATTEMPTS, HeaderValue::from(before));
        }
    }

    async fn call(
        &self,
        exchange: &mut Exchange,
        pick: &Pick,
        upload: Upload,
        fresh: bool,
        patience: Patience,
    ) -> AttemptEnd {
        let acquired = pick::connection(self.connection, exchange, pick, fresh, patience.deadline);
        let acquired = match acquired.await {
            Ok(acquired) => acquired,
            Err(failure) => {
                return AttemptEnd::failed(failure, Written::Nothing, Carrier::New, upload);
            }
        };
        let request = Outbound {
            method: &self.parts.method,
            target: target_of(&self.parts),
            headers: &self.parts.headers,
        };
        let home = Rc::clone(pick.pool.endpoint(pick.index));
        let (carrier, sent) = match acquired {
            Acquired::Http1(connection) => {
                let carrier = if connection.is_fresh() {
                    Carrier::New
                } else {
                    Carrier::Reused
                };
                let interim = |status, headers| self.connection.pass_interim(status, headers);
                let sending =
                    connection.send(&request, upload, &RESPONSE_LIMITS, patience, home, &interim);
                (carrier, sending.await)
            }
            Acquired::Http2(connection) => {
                let carrier = if connection.is_fresh() {
                    Carrier::New
                } else {
                    Carrier::Reused
                };
                (carrier, connection.send(&request, upload, patience).await)
            }
        };
        match sent {
            Ok(response) => self.answered(response, carrier),
            Err(failed) => {
                let written = if failed.written {
                    Written::Something
                } else {
                    Written::Nothing
                };
                let mut end = AttemptEnd::failed(failed.failure, written, carrier, failed.upload);
                if failed.received {
                    end.progress = Progress::Held;
                }
                end
            }
        }
    }

    fn answered(&self, mut response: Inbound, carrier: Carrier) -> AttemptEnd {
        let upload = response.upload.take();
        let mut ended = Ended::Status(response.status);
        let mut undecided = false;
        let mut pushback = None;
        if response.status == StatusCode::OK && grpc::is_grpc(&response.headers) {
            match grpc::status_in(&response.headers) {
                Some(0) => {}
                Some(status) => {
                    ended = Ended::Grpc(status);
                    pushback = grpc::read_pushback(&response.headers);
                }
                None => undecided = !response.body.is_end_stream(),
            }
        }
        let retry_after = match pushback {
            Some(grpc::Pushback::Wait(wait)) => Some(wait),
            Some(grpc::Pushback::Never) => None,
            None => response.headers.get(header::RETRY_AFTER).and_then(|value| {
                resilience::retry_after(value.as_bytes(), self.connection.worker.wall_time())
            }),
        };
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            let checked = match self.offer {
                Some(offer) => offer.check_answer(response.status, &response.headers),
                None => Err(Failure::UpgradeFailed),
            };
            if let Err(failure) = checked {
                ended = Ended::Failed(failure);
            }
        }
        AttemptEnd {
            ended,
            response: Some(response),
            written: Written::Something,
            carrier,
            progress: Progress::Held,
            upload,
            retry_after,
            pushed_back: pushback == Some(grpc::Pushback::Never),
            undecided,
        }
    }

    fn verdict(&self, end: &AttemptEnd) -> Verdict {
        let spent = end
            .upload
            .as_ref()
            .is_none_or(|upload| !upload.can_rewind());
        let facts = Facts {
            attempts: self.made,
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
            left: self.end.saturating_duration_since(Instant::now()),
        };
        resilience::decide(&self.route.retry, &facts)
    }

    /// Withdraws from the budget and waits; false if the outcome has to stand.
    async fn prepare_retry(
        &mut self,
        exchange: &mut Exchange,
        pool: &Rc<LocalPool>,
        end: &AttemptEnd,
    ) -> bool {
        // The retry before this one is over.
        exchange.held.retry = None;
        let Some(guard) = pool.pool.shared.budget.try_withdraw() else {
            pool.metrics.budget_exhausted();
            return false;
        };
        exchange.held.retry = Some(guard);
        let left = self.end.saturating_duration_since(Instant::now());
        let draw = self.connection.worker.draw();
        let policy = &self.route.retry;
        match policy.wait(self.made, draw, end.retry_after, left) {
            None => false,
            Some(wait) => {
                if !wait.is_zero() {
                    timer::sleep_until(Instant::now() + wait).await;
                }
                true
            }
        }
    }

    /// The outcome stands: an answer is passed on, a failure ends the exchange.
    ///
    /// The endpoint stays loaded until the response has ended.
    fn give_up(&self, exchange: &mut Exchange, pick: Option<Pick>, end: AttemptEnd) -> PoolEnd {
        exchange.answered = Some(Instant::now());
        match (end.ended, end.response) {
            (Ended::Failed(failure), _) => self.failed(failure, end.upload),
            // A plain answer is no fault of the endpoint, only no WebSocket.
            (_, Some(response)) if self.is_misled_by(response.status) => {
                PoolEnd::Failed(Failure::UpgradeFailed)
            }
            (_, Some(response)) => {
                if exchange.grpc {
                    exchange.grpc_status = grpc::status_in(&response.headers);
                }
                exchange.held.pick = pick;
                let mut answer = Response::new(response.body);
                *answer.status_mut() = response.status;
                *answer.version_mut() = response.version;
                *answer.headers_mut() = response.headers;
                PoolEnd::Answer(answer)
            }
            (_, None) => PoolEnd::Failed(Failure::Internal),
        }
    }

    fn is_misled_by(&self, status: StatusCode) -> bool {
        self.offer.is_some_and(|offer| offer.is_misled_by(status))
    }

    /// No attempt more here; another pool may do when nothing was sent.
    fn failed(&self, failure: Failure, upload: Option<Upload>) -> PoolEnd {
        let may_move = matches!(
            failure,
            Failure::ConnectRefused
                | Failure::ConnectTimeout
                | Failure::Unroutable
                | Failure::DnsFailed
                | Failure::DnsTimeout
        );
        match upload {
            Some(mut upload) if may_move && upload.can_rewind() => {
                upload.rewind();
                PoolEnd::Nobody(failure, Box::new(upload))
            }
            _ => PoolEnd::Failed(failure),
        }
    }
}

impl AttemptEnd {
    fn failed(failure: Failure, written: Written, carrier: Carrier, upload: Upload) -> Self {
        Self {
            ended: Ended::Failed(failure),
            response: None,
            written,
            carrier,
            progress: Progress::Nothing,
            upload: Some(upload),
            retry_after: None,
            pushed_back: false,
            undecided: false,
        }
    }
}

/// The pools that stand in for one, in order, with the view of the same version.
fn failover(
    exchange: &Exchange,
    pool: PoolIndex,
    view: ViewIndex,
) -> SmallVec<[(PoolIndex, ViewIndex); 2]> {
    let pools = &exchange.snapshot.shared.pools;
    let own = &pools[pool.0 as usize];
    let requirement = own.views[view.0 as usize].requirement.as_ref();
    own.failover
        .iter()
        .map(|index| {
            let views = &pools[index.0 as usize].views;
            let same = views
                .iter()
                .position(|view| view.requirement.as_ref() == requirement);
            let view = u32::try_from(same.unwrap_or(0)).unwrap_or(0);
            (*index, ViewIndex(view))
        })
        .collect()
}

fn rewound(end: &mut AttemptEnd) -> Option<Upload> {
    let mut upload = end.upload.take()?;
    upload.rewind();
    Some(upload)
}

/// How a request body travels on: as long as announced, in chunks if that is unknown.
fn framing_of(body: &Body, method: &Method) -> Framing {
    let expected = matches!(*method, Method::POST | Method::PUT | Method::PATCH);
    match body.size_hint().exact() {
        Some(0) if !expected => Framing::None,
        Some(length) => Framing::Length(length),
        None => Framing::Chunked,
    }
}

fn target_of(parts: &Parts) -> &PathAndQuery {
    parts.uri.path_and_query().unwrap_or(&ROOT)
}

static ROOT: LazyLock<PathAndQuery> = LazyLock::new(|| PathAndQuery::from_static("/"));

/// When there must be a response head: at the end of the route's total time, or of what the
/// client of a gRPC call waits for.
fn end_of(exchange: &Exchange, route: &Route) -> Instant {
    let end = exchange.started + route.timeouts.total;
    exchange.grpc_deadline.map_or(end, |given| end.min(given))
}

/// Bounds of a response head.
const RESPONSE_LIMITS: HeadLimits = HeadLimits {
    bytes_max: 64 * 1024,
    headers_max: 256,
    target_max: 0,
};
