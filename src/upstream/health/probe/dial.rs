//! Opening the connection of a check: always a new one, so that the check sees what a new client would.

use std::io;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};

use super::{BoxFuture, ProbeFailure, Target};
use crate::upstream::endpoint::Address;

/// A connection of any kind.
pub trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// Opens connections for probes; a pool that speaks TLS brings its own.
pub trait Dial: Send + Sync {
    /// Connects to the target.
    fn dial<'a>(
        &'a self,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<Box<dyn Socket>, ProbeFailure>>;
}

/// Connects without TLS.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlainDial;

impl Dial for PlainDial {
    fn dial<'a>(
        &'a self,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<Box<dyn Socket>, ProbeFailure>> {
        Box::pin(async move {
            match &target.address {
                Address::Socket(address) => TcpStream::connect(address).await.map(boxed),
                Address::Name(host, port) => {
                    // Looked up here, so that a missing name is not told as a failed connection.
                    let found = tokio::net::lookup_host((&**host, *port)).await;
                    let addresses: Vec<_> =
                        found.map_err(|_| ProbeFailure::NameNotFound)?.collect();
                    TcpStream::connect(addresses.as_slice()).await.map(boxed)
                }
                Address::Unix(path) => UnixStream::connect(path).await.map(boxed),
            }
            .map_err(|error| match error.kind() {
                io::ErrorKind::ConnectionRefused => ProbeFailure::Refused,
                kind => ProbeFailure::Connect(kind),
            })
        })
    }
}

fn boxed<S: Socket + 'static>(socket: S) -> Box<dyn Socket> {
    Box::new(socket)
}
