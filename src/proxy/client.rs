//! The client of an attempt, as an upstream connection knows it.

use std::{cell::OnceCell, rc::Rc};

use http::StatusCode;

use crate::{
    downstream::StreamInterim,
    semantics::Headers,
    upstream::{pinned::Pinned, transport::Downstream},
    worker::Connection,
};

/// A client with a request under way.
pub(super) struct Client<'a> {
    pub(super) connection: &'a Connection,
    /// The stream of the request, over HTTP/2.
    pub(super) stream: Option<&'a StreamInterim>,
}

impl Downstream for Client<'_> {
    fn interim(&self, status: StatusCode, headers: Headers) {
        self.connection.pass_interim(status, headers, self.stream);
    }

    fn pinned(&self) -> Option<&OnceCell<Rc<Pinned>>> {
        // Over HTTP/2 a client has no connection of its own: its streams share one.
        self.stream.is_none().then_some(&self.connection.pinned)
    }
}
