//! HTTP/1.1 upstream server that follows a script, byte by byte, and records every request.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use super::client::NARROW;
use super::eventually::{Gate, eventually};
use super::message::Seen;
use super::port::Port;
use super::wire::{End, Wire, request_framing, split};

/// One thing the server does after a request head; a script is a list of these.
/// After the last one the connection waits for its next request.
#[derive(Clone)]
pub(crate) enum Act {
    /// Reads the request body to its end.
    Read,
    /// Reads this many raw bytes of the request body and no more.
    ReadSome(usize),
    /// Writes these bytes.
    Send(Vec<u8>),
    /// Writes the bytes that this makes of the request, with the body that was read.
    Reply(Reply),
    /// Waits until the test opens the gate.
    Wait(Gate),
    /// Waits this long: only for answers that must be slower than others.
    Pause(Duration),
    /// Does nothing more until the peer ends the connection.
    Stall,
    /// Closes with a FIN.
    Close,
    /// Writes these bytes and closes: one segment has them and the FIN.
    SendLast(Vec<u8>),
    /// Closes with a RST.
    Reset,
    /// Waits for the first byte of the next request and then resets without
    /// reading it, as a server does whose idle timeout fires in that moment.
    ResetOnNextByte,
    /// Echoes the received bytes: the far end of a tunnel.
    Echo,
}

/// A script: the actions for this request.
pub(crate) type Script = Arc<dyn Fn(&Seen) -> Vec<Act> + Send + Sync>;

/// Makes the bytes of an answer from a request with its body.
pub(crate) type Reply = Arc<dyn Fn(&Seen) -> Vec<u8> + Send + Sync>;

/// The server. It stops when this is dropped.
pub(crate) struct Backend {
    port: Arc<Port>,
    host: Ipv4Addr,
    state: Arc<State>,
    accept: Option<JoinHandle<()>>,
    narrow: bool,
}

struct State {
    script: Mutex<Script>,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    open: AtomicUsize,
}

impl Backend {
    /// Starts a server with this script.
    pub(crate) async fn start<F>(script: F) -> Self
    where
        F: Fn(&Seen) -> Vec<Act> + Send + Sync + 'static,
    {
        let mut backend = Self::down(script);
        backend.up().await;
        backend
    }

    /// Makes a server that does not listen yet: connections to it are refused.
    pub(crate) fn down<F>(script: F) -> Self
    where
        F: Fn(&Seen) -> Vec<Act> + Send + Sync + 'static,
    {
        Self::at(Arc::new(Port::take()), Ipv4Addr::LOCALHOST, script)
    }

    /// Starts a server with the same port at 127.0.0.`last`.
    pub(crate) async fn start_beside<F>(&self, last: u8, script: F) -> Self
    where
        F: Fn(&Seen) -> Vec<Act> + Send + Sync + 'static,
    {
        let host = Ipv4Addr::new(127, 0, 0, last);
        let mut backend = Self::at(Arc::clone(&self.port), host, script);
        backend.up().await;
        backend
    }

    fn at<F>(port: Arc<Port>, host: Ipv4Addr, script: F) -> Self
    where
        F: Fn(&Seen) -> Vec<Act> + Send + Sync + 'static,
    {
        Self {
            port,
            host,
            state: Arc::new(State {
                script: Mutex::new(Arc::new(script)),
                seen: Mutex::default(),
                connections: AtomicUsize::new(0),
                open: AtomicUsize::new(0),
            }),
            accept: None,
            narrow: false,
        }
    }

    /// Starts a server with small kernel receive buffers, so that the other side sees how fast it
    /// reads.
    pub(crate) async fn start_narrow<F>(script: F) -> Self
    where
        F: Fn(&Seen) -> Vec<Act> + Send + Sync + 'static,
    {
        let mut backend = Self::down(script);
        backend.narrow = true;
        backend.up().await;
        backend
    }

    /// Starts to listen, again on the same port after [`Self::kill`].
    pub(crate) async fn up(&mut self) {
        let address = self.address();
        let narrow = self.narrow;
        let listener = eventually(format!("the backend can bind {address}"), || async move {
            listen(address, narrow)
        })
        .await;
        self.accept = Some(tokio::spawn(accept(listener, Arc::clone(&self.state))));
    }

    /// Ends the listener and every connection at once, as the end of its process would.
    pub(crate) async fn kill(&mut self) {
        if let Some(task) = self.accept.take() {
            task.abort();
            let _ = task.await;
        }
    }

    /// Replaces the script from the next request on.
    pub(crate) fn now<F>(&self, script: F)
    where
        F: Fn(&Seen) -> Vec<Act> + Send + Sync + 'static,
    {
        *lock(&self.state.script) = Arc::new(script);
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((self.host, self.port.address().port()))
    }

    /// A view of the requests that outlives the server.
    pub(crate) fn records(&self) -> Records {
        Records(Arc::clone(&self.state))
    }

