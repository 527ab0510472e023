//! HTTP/2 upstream server (prior knowledge) that follows a script.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::eventually::Gate;
use super::message::{Fields, Seen};
use super::port::Port;

/// One thing the server does on a stream.
#[derive(Clone)]
pub(crate) enum H2Act {
    /// Reads the request body to its end.
    Read,
    /// Reads this many bytes of a tunnel and no more.
    Take(usize),
    /// Echoes the received bytes until the other side ends: the far end of a tunnel.
    Echo,
    /// Waits until the test opens the gate.
    Wait(Gate),
    /// Sends the response head.
    Head(u16, Vec<(&'static str, String)>),
    /// Sends some of the body.
    Data(Vec<u8>),
    /// Ends the body.
    End,
    /// Ends the body with trailers.
    Trailers(Vec<(&'static str, &'static str)>),
    /// Sends GOAWAY, and ends the connection after the open streams.
    GoAway,
    /// Waits until the other side resets the stream.
    AwaitReset,
    /// Resets the stream.
    Reset(Reason),
}

type Script = Arc<dyn Fn(&Seen) -> Vec<H2Act> + Send + Sync>;

/// The server. It stops when this is dropped.
pub(crate) struct H2Backend {
    port: Port,
    state: Arc<State>,
    accept: JoinHandle<()>,
}

/// Limits and features that the server announces in its settings.
#[derive(Clone, Copy)]
struct Takes {
    streams: u32,
    websockets: bool,
}

struct State {
    script: Script,
    takes: Takes,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    open: AtomicUsize,
    resets: AtomicUsize,
}

impl H2Backend {
    /// Starts a server with this script.
    pub(crate) async fn start<F>(script: F) -> Self
    where
        F: Fn(&Seen) -> Vec<H2Act> + Send + Sync + 'static,
    {
        Self::start_with_streams(1000, script).await
    }

    /// Starts a server that allows this many concurrent streams on a connection.
    pub(crate) async fn start_with_streams<F>(streams: u32, script: F) -> Self
    where
        F: Fn(&Seen) -> Vec<H2Act> + Send + Sync + 'static,
    {
        let websockets = false;
        Self::start_that(
            Takes {
                streams,
                websockets,
            },
            script,
        )
        .await
    }

    /// Starts a server that takes WebSockets (RFC 8441).
    pub(crate) async fn start_with_websockets<F>(streams: u32, script: F) -> Self
    where
        F: Fn(&Seen) -> Vec<H2Act> + Send + Sync + 'static,
    {
        let websockets = true;
        Self::start_that(
            Takes {
                streams,
                websockets,
            },
            script,
        )
        .await
    }

    async fn start_that<F>(takes: Takes, script: F) -> Self
    where
        F: Fn(&Seen) -> Vec<H2Act> + Send + Sync + 'static,
    {
        let port = Port::take();
        let listener = TcpListener::bind(port.address())
            .await
            .expect("a free port");
        let state = Arc::new(State {
            script: Arc::new(script),
            takes,
            seen: Mutex::default(),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            resets: AtomicUsize::new(0),
        });
        let accept = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self {
            port,
            state,
            accept,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Every request so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.all().clone()
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Streams reset so far of those that awaited it, with `CANCEL`.
    pub(crate) fn resets(&self) -> usize {
        self.state.resets.load(Ordering::SeqCst)
    }

    /// Connections that are open now.
    pub(crate) fn open(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }
}

impl Drop for H2Backend {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

impl State {
    fn all(&self) -> std::sync::MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the request and answers 200 with this text.
pub(crate) fn h2_answer(body: &str) -> Vec<H2Act> {
    vec![
        H2Act::Read,
        H2Act::Head(200, vec![("content-length", body.len().to_string())]),
        H2Act::Data(body.into()),
        H2Act::End,
    ]
}

/// Marks that the connection must end after this stream.
struct Leaving;

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let number = state.connections.fetch_add(1, Ordering::SeqCst);
                let state = Arc::clone(&state);
                state.open.fetch_add(1, Ordering::SeqCst);
                tasks.spawn(async move {
                    connection(stream, number, Arc::clone(&state)).await;
                    state.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
            Some(_) = tasks.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, number: usize, state: Arc<State>) {
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(state.takes.streams);
    if state.takes.websockets {
        builder.enable_connect_protocol();
    }
    let Ok(mut connection) = builder.handshake(stream).await else {
        return;
    };
    let mut streams = JoinSet::new();
    let mut turn = 0;
    loop {
        tokio::select! {
            accepted = connection.accept() => {
                let Some(Ok((request, respond))) = accepted else { break };
                let state = Arc::clone(&state);
                streams.spawn(async move { play(request, respond, number, turn, &state).await });
                turn += 1;
            }
            Some(Ok(Some(Leaving))) = streams.join_next() => connection.graceful_shutdown(),
        }
    }
    while streams.join_next().await.is_some() {}
}

/// Runs the script of one request.
async fn play(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    connection: usize,
    turn: usize,
    state: &State,
) -> Option<Leaving> {
    let (head, mut body) = request.into_parts();
    let seen = seen_of(&head, connection, turn);
    let index = {
        let mut all = state.all();
        all.push(seen.clone());
        all.len() - 1
    };
    let mut sender: Option<SendStream<Bytes>> = None;
    for act in (state.script)(&seen) {
        match act {
            H2Act::Read => {
                let mut bytes = Vec::new();
                while let Some(data) = next(&mut body).await {
                    bytes.extend_from_slice(&data?);
                }
                let trailers = body.trailers().await.ok()?.unwrap_or_default();
                let mut all = state.all();
                all[index].body = bytes;
                all[index].trailers = Fields::from(&trailers);
                all[index].complete = true;
            }
            H2Act::Take(count) => {
                let mut bytes = Vec::new();
                while bytes.len() < count {
                    bytes.extend_from_slice(&next(&mut body).await??);
                    state.all()[index].body.clone_from(&bytes);
                }
            }
            H2Act::Echo => {
                while let Some(data) = next(&mut body).await {
                    sender.as_mut()?.send_data(data?, false).ok()?;
                }
            }
            H2Act::Wait(gate) => gate.wait().await,
            H2Act::Head(status, fields) => {
                let mut response = Response::builder().status(status);
                for (name, value) in fields {
                    response = response.header(name, value);
                }
                let response = response.body(()).expect("a response");
                sender = Some(respond.send_response(response, false).ok()?);
            }
            H2Act::Data(bytes) => sender.as_mut()?.send_data(bytes.into(), false).ok()?,
            H2Act::End => sender.as_mut()?.send_data(Bytes::new(), true).ok()?,
            H2Act::Trailers(fields) => {
                let map: HeaderMap = fields
                    .into_iter()
                    .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)))
                    .collect();
                sender.as_mut()?.send_trailers(map).ok()?;
            }
            H2Act::GoAway => return Some(Leaving),
            H2Act::AwaitReset => {
                let reset = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
                if reset.ok() == Some(Reason::CANCEL) {
                    state.resets.fetch_add(1, Ordering::SeqCst);
                }
            }
            H2Act::Reset(reason) => match &mut sender {
                Some(stream) => stream.send_reset(reason),
                None => respond.send_reset(reason),
            },
        }
    }
    None
}

/// Returns the request as the script sees it; its pseudo-header fields are fields too.
fn seen_of(head: &http::request::Parts, connection: usize, turn: usize) -> Seen {
    let mut fields = Fields::from(&head.headers);
    if let Some(authority) = head.uri.authority() {
        fields.push(":authority", authority.as_str());
    }
    if let Some(protocol) = head.extensions.get::<h2::ext::Protocol>() {
        fields.push(":protocol", protocol.as_str());
    }
    Seen {
        method: head.method.to_string(),
        target: head
            .uri
            .path_and_query()
            .map_or("*", |p| p.as_str())
            .to_owned(),
        fields,
        connection,
        turn,
        ..Seen::default()
    }
}

/// Returns the next bytes of a body, and widens the window for as many more; none at its end,
/// `Some(None)` if it was reset.
async fn next(body: &mut RecvStream) -> Option<Option<Bytes>> {
    let data = body.data().await?.ok();
    if let Some(data) = &data {
        let _ = body.flow_control().release_capacity(data.len());
    }
    Some(data)
}
