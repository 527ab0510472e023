//! Opens a plain stream to an address: the one way for requests, health checks, and the services
//! that the proxy itself uses.
//!
//! All of them see the same addresses, options and reasons. Each limits the wait by its own clock
//! and translates a [`ConnectFault`] into its own words. `name` resolves names.

mod name;

use std::io;

use tokio::{
    net::{TcpStream, UnixStream},
    time::Instant,
};

use crate::{config::value::EndpointAddress, socket::Stream, timer};

/// A stream that was just opened, before TLS.
#[derive(Debug)]
pub(crate) enum Plain {
    /// TCP, `TCP_NODELAY` set.
    Tcp(TcpStream),
    /// A unix socket.
    Unix(UnixStream),
}

/// Reasons why there is no connection.
#[derive(Debug)]
pub(crate) enum ConnectFault {
    /// The name does not resolve.
    Unknown,
    /// The proxy has no descriptor, port or memory left: no verdict on the endpoint.
    Shortage,
    /// The resolver did not answer in time.
    Late,
    /// No address can be connected to; the reason of the last.
    Connect(io::Error),
    /// None of the addresses of a name answered in time.
    ConnectLate,
}

/// Opens a stream to `address`. The caller limits the wait; `deadline` is by what the addresses of
/// a name share the time.
///
/// # Errors
/// The [`ConnectFault`]. Cancel safe: a look-up continues for later requests.
pub(crate) async fn dial(
    address: &EndpointAddress,
    deadline: Instant,
) -> Result<Plain, ConnectFault> {
    let stream = match address {
        EndpointAddress::Socket(address) => TcpStream::connect(address).await?,
        EndpointAddress::Unix(path) => return Ok(Plain::Unix(UnixStream::connect(path).await?)),
        EndpointAddress::Name(name, port) => {
            // In memory of its own: most endpoints are given by address.
            Box::pin(name::connect(name, *port, deadline)).await?
        }
    };
    // Without it a small last piece of a request waits for the endpoint's delayed ACK.
    stream.set_nodelay(true)?;
    Ok(Plain::Tcp(stream))
}

/// Opens a TCP connection to a service that the proxy itself uses.
///
/// # Errors
/// The reason, for the log.
pub(crate) async fn open_stream(
    address: &EndpointAddress,
    deadline: Instant,
) -> Result<TcpStream, String> {
    let opening = timer::until(deadline, dial(address, deadline));
    match opening.await {
        Ok(Ok(Plain::Tcp(stream))) => Ok(stream),
        Ok(Ok(Plain::Unix(_))) => Err("a unix socket is not for this".to_owned()),
        Ok(Err(fault)) => Err(fault.told(address)),
        Err(_) => Err("not connected in time".to_owned()),
    }
}

impl ConnectFault {
    /// Returns the reason for the log.
    pub(crate) fn told(&self, address: &EndpointAddress) -> String {
        match self {
            Self::Unknown => format!("the name of {address} does not resolve"),
            Self::Shortage => "no descriptor, port or memory left".to_owned(),
            Self::Late => "the resolver did not answer in time".to_owned(),
            Self::Connect(error) => said(error),
            Self::ConnectLate => "not connected in time".to_owned(),
        }
    }
}

/// Returns an error of the system in words that do not depend on it.
fn said(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
        _ => error.to_string(),
    }
}

/// Returns true if the proxy itself lacks a descriptor, port or memory for a socket: not a fault of
/// the endpoint.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let kind = error.kind();
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(
        kind,
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse
    ) || matches!(
        code,
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}

impl From<io::Error> for ConnectFault {
    fn from(error: io::Error) -> Self {
        if is_shortage(&error) {
            Self::Shortage
        } else {
            Self::Connect(error)
        }
    }
}

impl From<Plain> for Stream {
    fn from(plain: Plain) -> Self {
        match plain {
            Plain::Tcp(stream) => Self::Tcp(stream),
            Plain::Unix(stream) => Self::Unix(stream),
        }
    }
}
