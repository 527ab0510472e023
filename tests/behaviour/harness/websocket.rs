//! WebSockets of HTTP/1.1 and of HTTP/2 (RFC 6455, RFC 8441), byte by byte.

use bytes::Bytes;
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use http::{Request, Response};
use tokio::net::TcpStream;

use super::eventually::{eventually, within};
use super::proxy::Proxy;

/// Handshake of an HTTP/1.1 client; [`PROOF`] is the answer to its key.
pub(crate) const ASK: &str = "GET /chat?room=1 HTTP/1.1\r\nhost: shop.example\r\n\
     connection: Upgrade\r\nupgrade: websocket\r\n\
     sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\
     sec-websocket-protocol: chat\r\nsec-websocket-extensions: permessage-deflate\r\n\r\n";
pub(crate) const PROOF: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// Close frame of a server that goes away.
pub(crate) const GOING_AWAY: [u8; 4] = [0x88, 2, 3, 0xe9];

/// Makes a client that may ask for a WebSocket: the proxy has announced that it takes them.
pub(crate) async fn h2_client(proxy: &Proxy) -> SendRequest<Bytes> {
    let stream = TcpStream::connect(proxy.address("web")).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    eventually("extended CONNECT is offered", || async {
        sender.is_extended_connect_protocol_enabled().then_some(())
    })
    .await;
    sender
}

/// Asks for a WebSocket, or another protocol, by extended CONNECT.
pub(crate) async fn ask(
    sender: &SendRequest<Bytes>,
    protocol: &'static str,
) -> (Response<RecvStream>, SendStream<Bytes>) {
    let mut request = Request::connect("http://shop.example/chat?room=1")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "chat")
        .header("cookie", "a=1")
        .body(())
        .unwrap();
    let protocol = Protocol::from_static(protocol);
    request.extensions_mut().insert(protocol);
    let mut sender = sender.clone().ready().await.unwrap();
    let (response, stream) = sender.send_request(request, false).unwrap();
    (response.await.unwrap(), stream)
}

/// Reads this many bytes of a stream.
pub(crate) async fn bytes(body: &mut RecvStream, count: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < count {
        let data = within("more bytes", body.data()).await;
        let data = data.expect("more bytes").unwrap();
        let _ = body.flow_control().release_capacity(data.len());
        all.extend_from_slice(&data);
    }
    all
}

/// A short masked text frame; the mask is zero.
pub(crate) fn text(message: &str) -> Bytes {
    let length = u8::try_from(message.len()).unwrap() | 0x80;
    let mut frame = vec![0x81, length, 0, 0, 0, 0];
    frame.extend_from_slice(message.as_bytes());
    frame.into()
}

/// Returns the code of a masked close frame; none for other frames.
pub(crate) fn unmasked_close(frame: &[u8]) -> Option<u16> {
    match *frame {
        [0x88, 0x82, a, b, _, _, high, low] => Some(u16::from_be_bytes([high ^ a, low ^ b])),
        _ => None,
    }
}
