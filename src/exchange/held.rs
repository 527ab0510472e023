//! Guards that an exchange holds until its response has ended.

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
    /// Report to passive health that the answer still owes.
    pub(crate) pending: Option<Pending>,
    /// The answer began well, announced no length and fell silent. Streams of events do, and
    /// it is no verdict on the endpoint.
    pub(crate) quiet: bool,
    /// A place among the pool's requests.
    pub(crate) place: Option<RequestPlace>,
    /// Request that the retry budget is measured against.
    pub(crate) request: Option<BudgetRequest>,
    /// A retry that has no answer yet.
    pub(crate) retry: Option<BudgetGuard>,
}

/// Outcome that an answer's head leaves open to its end, as far as it concerns the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pending {
    /// The outcome: a success with this status, if its body comes whole.
    Answer(StatusCode),
    /// The outcome: that of the trailers of a gRPC call.
    Call,
    /// Only whether it breaks: the head has counted, since the endpoint's return hung on it.
    Break,
}
