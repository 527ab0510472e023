//! What is left of an upstream connection after a switch of protocols: a way for bytes.

use super::http2::StreamShare;
use crate::{socket::Buffered, upstream::connect::ConnectionGuard};

/// A connection to an endpoint, or a stream of one, that carries another protocol now.
///
/// It counts as open until it is dropped.
#[derive(Debug)]
pub struct Tunnel {
    /// The way to the endpoint and back.
    pub io: Buffered,
    _counted: Counted,
}

/// What it is counted as.
#[derive(Debug)]
#[expect(dead_code, reason = "held for what their drop gives back")]
pub(super) enum Counted {
    /// A connection of its own.
    Connection(ConnectionGuard),
    /// A stream of a connection that others share.
    Stream(StreamShare),
}

impl Tunnel {
    pub(super) fn new(io: Buffered, counted: Counted) -> Self {
        Self {
            io,
            _counted: counted,
        }
    }
}
