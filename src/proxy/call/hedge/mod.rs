//! Hedging: attempts beside a first one that is slow; the best answer counts.
//!
//! Only requests whose method is safe and that have no body are hedged, as often as the route says,
//! and only within the retry budget of the pool. A hedge waits for nobody: it takes an endpoint that
//! was not tried and a connection that no other request waits for. Attempts that lose are cancelled.

mod race;

use std::{future::Future, pin::Pin, rc::Rc, time::Duration};

use smallvec::SmallVec;
use tokio::time::Instant;

use super::{UpstreamCall, attempt::watch, attempt_end::AttemptEnd};
use crate::{
    config::value::HedgeAfter,
    exchange::{Attempt, AttemptKind, AttemptNumber, AttemptOutcome},
    failure::Failure,
    memory,
    resilience::{AttemptResult, BudgetGuard, RetryVerdict},
    semantics::Headers,
    timer,
    upstream::{
        metrics::{HedgeOutcome, PoolMetrics},
        pick::{MayTry, Pick, PickRequest, Picked, Regard},
        pool::PoolIndex,
        transport::{Patience, Upload},
        tried::Tried,
    },
};

/// Hedging of one attempt.
#[derive(Clone, Copy)]
pub(super) struct Hedging {
    after: Duration,
    max: u32,
}

/// A first attempt that may be hedged.
pub(super) struct Hedged {
    pub(super) pool: PoolIndex,
    pub(super) number: AttemptNumber,
    pub(super) started: Instant,
    pub(super) patience: Patience,
    pub(super) upload: Upload,
    pub(super) hedging: Hedging,
}

/// The attempt of a race that counts.
pub(super) struct Winner {
    pub(super) end: AttemptEnd,
    pub(super) number: AttemptNumber,
    pub(super) started: Instant,
}

/// An endpoint for an attempt beside the first.
struct Second {
    pick: Pick,
    started: Instant,
    /// Counts in the retry budget until the race is over.
    _guard: BudgetGuard,
}

/// An attempt beside the first.
struct Beside<'a> {
    /// None when it has ended.
    future: Option<Pin<Box<dyn Future<Output = Ended> + 'a>>>,
    ended: Option<Ended>,
    started: Instant,
    counted: Counted<'a>,
}

type Ended = (Second, AttemptEnd);

/// Counts the outcome of a hedge when it is dropped.
struct Counted<'a> {
    metrics: &'a PoolMetrics,
    outcome: HedgeOutcome,
}

/// End of a race, without what was cancelled.
struct Race {
    first: Option<AttemptEnd>,
    /// The others in the order in which they began, with that time.
    others: SmallVec<[(Option<Ended>, Instant); 1]>,
    /// The one of the others that counts; none: the first does.
    winner: Option<usize>,
}

