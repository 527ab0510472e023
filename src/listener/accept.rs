//! Accepts connections from a listening socket, within limits.
//!
//! A worker with many more connections than the others hands a new one on: the kernel's hash does
//! not know that a few long connections can fill a core. The socket of a removed listener is
//! emptied before it is closed, since the kernel would reset the connections in its queue.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use socket2::Socket;
use tokio::{
    io::Interest,
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    time::Instant,
};

use super::{
    http1, http2,
    protocol::Protocol,
    proxy_protocol,
    tls::{self, Shaken},
};
use crate::{
    config::value::BindAddress,
    failure::{BadRequest, Failure},
    memory,
    socket::{Buffered, Stream, closing},
    state::Listener,
    task, timer,
    tls::ServerTls,
    worker::{
        Accepted, Admission, Connection, Worker,
        shortage::{self, Step},
    },
};

/// A listening socket of one worker.
pub(crate) enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Acceptor {
    /// Registers a listening socket with this worker's runtime.
    pub(crate) fn new(socket: Socket, listener: &Listener) -> io::Result<Self> {
        match listener.address {
            BindAddress::Tcp(_) => TcpListener::from_std(socket.into()).map(Self::Tcp),
            BindAddress::Unix(_) => UnixListener::from_std(socket.into()).map(Self::Unix),
        }
    }

    async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                await_first(&stream);
                Ok((Stream::Tcp(stream), canonical(peer)))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), NEARBY))
            }
        }
    }
}

/// Accepts until `stop` is ready, then empties the queue and closes the socket.
pub(crate) async fn run(
    worker: Rc<Worker>,
    listener: Arc<Listener>,
    acceptor: Acceptor,
    stop: tokio::sync::oneshot::Receiver<()>,
) {
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            biased;
            _ = &mut stop => break,
            accepted = acceptor.accept() => take(&worker, &listener, accepted).await,
        }
    }
    // The queue of such a socket is not lost: whoever holds it lets another take from it.
    if worker.leaves_open(&listener.address) {
        return;
    }
    // All workers share the queue of a unix socket: control empties it when each has stopped.
    let Acceptor::Tcp(socket) = &acceptor else {
        return;
    };
    if let Err(error) = closing::shut_tcp(socket) {
        tracing::debug!(%error, "cannot filter a closing listener");
    }
    // What the kernel has completed before is served, not reset.
    let last = Instant::now() + LAST_CALL;
    while let Ok(accepted) = timer::until(last, acceptor.accept()).await {
        take(&worker, &listener, accepted).await;
    }
}

async fn take(
    worker: &Rc<Worker>,
    listener: &Arc<Listener>,
    accepted: io::Result<(Stream, SocketAddr)>,
) {
    match accepted {
        Ok((stream, peer)) => {
            let Some(stream) = worker.hand_on(listener, stream) else {
                return;
            };
            start(worker, listener, stream, peer);
        }
        // The client left while it waited: nothing to do.
        Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
        Err(error) => {
            // Out of descriptors or memory: trying again at once would only burn time.
            shortage::tell(&listener.name, Step::Accept, &error);
            worker.metrics().shed("accept");
            timer::sleep_until(Instant::now() + Duration::from_millis(50)).await;
        }
    }
}

/// Takes over a connection that another worker accepted.
pub(crate) fn adopt(worker: &Rc<Worker>, listener: &Arc<Listener>, accepted: Accepted) {
    let stream = match accepted {
        Accepted::Tcp(stream) => TcpStream::from_std(stream).map(|stream| {
            let peer = stream.peer_addr().map_or(NEARBY, canonical);
            (Stream::Tcp(stream), peer)
        }),
        Accepted::Unix(stream) => {
            UnixStream::from_std(stream).map(|stream| (Stream::Unix(stream), NEARBY))
        }
    };
    match stream {
        Ok((stream, peer)) => start(worker, listener, stream, peer),
        Err(error) => shortage::tell(&listener.name, Step::TakeOver, &error),
    }
}

fn start(worker: &Rc<Worker>, listener: &Arc<Listener>, stream: Stream, peer: SocketAddr) {
    let listener = &worker.newest(listener);
    let local = match listener.address {
        // Known without asking the kernel.
        BindAddress::Tcp(address) if !address.ip().is_unspecified() && address.port() != 0 => {
            Some(canonical(address))
        }
        _ => stream.local_address().map(canonical),
    };
    let Some(guard) = worker.admit(listener) else {
        // Words in the clear would mean nothing there, and a handshake costs too much.
        if listener.tls.is_some() {
            return;
        }
        // A flood of these must not become a load of its own.
        if let Some(place) = worker.refusal() {
            let connection = Rc::new(Connection::new(worker, 0, Rc::clone(listener), peer, local));
            task::spawn_local("refusal", async move {
                let _place = place;
                let io = Buffered::new(stream);
                http1::refuse(connection, io, Failure::LimitReached).await;
            });
        }
        return;
    };
    let connection = worker.open(listener, peer, local);
    let entry = Entry::new(&connection, guard);
    let mut stream = Some(stream);
    // What starts it moves only the box.
    let serving = memory::pinned(|| async move { serve(&entry.connection, &mut stream).await });
    let task = task::spawn_local("connection", serving);
    connection.served_by(task.abort_handle());
}

