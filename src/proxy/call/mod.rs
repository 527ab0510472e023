//! The upstream call: attempts, one after the other, until there is an answer to pass on.
//!
//! It takes a request, a pool, policies and a deadline ([`CallTerms`]), and returns an answer or a
//! failure; its [`CallRecord`] has the attempts. It knows neither the client's connection nor the
//! exchange, so that calls without a client are possible too.
//!
//! [`crate::resilience::decide`] decides on another attempt; this module provides the endpoints in
//! turn, the time and the kept body. The pools of `failover` come last.

mod attempt;
mod attempt_end;
mod breaker;
mod client;
mod hedge;
mod http10;
mod pick;
mod place;
mod retry;
mod search;
mod send;
mod session;
mod stamp;
mod terms;

pub(super) use search::Home;
pub(super) use session::tell as tell_session;
pub(super) use stamp::tell_attempts;
pub(super) use terms::CallTerms;

use self::{attempt_end::AttemptEnd, pick::Wanted, search::Search};
use crate::{
    exchange::{Answering, CallRecord, Request, Response},
    failure::{Failure, Side},
    http1::Framing,
    resilience::{AttemptResult, BudgetGuard, RetryVerdict, Written},
    upstream::{
        HashInput,
        pick::{MayTry, Pick},
        pool::{PoolIndex, ViewIndex},
        transport::Upload,
        tried::Tried,
    },
};

/// A request on its way to an answer, over one or more attempts.
///
/// Dropping its future cancels the attempt under way; the record then holds its guards.
pub(super) struct UpstreamCall<'a> {
    terms: CallTerms<'a>,
    request: &'a mut Request,
    record: &'a mut CallRecord,
    /// The body, while it is not being sent.
    upload: Upload,
    repeatable: bool,
    /// The view of the pool that is looked through.
    view: ViewIndex,
    /// The pool whose limits and budget it counts in.
    entered: Option<PoolIndex>,
    search: Search,
    /// True if no further attempt is allowed, except one at each pool that is left.
    ended: bool,
    /// Number of attempts made, with those that endpoints report as their own; without
    /// reconnections.
    made: u32,
    /// Number of them that do not count.
    uncounted: u32,
    /// True if the last one did not count.
    unseen: bool,
    /// Number of earlier attempts at a gRPC call by others, as the client says.
    previous_attempts: u32,
    /// Number of the caller's attempt that this call is part of.
    caller_attempt: u8,
    reconnected: bool,
    /// True if the first attempt is a sample for the quantile after which others are hedged.
    samples: bool,
    /// Wait before the next attempt, in milliseconds.
    waited_ms: u32,
    /// A retry that has no answer yet.
    retry: Option<BudgetGuard>,
}

/// End of the attempts at one pool.
enum PoolEnd {
    /// With a response to pass on.
    Answer(Response),
    /// With a failure that no other attempt can avoid.
    Failed(Failure),
    /// With no endpoint left to try; the request can still be sent.
    Nobody(Failure),
}

impl<'a> UpstreamCall<'a> {
    /// Makes a call on these terms; its attempts are noted in `record`. `upload` is the body of the
    /// request.
    pub(super) fn new(
        terms: CallTerms<'a>,
        request: &'a mut Request,
        upload: Upload,
        record: &'a mut CallRecord,
    ) -> Self {
        let view = terms.home.view;
        let repeatable = terms
            .route
            .retry
            .is_repeatable(&request.method, &request.headers);
        let caller_attempt = stamp::caller_attempt(request);
        let previous_attempts = if terms.grpc {
            stamp::previous_attempts(request)
        } else {
            0
        };
        Self {
            terms,
            request,
            record,
            upload,
            repeatable,
            view,
            entered: None,
            search: Search::Sound,
            ended: false,
            made: 0,
            uncounted: 0,
            unseen: false,
            previous_attempts,
            caller_attempt,
            reconnected: false,
            samples: false,
            waited_ms: 0,
            retry: None,
        }
    }

    /// Makes the attempts, and returns the response to pass on.
    ///
    /// # Errors
    /// The failure of the last attempt, or the reason why there was none.
    pub(super) async fn run(&mut self) -> Result<Response, Failure> {
        let snapshot = self.terms.snapshot;
        let mut last = Failure::NoEndpoint;
        loop {
            let mut place = 0;
            while let Some((index, view)) = self.pool_at(place) {
                place += 1;
                let pool = &snapshot.pools[index.0 as usize];
                if let Err(failure) = breaker::look(self.record, pool) {
                    last = failure;
                    continue;
                }
                if self.entered != Some(index) {
                    let end = self.terms.end;
                    match pick::take_place(&self.record.queued, pool, end).await {
                        Ok(place) => self.record.place = Some(place),
                        Err(failure) => {
                            last = failure;
                            continue;
                        }
                    }
                    self.record.request = Some(pool.budget.request_started());
                    self.entered = Some(index);
                }
                match self.pool(index, view).await {
                    PoolEnd::Answer(response) => return Ok(response),
                    PoolEnd::Failed(failure) => return Err(failure),
                    // Nobody here can serve: the next pool may, with whatever was the reason here.
                    PoolEnd::Nobody(failure) => {
                        if failure != Failure::NoEndpoint {
                            last = failure;
                        }
                    }
                }
                if self.search == Search::Panic && self.made > 0 {
                    break;
                }
            }
            // Where there was no room there is no panic.
            let nobody = matches!(last, Failure::NoEndpoint | Failure::BreakerOpen);
            let ended = self.ended || (self.made == 0 && !nobody);
            match self.search.next(self.made, self.unseen) {
                Some(next) if !ended => self.search = next,
                _ => return Err(last),
            }
        }
    }

