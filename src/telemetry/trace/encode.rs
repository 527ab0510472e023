//! Interface between the content of a span and its form.

use std::{net::IpAddr, time::Duration};

use crate::semantics::trace::{SpanId, TraceId};

/// Parts that every span has.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpanHead<'a> {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    pub(super) parent: Option<SpanId>,
    pub(super) kind: SpanKind,
    /// Parts of the name, with a space between them.
    pub(super) name: (&'a str, Option<&'a str>),
    /// Time since the Unix epoch.
    pub(super) start: Duration,
    pub(super) took: Duration,
    /// The other side of the connection.
    pub(super) remote: Option<(IpAddr, Option<u16>)>,
}

/// Side of the exchange that a span is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SpanKind {
    /// Towards the client.
    Server,
    /// Towards an endpoint.
    Client,
}

/// Writes spans in one form.
pub(super) trait Encode {
    /// Begins a span.
    fn open(&mut self, head: &SpanHead<'_>);
    /// Adds a text.
    fn text(&mut self, key: &'static str, value: &str);
    /// Adds a number.
    fn number(&mut self, key: &'static str, value: u64);
    /// Ends the span.
    fn close(&mut self, failed: bool);
}
