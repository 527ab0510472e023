//! The socket of the admin API.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::auth::Peer;
use crate::{
    config::value::{BindAddress, FileMode},
    socket::{
        closing,
        file::{self, FileLease, SocketFile},
    },
};

/// A bound socket of the admin API.
#[derive(Debug)]
pub struct AdminListener {
    /// None once it is closed.
    socket: Option<Socket>,
    address: BindAddress,
    /// Removed with the socket; none for an inherited one.
    file: Option<SocketFile>,
    /// The socket is inherited or passed on: another process accepts from its queue.
    stays_open: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The socket of the admin API once more, by which it is passed on to another process.
#[derive(Debug)]
pub struct AdminOffer {
    /// The same socket.
    pub socket: OwnedFd,
    /// Address that it listens on.
    pub at: BindAddress,
    /// The file of a unix socket.
    pub file: Option<FileLease>,
    stays_open: Arc<AtomicBool>,
}

impl AdminOffer {
    /// Another process accepts from the socket as well, by now: what waits in it is left to it.
    pub fn pass_on(&self) {
        self.stays_open.store(true, Ordering::Release);
    }
}

/// An accepted connection.
pub(super) enum AdminConnection {
    Tcp(TcpStream, Peer),
    Unix(UnixStream, Peer),
}

/// A socket that listens for the admin API, not yet in the hands of a runtime.
#[derive(Debug)]
pub struct AdminSocket {
    socket: socket2::Socket,
    /// Address that was asked for, or with the port assigned.
    at: BindAddress,
    file: Option<SocketFile>,
    /// It is inherited: its owner keeps it open.
    given: bool,
}

impl AdminSocket {
    /// Binds the address. A Unix socket is accessible to its owner only, unless a mode is given; a
    /// stale one is replaced, one that a process listens on is not.
    ///
    /// # Errors
    /// The error of the system.
    pub fn bind(address: &BindAddress, mode: Option<FileMode>) -> io::Result<Self> {
        let (socket, at, file) = match address {
            BindAddress::Tcp(address) => {
                let socket = std::net::TcpListener::bind(address)?;
                let at = BindAddress::Tcp(socket.local_addr()?);
                (socket.into(), at, None)
            }
            BindAddress::Unix(path) => {
                file::clear(path)?;
                let mode = mode.unwrap_or(FileMode::PRIVATE);
                let (socket, file) = SocketFile::listen(path, Some(mode), BACKLOG)?;
                (socket, address.clone(), Some(file))
            }
        };
        Ok(Self {
            socket,
            at,
            file,
            given: false,
        })
    }

    /// Takes over a socket that another process has passed on, with the file that it has then.
    pub fn adopt(address: &BindAddress, socket: socket2::Socket, file: Option<SocketFile>) -> Self {
        let local = socket.local_addr().ok().and_then(|it| it.as_socket());
        Self {
            at: local.map_or_else(|| address.clone(), BindAddress::Tcp),
            socket,
            file,
            given: false,
        }
    }

    /// Takes an inherited socket, which listens already.
    pub fn inherit(address: &BindAddress, socket: socket2::Socket) -> Self {
        Self {
            socket,
            at: address.clone(),
            file: None,
            given: true,
        }
    }
}

impl AdminListener {
    /// Binds an address, as [`AdminSocket::bind`] does.
    ///
    /// # Errors
    /// The error of the system.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn bind(address: &BindAddress, mode: Option<FileMode>) -> io::Result<Self> {
        Self::new(AdminSocket::bind(address, mode)?)
    }

    /// Accepts from a socket.
    ///
    /// # Errors
    /// The error of the system.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(socket: AdminSocket) -> io::Result<Self> {
        Ok(Self {
            socket: Some(Socket::listening(&socket.at, socket.socket)?),
            address: socket.at,
            file: socket.file,
            stays_open: Arc::new(AtomicBool::new(socket.given)),
        })
    }

    /// Returns the socket for another process to accept from; none if it is inherited, since its
    /// owner has it already.
    ///
    /// # Errors
    /// When the system gives no descriptor.
    pub fn offer(&self) -> io::Result<Option<AdminOffer>> {
        let given = self.stays_open.load(Ordering::Acquire);
        let Some(socket) = self.socket.as_ref().filter(|_| !given) else {
            return Ok(None);
        };
        let descriptor = match socket {
            Socket::Tcp(socket) => socket.as_fd().try_clone_to_owned()?,
            Socket::Unix(socket) => socket.as_fd().try_clone_to_owned()?,
        };
        Ok(Some(AdminOffer {
            socket: descriptor,
            at: self.address.clone(),
            file: self.file.as_ref().map(SocketFile::lease),
            stays_open: Arc::clone(&self.stays_open),
        }))
    }

    /// Address that it listens on; for port 0, with the port assigned.
    pub fn address(&self) -> &BindAddress {
        &self.address
    }

    /// Stops accepting, and refuses new connections; returns the connections that waited in the
    /// queue, up to `count_max`.
    pub(super) fn close(&mut self, count_max: usize) -> Vec<AdminConnection> {
        let mut waiting = Vec::new();
        // The file goes first: who comes later finds nothing, or a successor.
        self.file = None;
        let stays_open = self.stays_open.load(Ordering::Acquire);
        let Some(socket) = self.socket.take().filter(|_| !stays_open) else {
            return waiting;
        };
        let shut = match &socket {
            Socket::Tcp(socket) => closing::shut_tcp(socket),
            Socket::Unix(socket) => closing::shut_unix(socket),
        };
        if let Err(error) = shut {
            tracing::debug!(%error, "the admin API cannot be shut at once");
        }
        while waiting.len() < count_max
            && let Ok(Some(connection)) = socket.take_waiting()
        {
            waiting.push(connection);
        }
        waiting
    }

    /// Waits for a connection. Cancel safe.
    pub(super) async fn accept(&self) -> io::Result<AdminConnection> {
        match &self.socket {
            None => std::future::pending().await,
            Some(Socket::Tcp(listener)) => {
                let (stream, address) = listener.accept().await?;
                Ok(AdminConnection::Tcp(stream, Peer::Tcp(address)))
            }
            Some(Socket::Unix(listener)) => {
                let (stream, _) = listener.accept().await?;
                Ok(AdminConnection::Unix(stream, Peer::Unix))
            }
        }
    }
}

impl Socket {
    fn listening(address: &BindAddress, socket: socket2::Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(match address {
            BindAddress::Tcp(_) => Self::Tcp(TcpListener::from_std(socket.into())?),
            BindAddress::Unix(_) => Self::Unix(UnixListener::from_std(socket.into())?),
        })
    }

    fn take_waiting(&self) -> io::Result<Option<AdminConnection>> {
        let waiting = match self {
            Self::Tcp(socket) => closing::take_waiting(socket)?,
            Self::Unix(socket) => closing::take_waiting(socket)?,
        };
        let Some((stream, peer)) = waiting else {
            return Ok(None);
        };
        let connection = match peer.as_socket() {
            Some(peer) => {
                AdminConnection::Tcp(TcpStream::from_std(stream.into())?, Peer::Tcp(peer))
            }
            None => AdminConnection::Unix(UnixStream::from_std(stream.into())?, Peer::Unix),
        };
        Ok(Some(connection))
    }
}

/// Length of the accept queue.
const BACKLOG: i32 = 128;
