//! One attempt: a connection to the picked endpoint, the request on it, and what came of it.
//!
//! Pickers, passive health and metrics hear of the outcome here.

use std::{rc::Rc, sync::LazyLock, time::Duration};

use http::{HeaderValue, StatusCode, Uri, Version, uri::PathAndQuery};
use tokio::time::Instant;

use super::client::Client;
use super::forward::{UpstreamCall, rewound};
use super::{pick, place};
use crate::{
    downstream::STREAM_READ_MIN,
    exchange::{Attempt, AttemptOutcome, Exchange, Pending},
    failure::{Failure, Side},
    http1::HeadLimits,
    memory,
    resilience::{self, AttemptResult, Carrier, ResponseProgress, RetryVerdict, Written},
    semantics::{BodySource as _, Known, grpc},
    timer,
    upstream::{
        acquire::{Acquired, Claim, Need},
        health::Observed,
        pick::Pick,
        pool::PoolIndex,
        standing::Held,
        transport::{Inbound, Outbound, Patience, Purpose, Upload},
    },
};

/// End of one attempt.
pub(super) struct AttemptEnd {
    pub(super) ended: AttemptResult,
    pub(super) response: Option<Inbound>,
    pub(super) written: Written,
    pub(super) carrier: Carrier,
    pub(super) progress: ResponseProgress,
    pub(super) upload: Option<Upload>,
    pub(super) retry_after: Option<Duration>,
    /// The endpoint asked for no other attempt.
    pub(super) pushed_back: bool,
    /// Outcome that its head leaves open.
    pub(super) pending: Option<Pending>,
}

