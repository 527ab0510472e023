//! Tests of a connection that has become silent.
//!
//! A peer that vanished silently, behind a firewall that forgot the connection, looks like a slow
//! one. If an answer is late and nothing at all has arrived, the endpoint is sent a PING (RFC 9113
//! section 6.7). Until it answers, new requests go elsewhere; if it does not, the connection ends.

use std::{
    cell::Cell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use h2::{Ping, PingPong};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::driven::Driven;
use crate::{
    socket::Stream,
    timer::{self, Timeout},
};

/// Liveness of a connection.
pub(super) struct Silence {
    /// Time at which the endpoint last sent anything.
    heard: Cell<Instant>,
    /// Time since when a PING is wanted, or under way.
    asked: Cell<Option<Instant>>,
    /// Number of PINGs since the last answer to a request.
    pings: Cell<u8>,
    pinged: Cell<Instant>,
}

impl Silence {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            heard: Cell::new(now),
            asked: Cell::new(None),
            pings: Cell::new(0),
            pinged: Cell::new(now),
        }
    }

    /// Returns true if a PING waits for its answer.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.asked.get().is_some()
    }

    /// Notes an answer to a request.
    pub(super) fn answered(&self) {
        self.pings.set(0);
    }

    /// Requests a PING if nothing has arrived for `silence`; returns true if that is new.
    pub(super) fn doubt(&self, silence: Duration) -> bool {
        let now = timer::now();
        let heard = self.heard.get();
        // Servers of gRPC close the connection of a client that pings them too often.
        let may_ping = self.pings.get() < PINGS_MAX || now >= self.pinged.get() + PING_PAUSE;
        if self.is_in_doubt() || now < heard + silence || !may_ping {
            return false;
        }
        self.asked.set(Some(now));
        self.pings.set(self.pings.get().saturating_add(1));
        self.pinged.set(now);
        true
    }
}

/// Sends the PINGs and waits for their answers; driven by the connection's task.
pub(super) struct Pinging {
    pings: PingPong,
    sent: bool,
    timeout: Timeout,
}

/// Result of a PING.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The endpoint has answered.
    Alive,
    /// It has sent nothing since.
    Dead,
}

impl Pinging {
    pub(super) fn new(pings: PingPong) -> Self {
        Self {
            pings,
            sent: false,
            timeout: Timeout::new(),
        }
    }

    /// Is ready with the result of a PING.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, silence: &Silence) -> Poll<Asked> {
        let Some(asked) = silence.asked.get() else {
            return Poll::Pending;
        };
        if !self.sent {
            self.sent = self.pings.send_ping(Ping::opaque()).is_ok();
        }
        if self.pings.poll_pong(cx).is_ready() {
            self.sent = false;
            silence.asked.set(None);
            return Poll::Ready(Asked::Alive);
        }
        // Whatever comes is a sign of life; the answer may be far behind in a queue.
        let silent_since = asked.max(silence.heard.get());
        let late = self.timeout.poll_at(cx, silent_since + PONG_WAIT);
        late.map(|()| Asked::Dead)
    }
}

/// A stream that notes received bytes, and counts sent ones.
pub(super) struct Heard {
    stream: Stream,
    driven: Rc<Driven>,
}

impl Heard {
    pub(super) fn new(stream: Stream, driven: &Rc<Driven>) -> Self {
        Self {
            stream,
            driven: Rc::clone(driven),
        }
    }

    /// Passes on the result of a write, except its failure. Bytes that the endpoint sent before it
    /// closed may wait to be read, such as an answer or the alert with the reason; the end is found
    /// after them. Nothing more is sent until then.
    fn written(&mut self, wrote: Poll<io::Result<usize>>, bytes: usize) -> Poll<io::Result<usize>> {
        match wrote {
            Poll::Ready(Err(_)) => {
                self.driven.stop_sending();
                Poll::Ready(Ok(bytes))
            }
            other => other,
        }
    }
}

impl AsyncRead for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        match &read {
            Poll::Ready(Ok(())) => self.driven.silence.heard.set(timer::recent()),
            Poll::Ready(Err(error)) => self.driven.hear_failure(error),
            Poll::Pending => {}
        }
        read
    }
}

impl AsyncWrite for Heard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.driven.is_deaf() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let Self { stream, driven } = &mut *self;
        let write = |cx: &mut Context<'_>| Pin::new(stream).poll_write(cx, bytes);
        let wrote = driven.outgoing.note(cx, write);
        self.written(wrote, bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes = || slices.iter().map(|slice| slice.len()).sum();
        if self.driven.is_deaf() {
            return Poll::Ready(Ok(bytes()));
        }
        let Self { stream, driven } = &mut *self;
        let write = |cx: &mut Context<'_>| Pin::new(stream).poll_write_vectored(cx, slices);
        let wrote = driven.outgoing.note(cx, write);
        self.written(wrote, bytes())
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.driven.is_deaf() {
            return Poll::Ready(Ok(()));
        }
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        let wrote = flushed.map(|()| 0);
        self.written(Poll::Ready(wrote), 0).map_ok(|_| ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Silence after which a late attempt puts a connection in doubt.
pub(super) const LATE_SILENCE: Duration = Duration::from_secs(1);
/// The same for a client that did not wait for the answer,
pub(super) const LEFT_SILENCE: Duration = Duration::from_secs(5);
/// and for an answer that has begun: streams of events are often quiet.
pub(super) const BODY_SILENCE: Duration = Duration::from_secs(10);
/// Maximum wait for the answer to a PING.
const PONG_WAIT: Duration = Duration::from_secs(3);
/// Number of PINGs between two answers; servers of gRPC allow two at any pace,
const PINGS_MAX: u8 = 2;
/// and then one in this time.
const PING_PAUSE: Duration = Duration::from_secs(5 * 60);
