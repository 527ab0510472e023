//! The body of a request that arrives over HTTP/3.

use std::{
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use super::{receive::Part, stream::SharedStream};
use crate::{
    failure::Failure,
    semantics::{BodyLength, Frame, PolledFrame},
    timer::Stall,
};

/// Body of a request on its stream. The client's window is widened as it is read.
#[derive(Debug)]
pub struct Http3RequestBody {
    stream: SharedStream,
    idle: Duration,
    stall: Stall,
}

impl Http3RequestBody {
    /// Makes the body of a stream; `idle` is the longest time that the client may send none of it.
    pub(crate) fn new(stream: &SharedStream, idle: Duration) -> Self {
        Self {
            stream: Rc::clone(stream),
            idle,
            stall: Stall::new(),
        }
    }

    /// Reads the next frame; fails once the stream has ended early, or the client has been silent
    /// for too long.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        let frame = match self.stream.poll_part(cx) {
            Poll::Ready(Part::Data(bytes)) => Some(Ok(Frame::Data(bytes))),
            Poll::Ready(Part::Trailers(trailers)) => Some(Ok(Frame::Trailers(trailers))),
            Poll::Ready(Part::End) => None,
            Poll::Ready(Part::Spoilt(rule)) => Some(Err(rule.into())),
            Poll::Ready(Part::Gone) => Some(Err(Failure::ClientGone)),
            // The answer ends the exchange.
            Poll::Ready(Part::Short) => return Poll::Pending,
            // A stream may be silent for as long as its route says.
            Poll::Pending if self.stream.is_streaming.get() => return Poll::Pending,
            Poll::Pending => {
                let late = self.stall.poll(cx, self.idle, || Some(0));
                return late.map(|()| Some(Err(Failure::SlowBody)));
            }
        };
        self.stall.moved();
        Poll::Ready(frame)
    }

    /// Returns true if the whole body has been read.
    pub(crate) fn is_end(&self) -> bool {
        self.stream.is_taken()
    }

    /// The exact length of the rest if the client announced it, or has sent it.
    pub(crate) fn length(&self) -> BodyLength {
        self.stream.rest().into()
    }
}
