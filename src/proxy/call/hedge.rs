//! Hedging: a second attempt beside a first one that is slow; the better answer counts.
//!
//! Only requests whose method is safe and that have no body are hedged, once, and only within the
//! retry budget of the pool. A hedge waits for nobody: it takes an endpoint that was not tried and a
//! connection that no other request waits for. The attempt that loses is cancelled.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use tokio::time::Instant;

use super::{UpstreamCall, attempt::watch, attempt_end::AttemptEnd};
use crate::{
    exchange::{Attempt, AttemptNumber, AttemptOutcome},
    resilience::{BudgetGuard, RetryVerdict},
    timer,
    upstream::{
        metrics::HedgeOutcome,
        pick::{MayTry, Pick, PickRequest, Picked, Regard},
        pool::PoolIndex,
        transport::{Patience, Upload},
        tried::Tried,
    },
};

/// A first attempt that may be hedged.
pub(super) struct Hedged {
    pub(super) pool: PoolIndex,
    pub(super) number: AttemptNumber,
    pub(super) started: Instant,
    pub(super) patience: Patience,
    pub(super) upload: Upload,
}

/// The attempt of a race that counts.
pub(super) struct Winner {
    pub(super) end: AttemptEnd,
    pub(super) number: AttemptNumber,
    pub(super) started: Instant,
}

/// The second attempt, while it is open.
struct Second {
    pick: Pick,
    started: Instant,
    /// Counts in the retry budget until the race is over.
    _guard: BudgetGuard,
}

/// End of a race.
struct Race {
    first: Option<AttemptEnd>,
    second: Option<AttemptEnd>,
    second_wins: bool,
    hedge: Option<Second>,
}

