//! The kinds of traffic of the campaign, each of which checks every byte that it gets.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use bytes::Bytes;
use h2::ext::Protocol as Extended;
use http::Request;
use rustls::ClientConfig;
use rustls::client::Resumption;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::harness::{
    Act, Answer, Authority, Client, End, H2Act, H2Client, Io, Kind, LargeClient, Protocol, Proxy,
    Seen, Traffic, dial, eventually, h2_read, request_bytes, shake, whole,
};

/// The certificate that the last new session was shown.
pub(super) type Shown = Arc<Mutex<Vec<u8>>>;

/// Starts all of it.
pub(super) fn start(flow: &mut Traffic, proxy: &Proxy, authority: &Authority, shown: &Shown) {
    let (web, secure) = (proxy.address("web"), proxy.address("secure"));
    let trusting = |protocol: Protocol| authority.client(None, &protocol.alpn());
    flow.add("HTTP/1.1, kept alive", 6, |kind| kept_alive(kind, web));
    let mut anew = trusting(Protocol::Http1Tls);
    anew.resumption = Resumption::disabled();
    flow.add("HTTP/1.1, a TLS session each", 2, |kind| {
        sessions(kind, secure, anew.clone(), Arc::clone(shown))
    });
    flow.add("HTTP/2, many streams", 2, |kind| streams(kind, web, None));
    flow.add("HTTP/2 over TLS, many streams", 2, |kind| {
        streams(kind, secure, Some(trusting(Protocol::Http2Tls)))
    });
    flow.add("gRPC calls", 2, |kind| calls(kind, web, None));
    flow.add("gRPC streams", 3, |kind| call_stream(kind, web, None));
    flow.add("gRPC streams over TLS", 2, |kind| {
        call_stream(kind, secure, Some(trusting(Protocol::Http2Tls)))
    });
    flow.add("WebSockets", 4, |kind| websocket(kind, web, None));
    flow.add("WebSockets over TLS", 2, |kind| {
        websocket(kind, secure, Some(trusting(Protocol::Http1Tls)))
    });
    flow.add("WebSockets over HTTP/2", 3, |kind| {
        h2_websocket(kind, web, None)
    });
    flow.add("WebSockets over HTTP/2 and TLS", 2, |kind| {
        h2_websocket(kind, secure, Some(trusting(Protocol::Http2Tls)))
    });
    flow.add("large answers", 1, |kind| large(kind, web));
}

/// An endpoint for WebSockets that sends back what comes.
pub(super) fn socket_script(seen: &Seen) -> Vec<Act> {
    let accept = accept_of(seen.field("sec-websocket-key"));
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-accept: {accept}\r\n\r\n"
    );
    vec![Act::Send(head.into()), Act::Echo]
}

/// An endpoint for gRPC that sends back what comes.
pub(super) fn call_script(_: &Seen) -> Vec<H2Act> {
    let kind = ("content-type", "application/grpc".to_owned());
    vec![
        H2Act::Head(200, vec![kind]),
        H2Act::Echo,
        H2Act::Trailers(vec![("grpc-status", "0")]),
    ]
}

async fn kept_alive(kind: Kind, to: SocketAddr) -> Result<(), String> {
    let mut client = Client::connect(to).await;
    let mut turn = 0;
    while kind.goes_on().await {
        turn += 1;
        let (method, target) = (["GET", "POST", "PUT"][turn % 3], format!("/app/{turn}"));
        let body: &[u8] = if turn % 3 == 0 { b"" } else { b"body" };
        client.send(request_bytes(method, &target, "", body)).await;
        let answer = client.try_answer_to(method).await;
        let answer = answer.map_err(|end| format!("{end:?} instead of an answer"))?;
        if answer.field("connection") == "close" {
            return Err(format!("told to close: {answer:?}"));
        }
        expect(&target, &answer)?;
        kind.fine();
    }
    Ok(())
}

