//! Server that makes and checks bodies of any size without holding them.
//!
//! `GET …/down/N` is answered with a body of N bytes, `PUT …/up` with a description of the received
//! body, and `PUT …/held` the same after the gate was opened: nothing of its body is read before.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::{RecvStream, SendStream};
use http::{Request, Response};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::eventually::Gate;
use super::pattern::{Check, PIECE, piece};
use super::protocol::{Io, Protocol};
use super::wire::{End, Wire, request_framing, split};

/// The server. It stops when this is dropped.
pub(crate) struct LargeBackend {
    address: SocketAddr,
    state: Arc<State>,
    accept: JoinHandle<()>,
}

struct State {
    protocol: Protocol,
    acceptor: Option<TlsAcceptor>,
    sent: AtomicU64,
    gate: Gate,
}

impl LargeBackend {
    /// Starts a server for this protocol, with this configuration if it uses TLS.
    pub(crate) async fn start(protocol: Protocol, secure: ServerConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let acceptor = TlsAcceptor::from(Arc::new(secure));
        let state = Arc::new(State {
            protocol,
            acceptor: protocol.is_tls().then_some(acceptor),
            sent: AtomicU64::new(0),
            gate: Gate::new(),
        });
        let accept = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self {
            address,
            state,
            accept,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Number of body bytes that it could hand on so far.
    pub(crate) fn sent(&self) -> u64 {
        self.state.sent.load(Ordering::Relaxed)
    }

    /// Lets the held uploads be read.
    pub(crate) fn release(&self) {
        self.state.gate.open();
    }
}

impl Drop for LargeBackend {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut tasks = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        tasks.spawn(connection(stream, Arc::clone(&state)));
    }
}

async fn connection(stream: TcpStream, state: Arc<State>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let io: Io = match &state.acceptor {
        Some(acceptor) => Box::new(acceptor.accept(stream).await.ok()?),
        None => Box::new(stream),
    };
    if state.protocol.is_http2() {
        h2_connection(io, state).await
    } else {
        h1_connection(Wire::over(io), &state).await
    }
}

/// A plain connection announces lengths, a TLS one sends chunks: both are passed on.
async fn h1_connection(mut wire: Wire<Io>, state: &State) -> Option<()> {
    let chunked = state.protocol.is_tls();
    loop {
        let head = wire.head().await.ok()?;
        let (_, target, _, fields) = split(&head).ok()?;
        if let Some(length) = asked_for(&target) {
            let framing = if chunked {
                "transfer-encoding: chunked".to_owned()
            } else {
                format!("content-length: {length}")
            };
            let head = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n");
            wire.send(head.as_bytes()).await.ok()?;
            h1_pour(&mut wire, length, chunked, &state.sent)
                .await
                .ok()?;
            continue;
        }
        if target.ends_with("/held") {
            state.gate.wait().await;
        }
        let mut check = Check::default();
        let take = &mut |bytes: &[u8]| check.take(bytes);
        let (_, end) = wire.pour(request_framing(&fields), take).await;
        if end != End::Complete {
            return None;
        }
        let text = check.verdict();
        let length = text.len();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{text}");
        wire.send(answer.as_bytes()).await.ok()?;
    }
}

async fn h2_connection(io: Io, state: Arc<State>) -> Option<()> {
    let mut settings = h2::server::Builder::new();
    settings
        .initial_window_size(WINDOW)
        .initial_connection_window_size(4 * WINDOW);
    let mut connection = settings.handshake::<_, Bytes>(io).await.ok()?;
    let mut streams = JoinSet::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        let state = Arc::clone(&state);
        streams.spawn(async move { h2_stream(request, respond, &state).await });
    }
    Some(())
}

async fn h2_stream(
    request: Request<RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    state: &State,
) -> Option<()> {
    let target = request.uri().path().to_owned();
    if let Some(length) = asked_for(&target) {
        let mut stream = respond.send_response(Response::new(()), false).ok()?;
        return h2_pour(&mut stream, length, &state.sent).await.ok();
    }
    if target.ends_with("/held") {
        state.gate.wait().await;
    }
    let mut check = Check::default();
    let mut body = request.into_body();
    h2_body(&mut body, &mut |bytes| check.take(bytes))
        .await
        .ok()?;
    let mut stream = respond.send_response(Response::new(()), false).ok()?;
    stream.send_data(check.verdict().into(), true).ok()
}

fn asked_for(target: &str) -> Option<u64> {
    target.split_once("/down/")?.1.parse().ok()
}

/// Sends a body of this length; `sent` counts the bytes that the connection has taken.
pub(crate) async fn h1_pour(
    wire: &mut Wire<Io>,
    length: u64,
    chunked: bool,
    sent: &AtomicU64,
) -> io::Result<()> {
    let mut at = 0;
    let mut chunk = BytesMut::new();
    while at < length {
        let piece = piece(at, length - at);
        if chunked {
            chunk.clear();
            chunk.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            chunk.extend_from_slice(&piece);
            chunk.put_slice(b"\r\n");
            wire.send(&chunk).await?;
        } else {
            wire.send(&piece).await?;
        }
        at += piece.len() as u64;
        sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
    }
    match chunked {
        true => wire.send(b"0\r\n\r\n").await,
        false => Ok(()),
    }
}

/// Sends a body of this length, never more at a time than the stream has room for.
pub(crate) async fn h2_pour(
    stream: &mut SendStream<Bytes>,
    length: u64,
    sent: &AtomicU64,
) -> Result<(), h2::Error> {
    let mut at = 0;
    while at < length {
        stream.reserve_capacity(usize::try_from(PIECE.min(length - at)).expect("small"));
        let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
        let Some(room) = room.transpose()? else {
            return Err(h2::Reason::STREAM_CLOSED.into());
        };
        let piece = piece(at, (length - at).min(room as u64));
        at += piece.len() as u64;
        sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
        stream.send_data(piece, at == length)?;
    }
    Ok(())
}

/// Reads a body to its end.
pub(crate) async fn h2_body(
    body: &mut RecvStream,
    sink: &mut impl FnMut(&[u8]),
) -> Result<(), h2::Error> {
    while let Some(data) = body.data().await {
        let data = data?;
        let _ = body.flow_control().release_capacity(data.len());
        sink(&data);
    }
    Ok(())
}

const WINDOW: u32 = 1 << 20;
