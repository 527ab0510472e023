//! An answer that is under way, and what passive health and metrics are still to hear of it.

use http::StatusCode;
use tokio::time::Instant;

use crate::{
    failure::{Failure, Side},
    resilience::AttemptResult,
    semantics::grpc,
    upstream::{health::Observed, pick::Pick},
};

/// An answer whose head was passed on; its endpoint stays loaded until this is dropped.
#[derive(Debug)]
pub(crate) struct Answering {
    pick: Pick,
    pending: Option<Pending>,
    /// The answer began well, announced no length and then became silent. Streams of events do so,
    /// and it does not count against the endpoint.
    pub(crate) quiet: bool,
}

/// Outcome that an answer's head leaves open to its end, as far as it concerns the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pending {
    /// The outcome: a success with this status, if its body comes whole.
    Answer(StatusCode),
    /// The outcome: that of the trailers of a gRPC call.
    Call,
    /// Only a broken answer counts: the head has counted already, as it decided on the endpoint's
    /// return.
    Break,
}

/// End of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnswerEnd {
    /// Failure that cut it short.
    pub(crate) failure: Option<Failure>,
    /// Status of a gRPC call at its end.
    pub(crate) grpc_status: Option<u8>,
    /// True if the client had given up by then.
    pub(crate) given_up: bool,
}

impl Answering {
    /// An answer of this endpoint has begun.
    pub(crate) fn new(pick: Pick, pending: Option<Pending>) -> Self {
        Self {
            pick,
            pending,
            quiet: false,
        }
    }

    /// The endpoint that it comes from.
    pub(crate) fn pick(&self) -> &Pick {
        &self.pick
    }

    /// Gives back the place at the endpoint.
    #[inline]
    pub(super) fn release_place(&mut self) {
        self.pick.release_place();
    }

    /// Tells passive health and metrics what the head of the answer had left open.
    pub(crate) fn judge(&self, end: &AnswerEnd, now: Instant) {
        let Some(pending) = self.pending else {
            return;
        };
        let pick = &self.pick;
        let of_endpoint = |failure: &Failure| failure.side() == Side::Upstream && !end.given_up;
        let failure = end.failure.filter(of_endpoint);
        // A stream that fell silent is counted as what it is, and says nothing of its endpoint.
        if self.quiet
            && let (Pending::Answer(_) | Pending::Call, Some(failure)) = (pending, failure)
        {
            return pick.attempted(&AttemptResult::Failed(failure));
        }
        let (outcome, observed) = match (pending, failure.filter(|_| !self.quiet)) {
            (Pending::Break, None) => return,
            (Pending::Break, Some(_)) => return pick.observe_end(now, Observed::Failure),
            (_, Some(failure)) => (AttemptResult::Failed(failure), Observed::Failure),
            (Pending::Answer(status), None) => (AttemptResult::Status(status), Observed::Success),
            (Pending::Call, None) => match (end.grpc_status, end.failure) {
                (Some(status), None) if !grpc::is_failure(status) => {
                    (AttemptResult::Grpc(status), Observed::Success)
                }
                (Some(status), None) => (AttemptResult::Grpc(status), Observed::BadAnswer),
                // An end without a status is what clients call UNKNOWN.
                (None, None) => (AttemptResult::Grpc(2), Observed::BadAnswer),
                // The client has left: nobody knows how it would have ended.
                (_, Some(_)) => {
                    return pick.attempted(&AttemptResult::Status(StatusCode::OK));
                }
            },
        };
        pick.attempted(&outcome);
        pick.observe_end(now, observed);
    }
}
