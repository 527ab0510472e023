//! HTTP/2 towards clients (RFC 9113), over hyper's server connection.

use std::{
    cell::{Cell, RefCell},
    error::Error as _,
    future::poll_fn,
    pin::pin,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use http::StatusCode;
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use tokio::time::Instant;

use super::{
    Connection,
    http2_meter::Meter,
    metered::Metered,
    websocket::{self, Reply},
};
use crate::{
    exchange::{Body, Failure, Http2RequestBody, Request},
    http::Headers,
    proxy,
    socket::{Buffered, HyperStream},
    state::Listener,
    timer::Timeout,
    upstream::transport::LocalExecutor,
};

/// Serves a connection until it closes; a drain lets its streams finish first.
pub(super) async fn serve(connection: Rc<Connection>, io: Buffered) {
    connection.protocol.set("HTTP/2.0");
    let listener = connection.known_listener();
    let (stream, received) = io.into_parts();
    let service = service_fn(|request: http::Request<Incoming>| {
        let connection = Rc::clone(&connection);
        // hyper moves what it is given from hand to hand: a box is all that it gets.
        Box::pin(async move { Ok::<_, Failure>(exchange(&connection, request).await) })
    });
    let meter = Rc::new(RefCell::new(Meter::new(connection.since)));
    meter.borrow_mut().feed(&received, connection.since);
    let stream = HyperStream::new(Metered::new(stream, &meter), received);
    let mut serving = pin!(builder(&listener).serve_connection(stream, service));
    let mut timeout = Timeout::new();
    let mut quiet_since = Instant::now();
    let mut seen = 0;
    let closing = Cell::new(false);
    let mut cut_since = None;
    poll_fn(|cx| {
        connection.watch(cx);
        if connection.is_closing() && !closing.replace(true) {
            serving.as_mut().graceful_shutdown();
        }
        // Seen before the poll that sends what the last of them said.
        let silent = connection.is_cut() && !connection.has_tunnels();
        if let Poll::Ready(ended) = serving.as_mut().poll(cx) {
            let meter = meter.borrow();
            let calmed = ended.err().as_ref().is_some_and(is_flood);
            let guessed = calmed.then(|| meter.likely_flood());
            if let Some(reason) = meter.flood().or(guessed) {
                let metrics = connection.worker.metrics();
                metrics.flooded(&connection.known_listener().name, reason);
            }
            return Poll::Ready(());
        }
        if connection.is_cut() {
            let end = *cut_since.get_or_insert_with(Instant::now) + LAST_WORDS;
            let late = timeout.poll_at(cx, end).is_ready();
            return if silent || late {
                Poll::Ready(())
            } else {
                Poll::Pending
            };
        }
        let requests = connection.requests.get();
        if connection.in_flight.get() > 0 || requests != seen {
            seen = requests;
            quiet_since = Instant::now();
        }
        let listener = connection.known_listener();
        let worn =
            listener.requests_per_connection > 0 && requests >= listener.requests_per_connection;
        let deadline = quiet_since + listener.timeouts.idle;
        let idle = timeout.poll_at(cx, deadline).is_ready() && connection.in_flight.get() == 0;
        let end = connection.end_of_life(listener.timeouts.lifetime);
        let old = end.is_some_and(|end| Instant::now() >= end);
        if (idle || worn || old) && !connection.is_closing() {
            connection.close();
            cx.waker().wake_by_ref();
        } else if idle && Instant::now() >= deadline + GOODBYE {
            // It was told to go and has not gone.
            return Poll::Ready(());
        } else {
            let again = Instant::now() + AGAIN;
            let end = end.filter(|_| !old);
            let next = end.map_or(deadline, |end| deadline.min(end));
            let _ = timeout.poll_at(cx, next.max(again));
        }
        Poll::Pending
    })
    .await;
}

/// hyper's server with every bound written out, so that none changes with its version.
fn builder(listener: &Listener) -> http2::Builder<LocalExecutor> {
    let mut builder = http2::Builder::new(LocalExecutor);
    builder
        .max_concurrent_streams(listener.streams_max)
        .max_header_list_size(u32::try_from(listener.head.bytes_max).unwrap_or(u32::MAX))
        .header_table_size(HEADER_TABLE)
        .max_frame_size(FRAME_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(ERROR_RESETS_MAX)
        .enable_connect_protocol()
        .auto_date_header(false);
    builder
}

/// Whether the HTTP/2 connection ended itself because of a flood.
fn is_flood(error: &hyper::Error) -> bool {
    let source = error.source();
    let error = source.and_then(|source| source.downcast_ref::<h2::Error>());
    error.is_some_and(|error| {
        error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM) && !error.is_remote()
    })
}

async fn exchange(
    connection: &Rc<Connection>,
    mut request: http::Request<Incoming>,
) -> http::Response<Reply> {
    connection.requests.set(connection.requests.get() + 1);
    let asked = websocket::take(&mut request);
    let (head, incoming) = request.into_parts();
    let mut read = None;
    let body = if hyper::body::Body::is_end_stream(&incoming) {
        Body::Empty
    } else {
        let counted = read.insert(Rc::new(Cell::new(0)));
        Body::Http2Request(Http2RequestBody::new(incoming, counted))
    };
    let mut request = Box::new(Request {
        method: head.method,
        uri: head.uri,
        version: head.version,
        headers: Headers::from(&head.headers),
        body,
        handshake: None,
    });
    if asked.is_some() {
        let worker = &connection.worker;
        let nonce = u128::from(worker.draw()) << 64 | u128::from(worker.draw());
        websocket::rephrase(&mut request, nonce.to_be_bytes());
    }
    let mut response = proxy::serve(connection, request).await;
    if let Some(read) = read {
        response.body.count_request(read);
    }
    match asked {
        Some(stream) if response.status == StatusCode::SWITCHING_PROTOCOLS => {
            websocket::switch(connection, response, stream)
        }
        _ => websocket::answer(response.status, &response.headers, Some(response.body)),
    }
}

const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
const SEND_BUFFER: usize = 64 * 1024;
/// Bytes of the table that a client's header compression may use (RFC 7541 section 4.2).
const HEADER_TABLE: u32 = 4096;
const FRAME_MAX: u32 = 16 * 1024;
/// Streams that a client reset before they were looked at.
const PENDING_RESETS_MAX: usize = 20;
/// Streams that had to be reset because the client broke a rule on them.
const ERROR_RESETS_MAX: usize = 256;
/// How long its tunnels have to say goodbye when it is cut.
const LAST_WORDS: Duration = Duration::from_millis(500);
const GOODBYE: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_secs(1);
