//! Opens the connection of a check: always a new one, so that the check sees what a new client
//! would.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    time::Instant,
};

use super::{BoxFuture, HttpVersion, ProbeFailure, ProbeTarget};
use crate::{
    dial::{self, ConnectFault, Plain},
    proxy_protocol::{Header, Version},
    semantics::forwarded::Scheme,
    tls::{Alpn, ClientTls},
    upstream::{health::settings::CheckKind, secure},
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
            // The check's own timeout is shorter, and ends this from outside.
            let deadline = Instant::now() + CONNECT_MAX;
            match dial::dial(&target.address, deadline).await {
                Ok(Plain::Tcp(stream)) => Ok(boxed(stream)),
                Ok(Plain::Unix(stream)) => Ok(boxed(stream)),
                Err(fault) => Err(failure_of(&fault)),
            }
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
            let host = &target.server_name;
            let secured = secure::shake(&self.tls, plain, host, self.alpn).await;
            let told = |error: io::Error| ProbeFailure::Tls(error.to_string().into());
            secured.map(|(session, _)| boxed(session)).map_err(told)
        })
    }
}

fn failure_of(fault: &ConnectFault) -> ProbeFailure {
    match fault {
        ConnectFault::Shortage => ProbeFailure::Shortage,
        // So that a missing name is not told as a failed connection.
        ConnectFault::Unknown => ProbeFailure::NameNotFound,
        ConnectFault::Late | ConnectFault::ConnectLate => {
            ProbeFailure::Connect(io::ErrorKind::TimedOut)
        }
        ConnectFault::Connect(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => ProbeFailure::Refused,
            kind => ProbeFailure::Connect(kind),
        },
    }
}

/// Maximum time of connecting to a name where nothing else limits it.
const CONNECT_MAX: Duration = Duration::from_secs(5);

fn boxed<S: Socket + 'static>(socket: S) -> Box<dyn Socket> {
    Box::new(socket)
}
