//! Trace context in request headers: W3C Trace Context and B3.
//!
//! Reading takes the first format that is there; a field that is malformed, or sent twice, is as if
//! it were absent. Nothing is allocated.

mod b3;
mod id;
mod trace_context;

pub use id::{Sampling, SpanId, TraceId};

use super::headers::Headers;

/// A way to write a trace context in headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceFormat {
    /// `traceparent` and `tracestate` (W3C Trace Context).
    TraceContext,
    /// The field `b3`.
    B3,
    /// The fields `X-B3-TraceId` and kin.
    B3Multi,
}

/// The trace of a request, as its sender tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The trace, and the sender's span in it; none: only a decision was sent.
    pub parent: Option<(TraceId, SpanId)>,
    /// The sender's decision on recording.
    pub sampling: Sampling,
}

/// The trace of a request, as the endpoint is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The trace.
    pub trace: TraceId,
    /// The span of the attempt.
    pub span: SpanId,
    /// True if it is recorded.
    pub sampled: bool,
}

impl TraceFormat {
    /// Reads the context in this format.
    pub fn read(self, headers: &Headers) -> Option<Incoming> {
        match self {
            Self::TraceContext => trace_context::read(headers),
            // Receivers understand both forms.
            Self::B3 | Self::B3Multi => b3::read(headers),
        }
    }

    /// Writes the context in this format; other formats stay as they are.
    pub fn write(self, headers: &mut Headers, outgoing: &Outgoing) {
        match self {
            Self::TraceContext => trace_context::write(headers, outgoing),
            Self::B3 => b3::write(headers, outgoing),
            Self::B3Multi => b3::write_multi(headers, outgoing),
        }
    }
}

/// Removes the context in all formats.
pub fn remove(headers: &mut Headers) {
    trace_context::remove(headers);
    b3::remove(headers);
}

#[cfg(test)]
mod tests;