    /// Every request so far, in the order of their heads.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        lock(&self.state.seen).clone()
    }

    /// Requests so far, without those of a health check.
    pub(crate) fn count(&self) -> usize {
        lock(&self.state.seen)
            .iter()
            .filter(|seen| seen.target != HEALTH_PATH)
            .count()
    }

    /// Requests so far with this method and target.
    pub(crate) fn count_of(&self, method: &str, target: &str) -> usize {
        lock(&self.state.seen)
            .iter()
            .filter(|seen| seen.method == method && seen.target == target)
            .count()
    }

    /// The only request so far.
    pub(crate) fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "one request at the backend: {seen:?}");
        seen.into_iter().next().expect("one request")
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Connections that are open now.
    pub(crate) fn open(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }

    /// Waits until this many requests were received in total.
    pub(crate) async fn has_seen(&self, count: usize) -> Vec<Seen> {
        eventually(format!("{count} requests at the backend"), || async {
            (self.count() >= count).then(|| self.seen())
        })
        .await
    }
}

/// Requests of a server, for code that does not own it.
pub(crate) struct Records(Arc<State>);

impl Records {
    /// Every request so far, without those of health checks.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        let all = lock(&self.0.seen);
        all.iter()
            .filter(|seen| seen.target != HEALTH_PATH)
            .cloned()
            .collect()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if let Some(task) = self.accept.take() {
            task.abort();
        }
    }
}

/// Reads the request and answers 200 with this text.
pub(crate) fn answer(body: &str) -> Vec<Act> {
    answer_bytes(&format!(
        "HTTP/1.1 200 OK\r\ndate: {DATE}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ))
}

/// Reads the request and sends these bytes.
pub(crate) fn answer_bytes(bytes: &str) -> Vec<Act> {
    vec![Act::Read, Act::Send(bytes.into())]
}

/// Makes a script that answers everything with the name of the server.
pub(crate) fn identity(name: &'static str) -> impl Fn(&Seen) -> Vec<Act> + Send + Sync {
    move |_| answer(name)
}

/// Makes a listener, if requested with small kernel receive buffers.
pub(crate) fn listen(address: SocketAddr, narrow: bool) -> Option<TcpListener> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.set_reuseaddr(true).ok()?;
    if narrow {
        socket.set_recv_buffer_size(NARROW).ok()?;
    }
    socket.bind(address).ok()?;
    socket.listen(1024).ok()
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let number = state.connections.fetch_add(1, Ordering::SeqCst);
                tasks.spawn(connection(stream, number, Arc::clone(&state)));
            }
            Some(_) = tasks.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, number: usize, state: Arc<State>) {
    let _open = Open::new(&state);
    let mut wire = Wire::new(stream);
    for turn in 0.. {
        let Ok(head) = wire.head().await else { return };
        let Ok((method, target, _, fields)) = split(&head) else {
            return;
        };
        let seen = Seen {
            method,
            target,
            fields,
            connection: number,
            turn,
            ..Seen::default()
        };
        let index = {
            let mut all = lock(&state.seen);
            all.push(seen.clone());
            all.len() - 1
        };
        let script = Arc::clone(&lock(&state.script));
        let acts = script(&seen);
        match play(wire, &seen, index, acts, &state).await {
            Some(next) => wire = next,
            None => return,
        }
    }
}

/// Runs the script of one request; `None` when it ended the connection.
async fn play(
    mut wire: Wire,
    seen: &Seen,
    index: usize,
    acts: Vec<Act>,
    state: &State,
) -> Option<Wire> {
    for act in acts {
        match act {
            Act::Read => {
                let body = wire.body(request_framing(&seen.fields)).await;
                let complete = body.end == End::Complete;
                let mut all = lock(&state.seen);
                all[index].body = body.bytes;
                all[index].trailers = body.trailers;
                all[index].complete = complete;
                if !complete {
                    return None;
                }
            }
            Act::ReadSome(length) => {
                let mut bytes = Vec::new();
                let result = wire.take(length, &mut bytes).await;
                lock(&state.seen)[index].body = bytes;
                result.ok()?;
            }
            Act::Send(bytes) => wire.send(&bytes).await.ok()?,
            Act::Reply(make) => {
                let whole = lock(&state.seen)[index].clone();
                wire.send(&make(&whole)).await.ok()?;
            }
            Act::Wait(gate) => gate.wait().await,
            Act::Pause(time) => sleep(time).await,
            Act::Stall => {
                wire.until_end().await;
                return None;
            }
            Act::Close => return None,
            Act::SendLast(bytes) => {
                wire.send_last(&bytes).await.ok()?;
                return None;
            }
            Act::Reset => {
                wire.reset();
                return None;
            }
            Act::ResetOnNextByte => {
                wire.first_byte().await;
                wire.reset();
                return None;
            }
            Act::Echo => {
                wire.echo().await;
                return None;
            }
        }
    }
    Some(wire)
}

struct Open<'a>(&'a State);

impl<'a> Open<'a> {
    fn new(state: &'a State) -> Self {
        state.open.fetch_add(1, Ordering::SeqCst);
        Self(state)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The path that every test with health checks uses for them.
const HEALTH_PATH: &str = "/healthz";
/// A Date that no clock shows, so that a test can tell whose Date it sees.
const DATE: &str = "Tue, 15 Nov 1994 08:12:31 GMT";
