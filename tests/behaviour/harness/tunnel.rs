//! TLS in front of the harness's plain clients and servers: what goes in comes out, in
//! a session or out of one.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::ServerName;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

/// Something that listens and passes on; it stops when this is dropped.
pub(crate) struct Tunnel {
    address: SocketAddr,
    sessions: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Tunnel {
    /// Lets plain clients speak to a TLS server at `to`, which they ask for as `name`.
    pub(crate) async fn to_tls(to: SocketAddr, config: ClientConfig, name: &'static str) -> Self {
        let config = Arc::new(config);
        Self::start(move |mut plain, sessions| {
            let config = Arc::clone(&config);
            async move {
                let mut secured = shake(to, config, name).await?;
                sessions.fetch_add(1, Ordering::Relaxed);
                copy_bidirectional(&mut plain, &mut secured).await
            }
        })
        .await
    }

    /// Lets TLS clients speak to a plain server at `to`.
    pub(crate) async fn from_tls(to: SocketAddr, config: ServerConfig) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::start(move |stream, sessions| {
            let acceptor = acceptor.clone();
            async move {
                let mut secured = acceptor.accept(stream).await?;
                sessions.fetch_add(1, Ordering::Relaxed);
                let mut plain = TcpStream::connect(to).await?;
                copy_bidirectional(&mut secured, &mut plain).await
            }
        })
        .await
    }

    async fn start<F>(serve: impl Fn(TcpStream, Arc<AtomicUsize>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = io::Result<(u64, u64)>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let sessions = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&sessions);
        let task = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(serve(stream, Arc::clone(&counted)));
            }
        });
        Self {
            address,
            sessions,
            task,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many sessions were agreed on so far.
    pub(crate) fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One session with a TLS server, asked for as `name`.
pub(crate) async fn shake(
    to: SocketAddr,
    config: Arc<ClientConfig>,
    name: &str,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(to).await?;
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    TlsConnector::from(config).connect(name, stream).await
}