impl UpstreamCall<'_> {
    /// One attempt, from the connection to the response head, and what follows from it. If it
    /// failed because an idle connection was closed, it is made once more on a new one.
    pub(super) async fn attempt(
        &mut self,
        exchange: &mut Exchange,
        pool: PoolIndex,
        pick: &mut Pick,
        upload: Upload,
        fresh: bool,
    ) -> (AttemptEnd, RetryVerdict) {
        let again = {
            let started = timer::recent();
            let mut patience = self.begin_attempt(exchange, pool, pick, started);
            let mut end = self
                .call(exchange, pick, upload, fresh, &mut patience)
                .await;
            let verdict = self.end_attempt(exchange, pick, started, &end);
            match self.reconnect(exchange, verdict, &mut end) {
                Some(again) => again,
                None => return (end, verdict),
            }
        };
        // In memory of its own: seldom needed.
        Box::pin(self.attempt(exchange, pool, pick, again, true)).await
    }

    fn begin_attempt(
        &mut self,
        exchange: &mut Exchange,
        pool: PoolIndex,
        pick: &Pick,
        started: Instant,
    ) -> Patience {
        self.made += 1;
        exchange.attempts.push(Attempt {
            pool,
            endpoint: pick.endpoint.described(),
            outcome: None,
            took: Duration::ZERO,
            waited_ms: std::mem::take(&mut self.waited_ms),
        });
        if exchange.grpc {
            self.stamp(exchange, timer::now());
        }
        if exchange.request.authority.is_none() {
            self.lend_host(exchange);
        }
        let timeouts = &self.route.timeouts;
        Patience {
            deadline: self.end.min(started + timeouts.attempt),
            attempt: timeouts
                .attempt
                .min(self.end.saturating_duration_since(started)),
            idle: timeouts.idle,
        }
    }

    fn end_attempt(
        &self,
        exchange: &mut Exchange,
        pick: &mut Pick,
        started: Instant,
        end: &AttemptEnd,
    ) -> RetryVerdict {
        let took = timer::now() - started;
        if let Some(attempt) = exchange.attempts.last_mut() {
            attempt.took = took;
            attempt.endpoint.durations.observe(took);
            attempt.outcome = Some(match end.ended {
                AttemptResult::Failed(failure) => AttemptOutcome::Failed(failure),
                AttemptResult::Status(status) => AttemptOutcome::Answered(status),
                AttemptResult::Grpc(_) => AttemptOutcome::Answered(StatusCode::OK),
            });
        }
        let verdict = self.verdict(exchange, end);
        self.observe(exchange, pick, end, verdict);
        verdict
    }

    /// Returns the upload to send once more on a new connection, in place of this attempt; none if
    /// the verdict is another, or the body is spent.
    fn reconnect(
        &mut self,
        exchange: &mut Exchange,
        verdict: RetryVerdict,
        end: &mut AttemptEnd,
    ) -> Option<Upload> {
        if verdict != RetryVerdict::Reconnect {
            return None;
        }
        self.reconnected = true;
        let again = rewound(end)?;
        self.made -= 1;
        exchange.attempts.pop();
        Some(again)
    }

    /// Tells metrics, pickers and passive health how an attempt went, as far as that is known.
    fn observe(
        &self,
        exchange: &mut Exchange,
        pick: &mut Pick,
        end: &AttemptEnd,
        verdict: RetryVerdict,
    ) {
        let now = timer::recent();
        let went_well = match end.ended {
            AttemptResult::Status(status) => !status.is_server_error(),
            AttemptResult::Grpc(status) => !grpc::is_failure(status),
            AttemptResult::Failed(_) => false,
        };
        if self.made > 1 {
            pick.pool.metrics.retried(went_well);
        }
        exchange.held.pending = end
            .pending
            .filter(|_| went_well && self.passes_on(end, verdict));
        if exchange.held.pending.is_some() {
            if pick.observe_head(now) {
                return;
            }
            exchange.held.pending = Some(Pending::Break);
        }
        pick.pool.metrics.attempted(&end.ended);
        match end.ended {
            AttemptResult::Status(_) | AttemptResult::Grpc(_) if went_well => {
                pick.observe(now, Observed::Success, None);
            }
            AttemptResult::Status(_) | AttemptResult::Grpc(_) => {
                pick.observe(now, Observed::BadAnswer, end.retry_after);
            }
            // An idle connection that the endpoint had closed is nobody's fault, a client that
            // gives up early says nothing of the endpoint, and not to take WebSockets is none.
            AttemptResult::Failed(failure) if failure.side() == Side::Upstream => {
                let excused = verdict == RetryVerdict::Reconnect
                    || exchange.is_given_up(now)
                    || end.is_declined();
                if !excused {
                    let outcome = match failure {
                        Failure::ResponseTimeout => Observed::BadAnswer,
                        _ => Observed::Failure,
                    };
                    pick.observe(now, outcome, None);
                }
            }
            AttemptResult::Failed(_) => {}
        }
    }

    /// Returns true if an answer goes to the client, so that its end will be seen.
    fn passes_on(&self, end: &AttemptEnd, verdict: RetryVerdict) -> bool {
        let misled = end.response.as_ref();
        let misled = misled.is_some_and(|response| self.is_misled_by(response.status));
        !misled && matches!(verdict, RetryVerdict::No(_))
    }

    /// Tells the endpoint of a gRPC call what is left of its time, and how many attempts came
    /// before. What the client waits for is not cut to the route's total time: that one ends
    /// with the head of the response, the call with its trailers.
    fn stamp(&mut self, exchange: &Exchange, now: Instant) {
        let headers = &mut self.request.headers;
        let left = exchange
            .grpc_deadline
            .map(|deadline| deadline.saturating_duration_since(now));
        if let Some(left) = left.and_then(grpc::write_timeout) {
            headers.insert(Known::GrpcTimeout, left);
        }
        // Those of which the endpoint saw nothing do not count (gRPC proposal A6).
        let made = self.made - self.uncounted;
        if made > 1 {
            let before = self.previous_attempts.saturating_add(made - 1);
            headers.insert(Known::GrpcPreviousRpcAttempts, HeaderValue::from(before));
        }
    }

    fn outbound(&self, purpose: Purpose) -> Outbound<'_> {
        let request = &*self.request;
        Outbound {
            method: &request.method,
            target: target_of(&request.uri),
            raw_target: request.raw_target.as_deref(),
            purpose,
            headers: &request.headers,
            read_ahead: if request.version == Version::HTTP_2 {
                STREAM_READ_MIN
            } else {
                usize::MAX
            },
        }
    }

    async fn call(
        &self,
        exchange: &mut Exchange,
        pick: &Pick,
        mut upload: Upload,
        fresh: bool,
        patience: &mut Patience,
    ) -> AttemptEnd {
        let purpose = match self.offer {
            Some(offer) if offer.is_websocket() => Purpose::WebSocket,
            _ => Purpose::Exchange,
        };
        let claim = place::claim_of(&upload);
        let need = Need {
            purpose,
            claim,
            fresh,
            announcement: None,
            deadline: patience.deadline,
        };
        let mut acquired = pick::connection(self.connection, exchange, pick, need).await;
        if claim == Claim::Spare && matches!(acquired, Err(Failure::LimitReached)) {
            // In memory of its own: most requests find a place.
            let contending =
                Box::pin(self.contend(exchange, pick, &mut upload, purpose, fresh, patience));
            acquired = contending.await;
        }
        let acquired = match acquired {
            Ok(acquired) => acquired,
            Err(failure) => {
                return AttemptEnd::failed(failure, Written::Nothing, Carrier::New, upload);
            }
        };
        let request = self.outbound(purpose);
        let home = Rc::clone(&pick.endpoint);
        let client = Client {
            connection: self.connection,
            stream: self.request.interim.as_ref(),
        };
        let (carrier, sent) = match acquired {
            Acquired::Http1(connection) => {
                let upload = upload.holding_place(&pick.pool.standing, Held::Connection);
                let carrier = if connection.is_fresh() {
                    Carrier::New
                } else {
                    Carrier::Reused
                };
                let sending =
                    connection.send(&request, upload, &RESPONSE_LIMITS, *patience, home, &client);
                (carrier, sending.await)
            }
            Acquired::Http2(connection) => {
                let held = Held::Stream(pick.endpoint.number());
                let upload = upload.holding_place(&pick.pool.standing, held);
                let carrier = if connection.is_fresh() {
                    Carrier::New
                } else {
                    Carrier::Reused
                };
                // In memory of its own: the walk would have room for it over HTTP/1.1 too.
                let sending =
                    memory::pinned(|| connection.send(&request, upload, *patience, &client));
                (carrier, sending.await)
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
                    end.progress = ResponseProgress::Held;
                }
                end
            }
        }
    }

    fn answered(&self, mut response: Inbound, carrier: Carrier) -> AttemptEnd {
        let upload = response.upload.take();
        let mut ended = AttemptResult::Status(response.status);
        let mut pending = (!response.body.is_end()).then_some(Pending::Answer(response.status));
        let mut pushback = None;
        if response.status == StatusCode::OK && grpc::is_grpc(&response.headers) {
            match grpc::status_in(&response.headers) {
                Some(0) => {}
                Some(status) => {
                    ended = AttemptResult::Grpc(status);
                    pushback = grpc::read_pushback(&response.headers);
                }
                None => pending = pending.map(|_| Pending::Call),
            }
        }
        let retry_after = match pushback {
            Some(grpc::Pushback::Wait(wait)) => Some(wait),
            Some(grpc::Pushback::Never) => None,
            None if response.status.is_success() => None,
            None => response.headers.get(Known::RetryAfter).and_then(|value| {
                resilience::retry_after(value.as_bytes(), self.connection.worker.wall_time())
            }),
        };
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            let checked = match self.offer {
                Some(offer) => offer.check_answer(response.status, &response.headers),
                None => Err(Failure::UpgradeFailed),
            };
            if let Err(failure) = checked {
                ended = AttemptResult::Failed(failure);
            }
        }
        AttemptEnd {
            ended,
            response: Some(response),
            written: Written::Something,
            carrier,
            progress: ResponseProgress::Held,
            upload,
            retry_after,
            pushed_back: pushback == Some(grpc::Pushback::Never),
            pending,
        }
    }

    pub(super) fn is_misled_by(&self, status: StatusCode) -> bool {
        self.offer.is_some_and(|offer| offer.is_misled_by(status))
    }
}

impl AttemptEnd {
    /// Returns true if the endpoint had said beforehand that it would not switch.
    fn is_declined(&self) -> bool {
        self.ended == AttemptResult::Failed(Failure::UpgradeFailed)
            && self.written == Written::Nothing
    }

    fn failed(failure: Failure, written: Written, carrier: Carrier, upload: Upload) -> Self {
        Self {
            ended: AttemptResult::Failed(failure),
            response: None,
            written,
            carrier,
            progress: ResponseProgress::Nothing,
            upload: Some(upload),
            retry_after: None,
            pushed_back: false,
            pending: None,
        }
    }
}

fn target_of(uri: &Uri) -> &PathAndQuery {
    uri.path_and_query().unwrap_or(&ROOT)
}

static ROOT: LazyLock<PathAndQuery> = LazyLock::new(|| PathAndQuery::from_static("/"));

/// Bounds of a response head.
const RESPONSE_LIMITS: HeadLimits = HeadLimits {
    bytes_max: 64 * 1024,
    headers_max: 256,
    target_max: 0,
};