impl UpstreamCall<'_> {
    /// Returns how the attempt that begins is hedged; none if it is not.
    pub(super) fn hedging(&mut self, pick: &Pick, again: Option<AttemptNumber>) -> Option<Hedging> {
        let policy = self.terms.route.retry.hedge?;
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
        if !hedged {
            return None;
        }
        let after = match policy.after {
            HedgeAfter::Fixed(after) => after,
            HedgeAfter::Quantile(quantile) => {
                self.samples = true;
                let known = pick.pool.latency(quantile, timer::recent())?;
                known.max(AFTER_MIN)
            }
        };
        Some(Hedging {
            after,
            max: policy.max,
        })
    }

    /// Counts the first attempt for the quantile after which it is hedged, if it went well or was
    /// too slow. `end` is none if it was cut off.
    #[cold]
    pub(super) fn sample(
        &mut self,
        number: AttemptNumber,
        pick: &Pick,
        took: Duration,
        end: Option<&AttemptEnd>,
    ) {
        let counts = end.is_none_or(|end| {
            end.went_well() || end.ended == AttemptResult::Failed(Failure::ResponseTimeout)
        });
        // A hedge begins because an endpoint is slow: it says little of the others.
        if counts && self.record.attempt_mut(number).kind != AttemptKind::Hedge {
            self.samples = false;
            pick.pool.add_latency(took, timer::recent());
        }
    }

    /// Makes the attempt, and others if it is slow. `pick` becomes that of the winner.
    pub(super) async fn race(&mut self, hedged: Hedged, pick: &mut Pick) -> Winner {
        let (first, started) = (hedged.number, hedged.started);
        let race = self.run_race(pick, hedged).await;
        let mut winner = None;
        let begun = self.record.beside.take().into_iter();
        for (place, (attempt, (ended, began))) in begun.zip(race.others).enumerate() {
            let number = self.record.begin(attempt);
            match ended {
                Some((second, end)) if race.winner == Some(place) => {
                    let started = began;
                    winner = Some((
                        second.pick,
                        Winner {
                            end,
                            number,
                            started,
                        },
                    ));
                }
                Some((mut second, mut end)) => {
                    self.end_loser(&mut end, number, began, &mut second.pick);
                }
                None => self.cut_off(number, began),
            }
        }
        let Some((other, winner)) = winner else {
            self.record.stand(first);
            let end = race.first;
            return Winner {
                // A race ends with the end of its winner.
                end: end.unwrap_or_else(|| AttemptEnd::unsent(Failure::Internal, Upload::gone())),
                number: first,
                started,
            };
        };
        match race.first {
            Some(mut end) => self.end_loser(&mut end, first, started, pick),
            None => {
                if self.samples {
                    let took = timer::recent().saturating_duration_since(started);
                    self.sample(first, pick, took, None);
                }
                self.cut_off(first, started);
            }
        }
        *pick = other;
        let exchange = self.record.exchange;
        self.record.stand(winner.number);
        let endpoint = &self.record.attempt_mut(winner.number).endpoint;
        let under_way = self.terms.worker.under_way();
        under_way.endpoint(exchange, endpoint);
        winner
    }

    /// Notes an attempt that does not count: it had ended before the winner.
    fn end_loser(
        &mut self,
        end: &mut AttemptEnd,
        number: AttemptNumber,
        started: Instant,
        pick: &mut Pick,
    ) {
        let took = timer::recent().saturating_duration_since(started);
        self.note_end(number, took, end);
        watch(pick, end);
        self.observe(pick, end, RetryVerdict::Retry { immediately: false });
    }

    /// Notes an attempt that was cancelled.
    fn cut_off(&mut self, number: AttemptNumber, started: Instant) {
        let attempt = self.record.attempt_mut(number);
        attempt.took = timer::recent().saturating_duration_since(started);
        attempt.outcome = Some(AttemptOutcome::Lost);
    }

    /// Begins an attempt beside the others, if it may be made.
    fn begin_beside<'a>(
        &'a self,
        pool: PoolIndex,
        first: &'a Pick,
        upload: Upload,
    ) -> Option<Beside<'a>> {
        let second = self.begin_second(first)?;
        let started = second.started;
        let span = self.next_span();
        let others = {
            let mut begun = self.record.beside.borrow_mut();
            begun.push(Attempt {
                pool,
                endpoint: second.pick.endpoint.described(),
                outcome: None,
                began: started,
                took: Duration::ZERO,
                waited_ms: 0,
                span,
                kind: AttemptKind::Hedge,
            });
            u32::try_from(begun.len()).unwrap_or(u32::MAX)
        };
        let headers = self.stamped_beside(started, others, span);
        Some(Beside {
            future: Some(memory::pinned(|| self.beside(second, headers, upload))),
            ended: None,
            started,
            counted: Counted {
                metrics: &first.pool.metrics,
                outcome: HedgeOutcome::Cancelled,
            },
        })
    }

    async fn beside(&self, second: Second, headers: Headers, upload: Upload) -> Ended {
        let mut patience = self.patience(second.started);
        let sent = self.send(&second.pick, &headers, upload, false, &mut patience);
        let end = sent.await;
        (second, end)
    }

    /// Picks an endpoint for another attempt, within the budget; none if there is none.
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
            version: self.record.wanted(),
        };
        let begun = self.record.beside.borrow();
        let others = begun.iter().map(|attempt| Rc::clone(&attempt.endpoint));
        let mut tried: Tried = others.chain([first.endpoint.described()]).collect();
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

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.metrics.hedged(self.outcome);
    }
}

/// Shortest time after which a quantile hedges: about what the timers can tell apart.
const AFTER_MIN: Duration = Duration::from_millis(1);
