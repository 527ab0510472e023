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
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::{
    body::Incoming,
    ext::Protocol,
    upgrade::{self, OnUpgrade},
};
use hyper_util::rt::TokioIo;

use super::{Connection, Exchanging};
use crate::{
    exchange::Failure,
    http::websocket::{ACCEPT, Handshake},
    proxy::{self, Carries, Outgoing},
    server::task,
    socket::{Buffered, Stream},
};

/// Takes an extended CONNECT for a WebSocket: the request is a GET afterwards.
///
/// None for every other request, which stays as it is.
pub(super) fn take(request: &mut Request<Incoming>, nonce: [u8; 16]) -> Option<OnUpgrade> {
    let protocol = request.extensions().get::<Protocol>();
    let asked = protocol.is_some_and(|name| name.as_str().eq_ignore_ascii_case("websocket"));
    if *request.method() != Method::CONNECT || !asked {
        return None;
    }
    let stream = upgrade::on(&mut *request);
    let handshake = Handshake::new(nonce);
    *request.method_mut() = Method::GET;
    let headers = request.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    handshake.ask(headers);
    request.extensions_mut().insert(handshake);
    Some(stream)
}

/// Answers for a 101 and starts to carry the bytes of the stream.
pub(super) fn switch(
    connection: &Rc<Connection>,
    response: Response<Outgoing>,
    stream: OnUpgrade,
) -> Response<Reply> {
    let (mut head, mut outgoing) = response.into_parts();
    head.status = StatusCode::OK;
    for name in [header::CONNECTION, header::UPGRADE, ACCEPT] {
        head.headers.remove(name);
    }
    let connection = Rc::clone(connection);
    task::spawn_local("websocket over http/2", async move {
        let ended = carry(&connection, stream, &mut outgoing).await;
        match ended {
            Ok(()) => outgoing.complete(),
            Err(_) if connection.worker.is_cutting() => outgoing.cut(Failure::Shutdown),
            Err(failure) => outgoing.cut(failure),
        }
    });
    Response::from_parts(head, Reply(None))
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
