//! HTTP/3 towards clients (RFC 9114): a task for the connection, and one for each exchange.
//!
//! The connection's task takes new streams, reads the client's control stream and decides when the
//! connection ends; each request is passed to the walk in a task of its own, which reads and writes
//! its stream. QUIC below it is `quinn`, whose tasks are started by [`runtime`] like all others.
//!
//! - `accept`: handshakes; `transport`: QUIC's own bounds; `runtime`: its tasks and timers.
//! - `socket`: datagrams, also those that come to the wrong worker, by their `connection_id`.
//! - `control`: streams beside requests.
//! - `exchange`: request and response; `answer`: the response on its way.

pub(crate) mod accept;
mod answer;
mod connection_id;
mod control;
mod exchange;
mod runtime;
mod socket;
mod transport;

use std::{
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use quinn::{RecvStream, SendStream};
use tokio::time::Instant;

use self::control::{Outgoing, PeerStreams};
use super::age::{Age, Verdict};
use crate::{
    downstream::http3::{
        session::{Session, SharedSession},
        stream::Stream,
    },
    http3::Code,
    timer::{self, Timeout},
    worker::Connection,
};

/// A connection that speaks HTTP/3.
struct Server {
    connection: Rc<Connection>,
    session: SharedSession,
    control: Outgoing,
    peer: PeerStreams,
    timeout: Timeout,
    age: Age,
    leaving: Leaving,
    /// The first stream that the client has not opened.
    next: u64,
}

/// Progress of a graceful shutdown of the connection (RFC 9114 section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    No,
    /// The client must open no more streams, since then; those on their way are still served.
    Told(Instant),
    /// Streams from this one on are refused, since then.
    Gone(u64, Instant),
}

/// Something that happened on the connection.
enum Happened {
    Ended(Code),
    Opened((SendStream, RecvStream)),
    OpenedOneWay(RecvStream),
    Lost,
}

impl Server {
    /// Begins HTTP/3 on a connection whose handshake is complete; none if it is lost, or if the
    /// client lets us open no stream.
    async fn begin(connection: &Rc<Connection>, quic: quinn::Connection) -> Option<Self> {
        let listener = connection.known_listener();
        let control = quic.open_uni().await.ok()?;
        let session = Session::new(quic, listener.head, connection.since);
        Some(Self {
            connection: Rc::clone(connection),
            session,
            control: Outgoing::new(control, listener.head.bytes_max as u64),
            peer: PeerStreams::default(),
            timeout: Timeout::new(),
            age: Age::default(),
            leaving: Leaving::No,
            next: 0,
        })
    }

    /// Serves the connection until it closes; a drain lets its streams finish first.
    async fn serve(&mut self) {
        let quic = self.session.connection.clone();
        let code = loop {
            let happened = tokio::select! {
                biased;
                code = poll_fn(|cx| self.poll(cx)) => Happened::Ended(code),
                opened = quic.accept_uni() => match opened {
                    Ok(stream) => Happened::OpenedOneWay(stream),
                    Err(_) => Happened::Lost,
                },
                opened = quic.accept_bi() => match opened {
                    Ok(streams) => Happened::Opened(streams),
                    Err(_) => Happened::Lost,
                },
            };
            match happened {
                Happened::Ended(code) => break code,
                Happened::Opened(streams) => self.open(streams),
                Happened::OpenedOneWay(stream) => self.peer.add(stream),
                Happened::Lost => break Code::NoError,
            }
        };
        self.session.close(code);
        if let Some(flood) = self.session.flood() {
            let metrics = self.connection.worker.metrics();
            metrics.flooded_http3(&self.connection.known_listener().name, flood);
        }
    }

    /// Takes a stream that the client has opened.
    fn open(&mut self, streams: (SendStream, RecvStream)) {
        let id = u64::from(streams.0.id());
        self.next = self.next.max(id + STREAMS_APART);
        let stream = Stream::new(&self.session, streams);
        if self.has_moved() && !matches!(self.leaving, Leaving::Gone(..)) {
            // Another connection shows what address the client has now. What is under way ends.
            tracing::debug!(
                listener = %self.connection.known_listener().name,
                client = %self.connection.peer(),
                "a client of HTTP/3 has another address"
            );
            self.refuse_from(id);
        }
        if matches!(self.leaving, Leaving::Gone(first, _) if id >= first) {
            stream.reject();
            return;
        }
        exchange::start(&self.connection, stream);
        if matches!(self.leaving, Leaving::Told(_)) && self.is_used_up() {
            self.refuse_from(self.next);
        }
    }

