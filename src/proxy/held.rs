//! What an exchange occupies until its response has ended.

use super::pick::RequestPlace;
use crate::{
    resilience::{BudgetGuard, BudgetRequest},
    upstream::local::Pick,
};

/// Guards that give back what they stand for when the exchange ends.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// The endpoint that answers.
    pub(super) pick: Option<Pick>,
    /// Whether the answer's head left open how the attempt went: a gRPC status is to follow.
    pub(super) undecided: bool,
    /// A place among the pool's requests.
    pub(super) place: Option<RequestPlace>,
    /// What retries are measured against.
    pub(super) request: Option<BudgetRequest>,
    /// A retry under way.
    pub(super) retry: Option<BudgetGuard>,
}
