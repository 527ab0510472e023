//! WebSockets that come over HTTP/2 (RFC 8441): a stream asked for with an extended CONNECT.
//!
//! Before the walk the request becomes the GET with `Upgrade` that it would be in HTTP/1.1,
//! which routes, filters and endpoints know; after it a 101 becomes the 200 that HTTP/2 has
//! for it, and a task of its own carries the bytes.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::{
    body::Incoming,
    ext::Protocol,
    upgrade::{self, OnUpgrade},
};
use hyper_util::rt::TokioIo;

use super::{Connection, Exchanging};
use crate::{
    exchange::{Failure, Request, Response},
    http::{Headers, Known, Names, Value, websocket::Handshake},
    proxy::{self, Carries, Outgoing},
    server::task,
    socket::{Buffered, Stream},
};

/// The stream of an extended CONNECT for a WebSocket; none for every other request.
pub(super) fn take(request: &mut http::Request<Incoming>) -> Option<OnUpgrade> {
    let protocol = request.extensions().get::<Protocol>();
    let asked = protocol.is_some_and(|name| name.as_str().eq_ignore_ascii_case("websocket"));
    (*request.method() == Method::CONNECT && asked).then(|| upgrade::on(request))
}

/// Makes of an extended CONNECT the GET that it would be in HTTP/1.1.
pub(super) fn rephrase(request: &mut Request, nonce: [u8; 16]) {
    let handshake = Handshake::new(nonce);
    request.method = Method::GET;
    let headers = &mut request.headers;
    headers.insert(Known::Connection, Value::from_static("upgrade"));
    headers.insert(Known::Upgrade, Value::from_static("websocket"));
    handshake.ask(headers);
    request.handshake = Some(handshake);
}

/// Answers for a 101 and starts to carry the bytes of the stream.
pub(super) fn switch(
    connection: &Rc<Connection>,
    mut response: Response<Outgoing>,
    stream: OnUpgrade,
) -> http::Response<Reply> {
    let mut outgoing = response.body;
    response.headers.remove_all(Names::of(&[
        Known::Connection,
        Known::Upgrade,
        Known::SecWebSocketAccept,
    ]));
    let connection = Rc::clone(connection);
    task::spawn_local("websocket over http/2", async move {
        let ended = carry(&connection, stream, &mut outgoing).await;
        match ended {
            Ok(()) => outgoing.complete(),
            Err(_) if connection.worker.is_cutting() => outgoing.cut(Failure::Shutdown),
            Err(failure) => outgoing.cut(failure),
        }
    });
    answer(StatusCode::OK, &response.headers, None)
}

/// An answer in hyper's terms.
pub(super) fn answer(
    status: StatusCode,
    headers: &Headers,
    body: Option<Outgoing>,
) -> http::Response<Reply> {
    let mut answer = http::Response::new(Reply(body));
    *answer.status_mut() = status;
    *answer.headers_mut() = headers.to_map();
    answer
}

async fn carry(
    connection: &Connection,
    stream: OnUpgrade,
    outgoing: &mut Outgoing,
) -> Result<(), Failure> {
    let upstream = outgoing.take_tunnel().ok_or(Failure::Internal)?;
    let upgraded = stream.await.map_err(|_| Failure::ClientGone)?;
    let io = Buffered::new(Stream::Upgraded(Box::new(TokioIo::new(upgraded))));
    let listener = connection.known_listener();
    let client = Rc::new(RefCell::new(Exchanging::new(io, &listener.head)));
    let idle = outgoing.tunnel_idle();
    let carries = Carries::WebSocket;
    proxy::tunnel(connection, &client, *upstream, idle, carries, outgoing).await
}

/// The body of an answer over HTTP/2; none when the stream has become a WebSocket.
#[derive(Debug)]
pub(super) struct Reply(pub(super) Option<Outgoing>);

impl HttpBody for Reply {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        match &mut self.0 {
            Some(outgoing) => Pin::new(outgoing).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}