async fn sessions(
    kind: Kind,
    to: SocketAddr,
    config: ClientConfig,
    shown: Shown,
) -> Result<(), String> {
    let config = Arc::new(config);
    while kind.goes_on().await {
        let session = shake(to, Arc::clone(&config), "shop.example").await;
        let mut session = session.map_err(|error| format!("no session: {error}"))?;
        let certificate = session.get_ref().1.peer_certificates().unwrap()[0].to_vec();
        *shown.lock().unwrap() = certificate;
        let head = b"GET /app/s HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        let mut text = Vec::new();
        let asked = async {
            session.write_all(head).await?;
            session.flush().await?;
            session.read_to_end(&mut text).await
        };
        // Without a close_notify it is cut off.
        let asked = timely("an answer in a session", asked).await?;
        asked.map_err(|error| format!("a session was cut off: {error}"))?;
        let text = String::from_utf8_lossy(&text);
        if !(text.starts_with("HTTP/1.1 200 ") && text.ends_with("\r\n\r\n/app/s")) {
            return Err(format!("{text:?}"));
        }
        kind.fine();
    }
    Ok(())
}

async fn h2_client(to: SocketAddr, secure: Option<ClientConfig>) -> H2Client {
    let io: Io = dial(to, secure).await;
    H2Client::over(io, &h2::client::Builder::new()).await
}

async fn streams(kind: Kind, to: SocketAddr, tls: Option<ClientConfig>) -> Result<(), String> {
    let mut client = h2_client(to, tls).await;
    let mut round = 0;
    while kind.goes_on().await {
        round += 1;
        let mut open = Vec::new();
        for n in 0..STREAMS {
            let (target, method) = (format!("/app/{round}/{n}"), ["GET", "POST"][n % 2]);
            let opened = client.open(method, &target, &[], method == "GET").await;
            let (response, mut stream) =
                opened.map_err(|fault| format!("{fault:?} at a new stream"))?;
            if method == "POST" {
                let sent = stream.send_data(Bytes::from_static(b"body"), true);
                sent.map_err(|error| format!("{error} at {target}"))?;
            }
            open.push((target, response));
        }
        for (target, response) in open {
            let answer = h2_read(response).await;
            expect(
                &target,
                &answer.map_err(|fault| format!("{fault:?} at {target}"))?,
            )?;
        }
        kind.fine();
    }
    match client.is_open() {
        true => Ok(()),
        false => Err("the connection was ended".to_owned()),
    }
}

async fn calls(kind: Kind, to: SocketAddr, tls: Option<ClientConfig>) -> Result<(), String> {
    let mut client = h2_client(to, tls).await;
    while kind.goes_on().await {
        let answer = client.request("POST", "/calls/Unary", &GRPC, MESSAGE).await;
        let answer = answer.map_err(|fault| format!("{fault:?} instead of an answer"))?;
        let status = answer.trailers.get("grpc-status");
        if answer.body != MESSAGE || status != Some("0") || answer.end != End::Complete {
            return Err(format!("{answer:?}"));
        }
        kind.fine();
    }
    Ok(())
}

/// One call for the whole campaign: a message, its echo, the next message.
async fn call_stream(kind: Kind, to: SocketAddr, tls: Option<ClientConfig>) -> Result<(), String> {
    let mut client = h2_client(to, tls).await;
    let opened = client.open("POST", "/calls/Both", &GRPC, false).await;
    let (response, mut stream) = opened.map_err(|fault| format!("{fault:?} at the start"))?;
    let response = timely("the head of a call", response)
        .await?
        .map_err(told)?;
    let mut body = response.into_body();
    let mut turn = 0_u32;
    while kind.goes_on().await {
        turn += 1;
        let message = Bytes::copy_from_slice(&[b"\0\0\0\0\x04", &turn.to_be_bytes()[..]].concat());
        stream.send_data(message.clone(), false).map_err(told)?;
        echoed(&mut body, &message).await?;
        kind.fine();
    }
    stream.send_data(Bytes::new(), true).map_err(told)?;
    while let Some(data) = timely("the end of a call", body.data()).await? {
        data.map_err(told)?;
    }
    let trailers = body.trailers().await.map_err(told)?;
    let status = trailers.as_ref().and_then(|map| map.get("grpc-status"));
    match status.is_some_and(|status| status == "0") {
        true => Ok(()),
        false => Err(format!("the call ended with {trailers:?}")),
    }
}

