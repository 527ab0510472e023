//! Interim responses on the stream of their exchange.

use std::rc::Rc;

use http::StatusCode;

use super::stream::SharedStream;
use crate::{downstream::Interim, semantics::Headers};

/// Sends interim responses on a stream, until the final one.
#[derive(Debug)]
pub struct Http3Interim {
    stream: SharedStream,
    /// Limits of interim responses.
    bounds: Interim,
}

impl Http3Interim {
    pub(crate) fn new(stream: &SharedStream) -> Self {
        let bounds = Interim::default();
        bounds.open();
        Self {
            stream: Rc::clone(stream),
            bounds,
        }
    }

    /// Sends one; false if it exceeds the limits, or is no longer wanted.
    pub(crate) fn offer(&self, status: StatusCode, headers: Headers) -> bool {
        if self.stream.is_answering() || !self.bounds.offer(status, headers) {
            return false;
        }
        for (status, headers) in self.bounds.take() {
            self.stream.append_interim(status, &headers);
        }
        true
    }
}
