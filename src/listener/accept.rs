//! Taking connections from a listening socket, within limits.
//!
//! A worker that has well more connections than the others hands a new one on: the
//! kernel's hash does not know that a few long connections can fill a core. A socket
//! whose listener leaves is emptied before it is closed, since the kernel would reset
//! what still waits in its queue.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use socket2::Socket;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::{
    Connection, http1, http2, protocol,
    tls::{self, Shaken},
};
use crate::{
    exchange::{BadRequest, Failure},
    server::{Worker, task},
    socket::{Buffered, Stream},
    state::Listener,
    timer,
};

/// A listening socket of one worker.
pub(crate) enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A connection that no worker serves yet.
#[derive(Debug)]
pub(crate) enum Accepted {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Acceptor {
    /// Registers a listening socket with this worker's runtime.
    pub(crate) fn new(socket: Socket, listener: &Listener) -> io::Result<Self> {
        match listener.address {
            crate::state::BindAddress::Tcp(_) => {
                TcpListener::from_std(socket.into()).map(Self::Tcp)
            }
            crate::state::BindAddress::Unix(_) => {
                UnixListener::from_std(socket.into()).map(Self::Unix)
            }
        }
    }

    async fn accept(&self) -> io::Result<(Stream, IpAddr, u16)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Stream::Tcp(stream), peer.ip().to_canonical(), peer.port()))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), IpAddr::V4(Ipv4Addr::LOCALHOST), 0))
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
    if let Acceptor::Tcp(listener) = &acceptor {
        refuse_new(listener);
    }
    // What the kernel has completed before is served, not reset.
    let last = tokio::time::Instant::now() + LAST_CALL;
    while let Ok(accepted) = timer::until(last, acceptor.accept()).await {
        take(&worker, &listener, accepted).await;
    }
}

async fn take(
    worker: &Rc<Worker>,
    listener: &Arc<Listener>,
    accepted: io::Result<(Stream, IpAddr, u16)>,
) {
    match accepted {
        Ok((stream, peer, port)) => {
            let Some(stream) = worker.hand_on(listener, stream) else {
                return;
            };
            start(worker, listener, stream, peer, port);
        }
        // The client left while it waited: nothing to do.
        Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
        Err(error) => {
            // Out of descriptors or memory: trying again at once would only burn time.
            tracing::warn!(listener = %listener.name, %error, "cannot accept a connection");
            worker.metrics().shed("accept");
            timer::sleep_until(tokio::time::Instant::now() + Duration::from_millis(50)).await;
        }
    }
}

/// Takes over a connection that another worker accepted.
pub(crate) fn adopt(worker: &Rc<Worker>, listener: &Arc<Listener>, accepted: Accepted) {
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let stream = match accepted {
        Accepted::Tcp(stream) => TcpStream::from_std(stream).map(|stream| {
            let peer = stream.peer_addr().ok();
            let address = peer.map_or(local, |peer| peer.ip().to_canonical());
            (
                Stream::Tcp(stream),
                address,
                peer.map_or(0, |peer| peer.port()),
            )
        }),
        Accepted::Unix(stream) => {
            UnixStream::from_std(stream).map(|stream| (Stream::Unix(stream), local, 0))
        }
    };
    match stream {
        Ok((stream, peer, port)) => start(worker, listener, stream, peer, port),
        Err(error) => tracing::warn!(%error, "cannot take over a connection"),
    }
}

fn start(worker: &Rc<Worker>, listener: &Arc<Listener>, stream: Stream, peer: IpAddr, port: u16) {
    let listener = &worker.newest(listener);
    let Some(guard) = worker.admit(listener) else {
        // Words in the clear would mean nothing there, and a handshake costs too much.
        if listener.tls.is_some() {
            return;
        }
        // A flood of these must not become a load of its own.
        if let Some(place) = worker.refusal() {
            let connection = Rc::new(Connection::new(worker, 0, Arc::clone(listener), peer, port));
            task::spawn_local("refusal", async move {
                let _place = place;
                let io = Buffered::new(stream);
                http1::refuse(connection, io, Failure::LimitReached).await;
            });
        }
        return;
    };
    let connection = worker.open(listener, peer, port);
    let served = Rc::clone(&connection);
    let task = task::spawn_local("connection", async move {
        let _guard = guard;
        let _entry = Entry(Rc::clone(&served));
        serve(served, stream).await;
    });
    connection.served_by(task.abort_handle());
}

/// The entry of a connection in its worker's table; removed when dropped.
struct Entry(Rc<Connection>);

impl Drop for Entry {
    fn drop(&mut self) {
        self.0.worker.closed(&self.0);
    }
}

async fn serve(connection: Rc<Connection>, stream: Stream) {
    let listener = connection.known_listener();
    if let Some(tls) = &listener.tls {
        return match tls::shake(&connection, stream, tls).await {
            Shaken::Secure(stream, session) => {
                let http2 = session.http2;
                // Set once: this task is the only one that shakes hands on it.
                let _ = connection.tls.set(session);
                if http2 {
                    http2::serve(connection, Buffered::new(stream)).await;
                } else if listener.http1 {
                    http1::serve(connection, Buffered::new(stream)).await;
                }
            }
            Shaken::Plain(stream) => {
                let failure = BadRequest::NotTls.into();
                http1::refuse(connection, Buffered::new(stream), failure).await;
            }
            Shaken::Failed => {}
        };
    }
    let mut io = Buffered::new(stream);
    if listener.http1 && !listener.http2 {
        return http1::serve(connection, io).await;
    }
    let deadline = connection.since + listener.timeouts.head;
    let spoken = protocol::detect(&mut io, deadline, |cx| {
        connection.watch(cx);
        connection.is_closing()
    })
    .await;
    match spoken {
        protocol::Protocol::Http1 if listener.http1 => http1::serve(connection, io).await,
        protocol::Protocol::Http2 => http2::serve(connection, io).await,
        protocol::Protocol::Http1 | protocol::Protocol::Silent => {}
    }
}

/// Lets the kernel ignore new SYNs of a listening socket that is about to close, so that no
/// connection is completed only to be reset.
fn refuse_new(listener: &TcpListener) {
    // Classic BPF over the TCP header: byte 13 has the flags; SYN without ACK is dropped.
    let filter = [
        socket2::SockFilter::new(0x30, 0, 0, 13),
        socket2::SockFilter::new(0x54, 0, 0, 0x12),
        socket2::SockFilter::new(0x15, 0, 1, 0x02),
        socket2::SockFilter::new(0x06, 0, 0, 0),
        socket2::SockFilter::new(0x06, 0, 0, u32::MAX),
    ];
    if let Err(error) = socket2::SockRef::from(listener).attach_filter(&filter) {
        tracing::debug!(%error, "cannot filter a closing listener");
    }
}

/// How long a leaving listener waits for connections under way to complete.
const LAST_CALL: Duration = Duration::from_millis(300);
