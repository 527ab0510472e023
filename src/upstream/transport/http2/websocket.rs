//! WebSockets as streams of a connection to an endpoint (RFC 8441).
//!
//! The walk uses the GET with `Upgrade` of HTTP/1.1 and its 101; this module uses the equivalent
//! extended CONNECT and 200. The key and its proof are only for HTTP/1.1: the key stays here, and
//! the proof is made here.

use h2::{RecvStream, ext::Protocol};
use http::{Method, Request, Response, StatusCode, header};

use super::{StreamShare, sender::OpenStream, tunnel::StreamBytes};
use crate::{
    failure::BadRequest,
    semantics::{
        Headers, Known, Value,
        websocket::{self, KEY},
    },
    socket::{Buffered, Stream},
    upstream::transport::{Inbound, Outbound, ResponseBody, Tunnel, tunnel::Counted},
};

/// Turns the GET that asks for a WebSocket into an extended CONNECT.
///
/// # Errors
/// [`BadRequest::WebSocketKey`]: there would be no proof for the client.
pub(super) fn ask<B>(request: &mut Request<B>) -> Result<(), BadRequest> {
    let headers = request.headers_mut();
    headers.remove(KEY).ok_or(BadRequest::WebSocketKey)?;
    for name in [header::CONNECTION, header::UPGRADE] {
        headers.remove(name);
    }
    *request.method_mut() = Method::CONNECT;
    let protocol = Protocol::from_static("websocket");
    request.extensions_mut().insert(protocol);
    Ok(())
}

/// Turns the 200 of an agreeing endpoint into a 101, and the stream into a tunnel.
pub(super) fn answered(
    response: Response<RecvStream>,
    request: &Outbound<'_>,
    stream: OpenStream,
    share: StreamShare,
) -> Inbound {
    let (head, receiver) = response.into_parts();
    let bytes = StreamBytes::new(stream, receiver);
    let io = Buffered::new(Stream::Upgraded(Box::new(bytes)));
    let mut headers = Headers::from(&head.headers);
    headers.remove(Known::ContentLength);
    headers.insert(Known::Connection, Value::from_static("upgrade"));
    headers.insert(Known::Upgrade, Value::from_static("websocket"));
    let key = request.headers.get(Known::SecWebSocketKey);
    if let Some(proof) = key.and_then(|key| websocket::proof_of(key.as_bytes())) {
        headers.insert(Known::SecWebSocketAccept, proof);
    }
    Inbound {
        status: StatusCode::SWITCHING_PROTOCOLS,
        headers,
        body: ResponseBody::Tunnel(Box::new(Tunnel::new(io, Counted::Stream(share)))),
        upload: None,
    }
}
