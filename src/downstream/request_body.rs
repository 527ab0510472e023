//! Body of a request that arrives over HTTP/1.1.
//!
//! Reads directly from the connection that its exchange occupies. `100 Continue` is sent when the
//! body is read for the first time: after routing, limits and filters (RFC 9110 section 10.1.1).

use std::{
    cell::RefCell,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    failure::{BadRequest, Failure},
    http1::{BodyDecoder, Decoded, Framing, HeadLimits, encode_continue},
    semantics::{BodyLength, Frame, PolledFrame},
    socket::Buffered,
    timer::Timeout,
};

/// State shared by a connection and the request body on it; one task owns both.
#[derive(Debug)]
pub struct Exchanging {
    /// The connection's stream.
    pub io: Buffered,
    /// Progress in the body of the current request.
    pub decoder: BodyDecoder,
    /// The client waits for 100 Continue before it sends the body.
    pub expects_continue: bool,
    /// A response head has been appended: 100 Continue cannot be sent any more.
    pub answered: bool,
    /// The body violated a rule: the bytes after it cannot be trusted.
    pub broken: bool,
    /// Bytes of the body so far.
    pub body_bytes: u64,
    /// The client has ended its stream and was sent an interim response as a test.
    pub is_asked: bool,
}

/// Remainder of a request that is being answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Nothing: the next request follows.
    Nothing,
    /// So little that it can be read to reach the next request.
    Little,
    /// More than that, or unknown: the connection ends with the answer.
    Much,
}

/// The body of a request on an HTTP/1.1 connection.
#[derive(Debug)]
pub struct RequestBody {
    shared: Rc<RefCell<Exchanging>>,
    length: Option<u64>,
    idle: Duration,
    timeout: Timeout,
    deadline: Option<Instant>,
}

impl RequestBody {
    /// Makes the body of a request with this framing and prepares the decoder for it.
    pub fn start(
        shared: &Rc<RefCell<Exchanging>>,
        framing: Framing,
        limits: &HeadLimits,
        idle: Duration,
    ) -> Self {
        let mut exchanging = shared.borrow_mut();
        exchanging.decoder = BodyDecoder::new(framing, limits);
        exchanging.body_bytes = 0;
        Self {
            shared: Rc::clone(shared),
            length: match framing {
                Framing::Length(length) => Some(length),
                Framing::None => Some(0),
                Framing::Chunked | Framing::UntilClose => None,
            },
            idle,
            timeout: Timeout::new(),
            deadline: None,
        }
    }

    /// Reads the next frame; fails if the client is silent for too long.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        let polled = self.shared.borrow_mut().poll_frame(cx);
        match polled {
            Poll::Ready(frame) => {
                self.deadline = None;
                if let Some(Ok(Frame::Data(data))) = &frame {
                    self.length = self.length.map(|left| left - data.len() as u64);
                }
                Poll::Ready(frame)
            }
            // Both sides may be silent for as long as the route says.
            Poll::Pending if self.shared.borrow().answered => Poll::Pending,
            Poll::Pending => {
                let idle = self.idle;
                let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + idle);
                ready!(self.timeout.poll_at(cx, deadline));
                self.shared.borrow_mut().broken = true;
                Poll::Ready(Some(Err(Failure::SlowBody)))
            }
        }
    }

    /// Returns true if the whole body has been read.
    pub fn is_end(&self) -> bool {
        self.shared.borrow().decoder.is_done()
    }

    /// The exact length of the rest if the client announced it.
    pub fn length(&self) -> BodyLength {
        self.length.into()
    }
}

impl Exchanging {
    /// Wraps a stream that has carried nothing yet.
    pub fn new(io: Buffered, limits: &HeadLimits) -> Self {
        Self {
            io,
            decoder: BodyDecoder::new(Framing::None, limits),
            expects_continue: false,
            answered: false,
            broken: false,
            body_bytes: 0,
            is_asked: false,
        }
    }

    /// Returns true if the body of the request may still be read, through any wrapper: an endpoint
    /// that answers early may want it to its end.
    pub fn is_body_wanted(shared: &Rc<RefCell<Self>>) -> bool {
        // Besides the connection only a body holds on to it.
        Rc::strong_count(shared) > 1
    }

    /// Discards received bytes of a body that will not be read; returns true if that was all of it.
    pub fn discard_received(&mut self) -> bool {
        if self.broken {
            return false;
        }
        loop {
            match self.decoder.decode(self.io.received()) {
                Ok(Decoded::Data(data)) => self.body_bytes += data.len() as u64,
                Ok(Decoded::Trailers(_)) => {}
                Ok(Decoded::Done) => return true,
                Ok(Decoded::NeedMore) => return false,
                Err(_) => {
                    self.broken = true;
                    return false;
                }
            }
        }
    }

    /// Returns the remainder of the request.
    ///
    /// A client that was not sent 100 Continue may send its body or not: it could not be told from
    /// the next request (RFC 9110 section 10.1.1).
    pub fn rest(&self) -> Rest {
        if self.broken {
            return Rest::Much;
        }
        match self.decoder.left() {
            Some(0) => Rest::Nothing,
            Some(1..=REST_MAX) if !self.expects_continue => Rest::Little,
            _ => Rest::Much,
        }
    }

    /// Reads and discards the unwanted rest of the body; ready at its end, and when no more of it
    /// can arrive.
    pub fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        if self.discard_received() || self.broken {
            return Poll::Ready(0);
        }
        match ready!(self.io.poll_fill_some(cx)) {
            Ok(count @ 1..) => Poll::Ready(count),
            Ok(0) | Err(_) => {
                self.broken = true;
                Poll::Ready(0)
            }
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        if self.broken {
            return Poll::Ready(Some(Err(Failure::ClientGone)));
        }
        loop {
            match self.decoder.decode(self.io.received()) {
                Ok(Decoded::Data(data)) => {
                    self.body_bytes += data.len() as u64;
                    return Poll::Ready(Some(Ok(Frame::Data(data))));
                }
                Ok(Decoded::Trailers(trailers)) => {
                    return Poll::Ready(Some(Ok(Frame::Trailers(trailers))));
                }
                Ok(Decoded::Done) => return Poll::Ready(None),
                Ok(Decoded::NeedMore) => {}
                Err(fault) => {
                    self.broken = true;
                    return Poll::Ready(Some(Err(fault.of_request().into())));
                }
            }
            if self.expects_continue {
                self.expects_continue = false;
                // What has come already needs no leave.
                if !self.answered && !self.io.has_received() {
                    encode_continue(self.io.outgoing());
                }
            }
            if !self.answered && matches!(self.io.poll_flush(cx), Poll::Ready(Err(_))) {
                self.broken = true;
                return Poll::Ready(Some(Err(Failure::ClientGone)));
            }
            match ready!(self.io.poll_fill(cx)) {
                Ok(0) => {
                    self.broken = true;
                    return Poll::Ready(Some(Err(BadRequest::BodyLength.into())));
                }
                Ok(_) => {}
                Err(_) => {
                    self.broken = true;
                    return Poll::Ready(Some(Err(Failure::ClientGone)));
                }
            }
        }
    }
}

/// Maximum number of bytes of a discarded request body that are read to keep the connection.
const REST_MAX: u64 = 256 * 1024;
