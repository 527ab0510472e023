//! What an exchange occupies until its response has ended.

use http::StatusCode;

use crate::{
    resilience::{BudgetGuard, BudgetRequest},
    upstream::{RequestPlace, pick::Pick},
};

/// Guards that give back what they stand for when the exchange ends.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// The endpoint that answers.
    pub(crate) pick: Option<Pick>,
    /// What passive health is still to hear of the answer.
    pub(crate) pending: Option<Pending>,
    /// The answer began well, announced no length and fell silent. Streams of events do, and
    /// it is no verdict on the endpoint.
    pub(crate) quiet: bool,
    /// A place among the pool's requests.
    pub(crate) place: Option<RequestPlace>,
    /// What retries are measured against.
    pub(crate) request: Option<BudgetRequest>,
    /// A retry that has no answer yet.
    pub(crate) retry: Option<BudgetGuard>,
}

/// What an answer's head leaves to its end, as far as it speaks of the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pending {
    /// How it went: well by this status, if its body comes whole.
    Answer(StatusCode),
    /// How it went: the trailers of a gRPC call say so.
    Call,
    /// Only whether it breaks: the head has counted, since the endpoint's return hung on it.
    Break,
}
