//! The socket of the admin API.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::auth::Peer;

/// Where the admin API listens: `127.0.0.1:9901` or `unix:admin.sock`.
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
    socket: Socket,
    address: AdminAddress,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// An accepted connection.
pub(super) enum Connection {
    Tcp(TcpStream, Peer),
    Unix(UnixStream, Peer),
}

impl AdminListener {
    /// Binds the address. A Unix socket is readable and writable by its owner only; a
    /// stale one is replaced, one that somebody listens on is not.
    ///
    /// # Errors
    /// What the system says.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn bind(address: &AdminAddress) -> io::Result<Self> {
        let (socket, address) = match address {
            AdminAddress::Tcp(address) => {
                let socket = std::net::TcpListener::bind(address)?;
                socket.set_nonblocking(true)?;
                let bound = AdminAddress::Tcp(socket.local_addr()?);
                (Socket::Tcp(TcpListener::from_std(socket)?), bound)
            }
            AdminAddress::Unix(path) => {
                let socket = bind_unix(path)?;
                (
                    Socket::Unix(UnixListener::from_std(socket)?),
                    address.clone(),
                )
            }
        };
        Ok(Self { socket, address })
    }

    /// Takes over a socket that the process was given; it listens already.
    ///
    /// # Errors
    /// What the system says.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn inherit(address: &AdminAddress, socket: socket2::Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let socket = match address {
            AdminAddress::Tcp(_) => Socket::Tcp(TcpListener::from_std(socket.into())?),
            AdminAddress::Unix(_) => Socket::Unix(UnixListener::from_std(socket.into())?),
        };
        let address = address.clone();
        Ok(Self { socket, address })
    }

    /// Where it listens; of port 0, the port that was given.
    pub fn address(&self) -> &AdminAddress {
        &self.address
    }

    pub(super) async fn accept(&self) -> io::Result<Connection> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok(Connection::Tcp(stream, Peer::Tcp(address)))
            }
            Socket::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok(Connection::Unix(stream, Peer::Unix))
            }
        }
    }
}

impl AdminAddress {
    /// Whether only this machine can reach it.
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

fn bind_unix(path: &Path) -> io::Result<net::UnixListener> {
    if net::UnixStream::connect(path).is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    // Only sockets are replaced: a wrong path must not cost somebody a file.
    if let Ok(metadata) = std::fs::symlink_metadata(path)
        && !std::os::unix::fs::FileTypeExt::is_socket(&metadata.file_type())
    {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    // Made under another name, so that nobody can connect before the mode is set.
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".{}", std::process::id()));
    let unfinished = PathBuf::from(unfinished);
    let listener = net::UnixListener::bind(&unfinished)?;
    let placed = std::fs::set_permissions(&unfinished, PermissionsExt::from_mode(0o600))
        .and_then(|()| std::fs::rename(&unfinished, path))
        .and_then(|()| listener.set_nonblocking(true));
    if let Err(error) = placed {
        // What failed first is what matters.
        let _ = std::fs::remove_file(&unfinished);
        return Err(error);
    }
    Ok(listener)
}
