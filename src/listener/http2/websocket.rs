//! WebSockets over HTTP/2 (RFC 8441): streams opened with an extended CONNECT.
//!
//! Before the walk the request becomes the equivalent GET with `Upgrade` of HTTP/1.1, which routes,
//! filters and endpoints know; after it a 101 becomes the 200 of HTTP/2, and the bytes of the
//! stream are carried.

use std::{cell::RefCell, rc::Rc};

use http::{Method, StatusCode};

use super::exchange::Exchange;
use crate::{
    downstream::{
        Exchanging,
        http2::{send::Wants, tunnel::StreamBytes},
    },
    exchange::{Body, Request, Response},
    failure::Failure,
    proxy::{self, Carries, Outgoing},
    semantics::{Known, Names, Value, websocket::Handshake},
    socket::{Buffered, Stream},
};

/// Turns an extended CONNECT into the equivalent GET of HTTP/1.1.
pub(super) fn rephrase(request: &mut Request, nonce: [u8; 16]) {
    let handshake = Handshake::new(nonce);
    request.method = Method::GET;
    // What follows is no body.
    request.body = Body::Empty;
    let headers = &mut request.headers;
    headers.insert(Known::Connection, Value::from_static("upgrade"));
    headers.insert(Known::Upgrade, Value::from_static("websocket"));
    handshake.ask(headers);
    request.handshake = Some(handshake);
}

/// Answers for a 101 and carries the bytes of the stream.
pub(super) async fn switch(exchange: &Exchange, response: Response<Outgoing>) {
    let Response {
        mut headers,
        body: mut outgoing,
        ..
    } = response;
    headers.remove_all(Names::of(&[
        Known::Connection,
        Known::Upgrade,
        Known::SecWebSocketAccept,
    ]));
    {
        let mut session = exchange.session.borrow_mut();
        session.send_head(&exchange.stream, StatusCode::OK, &headers, None, false);
    }
    drop(headers);
    match carry(exchange, &mut outgoing).await {
        Ok(()) => outgoing.complete(),
        Err(_) if exchange.connection.worker.is_cutting() => {
            outgoing.cut(Failure::Shutdown);
        }
        Err(failure) => outgoing.cut(failure),
    }
    proxy::finish(&mut outgoing);
}

async fn carry(exchange: &Exchange, outgoing: &mut Outgoing) -> Result<(), Failure> {
    let connection = &exchange.connection;
    let upstream = outgoing.take_tunnel().ok_or(Failure::Internal)?;
    let bytes = StreamBytes::new(&exchange.session, &exchange.stream);
    let last = bytes.last();
    let io = Buffered::new(Stream::Upgraded(Box::new(bytes)));
    let listener = connection.known_listener();
    let client = Rc::new(RefCell::new(Exchanging::new(io, &listener.head)));
    let idle = outgoing.tunnel_idle();
    let carries = Carries::WebSocket;
    let taken = |io: &Buffered| {
        let wants = if io.is_flushed() {
            Wants::Nothing
        } else {
            Wants::ToSend
        };
        let session = exchange.session.borrow();
        session.progress_of(&exchange.stream, wants, last.get())
    };
    proxy::tunnel(
        connection, &client, *upstream, idle, carries, taken, outgoing,
    )
    .await
}
