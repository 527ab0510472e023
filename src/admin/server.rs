//! The server of the admin API: connections, their limits, their end.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::api::{self, Shared};
use super::auth::{Gate, Peer};
use super::listener::{AdminListener, Connection};
use super::operations::Operations;
use crate::telemetry::events::Events;

/// What the configuration says of the admin API.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminSettings {
    /// Token of those who may change something; none: reading only.
    pub token: Option<String>,
    /// Connections at the same time; more wait to be accepted.
    pub connections_max: usize,
}

/// Why the admin API does not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Others than this machine could reach it, and nothing would stop them.
    #[error("the admin API listens on {0}, which other machines can reach, and has no token")]
    PublicWithoutToken(String),
    /// A token that everyone can guess.
    #[error("the token of the admin API is empty")]
    EmptyToken,
}

/// The admin API, bound and ready to run.
#[derive(Debug)]
pub struct AdminServer {
    listener: AdminListener,
    connections_max: usize,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
}

impl AdminServer {
    /// Puts it together.
    ///
    /// # Errors
    /// When it would be open to everyone.
    pub fn new(
        listener: AdminListener,
        settings: AdminSettings,
        operations: Arc<dyn Operations>,
        events: Arc<Events>,
    ) -> Result<Self, SettingsError> {
        match &settings.token {
            Some(token) if token.trim().is_empty() => return Err(SettingsError::EmptyToken),
            None if !listener.address().is_local() => {
                let address = listener.address().to_string();
                return Err(SettingsError::PublicWithoutToken(address));
            }
            _ => {}
        }
        let connections_max = settings.connections_max.max(1);
        let (stop, stopped) = watch::channel(false);
        let shared = Shared {
            gate: Gate::new(settings.token),
            operations,
            events,
            // Those who watch stay; they must leave room for the others.
            watchers: Arc::new(Semaphore::new(connections_max.div_ceil(2))),
            stopped,
        };
        Ok(Self {
            listener,
            connections_max,
            shared: Arc::new(shared),
            stop,
        })
    }

    /// Serves until `shutdown`, then lets answers that have begun end, for up to two
    /// seconds. Dropping the future cuts everything.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let mut connections = JoinSet::new();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let full = connections.len() >= self.connections_max;
            tokio::select! {
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept(), if !full => match accepted {
                    Ok(connection) => {
                        let shared = Arc::clone(&self.shared);
                        connections.spawn(serve(connection, shared));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the admin API cannot accept a connection");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(self.listener);
        self.stop.send_replace(true);
        let all = async { while connections.join_next().await.is_some() {} };
        // What is left is cut when the set is dropped.
        let _ = timeout(SHUTDOWN_PATIENCE, all).await;
    }
}

impl fmt::Debug for AdminSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminSettings")
            .field("token", &self.token.as_ref().map(|_| "***"))
            .field("connections_max", &self.connections_max)
            .finish()
    }
}

async fn serve(connection: Connection, shared: Arc<Shared>) {
    match connection {
        Connection::Tcp(stream, peer) => serve_stream(stream, peer, shared).await,
        Connection::Unix(stream, peer) => serve_stream(stream, peer, shared).await,
    }
}

async fn serve_stream<S>(stream: S, peer: Peer, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut stopped = shared.stopped.clone();
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(api::answer(&shared, peer, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // A client that breaks off or sends nonsense was answered by hyper.
        _ = &mut connection => return,
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

/// A connection that sends no head for so long is closed, also between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

const HEAD_BYTES_MAX: usize = 64 * 1024;

/// After a failed accept, which mostly means that the process has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(2);