impl UpstreamCall<'_> {
    /// Returns the time after which the attempt that begins is hedged; none if it is not.
    pub(super) fn hedge_after(&self, again: Option<AttemptNumber>) -> Option<Duration> {
        let after = self.terms.route.retry.hedge_after?;
        let hedged = again.is_none()
            && self.made == 1
            && self.caller_attempt == 1
            && self.request.method.is_safe()
            && self.upload.is_ended()
            && self.terms.offer.is_none()
            // The answer of another endpoint would end the session with this one.
            && self.record.session.is_none()
            // The name in its head would be that of the other endpoint.
            && !self.terms.lends_host;
        hedged.then_some(after)
    }

    /// Makes the attempt, and a second one if it is slow. `pick` becomes that of the winner.
    pub(super) async fn race(
        &mut self,
        hedged: Hedged,
        pick: &mut Pick,
        after: Duration,
    ) -> Winner {
        let Hedged {
            pool,
            number,
            started,
            mut patience,
            upload,
        } = hedged;
        let race = self
            .run_race(pick, upload, &mut patience, started + after)
            .await;
        let Race {
            first,
            second,
            second_wins,
            hedge,
        } = race;
        let Some(hedge) = hedge else {
            return self.alone(first, number, started);
        };
        let Second {
            pick: mut other,
            started: began,
            ..
        } = hedge;
        let hedge_number = self.record.begin(Attempt {
            pool,
            endpoint: other.endpoint.described(),
            outcome: None,
            took: Duration::ZERO,
            waited_ms: 0,
            hedge: true,
        });
        let metrics = &pick.pool.metrics;
        metrics.hedged(if second_wins {
            HedgeOutcome::Won
        } else {
            HedgeOutcome::Lost
        });
        let (winner, loser) = if second_wins {
            std::mem::swap(pick, &mut other);
            ((second, hedge_number, began), (first, number, started))
        } else {
            ((first, number, started), (second, hedge_number, began))
        };
        self.end_loser(loser, &mut other);
        self.record.stand(winner.1);
        self.alone(winner.0, winner.1, winner.2)
    }

    /// Notes the attempt that does not count: it was cancelled, or has failed before.
    fn end_loser(
        &mut self,
        (end, number, started): (Option<AttemptEnd>, AttemptNumber, Instant),
        pick: &mut Pick,
    ) {
        let took = timer::recent().saturating_duration_since(started);
        let Some(mut end) = end else {
            let attempt = self.record.attempt_mut(number);
            attempt.took = took;
            attempt.outcome = Some(AttemptOutcome::Lost);
            return;
        };
        self.note_end(number, took, &end);
        watch(pick, &end);
        self.observe(pick, &mut end, RetryVerdict::Retry { immediately: false });
    }

    fn alone(&self, end: Option<AttemptEnd>, number: AttemptNumber, started: Instant) -> Winner {
        Winner {
            // A race ends with the end of its winner.
            end: end.unwrap_or_else(|| {
                AttemptEnd::unsent(crate::failure::Failure::Internal, Upload::gone())
            }),
            number,
            started,
        }
    }

    async fn run_race(
        &self,
        pick: &Pick,
        upload: Upload,
        patience: &mut Patience,
        hedge_at: Instant,
    ) -> Race {
        let copy = upload.bodiless_copy();
        let mut race = Race {
            first: None,
            second: None,
            second_wins: false,
            hedge: None,
        };
        let mut first = pin!(self.send(pick, &self.request.headers, upload, false, patience));
        if let Ok(end) = timer::until(hedge_at, first.as_mut()).await {
            race.first = Some(end);
            return race;
        }
        let second = copy.and_then(|copy| Some((copy, self.begin_second(pick)?)));
        let Some((copy, second)) = second else {
            race.first = Some(first.await);
            return race;
        };
        let mut own_patience = self.patience(second.started);
        let headers = self.stamped_beside(second.started);
        {
            let mut other = pin!(self.send(&second.pick, &headers, copy, false, &mut own_patience));
            let Race {
                first: first_end,
                second: second_end,
                second_wins,
                ..
            } = &mut race;
            poll_fn(|cx| {
                if first_end.is_none()
                    && let Poll::Ready(end) = first.as_mut().poll(cx)
                {
                    timer::now();
                    let good = self.is_good(&end);
                    *first_end = Some(end);
                    if good {
                        return Poll::Ready(());
                    }
                }
                if second_end.is_none()
                    && let Poll::Ready(end) = other.as_mut().poll(cx)
                {
                    timer::now();
                    *second_wins = self.is_good(&end);
                    *second_end = Some(end);
                    if *second_wins {
                        return Poll::Ready(());
                    }
                }
                match (&*first_end, &*second_end) {
                    (Some(first), Some(second)) => {
                        // An answer is better than none.
                        *second_wins = first.response.is_none() && second.response.is_some();
                        Poll::Ready(())
                    }
                    _ => Poll::Pending,
                }
            })
            .await;
        }
        race.hedge = Some(second);
        race
    }

    /// Picks an endpoint for the second attempt, within the budget; none if there is none.
    fn begin_second(&self, first: &Pick) -> Option<Second> {
        let pool = &first.pool;
        let now = timer::now();
        let Some(guard) = pool.pool.shared.budget.try_withdraw() else {
            pool.metrics.budget_exhausted();
            pool.metrics.hedged(HedgeOutcome::NoBudget);
            return None;
        };
        let request = PickRequest {
            now,
            draw: self.terms.worker.draw(),
            key: None,
            regard: Regard::Healthy,
            trial: MayTry::No,
        };
        let mut tried: Tried = [first.endpoint.described()].into_iter().collect();
        let Picked::Endpoint(mut pick) = pool.pick(self.view, &request, &mut tried) else {
            pool.metrics.hedged(HedgeOutcome::NoEndpoint);
            return None;
        };
        if pool.pool.breaker.is_some() {
            // An open breaker lets no hedge through.
            let Ok(permit) = pool.pool.shared.breaker.admit(now) else {
                pool.metrics.hedged(HedgeOutcome::NoEndpoint);
                return None;
            };
            pick.permit(permit);
        }
        Some(Second {
            pick,
            started: now,
            _guard: guard,
        })
    }

    /// Returns true if an attempt brought an answer to pass on: well, and not one to retry after.
    fn is_good(&self, end: &AttemptEnd) -> bool {
        end.went_well() && !self.terms.route.retry.on.contains(end.ended)
    }
}