/// Entry of a connection in its worker's table, and its place within the limits; released on drop.
pub(super) struct Entry {
    connection: Rc<Connection>,
    _counted: Admission,
}

impl Entry {
    /// Makes the entry of a connection that was counted.
    pub(super) fn new(connection: &Rc<Connection>, counted: Admission) -> Self {
        Self {
            connection: Rc::clone(connection),
            _counted: counted,
        }
    }

    /// The connection.
    #[cfg(feature = "http3")]
    pub(super) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.connection.worker.closed(&self.connection);
    }
}

/// Protocol of a connection.
enum Spoken {
    Http1(http1::Server),
    /// The larger one, boxed: its connections are few.
    Http2(Box<http2::Server>),
    /// Not a protocol that is served.
    Nothing,
}

/// Serves a connection. The stream is passed by reference until its protocol is known: moving it
/// would grow every future on the way.
async fn serve(connection: &Rc<Connection>, stream: &mut Option<Stream>) {
    let mut spoken = greet(connection, stream).await;
    match &mut spoken {
        Spoken::Http1(server) => server.serve().await,
        Spoken::Http2(server) => server.serve().await,
        Spoken::Nothing => {}
    }
}

/// Finds out about a connection step by step: its PROXY protocol header, TLS, then its protocol.
async fn greet(connection: &Rc<Connection>, stream: &mut Option<Stream>) -> Spoken {
    let listener = connection.known_listener();
    if !proxy_protocol::introduce(connection, &listener, stream).await {
        return Spoken::Nothing;
    }
    let Some(stream) = stream.take() else {
        return Spoken::Nothing;
    };
    if !connection.take_client_place(&listener) {
        // As in `start`: no words in the clear where TLS is spoken.
        if listener.tls.is_none() {
            let io = Buffered::new(stream);
            let refusing = http1::refuse(Rc::clone(connection), io, Failure::LimitReached);
            Box::pin(refusing).await;
        }
        return Spoken::Nothing;
    }
    match &listener.tls {
        // In memory of its own, which is given back when the hands are shaken.
        Some(tls) => Box::pin(secure(connection, &listener, stream, tls)).await,
        None => {
            let server = http1::Server::new(Rc::clone(connection), Buffered::new(stream));
            if listener.http2 {
                look_for_http2(connection, &listener, server).await
            } else {
                Spoken::Http1(server)
            }
        }
    }
}

async fn secure(
    connection: &Rc<Connection>,
    listener: &Listener,
    stream: Stream,
    tls: &ServerTls,
) -> Spoken {
    match tls::shake(connection, stream, tls).await {
        Shaken::Secure(stream, session) => {
            let http2 = session.http2;
            // Set once: this task is the only one that shakes hands on it.
            let _ = connection.tls.set(session);
            let io = Buffered::new(stream);
            if http2 {
                speak_http2(connection, io)
            } else if listener.http1 {
                Spoken::Http1(http1::Server::new(Rc::clone(connection), io))
            } else {
                Spoken::Nothing
            }
        }
        Shaken::Plain(stream) => {
            let failure = BadRequest::NotTls.into();
            http1::refuse(Rc::clone(connection), Buffered::new(stream), failure).await;
            Spoken::Nothing
        }
        Shaken::Failed => Spoken::Nothing,
    }
}

async fn look_for_http2(
    connection: &Rc<Connection>,
    listener: &Listener,
    mut server: http1::Server,
) -> Spoken {
    match server.detect().await {
        Protocol::Http1 if listener.http1 => Spoken::Http1(server),
        Protocol::Http2 => match server.into_io() {
            Some(io) => speak_http2(connection, io),
            None => Spoken::Nothing,
        },
        Protocol::Http1 | Protocol::Silent => Spoken::Nothing,
    }
}

fn speak_http2(connection: &Rc<Connection>, io: Buffered) -> Spoken {
    Spoken::Http2(Box::new(http2::Server::new(Rc::clone(connection), io)))
}

/// Leaves the first readiness of a connection to the kernel.
///
/// The runtime assumes that a connection is readable when it is accepted. But its client has only
/// just learnt of it: nearly always the read would find nothing and have to be repeated.
fn await_first(stream: &TcpStream) {
    let nothing = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
    let _ = stream.try_io(Interest::READABLE, nothing);
}

/// Returns the IPv4 address of an IPv4 peer of an IPv6 socket.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Address that stands for the peer of a unix socket.
const NEARBY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Time that a closing listener waits for connections under way to complete.
const LAST_CALL: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_waits_is_small() {
        fn size<'a, F: Future>(
            _: impl Fn(&'a Rc<Connection>, &'a mut Option<Stream>) -> F,
        ) -> usize {
            size_of::<F>()
        }
        // What an exchange needs comes with the exchange, what a handshake needs goes with it.
        let waiting = size(serve);
        assert!(waiting <= 320, "{waiting}");
    }
}
