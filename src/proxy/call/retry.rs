//! Another attempt: the decision, the budget and the wait.

use std::rc::Rc;

use http::HeaderValue;
use tokio::time::Instant;

use super::{UpstreamCall, attempt_end::AttemptEnd, search};
use crate::{
    exchange::Request,
    resilience::{self, Facts, RetryVerdict, Why, Written},
    semantics::{Known, grpc},
    timer,
    upstream::local::LocalPool,
};

impl UpstreamCall<'_> {
    pub(super) fn verdict(&self, end: &AttemptEnd) -> RetryVerdict {
        let spent = end
            .upload
            .as_ref()
            .is_none_or(|upload| !upload.can_rewind());
        let terms = &self.terms;
        let facts = Facts {
            attempts: self.made - self.uncounted,
            uncounted: self.uncounted,
            one_left: end.written == Written::Nothing
                && search::is_one_left(terms.snapshot, self.record, terms.home),
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
            time_over: timer::recent() >= terms.end,
        };
        resilience::decide(terms.retry, &facts)
    }

    /// Withdraws from the budget and waits; fails if the outcome must stand.
    pub(super) async fn prepare_retry(
        &mut self,
        pool: &Rc<LocalPool>,
        end: &AttemptEnd,
    ) -> Result<(), Why> {
        // The retry before this one is over.
        self.retry = None;
        let Some(guard) = pool.pool.shared.budget.try_withdraw() else {
            pool.metrics.budget_exhausted();
            return Err(Why::BudgetUsed);
        };
        self.retry = Some(guard);
        let left = self.terms.end.saturating_duration_since(timer::recent());
        let draw = self.terms.worker.draw();
        let made = self.made - self.uncounted;
        match self.terms.retry.wait(made, draw, end.retry_after, left) {
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

    /// Tells the endpoint of a gRPC call its remaining time, and the number of earlier attempts.
    /// The client's deadline is not cut to the route's total time: that ends with the head of the
    /// response, the call with its trailers.
    pub(super) fn stamp(&mut self, now: Instant) {
        let headers = &mut self.request.headers;
        let left = self
            .terms
            .given_up
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
}

/// Returns the number of earlier attempts at a gRPC call by others.
pub(super) fn previous_attempts(request: &Request) -> u32 {
    let previous = request.headers.get(Known::GrpcPreviousRpcAttempts);
    previous
        .and_then(|count| count.to_str()?.parse().ok())
        .unwrap_or(0)
}
