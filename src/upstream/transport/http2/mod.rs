//! HTTP/2 to an endpoint (RFC 9113), over the streams of the crate `h2`.
//!
//! One connection is shared by the exchanges of its worker, up to the limit of the endpoint; a task
//! of its own drives it. Request and response of an exchange flow in the task of the exchange, as
//! over HTTP/1.1, and end with it: an unfinished stream is reset at once.
//!
//! - `open_stream`: a request until the head of its response; `head` makes the one and bounds the
//!   other.
//! - `sender`: the request's body; `body`: the response's.
//! - `outgoing`: how much of it the endpoint has taken.
//! - `driven`: the connection's task; `silence` tests whether the endpoint is still alive.
//! - `fault`: the meaning of an error for a request.
//! - `websocket`, `tunnel`: a WebSocket as one of the streams.

mod body;
mod driven;
mod fault;
mod head;
mod open_stream;
mod outgoing;
mod sender;
mod silence;
mod tunnel;
mod websocket;

use std::{
    cell::{Cell, RefCell},
    fmt,
    future::poll_fn,
    rc::{Rc, Weak},
    sync::Arc,
    task::Context,
    time::Duration,
};

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use tokio::time::Instant;

pub use body::Http2Body;
use driven::{Driven, Driver, STREAMS_MAX};
use open_stream::OpenStream;
use outgoing::Outgoing;
use silence::Heard;

use super::{Clock, Downstream, Inbound, Outbound, Patience, Purpose, SendFailure, Upload};
use crate::{
    failure::Failure,
    semantics::forwarded::Scheme,
    socket::Stream,
    task,
    telemetry::metrics::Gauge,
    timer,
    upstream::{connect::ConnectionGuard, shared::PoolShared},
};

/// One HTTP/2 connection to an endpoint, shared by many exchanges of one worker.
pub struct Http2Connection {
    requests: RefCell<SendRequest<Bytes>>,
    driven: Rc<Driven>,
    opened: Instant,
    security: u64,
    /// The endpoint's own address, for requests without a host.
    authority: Arc<str>,
    used: Cell<bool>,
    last_used: Cell<Instant>,
}

/// Purpose and settings of a connection to open.
#[derive(Debug)]
pub struct Http2Opening {
    /// Counts the connection.
    pub guard: ConnectionGuard,
    /// The endpoint's pool.
    pub pool: Arc<PoolShared>,
    /// Version of the TLS settings; 0 for none.
    pub security: u64,
    /// The endpoint's address as text.
    pub endpoint: Arc<str>,
    /// Deadline of its opening.
    pub deadline: Instant,
}

/// Tells when an unused connection has sent its last bytes.
#[derive(Debug)]
pub struct Closing(Weak<Driven>);

impl Closing {
    /// Returns true if its task has ended.
    pub fn has_ended(&self) -> bool {
        self.0.strong_count() == 0
    }
}

impl Http2Connection {
    /// Sends the preface over a connected stream, starts the connection's task and waits for the
    /// endpoint's settings: before them the number of streams it allows is unknown (RFC 9113
    /// section 6.5.2), and a guess that is too high ends in refused streams.
    ///
    /// # Errors
    /// [`Failure::ConnectTimeout`], [`Failure::ConnectionClosed`], or [`Failure::TlsProtocol`] if
    /// the endpoint ends the session by an alert.
    pub async fn open(stream: Stream, opening: Http2Opening) -> Result<Rc<Self>, Failure> {
        let Http2Opening {
            guard,
            pool,
            security,
            endpoint,
            deadline,
        } = opening;
        let outgoing = Outgoing::new(stream.send_queue());
        let label = Arc::clone(&endpoint);
        let driven = Rc::new(Driven::new(pool, label, guard, outgoing, Instant::now()));
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buffer_size(SEND_BUFFER)
            .max_header_list_size(head::HEADER_LIST_MAX)
            .max_concurrent_reset_streams(RESET_STREAMS_MAX)
            .reset_stream_duration(RESET_STREAMS_KEPT)
            .max_local_error_reset_streams(Some(ERRORS_MAX))
            // None until the endpoint has said how many.
            .initial_max_send_streams(0);
        let handshake = builder.handshake(Heard::new(stream, &driven));
        let (requests, connection) = timer::until(deadline, handshake)
            .await
            .map_err(|_| Failure::ConnectTimeout)?
            .map_err(|_| driven.failure_or(Failure::ConnectionClosed))?;
        let now = Instant::now();
        let opened = Rc::new(Self {
            requests: RefCell::new(requests),
            driven,
            opened: now,
            security,
            authority: endpoint,
            used: Cell::new(false),
            last_used: Cell::new(now),
        });
        let driver = Driver::new(connection, &opened.driven, &opened);
        task::spawn_local("upstream http/2 connection", driver);
        timer::until(deadline, poll_fn(|cx| opened.driven.poll_settled(cx)))
            .await
            .map_err(|_| Failure::ConnectTimeout)??;
        Ok(opened)
    }

    /// Version of the TLS settings it was made with; 0 for none.
    pub fn security(&self) -> u64 {
        self.security
    }

    fn scheme(&self) -> Scheme {
        match self.security {
            0 => Scheme::Http,
            _ => Scheme::Https,
        }
    }

    /// The authority of the endpoint itself.
    fn authority(&self) -> &str {
        // A unix socket has none.
        if self.authority.starts_with("unix:") {
            "localhost"
        } else {
            &self.authority
        }
    }