async fn websocket(kind: Kind, to: SocketAddr, tls: Option<ClientConfig>) -> Result<(), String> {
    let mut io = dial(to, tls).await;
    let head = "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n";
    io.write_all(head.as_bytes()).await.map_err(told)?;
    io.flush().await.map_err(told)?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let byte = timely("the switch", io.read_u8()).await?;
        answer.push(byte.map_err(told)?);
    }
    if !answer.starts_with(b"HTTP/1.1 101 ") {
        return Err(String::from_utf8_lossy(&answer).into_owned());
    }
    let mut turn = 0;
    while kind.goes_on().await {
        turn += 1;
        let frame = frame(turn);
        io.write_all(&frame).await.map_err(told)?;
        io.flush().await.map_err(told)?;
        let mut back = vec![0; frame.len()];
        let read = timely("an echo", io.read_exact(&mut back)).await?;
        read.map_err(|error| format!("cut off: {error}"))?;
        if back != frame {
            return Err(format!("{back:?} instead of {frame:?}"));
        }
        kind.fine();
    }
    Ok(())
}

async fn h2_websocket(kind: Kind, to: SocketAddr, tls: Option<ClientConfig>) -> Result<(), String> {
    let io = dial(to, tls).await;
    let (sender, connection) = h2::client::handshake(io).await.map_err(told)?;
    tokio::spawn(connection);
    eventually("extended CONNECT is offered", || async {
        sender.is_extended_connect_protocol_enabled().then_some(())
    })
    .await;
    let mut request = Request::connect("http://shop.example/chat")
        .header("sec-websocket-version", "13")
        .body(())
        .map_err(told)?;
    let protocol = Extended::from_static("websocket");
    request.extensions_mut().insert(protocol);
    let mut sender = sender.ready().await.map_err(told)?;
    let (response, mut stream) = sender.send_request(request, false).map_err(told)?;
    let response = timely("the switch", response).await?.map_err(told)?;
    if response.status() != 200 {
        return Err(format!("{response:?}"));
    }
    let mut body = response.into_body();
    let mut turn = 0;
    while kind.goes_on().await {
        turn += 1;
        let frame = frame(turn);
        stream.send_data(frame.clone(), false).map_err(told)?;
        echoed(&mut body, &frame).await?;
        kind.fine();
    }
    Ok(())
}

async fn large(kind: Kind, to: SocketAddr) -> Result<(), String> {
    let mut client = LargeClient::over(dial(to, None).await, Protocol::Http1).await;
    let target = format!("/large/down/{LARGE}");
    while kind.goes_on().await {
        let read = client.download(&target);
        let read = timely("a large answer", read).await??;
        if read != whole(LARGE) {
            return Err(read);
        }
        kind.fine();
    }
    Ok(())
}

fn expect(target: &str, answer: &Answer) -> Result<(), String> {
    match answer.status == 200 && answer.end == End::Complete && answer.text() == target {
        true => Ok(()),
        false => Err(format!("at {target}: {answer:?}")),
    }
}

/// Reads what was sent from a stream.
async fn echoed(body: &mut h2::RecvStream, sent: &Bytes) -> Result<(), String> {
    let mut back = Vec::new();
    while back.len() < sent.len() {
        let data = timely("an echo", body.data()).await?;
        let data = data.ok_or("the stream was ended")?.map_err(told)?;
        let _ = body.flow_control().release_capacity(data.len());
        back.extend_from_slice(&data);
    }
    match back == *sent {
        true => Ok(()),
        false => Err(format!("{back:?} instead of {sent:?}")),
    }
}

/// A text frame of its own; the mask is zero.
fn frame(turn: u32) -> Bytes {
    let text = format!("{turn:08x}").repeat(8);
    [&[0x81, 0x80 | 64, 0, 0, 0, 0][..], text.as_bytes()]
        .concat()
        .into()
}

/// The proof that a key was read (RFC 6455 section 1.3), in base64.
fn accept_of(key: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    let mut out = String::new();
    for three in hash.as_ref().chunks(3) {
        let mut bits = [0; 4];
        bits[1..=three.len()].copy_from_slice(three);
        let bits = u32::from_be_bytes(bits);
        for n in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * n)) as usize & 63];
            out.push(if n <= three.len() {
                letter as char
            } else {
                '='
            });
        }
    }
    out
}

async fn timely<T>(what: &str, future: impl Future<Output = T>) -> Result<T, String> {
    let limit = std::time::Duration::from_secs(20);
    let late = |_| format!("not within {limit:?}: {what}");
    timeout(limit, future).await.map_err(late)
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}

const GRPC: [(&str, &str); 2] = [("content-type", "application/grpc"), ("te", "trailers")];
const MESSAGE: &[u8] = b"\0\0\0\0\x02hi";
const STREAMS: usize = 16;
const LARGE: u64 = 16 << 20;

#[test]
fn the_proof_is_that_of_the_standard() {
    let accept = accept_of("dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}
