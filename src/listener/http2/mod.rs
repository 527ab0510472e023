//! HTTP/2 towards clients (RFC 9113): a task for the connection, and one for each exchange.
//!
//! The connection's task works on the [`Session`]; each request is passed to the walk in a task of
//! its own, which appends the frames of its response to the shared output.
//!
//! - `exchange`: request and response; `answer`: the response on its way.
//! - `websocket`: streams that carry something else.

mod answer;
mod exchange;
mod websocket;

use std::{
    cell::RefCell,
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    age::{Age, Verdict},
    linger::{Bounds, Linger},
};
use crate::{
    downstream::http2::session::{Begun, Leaving, Session, SharedSession},
    failure::{BadRequest, Failure},
    http2::{Reason, frame},
    proxy,
    socket::Buffered,
    timer::{self, Timeout},
    wake,
    worker::Connection,
};

/// A connection that speaks HTTP/2.
pub(super) struct Server {
    connection: Rc<Connection>,
    session: SharedSession,
    timeout: Timeout,
    age: Age,
    /// Time of the GOAWAY to the client.
    told_at: Option<Instant>,
    /// Time of the connection's cut.
    cut_since: Option<Instant>,
}

/// Cause of the end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// The client or the network ended it.
    There,
    /// This side ended it: the client is told the reason.
    Here(Reason),
    /// This side ended it: the head of a request was late.
    Late,
    /// This side ended it, without time for a GOAWAY.
    Cut,
}

/// Remainder of the client's bytes.
#[derive(PartialEq, Eq)]
enum Left {
    /// All bytes were read.
    Nothing,
    /// There may be more.
    More,
    /// There may be more, but no room for answers.
    ForLater,
}

impl Server {
    pub(super) fn new(connection: Rc<Connection>, io: Buffered) -> Self {
        let listener = connection.known_listener();
        let session = Session::new(io, listener.head, listener.streams_max, connection.since);
        Self {
            connection,
            session: Rc::new(RefCell::new(session)),
            timeout: Timeout::new(),
            age: Age::default(),
            told_at: None,
            cut_since: None,
        }
    }

    /// Serves the connection until it closes; a drain lets its streams finish first.
    pub(super) async fn serve(&mut self) {
        self.connection.protocol.set("HTTP/2.0");
        let ended = poll_fn(|cx| self.poll(cx)).await;
        self.session.borrow_mut().end();
        let (reason, failure) = match ended {
            Ended::Here(reason @ (Reason::NoError | Reason::EnhanceYourCalm)) => (reason, None),
            Ended::Here(reason) => (reason, Some(BadRequest::Http2.into())),
            Ended::Late => (Reason::NoError, Some(Failure::SlowHead)),
            Ended::There | Ended::Cut => return,
        };
        if let Some(failure) = failure {
            // There is no stream to answer on; log and metrics tell it all the same.
            drop(proxy::refuse(&self.connection, failure));
        }
        self.say_goodbye(reason).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        let connection = Rc::clone(&self.connection);
        connection.watch(cx);
        // Seen before the flush of what the last of them said.
        let silent = connection.is_cut() && !connection.has_tunnels();
        if let Poll::Ready(ended) = self.poll_frames(cx) {
            return Poll::Ready(ended);
        }
        if connection.is_cut() {
            let end = *self.cut_since.get_or_insert_with(Instant::now) + LAST_WORDS;
            let late = self.timeout.poll_at(cx, end).is_ready();
            return if silent || late {
                Poll::Ready(Ended::Cut)
            } else {
                Poll::Pending
            };
        }
        self.poll_deadlines(cx)
    }

