//! Client of an attempt, as an upstream connection sees it.

use std::{cell::OnceCell, rc::Rc};

use http::StatusCode;

use crate::{
    downstream::StreamInterim,
    semantics::Headers,
    upstream::{pinned::Pinned, transport::Downstream},
    worker::{Connection, Worker},
};

/// A client with a request under way; the proxy itself, where it has no connection.
pub(super) struct Client<'a> {
    pub(super) worker: &'a Worker,
    pub(super) connection: Option<&'a Connection>,
    /// The stream of the request, over HTTP/2.
    pub(super) stream: Option<&'a StreamInterim>,
}

impl Downstream for Client<'_> {
    fn interim(&self, status: StatusCode, headers: Headers) {
        match self.connection {
            Some(connection) => connection.pass_interim(status, headers, self.stream),
            // Nobody waits for it.
            None if status == StatusCode::CONTINUE => {}
            None => self.worker.metrics().interim("dropped"),
        }
    }

    fn pinned(&self) -> Option<&OnceCell<Rc<Pinned>>> {
        // Over HTTP/2 a client has no connection of its own: its streams share one.
        let connection = self.connection.filter(|_| self.stream.is_none())?;
        Some(&connection.pinned)
    }
}
