//! The body of a request that arrives over HTTP/2.

use std::{
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use http::StatusCode;

use super::{
    session::{Session, SharedSession},
    stream::{SharedStream, Stream},
};
use crate::{
    failure::Failure,
    http2::frame,
    semantics::{BodyLength, Frame, Headers, PolledFrame},
    timer::Stall,
};

/// Body of a request on a stream of its own. The client's window is widened as it is read.
#[derive(Debug)]
pub struct Http2RequestBody {
    session: SharedSession,
    stream: SharedStream,
    idle: Duration,
    stall: Stall,
}

impl Http2RequestBody {
    /// Makes the body of a stream; `idle` is the longest time that the client may send none of it.
    pub(crate) fn new(session: &SharedSession, stream: &SharedStream, idle: Duration) -> Self {
        Self {
            session: Rc::clone(session),
            stream: Rc::clone(stream),
            idle,
            stall: Stall::new(),
        }
    }

    /// Reads the next frame; fails once the stream has ended early, or the client has been silent
    /// for too long.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        let polled = {
            let mut session = self.session.borrow_mut();
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
                let Self { session, idle, .. } = self;
                // While other bodies fill the connection's window, this one cannot come.
                let look = || session.borrow().receives.has_room().then_some(0);
                let late = self.stall.poll(cx, *idle, look);
                late.map(|()| Some(Err(Failure::SlowBody)))
            }
        }
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

impl Session {
    /// Counts bytes that have arrived within the connection's window, `unread` of which will be
    /// read.
    pub(crate) fn came(&mut self, bytes: usize, unread: usize) {
        self.unread += unread;
        self.owed += bytes;
        self.release();
    }

    /// Counts bytes that have arrived as consumed.
    pub(crate) fn taken(&mut self, bytes: usize) {
        self.unread -= bytes;
        self.release();
    }

    /// Widens the window of the connection, unless too many bytes are unread.
    fn release(&mut self) {
        if self.owed == 0 || self.unread > UNREAD_MAX {
            return;
        }
        let bytes = std::mem::take(&mut self.owed);
        if let Some(increment) = self.receives.release(bytes) {
            frame::put_window_update(self.io.outgoing(), 0, increment);
            self.notify();
        }
    }

    /// Takes the next frame of a request's body.
    pub(crate) fn poll_body(&mut self, stream: &Stream, cx: &Context<'_>) -> PolledFrame {
        // What is left of it has been thrown away.
        if stream.is_over() {
            return Poll::Ready(Some(Err(Failure::ClientGone)));
        }
        let mut arriving = stream.arriving.borrow_mut();
        if let Some(piece) = arriving.take() {
            let increment = arriving.window.release(piece.len());
            if let Some(increment) = increment.filter(|_| !stream.remote_ended.get()) {
                frame::put_window_update(self.io.outgoing(), stream.id, increment);
                self.notify();
            }
            self.taken(piece.len());
            return Poll::Ready(Some(Ok(Frame::Data(piece))));
        }
        if let Some(rule) = arriving.spoilt {
            return Poll::Ready(Some(Err(rule.into())));
        }
        if arriving.left_short {
            arriving.watch(cx);
            return Poll::Pending;
        }
        if let Some(trailers) = arriving.take_trailers() {
            return Poll::Ready(Some(Ok(Frame::Trailers(trailers))));
        }
        if stream.remote_ended.get() {
            return Poll::Ready(None);
        }
        arriving.watch(cx);
        if std::mem::take(&mut arriving.expects_continue) && !stream.local_ended.get() {
            drop(arriving);
            let none = Headers::new();
            self.send_head(stream, StatusCode::CONTINUE, &none, None, false);
        }
        Poll::Pending
    }
}

/// Maximum number of unread body bytes on a connection before its window stays closed.
const UNREAD_MAX: usize = 8 * 1024 * 1024;
