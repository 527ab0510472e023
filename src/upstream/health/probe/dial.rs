//! Opens the connection of a check: always a new one, so that the check sees what a new client
//! would.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
    time::Instant,
};

use super::{BoxFuture, HttpVersion, ProbeFailure, ProbeTarget};
use crate::{
    config::value::EndpointAddress,
    proxy_protocol::{Header, Version},
    semantics::forwarded::Scheme,
    tls::{Alpn, ClientTls},
    upstream::{
        connect::is_shortage,
        health::settings::CheckKind,
        name::{self, NameFailure},
    },
};

/// A connection of any kind.
pub trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// Opens connections for probes; a pool with TLS brings its own.
pub trait Dial: Send + Sync {
    /// Scheme of a request over the connection.
    fn scheme(&self) -> Scheme {
        Scheme::Http
    }

    /// Connects to the target.
    fn dial<'a>(
        &'a self,
        target: &'a ProbeTarget,
    ) -> BoxFuture<'a, Result<Box<dyn Socket>, ProbeFailure>>;
}

/// Connects without TLS.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlainDial;

impl Dial for PlainDial {
    fn dial<'a>(
        &'a self,
        target: &'a ProbeTarget,
    ) -> BoxFuture<'a, Result<Box<dyn Socket>, ProbeFailure>> {
        Box::pin(async move {
            match &target.address {
                EndpointAddress::Socket(address) => TcpStream::connect(address).await.map(boxed),
                EndpointAddress::Name(host, port) => connect_by_name(host, *port).await?.map(boxed),
                EndpointAddress::Unix(path) => UnixStream::connect(path).await.map(boxed),
            }
            .map_err(|error| match error.kind() {
                _ if is_shortage(&error) => ProbeFailure::Shortage,
                io::ErrorKind::ConnectionRefused => ProbeFailure::Refused,
                kind => ProbeFailure::Connect(kind),
            })
        })
    }
}

/// Connects without TLS, and sends a PROXY protocol header for the proxy's own connection: for
/// pools whose endpoints expect one.
#[derive(Debug, Clone, Copy)]
pub struct AnnouncingDial(pub Version);

impl Dial for AnnouncingDial {
    fn dial<'a>(
        &'a self,
        target: &'a ProbeTarget,
    ) -> BoxFuture<'a, Result<Box<dyn Socket>, ProbeFailure>> {
        Box::pin(async move {
            let mut socket = PlainDial.dial(target).await?;
            let header = Header::Local.encode(self.0);
            match socket.write_all(&header).await {
                Ok(()) => Ok(socket),
                Err(error) => Err(ProbeFailure::Connect(error.kind())),
            }
        })
    }
}

/// Connects and does the TLS handshake as the pool's requests do.
#[derive(Debug)]
pub struct TlsDial {
    tls: Arc<ClientTls>,
    alpn: Alpn,
    announced: Option<Version>,
}

impl TlsDial {
    /// Makes the dial for a check of this kind, over TLS with these settings.
    pub fn new(tls: &Arc<ClientTls>, kind: &CheckKind, version: HttpVersion) -> Self {
        let alpn = match (kind, version) {
            (CheckKind::Grpc { .. }, _) | (_, HttpVersion::Http2) => Alpn::Http2,
            (CheckKind::Http { .. } | CheckKind::Tcp, HttpVersion::Http1) => Alpn::Http1,
        };
        Self {
            tls: Arc::clone(tls),
            alpn,
            announced: None,
        }
    }

    /// Sends a PROXY protocol header before the handshake, as [`AnnouncingDial`].
    #[must_use]
    pub fn announcing(mut self, version: Option<Version>) -> Self {
        self.announced = version;
        self
    }
}

impl Dial for TlsDial {
    fn scheme(&self) -> Scheme {
        Scheme::Https
    }

    fn dial<'a>(
        &'a self,
        target: &'a ProbeTarget,
    ) -> BoxFuture<'a, Result<Box<dyn Socket>, ProbeFailure>> {
        Box::pin(async move {
            let plain = match self.announced {
                Some(version) => AnnouncingDial(version).dial(target).await?,
                None => PlainDial.dial(target).await?,
            };
            let host = target.address.host();
            let secured = self.tls.connect(plain, &host, self.alpn).await;
            let told = |error: io::Error| ProbeFailure::Tls(error.to_string().into());
            secured.map(boxed).map_err(told)
        })
    }
}

async fn connect_by_name(
    name: &Arc<str>,
    port: u16,
) -> Result<io::Result<TcpStream>, ProbeFailure> {
    // The check's own timeout is shorter, and ends this from outside.
    let deadline = Instant::now() + CONNECT_MAX;
    match name::connect(name, port, deadline).await {
        Ok(stream) => Ok(Ok(stream)),
        Err(NameFailure::Connect(error)) => Ok(Err(error)),
        Err(NameFailure::Late | NameFailure::ConnectLate) => {
            Ok(Err(io::ErrorKind::TimedOut.into()))
        }
        Err(NameFailure::Shortage) => Err(ProbeFailure::Shortage),
        // So that a missing name is not told as a failed connection.
        Err(NameFailure::Unknown) => Err(ProbeFailure::NameNotFound),
    }
}

/// Maximum time of connecting to a name where nothing else limits it.
const CONNECT_MAX: Duration = Duration::from_secs(5);

fn boxed<S: Socket + 'static>(socket: S) -> Box<dyn Socket> {
    Box::new(socket)
}
