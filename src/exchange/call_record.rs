//! The record of one upstream call.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    time::Duration,
};

use semver::VersionReq;
use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::{Answering, Attempt, AttemptNumber, Obstacle};
use crate::{
    resilience::{BudgetRequest, Why},
    rollout::shadow::Answer,
    state::{ExchangePlace, Shadow},
    upstream::{RequestPlace, pool::ViewIndex, session::EndpointSession},
};

/// Record of an upstream call; holds what the call occupies until its answer has ended.
#[derive(Debug, Default)]
pub(crate) struct CallRecord {
    /// Place of its exchange among those under way on the worker.
    pub(crate) exchange: ExchangePlace,
    /// Every try at an endpoint, in the order in which they began.
    pub(crate) attempts: SmallVec<[Attempt; 1]>,
    /// Attempts under way beside another, until one of them has answered. Then they are in
    /// `attempts`.
    pub(crate) beside: RefCell<Vec<Attempt>>,
    /// Parts that few calls have.
    extra: Option<Box<CallExtra>>,
    /// Session that the client has with an endpoint of the pool asked last.
    pub(crate) session: Option<EndpointSession>,
    /// The attempt whose outcome stands, where it is not the last.
    stands: Option<AttemptNumber>,
    /// Number of attempts that count, with those of proxies behind, if there was more than one;
    /// else 0.
    pub(crate) repeated: u32,
    /// Reason why the last attempt was not followed by another.
    pub(crate) stopped: Option<Why>,
    /// Time for which the breakers that it met refuse requests, in milliseconds; 0: it met none.
    pub(crate) refused_ms: u32,
    /// Time spent waiting for a limit.
    pub(crate) queued: QueuedTime,
    /// The answer that is under way, with the endpoint that it comes from.
    pub(crate) answering: Option<Answering>,
    /// A place among the pool's requests.
    pub(crate) place: Option<RequestPlace>,
    /// Request that the retry budget is measured against.
    pub(crate) request: Option<BudgetRequest>,
}

/// Parts that only calls of some routes have.
#[derive(Debug, Default)]
pub(crate) struct CallExtra {
    /// View that serves when nobody of the first one can: the other version of a rollout.
    pub(crate) spare: Option<ViewIndex>,
    /// Version that the client asks for, where its route allows that.
    pub(crate) wanted: Option<VersionReq>,
    /// The copy of the request that is under way.
    pub(crate) copied: Option<Copied>,
}

/// A copy of a request that waits for the answer to the request.
#[derive(Debug)]
pub(crate) struct Copied {
    /// The shadow that it was made for.
    pub(crate) shadow: Arc<Shadow>,
    /// Takes the answer.
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// Sum of the times that an exchange has waited for limits, and the limit that refused it last.
#[derive(Debug, Default)]
pub(crate) struct QueuedTime {
    /// Nanoseconds in the lower bits, the limit above: the record does not grow.
    packed: Cell<u64>,
}

/// Bits of the nanoseconds: two years.
const NS_BITS: u32 = 56;
const NS_MAX: u64 = (1 << NS_BITS) - 1;
/// Mark of a limit that was waited for until the time was over.
const WAITED: u64 = 1 << (u64::BITS - 1);

impl QueuedTime {
    /// Adds a wait.
    pub(crate) fn add(&self, waited: Duration) {
        let waited_ns = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
        let packed = self.packed.get();
        let ns = (packed & NS_MAX).saturating_add(waited_ns).min(NS_MAX);
        self.packed.set(packed & !NS_MAX | ns);
    }

    /// Notes the limit that refused the exchange; `waited` if it first waited for it.
    #[cold]
    pub(crate) fn refused_by(&self, obstacle: Obstacle, waited: bool) {
        let ns = self.packed.get() & NS_MAX;
        let mark = if waited { WAITED } else { 0 };
        self.packed.set(ns | obstacle.code() << NS_BITS | mark);
    }

    /// Returns the limit that refused the exchange last, and whether it waited for it.
    pub(crate) fn obstacle(&self) -> Option<(Obstacle, bool)> {
        let packed = self.packed.get();
        let code = (packed & !WAITED) >> NS_BITS;
        Some((Obstacle::of(code)?, packed & WAITED != 0))
    }

    /// Returns the sum; none if it never waited.
    pub(crate) fn get(&self) -> Option<Duration> {
        let ns = self.packed.get() & NS_MAX;
        (ns > 0).then(|| Duration::from_nanos(ns))
    }
}

impl CallRecord {
    /// Returns the record of a call for this exchange.
    pub(crate) fn of(exchange: ExchangePlace) -> Self {
        Self {
            exchange,
            ..Self::default()
        }
    }

    /// Parts that few calls have; made at the first call.
    pub(crate) fn extra(&mut self) -> &mut CallExtra {
        self.extra.get_or_insert_default()
    }

    /// View that serves when nobody of the first one can.
    pub(crate) fn spare(&self) -> Option<ViewIndex> {
        self.extra.as_ref()?.spare
    }

    /// Version that the client asks for.
    pub(crate) fn wanted(&self) -> Option<&VersionReq> {
        self.extra.as_ref()?.wanted.as_ref()
    }

    /// Takes the copy of the request that waits for its answer.
    pub(crate) fn take_copied(&mut self) -> Option<Copied> {
        self.extra.as_mut()?.copied.take()
    }

    /// Notes an attempt that begins, and gives it its number.
    pub(crate) fn begin(&mut self, attempt: Attempt) -> AttemptNumber {
        self.stands = None;
        self.attempts.push(attempt);
        // No policy allows nearly as many.
        AttemptNumber(u16::try_from(self.attempts.len() - 1).unwrap_or(u16::MAX))
    }

    /// Makes the outcome of this attempt the one that stands.
    pub(crate) fn stand(&mut self, number: AttemptNumber) {
        self.stands = Some(number);
    }

    /// An attempt that has begun.
    ///
    /// # Panics
    /// If the number is that of another record.
    pub(crate) fn attempt_mut(&mut self, number: AttemptNumber) -> &mut Attempt {
        &mut self.attempts[usize::from(number.0)]
    }

    /// An attempt that has begun, and the one before it.
    ///
    /// # Panics
    /// If the number is that of another record.
    pub(crate) fn with_before(&self, number: AttemptNumber) -> (&Attempt, Option<&Attempt>) {
        let place = usize::from(number.0);
        let before = place.checked_sub(1).map(|place| &self.attempts[place]);
        (&self.attempts[place], before)
    }

    /// Gives back the places at the pool and at the endpoint.
    #[inline]
    pub(crate) fn release_places(&mut self) {
        self.place = None;
        if let Some(answering) = &mut self.answering {
            answering.release_place();
        }
    }

    /// The answer announced no length and has fallen silent.
    pub(crate) fn fell_silent(&mut self) {
        if let Some(answering) = &mut self.answering {
            answering.quiet = true;
        }
    }

    /// The attempt whose outcome stands.
    pub(crate) fn standing(&self) -> Option<&Attempt> {
        match self.stands {
            None => self.attempts.last(),
            Some(number) => self.attempts.get(usize::from(number.0)),
        }
    }
}
