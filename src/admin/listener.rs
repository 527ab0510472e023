//! The socket of the admin API.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::auth::Peer;
use crate::{
    config::value::FileMode,
    socket::{
        closing,
        file::{self, SocketFile},
    },
};

/// Address of the admin API: `127.0.0.1:9901` or `unix:admin.sock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminAddress {
    /// An IP address and port.
    Tcp(SocketAddr),
    /// Path of a Unix socket.
    Unix(PathBuf),
}

/// A bound socket of the admin API.
#[derive(Debug)]
pub struct AdminListener {
    /// None once it is closed.
    socket: Option<Socket>,
    address: AdminAddress,
    /// Removed with the socket; none for an inherited one.
    file: Option<SocketFile>,
    /// It was inherited: its holder lets other processes accept from its queue.
    inherited: bool,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// An accepted connection.
pub(super) enum AdminConnection {
    Tcp(TcpStream, Peer),
    Unix(UnixStream, Peer),
}

impl AdminListener {
    /// Binds the address. A Unix socket is accessible to its owner only, unless a mode is given; a
    /// stale one is replaced, one that a process listens on is not.
    ///
    /// # Errors
    /// The error of the system.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn bind(address: &AdminAddress, mode: Option<FileMode>) -> io::Result<Self> {
        let (socket, address, file) = match address {
            AdminAddress::Tcp(address) => {
                let socket = std::net::TcpListener::bind(address)?;
                socket.set_nonblocking(true)?;
                let bound = AdminAddress::Tcp(socket.local_addr()?);
                (Socket::Tcp(TcpListener::from_std(socket)?), bound, None)
            }
            AdminAddress::Unix(path) => {
                file::clear(path)?;
                let mode = mode.unwrap_or(FileMode::PRIVATE);
                let (socket, file) = SocketFile::listen(path, Some(mode), BACKLOG)?;
                let socket = UnixListener::from_std(socket.into())?;
                (Socket::Unix(socket), address.clone(), Some(file))
            }
        };
        Ok(Self {
            socket: Some(socket),
            address,
            file,
            inherited: false,
        })
    }

    /// Takes an inherited socket, which listens already.
    ///
    /// # Errors
    /// The error of the system.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn inherit(address: &AdminAddress, socket: socket2::Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let socket = match address {
            AdminAddress::Tcp(_) => Socket::Tcp(TcpListener::from_std(socket.into())?),
            AdminAddress::Unix(_) => Socket::Unix(UnixListener::from_std(socket.into())?),
        };
        Ok(Self {
            socket: Some(socket),
            address: address.clone(),
            file: None,
            inherited: true,
        })
    }

    /// Address that it listens on; for port 0, with the port assigned.
    pub fn address(&self) -> &AdminAddress {
        &self.address
    }

    /// Stops accepting, and refuses new connections; returns the connections that waited in the
    /// queue, up to `count_max`.
    pub(super) fn close(&mut self, count_max: usize) -> Vec<AdminConnection> {
        let mut waiting = Vec::new();
        // The file goes first: who comes later finds nothing, or a successor.
        self.file = None;
        let Some(socket) = self.socket.take().filter(|_| !self.inherited) else {
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

impl AdminAddress {
    /// Returns true if only this machine can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for AdminAddress {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("unix:") {
            Some(path) => Ok(Self::Unix(PathBuf::from(path))),
            None => text.parse().map(Self::Tcp),
        }
    }
}

/// Length of the accept queue.
const BACKLOG: i32 = 128;
