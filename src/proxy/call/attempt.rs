//! One attempt: from the pick to a response head or a failure, and the reports of its outcome.
//!
//! An attempt is identified by its number in the record. Pickers, passive health and metrics are
//! told its outcome here.

use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use super::{UpstreamCall, attempt_end::AttemptEnd, hedge::Hedged};
use crate::{
    exchange::{Attempt, AttemptKind, AttemptNumber, AttemptOutcome, Pending},
    failure::{Failure, Side},
    resilience::{AttemptResult, RetryVerdict},
    timer,
    upstream::{
        health::Observed,
        pick::Pick,
        pool::PoolIndex,
        transport::{Patience, Upload},
    },
};

impl UpstreamCall<'_> {
    /// Makes one attempt, from the connection to the response head, and handles its outcome. If it
    /// failed because an idle connection was closed, it is made once more on a new one, with the
    /// number `again`.
    pub(super) async fn attempt(
        &mut self,
        pool: PoolIndex,
        pick: &mut Pick,
        again: Option<AttemptNumber>,
    ) -> (AttemptEnd, RetryVerdict) {
        let number = {
            let mut started = timer::recent();
            let mut number = self.begin_attempt(pool, pick, started, again);
            let mut patience = self.patience(started);
            let hedging = self.hedging(pick, again);
            let upload = std::mem::replace(&mut self.upload, Upload::gone());
            let mut end = match hedging {
                None => {
                    let headers = &self.request.headers;
                    self.send(pick, headers, upload, again.is_some(), &mut patience)
                        .await
                }
                Some(hedging) => {
                    let hedged = Hedged {
                        pool,
                        number,
                        started,
                        patience,
                        upload,
                        hedging,
                    };
                    // In memory of its own: few routes hedge.
                    let winner = Box::pin(self.race(hedged, pick)).await;
                    (number, started) = (winner.number, winner.started);
                    winner.end
                }
            };
            let verdict = self.end_attempt(number, pick, started, &mut end);
            if !self.reconnect(verdict, &mut end) {
                return (end, verdict);
            }
            number
        };
        // In memory of its own: seldom needed.
        Box::pin(self.attempt(pool, pick, Some(number))).await
    }

    fn begin_attempt(
        &mut self,
        pool: PoolIndex,
        pick: &Pick,
        began: Instant,
        again: Option<AttemptNumber>,
    ) -> AttemptNumber {
        let number = match again {
            Some(number) => number,
            None => {
                self.made += 1;
                let endpoint = pick.endpoint.described();
                let under_way = self.terms.worker.under_way();
                under_way.endpoint(self.record.exchange, &endpoint);
                let span = self.next_span();
                self.record.begin(Attempt {
                    pool,
                    endpoint,
                    outcome: None,
                    began,
                    took: Duration::ZERO,
                    waited_ms: std::mem::take(&mut self.waited_ms),
                    span,
                    kind: AttemptKind::InTurn,
                })
            }
        };
        if self.made > 1 || self.terms.grpc || self.terms.route.deadlines {
            self.stamp(timer::now());
        }
        if self.terms.trace.is_some() {
            let span = self.record.attempt_mut(number).span;
            self.stamp_trace(span);
        }
        if self.terms.lends_host {
            self.lend_host(number);
        }
        number
    }

    pub(super) fn patience(&self, started: Instant) -> Patience {
        let (end, timeouts) = (self.terms.end, self.terms.route.timeouts);
        Patience {
            deadline: end.min(started + timeouts.attempt),
            attempt: timeouts.attempt.min(end.saturating_duration_since(started)),
            idle: timeouts.idle,
        }
    }

    fn end_attempt(
        &mut self,
        number: AttemptNumber,
        pick: &mut Pick,
        started: Instant,
        end: &mut AttemptEnd,
    ) -> RetryVerdict {
        let took = timer::now() - started;
        self.note_end(number, took, end);
        if self.samples {
            self.sample(number, pick, took, Some(end));
        }
        watch(pick, end);
        let behind = Self::take_behind(end);
        let verdict = self.verdict(end, behind);
        self.observe(pick, end, verdict);
        if behind > 0 {
            self.count_behind(behind);
        }
        verdict
    }

    /// Notes in the record how an attempt ended.
    pub(super) fn note_end(&mut self, number: AttemptNumber, took: Duration, end: &AttemptEnd) {
        let attempt = self.record.attempt_mut(number);
        attempt.took = took;
        attempt.endpoint.observe(took);
        attempt.outcome = Some(match end.ended {
            AttemptResult::Failed(failure) => AttemptOutcome::Failed(failure),
            AttemptResult::Status(status) => AttemptOutcome::Answered(status),
            AttemptResult::Grpc(_) => AttemptOutcome::Answered(StatusCode::OK),
        });
    }

    /// Returns true if this attempt is made once more on a new connection.
    fn reconnect(&mut self, verdict: RetryVerdict, end: &mut AttemptEnd) -> bool {
        if verdict != RetryVerdict::Reconnect {
            return false;
        }
        self.reconnected = true;
        self.take_back(end)
    }

    /// Reports the outcome of an attempt to metrics, pickers and passive health, as far as it is
    /// known; the rest stays in its end.
    pub(super) fn observe(&self, pick: &mut Pick, end: &mut AttemptEnd, verdict: RetryVerdict) {
        let now = timer::recent();
        let went_well = end.went_well();
        if self.terms.is_copy {
            end.pending = None;
            return pick.attempted(&end.ended);
        }
        if self.made > 1 {
            pick.pool.metrics.retried(went_well);
        }
        let passes_on = went_well && self.passes_on(end, verdict);
        end.pending = end.pending.filter(|_| passes_on);
        if end.pending.is_some() {
            if pick.observe_head(now) {
                return;
            }
            end.pending = Some(Pending::Break);
        }
        pick.attempted(&end.ended);
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
                    || self.terms.is_given_up(now)
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

    /// Returns true if an answer is passed on, so that its end will be seen.
    fn passes_on(&self, end: &AttemptEnd, verdict: RetryVerdict) -> bool {
        let misled = end.response.as_ref();
        let misled = misled.is_some_and(|response| self.terms.is_misled_by(response.status));
        !misled && matches!(verdict, RetryVerdict::No(_))
    }
}

/// Tells the breaker how long the endpoint took, where it listens.
pub(super) fn watch(pick: &mut Pick, end: &AttemptEnd) {
    if pick.is_watched() {
        let sent = end.upload.as_ref().and_then(Upload::ended_at);
        pick.took_until(timer::recent(), sent);
    }
}
