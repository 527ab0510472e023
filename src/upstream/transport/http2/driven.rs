//! Task that drives an upstream connection, and its state.

use std::{
    cell::{Cell, RefCell},
    fmt, io,
    pin::Pin,
    rc::{Rc, Weak},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use h2::client::Connection;
use tokio::time::Instant;

use super::{
    Http2Connection,
    outgoing::Outgoing,
    silence::{Asked, Heard, Pinging, Silence},
};
use crate::{
    failure::Failure,
    telemetry::metrics::Gauge,
    timer::Timeout,
    upstream::{connect::ConnectionGuard, secure, shared::PoolShared},
    wake,
};

/// State of a connection that its task publishes.
pub(super) struct Driven {
    /// Number of streams that exchanges have on it.
    streams: Cell<usize>,
    /// Gauge that counts it as idle while others may take its place; none before and after.
    kept: RefCell<Option<Gauge>>,
    /// True while it counts there.
    idle: Cell<bool>,
    pub(super) pool: Arc<PoolShared>,
    /// The endpoint's address, for the log.
    endpoint: Arc<str>,
    /// The endpoint takes no more bytes. Its earlier bytes are still read.
    deaf: Cell<bool>,
    /// Failure that ended the connection, if any.
    failure: Cell<Option<Failure>>,
    pub(super) silence: Silence,
    pub(super) outgoing: Outgoing,
    /// Number of concurrent streams that the endpoint last allowed; 0 before it has.
    allowed: Cell<usize>,
    /// The endpoint takes no more streams here, or the connection has ended.
    closed: Cell<bool>,
    /// Counts the connection until it ends or is given up.
    guard: Cell<Option<ConnectionGuard>>,
    /// Task that waits for the settings.
    waiting: RefCell<Option<Waker>>,
    task: RefCell<Option<Waker>>,
}

impl Driven {
    pub(super) fn new(
        pool: Arc<PoolShared>,
        endpoint: Arc<str>,
        guard: ConnectionGuard,
        outgoing: Outgoing,
        now: Instant,
    ) -> Self {
        Self {
            streams: Cell::new(0),
            kept: RefCell::default(),
            idle: Cell::new(false),
            pool,
            endpoint,
            deaf: Cell::new(false),
            failure: Cell::new(None),
            silence: Silence::new(now),
            outgoing,
            allowed: Cell::new(0),
            closed: Cell::new(false),
            guard: Cell::new(Some(guard)),
            waiting: RefCell::default(),
            task: RefCell::default(),
        }
    }

    /// Returns true if one more stream fits into the limit of the endpoint, which may change at any
    /// time (RFC 9113 section 6.5.3).
    pub(super) fn has_room(&self) -> bool {
        self.streams.get() < self.allowed.get().min(STREAMS_MAX) && !self.silence.is_in_doubt()
    }

    /// Number of streams that exchanges have on it.
    pub(super) fn streams(&self) -> usize {
        self.streams.get()
    }

    /// Notes that an exchange takes a stream.
    pub(super) fn begin_stream(&self) {
        self.streams.set(self.streams.get() + 1);
        self.count_idle();
    }

    /// Notes that an exchange has finished its stream.
    pub(super) fn end_stream(&self) {
        self.streams.set(self.streams.get() - 1);
        self.count_idle();
    }

    /// Counts it in `idle` from now on, while it is open and carries nothing.
    pub(super) fn keep(&self, idle: &Gauge) {
        self.kept.borrow_mut().get_or_insert_with(|| idle.clone());
        self.count_idle();
    }

    /// Stops counting it as idle: its place cannot be taken any more.
    pub(super) fn release(&self) {
        self.count_as_idle(false);
        self.kept.borrow_mut().take();
    }

    fn count_idle(&self) {
        self.count_as_idle(self.streams.get() == 0 && !self.closed.get());
    }

    fn count_as_idle(&self, idle: bool) {
        if self.idle.get() != idle
            && let Some(gauge) = &*self.kept.borrow()
        {
            self.idle.set(idle);
            gauge.add(if idle { 1 } else { -1 });
        }
    }

    /// Returns true if it takes no more exchanges at all.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Marks it as closed for new exchanges: by its task, or by an exchange that found it broken
    /// first.
    pub(super) fn close(&self) {
        self.closed.set(true);
        self.count_idle();
    }

    /// Notes a failed write: the connection takes no more exchanges, and ends when all is read.
    pub(super) fn stop_sending(&self) {
        self.deaf.set(true);
        self.close();
    }

    /// Returns true if writing has failed.
    pub(super) fn is_deaf(&self) -> bool {
        self.deaf.get()
    }

    /// Notes a failure of the socket, if it is one of TLS. The streams see the end, but not its
    /// reason.
    pub(super) fn hear_failure(&self, error: &io::Error) {
        let plain = Failure::ConnectionClosed;
        let failure = secure::failure_behind(&self.pool, &self.endpoint, error, plain);
        if failure != plain {
            self.failure.set(Some(failure));
        }
    }

    /// Returns the failure that the end of the connection means for its exchanges: TLS failed, or
    /// `otherwise`.
    pub(super) fn failure_or(&self, otherwise: Failure) -> Failure {
        self.failure.get().unwrap_or(otherwise)
    }

    /// Notes an exchange without an answer: the endpoint is sent a PING, unless something arrived
    /// within the last `silence`.
    pub(super) fn doubt(&self, silence: Duration) {
        if !self.closed.get() && self.silence.doubt(silence) {
            // By the task's waker: whoever drops an exchange has none of its own.
            if let Some(task) = &*self.task.borrow() {
                task.wake_by_ref();
            }
        }
    }

    /// Stops counting the connection: it carries nothing and is about to close.
    pub(super) fn give_up(&self) {
        self.close();
        drop(self.guard.take());
    }

    pub(super) fn poll_settled(&self, cx: &Context<'_>) -> Poll<Result<(), Failure>> {
        if self.closed.get() && !self.deaf.get() {
            return Poll::Ready(Err(self.failure_or(Failure::ConnectionClosed)));
        }
        if self.allowed.get() > 0 {
            return Poll::Ready(Ok(()));
        }
        wake::remember(&mut self.waiting.borrow_mut(), cx);
        Poll::Pending
    }

    /// Wakes those who wait for a change.
    fn tell(&self) {
        if self.pool.has_queue() && self.has_room() {
            self.pool.tell_room();
        }
        if self.waiting.borrow().is_some()
            && (self.closed.get() || self.allowed.get() > 0)
            && let Some(waker) = self.waiting.borrow_mut().take()
        {
            waker.wake();
        }
    }
}

impl fmt::Debug for Driven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driven").finish_non_exhaustive()
    }
}

