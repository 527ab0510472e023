//! HTTP/1.1 towards clients (RFC 9112): one task per connection, one exchange at a time.
//!
//! The task reads a head, hands the request to the walk, writes the response, and
//! starts over. Request body, upstream connection and response all live in this
//! task, so an exchange needs neither channels nor wake-ups of other tasks.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use ::http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use tokio::time::Instant;

use super::{Connection, Exchanging, RequestBody, tls::HANDSHAKE};
use crate::{
    exchange::{BadRequest, Body, Failure, Interim},
    http::websocket::{self, Frames},
    http1::{
        BodyEncoder, Framing, KeepAlive, RequestHead, encode_continue, encode_response_head,
        parse_request_head,
    },
    proxy::{self, Outgoing},
    socket::Buffered,
    state::Listener,
    timer::Timeout,
};

/// Tells a client why its connection is not served, and closes it.
pub(super) async fn refuse(connection: Rc<Connection>, io: Buffered, failure: Failure) {
    let mut server = Server::new(connection, io);
    server.refuse(failure).await;
}

/// Serves a connection until it closes.
pub(super) async fn serve(connection: Rc<Connection>, io: Buffered) {
    connection.protocol.set("HTTP/1.1");
    let mut server = Server::new(connection, io);
    while let Next::Another = server.exchange().await {}
}

struct Server {
    connection: Rc<Connection>,
    shared: Rc<RefCell<Exchanging>>,
    scanned: usize,
    timeout: Timeout,
    first: bool,
}

/// What follows an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Another request on the connection.
    Another,
    /// Nothing: the connection is closed or has become something else.
    End,
}

/// How the wait for a request head ended.
enum Arrival {
    Head(Box<RequestHead>),
    /// The head breaks a rule, or is late.
    Refused(Failure),
    /// The client speaks TLS to a port without it.
    NotPlain,
    /// The connection is over, and nobody waits for an answer.
    Over,
}

/// How a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Whole,
    Cut,
}

impl Server {
    fn new(connection: Rc<Connection>, io: Buffered) -> Self {
        let listener = connection.known_listener();
        Self {
            shared: Rc::new(RefCell::new(Exchanging::new(io, &listener.head))),
            connection,
            scanned: 0,
            timeout: Timeout::new(),
            first: true,
        }
    }

    async fn exchange(&mut self) -> Next {
        let arrival = self.arrival().await;
        let snapshot = self.connection.worker.snapshot();
        let listener = self.connection.listener(&snapshot);
        let head = match arrival {
            Arrival::Head(head) => *head,
            Arrival::NotPlain => {
                let metrics = self.connection.worker.metrics();
                metrics.handshake(&listener.name, "not_served");
                tracing::debug!(
                    listener = %listener.name, peer = %self.connection.peer(),
                    "TLS was spoken to a listener without it"
                );
                return Next::End;
            }
            Arrival::Over => {
                self.shared.borrow_mut().io.say_goodbye();
                return Next::End;
            }
            Arrival::Refused(failure) => return self.refuse(failure).await,
        };
        self.first = false;
        self.count_request();
        let asked = Asked {
            method: head.method.clone(),
            version: head.version,
        };
        let keep_alive = head.keep_alive;
        let request = match self.request(head, &listener) {
            Ok(request) => request,
            Err(rule) => return self.refuse(rule.into()).await,
        };
        let response = {
            let connection = Rc::clone(&self.connection);
            // HTTP/1.0 has no interim responses (RFC 9110 section 15.2).
            if asked.version == Version::HTTP_11 {
                connection.interim.open();
            }
            let serving = pin!(proxy::serve(&connection, request));
            let served = self.unless_gone(serving, asked.version).await;
            connection.interim.close();
            match served {
                Some(response) => response,
                None => return Next::End,
            }
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return self.switch(response).await;
        }
        let persist = keep_alive && self.may_persist(&listener);
        self.respond(response, &asked, persist, &listener).await
    }

