//! The body of a request that arrives over HTTP/2.

use std::{
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::{session::Shared, stream::SharedStream};
use crate::{exchange::Failure, timer::Stall};

/// The body of a request on a stream of its own. The client is asked for more as it is read.
#[derive(Debug)]
pub struct Http2RequestBody {
    shared: Rc<Shared>,
    stream: SharedStream,
    idle: Duration,
    stall: Stall,
}

impl Http2RequestBody {
    /// Makes the body of a stream; `idle` is how long the client may send none of it.
    pub(super) fn new(shared: &Rc<Shared>, stream: &SharedStream, idle: Duration) -> Self {
        Self {
            shared: Rc::clone(shared),
            stream: Rc::clone(stream),
            idle,
            stall: Stall::new(),
        }
    }

    /// Reads the next frame; fails once the stream has ended before its time, or the client
    /// has stayed silent for too long.
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let polled = {
            let mut session = self.shared.session.borrow_mut();
            session.poll_body(&self.stream, cx)
        };
        match polled {
            Poll::Ready(frame) => {
                self.stall.moved();
                Poll::Ready(frame)
            }
            // A stream may be silent for as long as its route says.
            Poll::Pending if self.stream.is_streaming.get() => Poll::Pending,
            Poll::Pending => {
                let Self { shared, idle, .. } = self;
                // While other bodies fill the connection's window, this one cannot come.
                let look = || shared.session.borrow().receives.has_room().then_some(0);
                let late = self.stall.poll(cx, *idle, look);
                late.map(|()| Some(Err(Failure::SlowBody)))
            }
        }
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