    /// Returns true if one more exchange fits.
    pub fn has_room(&self, now: Instant, lifetime: Duration) -> bool {
        !self.is_closed() && now < self.opened + lifetime && self.driven.has_room()
    }

    /// Returns true if the endpoint has announced that it takes WebSockets here (RFC 8441 section
    /// 3).
    pub fn takes_websockets(&self) -> bool {
        let requests = self.requests.borrow();
        requests.is_extended_connect_protocol_enabled()
    }

    /// Returns true if it takes no more exchanges at all.
    pub fn is_closed(&self) -> bool {
        self.driven.is_closed()
    }

    /// Returns true if the endpoint takes no more requests, as a GOAWAY says.
    fn is_refused(&self, cx: &mut Context<'_>) -> bool {
        let ready = self.requests.borrow_mut().poll_ready(cx);
        matches!(ready, std::task::Poll::Ready(Err(_)))
    }

    /// Returns the handle that tells when it has closed, after the last exchange on it.
    pub fn closing(&self) -> Closing {
        Closing(Rc::downgrade(&self.driven))
    }

    /// Returns true if it has carried no exchange yet.
    pub fn is_fresh(&self) -> bool {
        !self.used.get()
    }

    /// Returns the time since when it is open and carries nothing; none while it carries something.
    pub fn idle_since(&self) -> Option<Instant> {
        let idle = self.driven.streams() == 0 && !self.is_closed();
        idle.then(|| self.last_used.get())
    }

    /// Counts it as idle while it carries nothing, for others who need its place.
    pub fn keep(&self, idle: &Gauge) {
        self.driven.keep(idle);
    }

    /// Stops counting it as idle: its place cannot be taken.
    pub fn release(&self) {
        self.driven.release();
    }

    /// Stops counting it, and closes it once it is dropped; only while it carries nothing.
    pub fn give_up(&self) {
        self.driven.give_up();
    }

    /// Returns true if it carries nothing and should be closed.
    pub fn is_spent(&self, now: Instant, idle_timeout: Duration, lifetime: Duration) -> bool {
        let old = now >= self.last_used.get() + idle_timeout || now >= self.opened + lifetime;
        self.is_closed() || (self.driven.streams() == 0 && old)
    }

    /// Sends a request and waits for the head of the response. Dropping the future resets the
    /// stream.
    ///
    /// # Errors
    /// [`SendFailure`] tells which part of the request may have reached the endpoint.
    pub async fn send(
        self: Rc<Self>,
        request: &Outbound<'_>,
        upload: Upload,
        patience: Patience,
        client: &dyn Downstream,
    ) -> Result<Inbound, SendFailure> {
        let mut clock = Clock::start(patience, &upload);
        let head = match head::build(request, self.scheme(), self.authority()) {
            Ok(head) => head,
            Err(rule) => return Err(unsent(rule.into(), upload)),
        };
        let mut stream = OpenStream::start(&self, head, request.purpose, upload)?;
        let answer = poll_fn(|cx| {
            let polled = stream.poll_head(cx, client);
            if polled.is_ready() {
                return polled;
            }
            let late = clock.poll(cx, stream.progress(), || stream.unsent());
            late.map(|failure| Err(fault::Fault::of_ours(failure)))
        })
        .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(fault) => return Err(stream.fail(&fault)),
        };
        match request.purpose {
            Purpose::Exchange => Ok(stream.respond(answer, request.method)),
            Purpose::WebSocket => stream.switch(answer, request),
        }
    }
}

/// Makes the failure of a request that was not sent.
fn unsent(failure: Failure, upload: Upload) -> SendFailure {
    SendFailure {
        failure,
        written: false,
        received: false,
        upload,
    }
}

impl fmt::Debug for Http2Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http2Connection")
            .field("streams", &self.driven.streams())
            .finish_non_exhaustive()
    }
}

/// One stream of a connection, released on drop.
#[derive(Debug)]
pub(super) struct StreamShare(Rc<Http2Connection>);

impl StreamShare {
    fn take(connection: &Rc<Http2Connection>) -> Self {
        connection.driven.begin_stream();
        connection.used.set(true);
        Self(Rc::clone(connection))
    }

    fn connection(&self) -> &Http2Connection {
        &self.0
    }

    /// See [`Driven::failure_or`].
    pub(super) fn failure_or(&self, otherwise: Failure) -> Failure {
        self.0.driven.failure_or(otherwise)
    }
}

impl Drop for StreamShare {
    fn drop(&mut self) {
        let driven = &self.0.driven;
        self.0.last_used.set(Instant::now());
        driven.end_stream();
        driven.pool.tell_room();
    }
}

/// Maximum number of bytes of an answer that wait for a slow client, while the connection is read
/// further for others.
const STREAM_WINDOW: u32 = 256 * 1024;
/// All streams together cannot fill it (64 MiB), so that none can stop the others. It is a limit
/// and not memory: bytes are here only while a client does not take them.
#[expect(clippy::cast_possible_truncation, reason = "a small constant")]
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * STREAMS_MAX as u32;
/// Maximum number of bytes of a request that wait here for the socket.
const SEND_BUFFER: usize = 64 * 1024;
/// Number of reset streams whose last frames are expected,
const RESET_STREAMS_MAX: usize = 1024;
/// for this time. Later frames count as errors of the endpoint,
const RESET_STREAMS_KEPT: Duration = Duration::from_secs(10);
/// of which a connection may have this many.
const ERRORS_MAX: usize = 16 * 1024;
