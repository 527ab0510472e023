//! TLS in front of the harness's plain clients and servers: bytes are passed on, in a session or
//! out of one.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream, server};

use super::eventually::Gate;

/// A listener that passes bytes on; it stops on drop.
pub(crate) struct Tunnel {
    address: SocketAddr,
    counts: Arc<Counts>,
    /// Server behind it, if it is to live as long.
    _behind: Option<Box<dyn std::any::Any + Send + Sync>>,
    task: JoinHandle<()>,
}

/// Counters so far.
#[derive(Default)]
struct Counts {
    sessions: AtomicUsize,
    clean: AtomicUsize,
    torn: AtomicUsize,
}

impl Tunnel {
    /// Connects plain clients to a TLS server at `to`, with `name` as the name asked for.
    pub(crate) async fn to_tls(to: SocketAddr, config: ClientConfig, name: &'static str) -> Self {
        let config = Arc::new(config);
        Self::start(move |mut plain, counts| {
            let config = Arc::clone(&config);
            async move {
                let mut secured = shake(to, config, name).await?;
                counts.sessions.fetch_add(1, Ordering::Relaxed);
                copy_bidirectional(&mut plain, &mut secured).await
            }
        })
        .await
    }

    /// Connects TLS clients to a plain server at `to`.
    pub(crate) async fn from_tls(to: SocketAddr, config: ServerConfig) -> Self {
        Self::from_tls_by_protocol(to, to, config).await
    }

    /// Connects TLS clients of this address to a plain server at `to`.
    pub(crate) async fn from_tls_at(at: SocketAddr, to: SocketAddr, config: ServerConfig) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::start_at(at, move |stream, counts| {
            let acceptor = acceptor.clone();
            async move {
                let mut secured = acceptor.accept(stream).await?;
                counts.sessions.fetch_add(1, Ordering::Relaxed);
                let mut plain = TcpStream::connect(to).await?;
                copy_bidirectional(&mut secured, &mut plain).await
            }
        })
        .await
    }

    /// Connects TLS clients to one of two plain servers, by the negotiated protocol.
    pub(crate) async fn from_tls_by_protocol(
        http1: SocketAddr,
        http2: SocketAddr,
        config: ServerConfig,
    ) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::start(move |stream, counts| {
            let acceptor = acceptor.clone();
            async move {
                let session = acceptor.accept(stream).await?;
                counts.sessions.fetch_add(1, Ordering::Relaxed);
                let agreed = session.get_ref().1.alpn_protocol() == Some(b"h2");
                let to = if agreed { http2 } else { http1 };
                let mut secured = Watched { session, counts };
                let mut plain = TcpStream::connect(to).await?;
                copy_bidirectional(&mut secured, &mut plain).await
            }
        })
        .await
    }

    /// Connects TLS clients to a plain server at `to` until the gate opens; then each session ends
    /// with an alert.
    pub(crate) async fn from_tls_until(to: SocketAddr, config: ServerConfig, alarm: &Gate) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let alarm = alarm.clone();
        Self::start(move |stream, _| {
            let (acceptor, alarm) = (acceptor.clone(), alarm.clone());
            async move {
                let mut secured = acceptor.accept(stream).await?;
                let mut plain = TcpStream::connect(to).await?;
                tokio::select! {
                    ended = copy_bidirectional(&mut secured, &mut plain) => return ended,
                    () = alarm.wait() => {}
                }
                // A record that nobody has encrypted, as if the client had sent it.
                let mut garbage = [0; 69];
                garbage[..5].copy_from_slice(&[23, 3, 3, 0, 64]);
                let (stream, session) = secured.get_mut();
                session.read_tls(&mut &garbage[..])?;
                session
                    .process_new_packets()
                    .expect_err("it cannot be decrypted");
                let mut alert = Vec::new();
                session.write_tls(&mut alert)?;
                stream.write_all(&alert).await?;
                Ok((0, 0))
            }
        })
        .await
    }

    async fn start<F>(serve: impl Fn(TcpStream, Arc<Counts>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = io::Result<(u64, u64)>> + Send + 'static,
    {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), serve).await
    }

    async fn start_at<F>(
        at: SocketAddr,
        serve: impl Fn(TcpStream, Arc<Counts>) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = io::Result<(u64, u64)>> + Send + 'static,
    {
        let listener = TcpListener::bind(at).await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        let task = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(serve(stream, Arc::clone(&counted)));
            }
        });
        Self {
            address,
            counts,
            _behind: None,
            task,
        }
    }

    /// Keeps the server behind it alive as long as itself.
    pub(crate) fn keeping(mut self, behind: impl std::any::Any + Send + Sync) -> Self {
        self._behind = Some(Box::new(behind));
        self
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Number of sessions agreed on so far.
    pub(crate) fn sessions(&self) -> usize {
        self.counts.sessions.load(Ordering::Relaxed)
    }

    /// Numbers of clients of a server's tunnel that ended their session with `close_notify`, and
    /// without.
    pub(crate) fn ends(&self) -> (usize, usize) {
        let (clean, torn) = (&self.counts.clean, &self.counts.torn);
        (clean.load(Ordering::Relaxed), torn.load(Ordering::Relaxed))
    }
}

/// A session that notes how the client ends it.
struct Watched {
    session: server::TlsStream<TcpStream>,
    counts: Arc<Counts>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.session).poll_read(cx, buffer));
        match &read {
            Ok(()) if buffer.filled().len() > before => {}
            Ok(()) => {
                self.counts.clean.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => {
                self.counts.torn.fetch_add(1, Ordering::Relaxed);
            }
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // A client that has gone takes nothing any more: its last words are still to be read.
        let written = ready!(Pin::new(&mut self.session).poll_write(cx, bytes));
        Poll::Ready(Ok(written.unwrap_or(bytes.len())))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = ready!(Pin::new(&mut self.session).poll_flush(cx));
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Fails if the client has closed since it was last read: its `close_notify` still waits.
        let _ = ready!(Pin::new(&mut self.session).poll_shutdown(cx));
        Poll::Ready(Ok(()))
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Makes one session with a TLS server, with `name` as the name asked for.
pub(crate) async fn shake(
    to: SocketAddr,
    config: Arc<ClientConfig>,
    name: &str,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(to).await?;
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    TlsConnector::from(config).connect(name, stream).await
}
