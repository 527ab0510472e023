//! Tunnel on an upstream connection after a switch of protocols: a byte stream.

use std::{io, rc::Rc};

use super::http2::StreamShare;
use crate::{
    failure::Failure,
    socket::Buffered,
    upstream::{connect::ConnectionGuard, idle::LocalEndpoint},
};

/// An upstream connection, or a stream of one, that now carries another protocol.
///
/// It counts as open until it is dropped.
#[derive(Debug)]
pub struct Tunnel {
    /// The byte stream to the endpoint.
    pub io: Buffered,
    counted: Counted,
}

/// Connection or stream that a tunnel counts as.
#[derive(Debug)]
pub(super) enum Counted {
    /// A connection of its own, and its endpoint.
    Connection(
        #[expect(dead_code, reason = "held for what its drop gives back")] ConnectionGuard,
        Rc<LocalEndpoint>,
    ),
    /// A stream of a shared connection.
    Stream(StreamShare),
}

impl Tunnel {
    pub(super) fn new(io: Buffered, counted: Counted) -> Self {
        Self { io, counted }
    }

    /// Returns the failure of the endpoint's side that this error means.
    pub fn failure_of(&self, error: &io::Error) -> Failure {
        let cut = Failure::ResponseIncomplete;
        match &self.counted {
            Counted::Connection(_, home) => home.failure_of(error, cut),
            Counted::Stream(share) => share.failure_or(cut),
        }
    }
}
