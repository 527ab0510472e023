//! Interim responses on the stream of their exchange.

use std::rc::Rc;

use http::StatusCode;

use super::{session::SharedSession, stream::SharedStream};
use crate::{downstream::Interim, semantics::Headers};

/// Sends interim responses on a stream, until the final one.
#[derive(Debug)]
pub struct Http2Interim {
    session: SharedSession,
    stream: SharedStream,
    /// Limits of interim responses.
    bounds: Interim,
}

impl Http2Interim {
    pub(crate) fn new(session: &SharedSession, stream: &SharedStream) -> Self {
        let bounds = Interim::default();
        bounds.open();
        Self {
            session: Rc::clone(session),
            stream: Rc::clone(stream),
            bounds,
        }
    }

    /// Sends one; false if it exceeds the limits, or is no longer wanted.
    pub(crate) fn offer(&self, status: StatusCode, headers: Headers) -> bool {
        if self.stream.is_over() || !self.bounds.offer(status, headers) {
            return false;
        }
        let mut session = self.session.borrow_mut();
        for (status, headers) in self.bounds.take() {
            session.send_head(&self.stream, status, &headers, None, false);
        }
        true
    }
}
