//! The race between the attempts of one request.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
};

use smallvec::SmallVec;

use super::{
    super::{UpstreamCall, attempt_end::AttemptEnd},
    Beside, Hedged, Hedging, Race,
};
use crate::{
    timer,
    upstream::{metrics::HedgeOutcome, pick::Pick, transport::Upload},
};

impl UpstreamCall<'_> {
    pub(super) async fn run_race(&self, pick: &Pick, hedged: Hedged) -> Race {
        let Hedged {
            pool,
            started,
            mut patience,
            upload,
            hedging: Hedging { after, max },
            ..
        } = hedged;
        let copy = upload.bodiless_copy();
        let mut first_end = None;
        let mut others: SmallVec<[Beside<'_>; 1]> = SmallVec::new();
        let mut next = Some(started + after);
        let mut first = Some(Box::pin(self.send(
            pick,
            &self.request.headers,
            upload,
            false,
            &mut patience,
        )));
        let winner = loop {
            let step = poll_fn(|cx| self.poll_race(cx, &mut first, &mut first_end, &mut others));
            let Some(at) = next else {
                break step.await;
            };
            if let Ok(winner) = timer::until(at, step).await {
                break winner;
            }
            next = None;
            let copy = copy.as_ref().and_then(Upload::bodiless_copy);
            if let Some(beside) = copy.and_then(|copy| self.begin_beside(pool, pick, copy)) {
                let began = beside.started;
                others.push(beside);
                let more = u32::try_from(others.len()).is_ok_and(|count| count < max);
                next = more.then_some(began + after);
            }
        };
        drop(first);
        let ends = others.into_iter().enumerate().map(|(place, mut other)| {
            let won = winner == Some(place);
            other.counted.outcome = if won {
                HedgeOutcome::Won
            } else {
                HedgeOutcome::Lost
            };
            (other.ended, other.started)
        });
        Race {
            others: ends.collect(),
            first: first_end,
            winner,
        }
    }

    /// Polls all attempts; ready with the place of the one that counts among the others, or none if
    /// the first counts.
    fn poll_race(
        &self,
        cx: &mut Context<'_>,
        first: &mut Option<Pin<Box<impl Future<Output = AttemptEnd>>>>,
        first_end: &mut Option<AttemptEnd>,
        others: &mut [Beside<'_>],
    ) -> Poll<Option<usize>> {
        if let Some(future) = first
            && let Poll::Ready(end) = future.as_mut().poll(cx)
        {
            timer::now();
            *first = None;
            let good = self.is_good(&end);
            *first_end = Some(end);
            if good {
                return Poll::Ready(None);
            }
        }
        for (place, other) in others.iter_mut().enumerate() {
            if let Some(future) = &mut other.future
                && let Poll::Ready(ended) = future.as_mut().poll(cx)
            {
                timer::now();
                other.future = None;
                let good = self.is_good(&ended.1);
                other.ended = Some(ended);
                if good {
                    return Poll::Ready(Some(place));
                }
            }
        }
        match first_end {
            Some(first) if others.iter().all(|other| other.ended.is_some()) => {
                let mut ends = others.iter().map(|other| other.ended.as_ref());
                let answered = |end: &AttemptEnd| end.response.is_some();
                // An answer is better than none.
                Poll::Ready(match answered(first) {
                    true => None,
                    false => ends.position(|ended| ended.is_some_and(|(_, end)| answered(end))),
                })
            }
            _ => Poll::Pending,
        }
    }
}
