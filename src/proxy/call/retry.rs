//! Another attempt: the decision, the budget and the wait.

use std::rc::Rc;

use super::{UpstreamCall, attempt_end::AttemptEnd, search};
use crate::{
    resilience::{self, Facts, RetryVerdict, Why, Written},
    timer,
    upstream::local::LocalPool,
};

impl UpstreamCall<'_> {
    pub(super) fn verdict(&self, end: &AttemptEnd, behind: u32) -> RetryVerdict {
        let spent = end
            .upload
            .as_ref()
            .is_none_or(|upload| !upload.can_rewind());
        let terms = &self.terms;
        let facts = Facts {
            attempts: self.made - self.uncounted + behind,
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
            caller_retries: self.caller_attempt > 1,
            time_over: timer::recent() >= terms.end,
        };
        resilience::decide(&terms.route.retry, &facts)
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
        match self
            .terms
            .route
            .retry
            .wait(made, draw, end.retry_after, left)
        {
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
}
