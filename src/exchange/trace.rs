//! The trace that an exchange belongs to.

use std::cell::Cell;

use crate::semantics::trace::{SpanId, TraceId};

/// Identities in the trace of an exchange; only while tracing is on.
#[derive(Debug)]
pub(crate) struct Trace {
    /// The trace: of the sender, or begun here.
    pub(crate) id: TraceId,
    /// The span of the exchange.
    pub(crate) span: SpanId,
    /// The sender's span.
    pub(crate) parent: Option<SpanId>,
    /// True if it is recorded, and endpoints are told so.
    pub(crate) sampled: bool,
    /// True if the sender's context is believed, so that its other fields are passed on.
    pub(crate) accepted: bool,
    /// Number of attempts so far.
    pub(crate) attempts: Cell<u16>,
    /// Condition of its route on the path, once the configuration was let go.
    pub(crate) route_path: Option<Box<str>>,
}

impl Trace {
    /// Returns the number of the span of another attempt.
    pub(crate) fn next(&self) -> u16 {
        let number = self.attempts.get();
        self.attempts.set(number.saturating_add(1));
        number
    }
}
