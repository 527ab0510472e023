//! One attempt at one endpoint.

use std::{rc::Rc, time::Duration};

use http::StatusCode;
use tokio::time::Instant;

use crate::{
    failure::Failure,
    upstream::{idle::Described, pool::PoolIndex},
};

/// One attempt of an exchange at one endpoint.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The pool it was picked from.
    pub pool: PoolIndex,
    /// The endpoint, as described at that time.
    pub endpoint: Rc<Described>,
    /// Outcome; none while it is under way.
    pub outcome: Option<AttemptOutcome>,
    /// Time at which it began.
    pub began: Instant,
    /// Time from the pick to the response head or the failure.
    pub took: Duration,
    /// Wait before it, in milliseconds: the backoff, or the delay that the endpoint before it asked
    /// for.
    pub waited_ms: u32,
    /// Number of its span in the trace of the exchange.
    pub span: u16,
    /// Its place in the exchange.
    pub kind: AttemptKind,
}

/// Place of an attempt in its exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptKind {
    /// One of those that come one after the other.
    InTurn,
    /// Beside another that was slow.
    Hedge,
    /// Of a subrequest by a filter.
    Subrequest,
}

impl Attempt {
    /// The address of the endpoint.
    pub fn address(&self) -> &str {
        &self.endpoint.endpoint.label
    }
}

/// Names an attempt of a call: its place in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AttemptNumber(pub(super) u16);

/// Outcome of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// A response head with this status.
    Answered(StatusCode),
    /// No response head.
    Failed(Failure),
    /// Cancelled, since another attempt had answered.
    Lost,
}
