//! The body of a request that arrives over HTTP/2.

use std::{
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::{session::Shared, stream::SharedStream};
use crate::exchange::Failure;

/// The body of a request on a stream of its own. The client is asked for more as it is read.
#[derive(Debug)]
pub struct Http2RequestBody {
    shared: Rc<Shared>,
    stream: SharedStream,
}

impl Http2RequestBody {
    pub(super) fn new(shared: &Rc<Shared>, stream: &SharedStream) -> Self {
        Self {
            shared: Rc::clone(shared),
            stream: Rc::clone(stream),
        }
    }

    /// Reads the next frame; fails once the stream has ended before its time.
    pub(crate) fn poll_frame(
        &mut self,
        cx: &Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let mut session = self.shared.session.borrow_mut();
        session.poll_body(&self.stream, cx)
    }

    /// Whether the whole body has been read.
    pub(crate) fn is_end(&self) -> bool {
        self.stream.is_taken()
    }

    /// The exact rest if the client announced it, or has sent it.
    pub(crate) fn size_hint(&self) -> SizeHint {
        let rest = self.stream.rest();
        rest.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}
