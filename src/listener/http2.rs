//! HTTP/2 towards clients (RFC 9113), over hyper's server connection.

use std::{
    cell::Cell,
    future::poll_fn,
    pin::{Pin, pin},
    rc::Rc,
    task::Poll,
    time::Duration,
};

use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use tokio::time::Instant;

use super::Connection;
use crate::{
    exchange::{Body, Failure, Http2RequestBody},
    proxy::{self, Outgoing},
    socket::{Buffered, HyperStream},
    timer::Timeout,
    upstream::transport::LocalExecutor,
};

/// Serves a connection until it closes; a drain lets its streams finish first.
pub(super) async fn serve(connection: Rc<Connection>, io: Buffered) {
    connection.protocol.set("HTTP/2.0");
    let listener = connection.known_listener();
    let (stream, received) = io.into_parts();
    let service = service_fn(|request: Request<Incoming>| {
        let connection = Rc::clone(&connection);
        async move { Ok::<_, Failure>(exchange(&connection, request).await) }
    });
    let mut builder = http2::Builder::new(LocalExecutor);
    builder
        .max_concurrent_streams(listener.streams_max)
        .max_header_list_size(u32::try_from(listener.head.bytes_max).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .auto_date_header(false);
    let mut serving = pin!(builder.serve_connection(HyperStream::new(stream, received), service));
    let mut timeout = Timeout::new();
    let mut quiet_since = Instant::now();
    let mut seen = 0;
    let closing = Cell::new(false);
    poll_fn(|cx| {
        connection.watch(cx);
        if connection.is_closing() && !closing.replace(true) {
            serving.as_mut().graceful_shutdown();
        }
        if serving.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
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
        if (idle || worn) && !connection.is_closing() {
            connection.close();
            cx.waker().wake_by_ref();
        } else if idle && Instant::now() >= deadline + GOODBYE {
            // It was told to go and has not gone.
            return Poll::Ready(());
        } else {
            let again = Instant::now() + AGAIN;
            let _ = timeout.poll_at(cx, deadline.max(again));
        }
        Poll::Pending
    })
    .await;
}

async fn exchange(connection: &Rc<Connection>, request: Request<Incoming>) -> Response<Outgoing> {
    connection.requests.set(connection.requests.get() + 1);
    let mut read = None;
    let request = request.map(|body| {
        if hyper::body::Body::is_end_stream(&body) {
            return Body::Empty;
        }
        let counted = read.insert(Rc::new(Cell::new(0)));
        Body::Http2Request(Http2RequestBody::new(body, counted))
    });
    let mut response = Pin::from(Box::new(proxy::serve(connection, request))).await;
    if let Some(read) = read {
        response.body_mut().count_request(read);
    }
    response
}

const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
const SEND_BUFFER: usize = 64 * 1024;
const GOODBYE: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_secs(1);