    /// Processes received frames, and sends outgoing ones.
    fn poll_frames(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        let mut session = self.session.borrow_mut();
        let session = &mut *session;
        session.watch(cx);
        if self.connection.is_closing() {
            session.tell_to_leave();
        }
        // What was read to see which protocol it is.
        let begins = session.begun == Begun::Nothing && session.io.has_received();
        let mut has_come = begins || session.turn.has_rest;
        let put_off = session.turn.waiting();
        let mut open = |opened| exchange::start(&self.connection, &self.session, opened);
        let mut left = Left::More;
        for _ in 0..READS_AT_ONCE {
            if !session.may_read() {
                left = Left::ForLater;
                break;
            }
            if !std::mem::take(&mut has_come) {
                match session.io.poll_fill_some(cx) {
                    Poll::Ready(Ok(1..)) => {}
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Ended::There),
                    Poll::Pending => {
                        left = Left::Nothing;
                        break;
                    }
                }
            }
            if let Err(reason) = session.receive(timer::now(), &mut open) {
                self.count_flood(session);
                return Poll::Ready(Ended::Here(reason));
            }
            if session.turn.has_rest {
                break;
            }
        }
        if put_off > 0 {
            session.start_put_off(put_off, &mut open);
        }
        let flushed = session.io.poll_flush(cx);
        if let Poll::Ready(Err(_)) = flushed {
            return Poll::Ready(Ended::There);
        }
        // Others want to work before the rest is read, and before what was put off begins.
        let has_more = left == Left::More || left == Left::ForLater && flushed.is_ready();
        if has_more || session.turn.waiting() > 0 {
            wake::after_others(cx);
        }
        if session.wake_waiting() {
            cx.waker().wake_by_ref();
        }
        if session.is_done() {
            return Poll::Ready(Ended::Here(Reason::NoError));
        }
        Poll::Pending
    }

    fn count_flood(&self, session: &Session) {
        if let Some(flood) = session.meter.flood() {
            let connection = &self.connection;
            let metrics = connection.worker.metrics();
            metrics.flooded(&connection.known_listener().name, flood);
        }
    }

    /// Ends a connection whose lifetime or idle time is over.
    fn poll_deadlines(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        let connection = &self.connection;
        let listener = connection.known_listener();
        let busy = connection.in_flight.get() > 0;
        let now = timer::recent();
        let mut next = match self.age.look(connection, busy, now) {
            Verdict::Over => {
                connection.close();
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Verdict::Overdue => return Poll::Ready(Ended::Here(Reason::NoError)),
            Verdict::Until(next) => next,
        };
        let mut session = self.session.borrow_mut();
        if let Some(since) = session.head_since {
            let end = since + listener.timeouts.head;
            if now >= end {
                return Poll::Ready(Ended::Late);
            }
            next = next.min(end);
        }
        if let Some(end) = session.reset_unfinished(now) {
            next = next.min(end);
        }
        if session.leaving == Leaving::Told {
            let told_at = *self.told_at.get_or_insert_with(Instant::now);
            if Instant::now() >= told_at + ANSWER {
                session.leave();
                cx.waker().wake_by_ref();
            }
            next = next.min(told_at + ANSWER);
        }
        if self.timeout.poll_at(cx, next).is_ready() {
            // The time that was looked at is older than that.
            timer::now();
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Sends the client the reason for the end of the connection, and keeps reading for a while, so
    /// that a reset does not destroy it.
    async fn say_goodbye(&mut self, reason: Reason) {
        {
            let session = &mut *self.session.borrow_mut();
            if reason != Reason::NoError || !matches!(session.leaving, Leaving::Gone(_)) {
                frame::put_go_away(session.io.outgoing(), session.last, reason);
            }
        }
        let mut linger = Linger::new(Bounds::short());
        let Self {
            session, timeout, ..
        } = self;
        poll_fn(|cx| linger.poll(&mut session.borrow_mut().io, timeout, cx)).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The task may have been aborted.
        if let Ok(mut session) = self.session.try_borrow_mut() {
            session.end();
        }
    }
}

/// Maximum number of reads of a connection before others have their turn.
const READS_AT_ONCE: u32 = 4;
/// Time that its tunnels have to end when it is cut.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Time that a client has to answer the pings that follow the first GOAWAY.
const ANSWER: Duration = Duration::from_secs(1);