/// The connection itself, owned by its task. The reason of its end is reported to each exchange on
/// it.
pub(super) struct Driver {
    connection: Connection<Heard, Bytes>,
    pinging: Option<Pinging>,
    driven: Rc<Driven>,
    /// Handle that brings its requests; the connection closes when the handle is gone and no stream
    /// is left.
    requests: Weak<Http2Connection>,
    /// Limits the time to end the connection to an endpoint that reads nothing any more.
    goodbye: Timeout,
    goodbye_ends: Option<Instant>,
}

impl Driver {
    pub(super) fn new(
        mut connection: Connection<Heard, Bytes>,
        driven: &Rc<Driven>,
        requests: &Rc<Http2Connection>,
    ) -> Self {
        Self {
            pinging: connection.ping_pong().map(Pinging::new),
            connection,
            driven: Rc::clone(driven),
            requests: Rc::downgrade(requests),
            goodbye: Timeout::new(),
            goodbye_ends: None,
        }
    }

    /// Drives the connection to its end, and checks after each step for changes: settings and a
    /// GOAWAY are not reported otherwise.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let driven = &self.driven;
        wake::remember(&mut driven.task.borrow_mut(), cx);
        if Pin::new(&mut self.connection).poll(cx).is_ready() {
            return Poll::Ready(());
        }
        driven
            .allowed
            .set(self.connection.max_concurrent_send_streams());
        match self.requests.upgrade() {
            Some(requests) if requests.is_refused(cx) => driven.close(),
            Some(_) => {}
            None => {
                let ends = self.goodbye_ends;
                let ends = ends.unwrap_or_else(|| Instant::now() + GOODBYE_MAX);
                self.goodbye_ends = Some(ends);
                return self.goodbye.poll_at(cx, ends);
            }
        }
        if driven.silence.is_in_doubt()
            && let Some(pinging) = &mut self.pinging
            && pinging.poll(cx, &driven.silence) == Poll::Ready(Asked::Dead)
        {
            return Poll::Ready(());
        }
        driven.tell();
        Poll::Pending
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Self::poll(self.get_mut(), cx)
    }
}

impl Drop for Driver {
    /// Tells those who wait for it that its task has ended, for any reason.
    fn drop(&mut self) {
        self.driven.deaf.set(false);
        self.driven.give_up();
        self.driven.tell();
    }
}

/// Maximum time for the last bytes of a connection.
const GOODBYE_MAX: Duration = Duration::from_secs(5);
/// Maximum number of streams on one connection, even if the endpoint allows more.
pub(super) const STREAMS_MAX: usize = 256;