    /// Waits for the next head, as long as the listener allows.
    async fn arrival(&mut self) -> Arrival {
        let snapshot = self.connection.worker.snapshot();
        let listener = self.connection.listener(&snapshot);
        let timeouts = listener.timeouts;
        let mut since = Instant::now();
        let patience = if self.first {
            timeouts.head
        } else {
            timeouts.idle
        };
        let mut begun = false;
        let Self {
            connection,
            shared,
            scanned,
            timeout,
            ..
        } = self;
        poll_fn(|cx| {
            let mut exchanging = shared.borrow_mut();
            loop {
                if exchanging.io.has_received() {
                    let received = exchanging.io.received();
                    match parse_request_head(received, scanned, &listener.head) {
                        Ok(Some(head)) => return Poll::Ready(Arrival::Head(Box::new(head))),
                        Err(_) if exchanging.io.received().first() == Some(&HANDSHAKE) => {
                            return Poll::Ready(Arrival::NotPlain);
                        }
                        Err(rule) => return Poll::Ready(Arrival::Refused(rule.into())),
                        Ok(None) if !begun => {
                            begun = true;
                            since = Instant::now();
                        }
                        Ok(None) => {}
                    }
                }
                match exchanging.io.poll_fill(cx) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Arrival::Over),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Pending => break,
                }
            }
            let mut deadline = since + if begun { timeouts.head } else { patience };
            if !begun {
                connection.watch(cx);
                if connection.is_closing() {
                    // A client in the middle of its work may be sending the next request
                    // already; it is answered, and told to close.
                    deadline = deadline.min(since + CLOSING_IDLE);
                }
            }
            match timeout.poll_at(cx, deadline) {
                Poll::Ready(()) if begun => Poll::Ready(Arrival::Refused(Failure::SlowHead)),
                Poll::Ready(()) => Poll::Ready(Arrival::Over),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    fn request(&self, head: RequestHead, listener: &Listener) -> Result<Request<Body>, BadRequest> {
        let mut exchanging = self.shared.borrow_mut();
        exchanging.expects_continue = head.expect_continue && head.version == Version::HTTP_11;
        exchanging.answered = false;
        drop(exchanging);
        let body = if head.framing.has_body() {
            Body::Http1Request(RequestBody::start(
                &self.shared,
                head.framing,
                &listener.head,
                listener.timeouts.body_idle,
            ))
        } else {
            RequestBody::start(&self.shared, Framing::None, &listener.head, Duration::ZERO);
            Body::Empty
        };
        let mut request = Request::new(body);
        *request.method_mut() = head.method;
        *request.uri_mut() = Uri::from_maybe_shared(head.target).map_err(|_| BadRequest::Target)?;
        *request.version_mut() = head.version;
        *request.headers_mut() = head.headers;
        Ok(request)
    }

    fn count_request(&self) {
        let requests = &self.connection.requests;
        requests.set(requests.get() + 1);
    }

    fn may_persist(&self, listener: &Listener) -> bool {
        let worn = listener.requests_per_connection > 0
            && self.connection.requests.get() >= listener.requests_per_connection;
        let end = self.connection.end_of_life(listener.timeouts.lifetime);
        let old = end.is_some_and(|end| Instant::now() >= end);
        !worn && !old && !self.connection.is_closing() && !self.connection.worker.is_draining()
    }

    /// Waits for the answer, but gives up when the client has left.
    ///
    /// A reset tells that at once. An end of the stream may only mean that the client
    /// has nothing more to say (RFC 9112 section 9.6): after a moment an interim
    /// response is sent, which a client that is gone answers with a reset.
    async fn unless_gone<F>(
        &mut self,
        mut serving: Pin<&mut F>,
        version: Version,
    ) -> Option<Response<Outgoing>>
    where
        F: Future<Output = Response<Outgoing>>,
    {
        let Self {
            connection,
            shared,
            timeout,
            ..
        } = self;
        let mut ended: Option<Instant> = None;
        poll_fn(|cx| {
            let served = serving.as_mut().poll(cx);
            let mut exchanging = shared.borrow_mut();
            append_interim(&mut exchanging.io, &connection.interim);
            if let Poll::Ready(response) = served {
                return Poll::Ready(Some(response));
            }
            if matches!(exchanging.io.poll_flush(cx), Poll::Ready(Err(_))) {
                return Poll::Ready(None);
            }
            if !exchanging.decoder.is_done() || exchanging.broken {
                return Poll::Pending;
            }
            while ended.is_none() && exchanging.io.received().len() < READ_AHEAD_MAX {
                match exchanging.io.poll_fill(cx) {
                    Poll::Ready(Ok(0)) => ended = Some(Instant::now()),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(None),
                    Poll::Pending => return Poll::Pending,
                }
            }
            let Some(since) = ended.filter(|_| version == Version::HTTP_11) else {
                return Poll::Pending;
            };
            poll_probe(&mut exchanging, timeout, since, cx)
        })
        .await
    }

    /// Answers a request that never became one, and closes.
    async fn refuse(&mut self, failure: Failure) -> Next {
        self.count_request();
        self.shared.borrow_mut().broken = true;
        let response = proxy::refuse(&self.connection, failure);
        let asked = Asked {
            method: Method::GET,
            version: Version::HTTP_11,
        };
        let listener = self.connection.known_listener();
        self.respond(response, &asked, false, &listener).await
    }

    /// Writes a response and settles what becomes of the connection.
    async fn respond(
        &mut self,
        response: Response<Outgoing>,
        asked: &Asked,
        persist: bool,
        listener: &Listener,
    ) -> Next {
        let (head, mut outgoing) = response.into_parts();
        let framing = framing_of(&outgoing, head.status, &asked.method).towards(asked.version);
        let unread = {
            let mut exchanging = self.shared.borrow_mut();
            exchanging.answered = true;
            !outgoing.drives_request() && !exchanging.discard_received()
        };
        // A body that nobody will read: what follows it cannot be found.
        let close = !persist || unread || outgoing.must_close() || framing == Framing::UntilClose;
        {
            let mut exchanging = self.shared.borrow_mut();
            let date = self.connection.worker.date();
            encode_response_head(
                exchanging.io.outgoing(),
                asked.version,
                head.status,
                &head.headers,
                &framing,
                if close {
                    KeepAlive::Close
                } else {
                    KeepAlive::Keep
                },
                Some(&date),
            );
        }
        let sent = self
            .send(&mut outgoing, framing, listener.timeouts.body_idle)
            .await;
        let (received_all, bytes_in) = {
            let exchanging = self.shared.borrow();
            let all = exchanging.decoder.is_done() && !exchanging.broken;
            (all, exchanging.body_bytes)
        };
        outgoing.set_bytes_in(bytes_in);
        drop(outgoing);
        match sent {
            Sent::Cut => {
                self.shared.borrow().io.stream().reset();
                Next::End
            }
            Sent::Whole if close || !received_all => {
                self.linger().await;
                Next::End
            }
            Sent::Whole => Next::Another,
        }
    }

    /// Writes the body behind the head; each piece leaves as soon as the next one is awaited.
    async fn send(
        &mut self,
        outgoing: &mut Outgoing,
        framing: Framing,
        patience: Duration,
    ) -> Sent {
        let mut encoder = BodyEncoder::new(framing);
        let mut ended = !framing.has_body();
        let mut stalled: Option<Instant> = None;
        let Self {
            shared, timeout, ..
        } = self;
        let written = poll_fn(|cx| {
            loop {
                let mut waits = false;
                // The body may read from the same connection: not while it is borrowed.
                while !ended && !waits && shared.borrow().io.can_append() {
                    match Pin::new(&mut *outgoing).poll_frame(cx) {
                        Poll::Ready(frame) => {
                            let io = &mut shared.borrow_mut().io;
                            ended = append(io, &mut encoder, frame.transpose()?)?;
                        }
                        Poll::Pending => waits = true,
                    }
                }
                let mut exchanging = shared.borrow_mut();
                match exchanging.io.poll_flush(cx) {
                    Poll::Ready(Err(_)) => return Poll::Ready(Err(Failure::ClientGone)),
                    Poll::Ready(Ok(())) if ended => return Poll::Ready(Ok(())),
                    // The body is awaited; a client that resets meanwhile is gone.
                    Poll::Ready(Ok(())) if waits => {
                        stalled = None;
                        return poll_reset(&mut exchanging, cx);
                    }
                    Poll::Ready(Ok(())) => stalled = None,
                    Poll::Pending if waits => return Poll::Pending,
                    Poll::Pending => {
                        let since = *stalled.get_or_insert_with(Instant::now);
                        let late = timeout.poll_at(cx, since + patience);
                        return late.map(|()| Err(Failure::ClientStalled));
                    }
                }
            }
        })
        .await;
        match written {
            Ok(()) => {
                outgoing.complete();
                Sent::Whole
            }
            Err(failure) => {
                outgoing.cut(failure);
                Sent::Cut
            }
        }
    }

    /// Ends our direction and reads on for a while, so that the answer is not lost to a reset
    /// (RFC 9112 section 9.6).
    async fn linger(&mut self) {
        let deadline = Instant::now() + LINGER;
        let Self {
            shared, timeout, ..
        } = self;
        let mut discarded = 0;
        let mut shut = false;
        poll_fn(|cx| {
            let io = &mut shared.borrow_mut().io;
            if !shut {
                match io.poll_shutdown(cx) {
                    Poll::Ready(Ok(())) => shut = true,
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => {}
                }
            }
            while discarded < LINGER_BYTES_MAX {
                match io.poll_fill(cx) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                    Poll::Ready(Ok(count)) => {
                        discarded += count;
                        io.received().clear();
                    }
                    Poll::Pending => return timeout.poll_at(cx, deadline),
                }
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Writes the 101 and joins the two connections (RFC 9110 section 7.8).
    async fn switch(&mut self, response: Response<Outgoing>) -> Next {
        let (head, mut outgoing) = response.into_parts();
        {
            let mut exchanging = self.shared.borrow_mut();
            encode_response_head(
                exchanging.io.outgoing(),
                Version::HTTP_11,
                head.status,
                &head.headers,
                &Framing::None,
                KeepAlive::Keep,
                None,
            );
        }
        if let Some(upstream) = outgoing.take_tunnel() {
            self.connection.protocol.set(proxy::TUNNEL);
            let idle = outgoing.tunnel_idle();
            let frames = websocket::is_named(&head.headers).then(Frames::default);
            let ended = proxy::tunnel(
                &self.connection,
                &self.shared,
                *upstream,
                idle,
                frames,
                &mut outgoing,
            )
            .await;
            match ended {
                Ok(()) => outgoing.complete(),
                Err(failure) => outgoing.cut(failure),
            }
        }
        Next::End
    }
}

/// What of the request decides about the form of the response.
struct Asked {
    method: Method,
    version: Version,
}

fn framing_of(outgoing: &Outgoing, status: StatusCode, method: &Method) -> Framing {
    let bodiless = *method == Method::HEAD
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED;
    if bodiless {
        return Framing::None;
    }
    match outgoing.size_hint().exact() {
        Some(length) => Framing::Length(length),
        None => Framing::Chunked,
    }
}

/// Appends the interim responses that wait.
fn append_interim(io: &mut Buffered, interim: &Interim) {
    for (status, headers) in interim.take() {
        encode_response_head(
            io.outgoing(),
            Version::HTTP_11,
            status,
            &headers,
            &Framing::None,
            KeepAlive::Keep,
            None,
        );
    }
}

/// Appends a frame, or the end of the body; whether it was the end.
fn append(
    io: &mut Buffered,
    encoder: &mut BodyEncoder,
    frame: Option<http_body::Frame<bytes::Bytes>>,
) -> Result<bool, Failure> {
    let Some(frame) = frame else {
        let ended = encoder.finish(io.outgoing(), None);
        return ended
            .map(|()| true)
            .map_err(|_| Failure::ResponseIncomplete);
    };
    match frame.into_data() {
        Ok(data) => {
            let tail = encoder
                .prefix(io.outgoing(), data.len())
                .map_err(|_| Failure::ResponseMalformed)?;
            io.append(data, tail);
            Ok(false)
        }
        Err(frame) => {
            let trailers = frame.into_trailers().unwrap_or_default();
            encoder
                .finish(io.outgoing(), Some(&trailers))
                .map_err(|_| Failure::ResponseIncomplete)?;
            Ok(true)
        }
    }
}

/// Ready with an error once the client has reset the connection.
fn poll_reset(exchanging: &mut Exchanging, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
    let reading = exchanging.decoder.is_done()
        && !exchanging.broken
        && !exchanging.io.has_ended()
        && exchanging.io.received().len() < READ_AHEAD_MAX;
    if reading && matches!(exchanging.io.poll_fill(cx), Poll::Ready(Err(_))) {
        return Poll::Ready(Err(Failure::ClientGone));
    }
    Poll::Pending
}

/// Asks a client that has ended its stream whether it is still there.
fn poll_probe(
    exchanging: &mut Exchanging,
    timeout: &mut Timeout,
    since: Instant,
    cx: &mut Context<'_>,
) -> Poll<Option<Response<Outgoing>>> {
    let waited = Instant::now() - since;
    if waited >= PROBE_AFTER && !exchanging.probed {
        exchanging.probed = true;
        encode_continue(exchanging.io.outgoing());
    }
    let written = exchanging.io.poll_flush(cx);
    // The reset that a client answers with when it is gone is an error of the socket.
    if matches!(written, Poll::Ready(Err(_))) || exchanging.io.has_failed() {
        return Poll::Ready(None);
    }
    // Looked at again from time to time: a reset after the end wakes nobody.
    let _ = timeout.poll_at(cx, Instant::now() + PROBE_AFTER.max(waited / 4));
    Poll::Pending
}

/// How much of the next requests is read while one is under way.
const READ_AHEAD_MAX: usize = 64 * 1024;
/// How long a connection that shall close must have been idle before it is closed unasked.
const CLOSING_IDLE: Duration = Duration::from_secs(1);
const PROBE_AFTER: Duration = Duration::from_millis(500);
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 1024 * 1024;
