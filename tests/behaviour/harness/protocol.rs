//! The four HTTP protocols of one side, and streams of any of them.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::eventually::within;
use super::tunnel::shake;

/// Protocol of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http1Tls,
    /// By prior knowledge.
    Http2,
    Http2Tls,
}

impl Protocol {
    pub(crate) const ALL: [Self; 4] = [Self::Http1, Self::Http1Tls, Self::Http2, Self::Http2Tls];

    /// Name for paths and pools.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "h1",
            Self::Http1Tls => "h1_tls",
            Self::Http2 => "h2",
            Self::Http2Tls => "h2_tls",
        }
    }

    pub(crate) fn is_tls(self) -> bool {
        matches!(self, Self::Http1Tls | Self::Http2Tls)
    }

    pub(crate) fn is_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Http2Tls)
    }

    /// Its name in a TLS handshake.
    pub(crate) fn alpn(self) -> [&'static str; 1] {
        [if self.is_http2() { "h2" } else { "http/1.1" }]
    }
}

/// A connection, with or without TLS.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

/// A connection of either kind.
pub(crate) type Io = Box<dyn Duplex>;

/// Connects, with a session for `shop.example` if there is a configuration for it.
pub(crate) async fn dial(to: SocketAddr, secure: Option<ClientConfig>) -> Io {
    within(format!("a connection to {to}"), async {
        match secure {
            None => {
                let stream = TcpStream::connect(to).await.expect("a connection");
                stream.set_nodelay(true).expect("a socket");
                Box::new(stream) as Io
            }
            Some(config) => {
                let session = shake(to, Arc::new(config), "shop.example").await;
                Box::new(session.expect("a session"))
            }
        }
    })
    .await
}