    /// Tries the endpoints of one pool.
    async fn pool(&mut self, index: PoolIndex, view: ViewIndex) -> PoolEnd {
        self.view = view;
        let pool = &self.terms.snapshot.pools[index.0 as usize];
        let mut tried = if self.made > 0 && self.search.leaves_out_tried() {
            search::tried(self.record, index)
        } else {
            Tried::default()
        };
        let mut failed: Option<Failure> = None;
        let key = pool.pool.picker.hash_key();
        let key = key.and_then(|key| self.hash_input().hash(key));
        self.record.session = session::asked(&pool.pool, &self.request.headers, &self.terms);
        loop {
            let wanted = Wanted {
                pool,
                view,
                key,
                record: self.record,
                regard: self.search.regard(self.made),
                trial: self.may_try(),
                deadline: self.terms.end,
            };
            let queued = &self.record.queued;
            let mut pick = match pick::pick(&self.terms, queued, &wanted, &mut tried).await {
                Ok(pick) => pick,
                // All were tried once more: the first of them again.
                Err(Failure::NoEndpoint)
                    if !tried.is_empty() && !self.search.leaves_out_tried() =>
                {
                    tried.clear();
                    continue;
                }
                Err(failure) => {
                    return PoolEnd::Nobody(failed.unwrap_or(failure));
                }
            };
            if let Err(failure) = breaker::admit(&self.terms, self.record, &mut pick) {
                return PoolEnd::Nobody(failed.unwrap_or(failure));
            }
            if self.upload.framing() == Framing::Chunked && pick.endpoint.is_http10() {
                // In memory of its own: seldom needed.
                if let Err(failure) = Box::pin(http10::measure(&mut self.upload)).await {
                    return PoolEnd::Failed(failure);
                }
            }
            let (mut end, verdict) = self.attempt(index, &mut pick, None).await;
            let waits = match verdict {
                RetryVerdict::MoveOn => false,
                RetryVerdict::Retry { immediately } => !immediately,
                RetryVerdict::Reconnect => return self.give_up(Some(pick), end),
                RetryVerdict::No(why) => {
                    self.record.stopped = Some(why);
                    return self.give_up(Some(pick), end);
                }
            };
            self.unseen = verdict == RetryVerdict::MoveOn;
            self.uncounted += u32::from(self.unseen);
            tried.push(pick.endpoint.described());
            drop(pick);
            if let Err(why) = self.go_on(index, waits, &end).await {
                self.record.stopped = Some(why);
                return self.give_up(None, end);
            }
            failed = match end.ended {
                AttemptResult::Failed(failure) => Some(failure),
                AttemptResult::Status(_) | AttemptResult::Grpc(_) => failed,
            };
            if !self.take_back(&mut end) {
                return self.give_up(None, end);
            }
            // From now on the healthy come first.
            if self.search == Search::Panic {
                let failure = failed.unwrap_or(Failure::NoEndpoint);
                return PoolEnd::Nobody(failure);
            }
        }
    }

    /// Returns the pool that is looked through at this place. Others do not stand in for a copy.
    fn pool_at(&self, place: usize) -> Option<(PoolIndex, ViewIndex)> {
        let (snapshot, home) = (self.terms.snapshot, self.terms.home);
        let found = search::pool_at(snapshot, home, self.record.spare(), place);
        found.filter(|_| place == 0 || !self.terms.is_copy)
    }

    /// The parts of the request that a hashing picker may take its key from.
    fn hash_input(&self) -> HashInput<'_> {
        HashInput {
            headers: &self.request.headers,
            path: self.request.uri.path(),
            query: self.request.uri.query(),
            client: *self.terms.client,
        }
    }

    /// Permission for the next attempt to be the trial of an endpoint.
    fn may_try(&self) -> MayTry {
        match self.made {
            _ if self.terms.is_copy => MayTry::No,
            0 if self.repeatable && self.upload.can_rewind() => MayTry::Any,
            0 => MayTry::Overdue,
            _ => MayTry::No,
        }
    }

    /// Takes the body back, to be sent from its start; false if it is spent.
    fn take_back(&mut self, end: &mut AttemptEnd) -> bool {
        let Some(mut upload) = end.upload.take() else {
            return false;
        };
        upload.rewind();
        self.upload = upload;
        true
    }

    /// Ends the attempts: an answer is passed on, a failure ends the call.
    ///
    /// The endpoint stays loaded until the response has ended.
    fn give_up(&mut self, pick: Option<Pick>, end: AttemptEnd) -> PoolEnd {
        // The retry is over, however long its answer is.
        self.retry = None;
        match (end.ended, end.response) {
            (AttemptResult::Failed(failure), _) => self.failed(failure, end.written, end.upload),
            // A plain answer is no fault of the endpoint, only no WebSocket.
            (_, Some(response)) if self.terms.is_misled_by(response.status) => {
                PoolEnd::Failed(Failure::UpgradeFailed)
            }
            (_, Some(response)) => {
                self.record.answering = pick.map(|pick| Answering::new(pick, end.pending));
                PoolEnd::Answer(Response {
                    status: response.status,
                    headers: response.headers,
                    body: response.body.into(),
                })
            }
            (_, None) => PoolEnd::Failed(Failure::Internal),
        }
    }

    /// Ends the attempts at this pool; another pool may be tried if nothing was sent.
    fn failed(&mut self, failure: Failure, written: Written, upload: Option<Upload>) -> PoolEnd {
        let unseen = written == Written::Nothing;
        let elsewhere = failure.side() == Side::Upstream || failure == Failure::LimitReached;
        match upload {
            Some(mut upload) if unseen && elsewhere && upload.can_rewind() => {
                self.ended = true;
                upload.rewind();
                self.upload = upload;
                PoolEnd::Nobody(failure)
            }
            _ => PoolEnd::Failed(failure),
        }
    }
}