    /// Returns true if the connection has carried all requests that it may, and those that a client
    /// could have sent before it was told.
    fn is_used_up(&self) -> bool {
        let listener = self.connection.known_listener();
        let more = u64::from(listener.streams_max);
        self.connection
            .is_worn(listener.requests_per_connection, more)
    }

    /// Refuses streams from this one on, as not processed.
    fn refuse_from(&mut self, first: u64) {
        self.leaving = Leaving::Gone(first, Instant::now());
        self.control.go_away(first);
    }

    /// Time in which a client hears of a GOAWAY, and what it has sent before arrives.
    fn round(&self) -> Duration {
        ROUND + 2 * self.session.connection.rtt()
    }

    /// Returns true if the client knows which requests were processed, and has all answers.
    fn is_over(&self) -> bool {
        let knows =
            matches!(self.leaving, Leaving::Gone(_, since) if since.elapsed() >= self.round());
        knows && self.session.streams() == 0
    }

    /// Returns true if the client is not at the address that its handshake has proved, and that access
    /// rules, limits and logs take it by. A new one counts before QUIC has validated it, so it must
    /// never be taken in place of the old one. Another port is that of a NAT that forgets.
    fn has_moved(&self) -> bool {
        let now = self.session.connection.remote_address();
        now.ip().to_canonical() != self.connection.peer()
    }

    /// Works on all but new streams; ready when the connection must end, with the code for that.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Code> {
        self.connection.watch(cx);
        self.session.watch(cx);
        if self.connection.is_cut() {
            return Poll::Ready(Code::NoError);
        }
        if let Poll::Ready(code) = self.peer.poll(&self.session, cx) {
            return Poll::Ready(code);
        }
        if self.connection.is_closing() && self.leaving == Leaving::No {
            self.leaving = Leaving::Told(Instant::now());
            self.control.go_away(STREAM_MAX);
        }
        if let Poll::Ready(code) = self.poll_deadlines(cx) {
            return Poll::Ready(code);
        }
        match self.control.poll_flush(cx) {
            Poll::Ready(Err(code)) => Poll::Ready(code),
            // The last answers have been acknowledged.
            Poll::Ready(Ok(())) if self.is_over() => Poll::Ready(Code::NoError),
            _ => Poll::Pending,
        }
    }

    /// Closes a connection whose lifetime or idle time is over.
    fn poll_deadlines(&mut self, cx: &mut Context<'_>) -> Poll<Code> {
        let connection = &self.connection;
        let busy = connection.in_flight.get() > 0 || self.session.streams() > 0;
        let now = timer::now();
        let mut next = match self.age.look(connection, busy, now) {
            Verdict::Over => {
                connection.close();
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Verdict::Overdue => return Poll::Ready(Code::NoError),
            Verdict::Until(next) => next,
        };
        if let Leaving::Told(since) = self.leaving {
            // Requests that were on their way have come by then.
            let max = connection.known_listener().requests_per_connection;
            let last = match connection.is_worn(max, 0) {
                true => since + self.round(),
                false => since + ANSWER.max(self.session.connection.rtt()),
            };
            if now >= last {
                self.refuse_from(self.next);
            } else {
                next = next.min(last);
            }
        }
        if let Leaving::Gone(_, since) = self.leaving {
            let end = since + self.round();
            if now < end {
                next = next.min(end);
            }
        }
        if self.timeout.poll_at(cx, next).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The task may have been aborted.
        self.session.close(Code::NoError);
    }
}

/// Difference of the numbers of two streams that a client opens one after the other.
const STREAMS_APART: u64 = 4;
/// The last stream that a client can open.
const STREAM_MAX: u64 = (1 << 62) - STREAMS_APART;
/// Time for which requests are still taken after the first GOAWAY.
const ANSWER: Duration = Duration::from_secs(1);
/// Time, beside two round trips, that it takes a client to hear of a GOAWAY.
const ROUND: Duration = Duration::from_millis(100);
