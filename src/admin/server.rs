//! Server of the admin API: connections, their limits, their end.

use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::StatusCode;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};

use super::api::{self, ApiState};
use super::auth::{Gate, Peer, Tokens};
use super::listener::{AdminConnection, AdminListener};
use super::operations::Operations;
use super::places::{Activity, HeldBody, Places};
use super::rate::Rates;
use super::reads::Reads;
use super::reply;
use super::router::Scope;
use crate::config::value::BindAddress;
use crate::telemetry::events::Events;
use crate::telemetry::log::LogLimit;

/// Settings of the admin API.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminSettings {
    /// Tokens for changes and reads.
    pub tokens: Tokens,
    /// Part of the API that is served. Metrics and probes alone need no token.
    pub scope: Scope,
    /// Maximum number of connections; one more replaces the longest silent one.
    pub connections_max: usize,
}

/// Reasons why the admin API does not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Other machines could reach it without a token.
    #[error("the admin API listens on {0}, which other machines can reach, and has no token")]
    PublicWithoutToken(String),
    /// The token is empty, so everyone can guess it.
    #[error("the token of the admin API is empty")]
    EmptyToken,
}

/// A handle to a running admin API; the address cannot change, as it is bound.
#[derive(Clone)]
pub struct AdminControl {
    gate: Arc<ArcSwap<Gate>>,
    is_local: bool,
    address: String,
    closed: Arc<Notify>,
}

/// The admin API, bound and ready to run.
#[derive(Debug)]
pub struct AdminServer {
    listener: AdminListener,
    connections_max: usize,
    shared: Arc<ApiState>,
    stop: watch::Sender<bool>,
    /// Notified when the configuration has no admin API any more.
    closed: Arc<Notify>,
}

impl AdminServer {
    /// Makes the server.
    ///
    /// # Errors
    /// If it would be open to everyone.
    pub fn new(
        listener: AdminListener,
        settings: AdminSettings,
        operations: Arc<dyn Operations>,
        events: Arc<Events>,
    ) -> Result<Self, SettingsError> {
        let address = listener.address();
        let is_local = address.is_local() || settings.scope == Scope::Metrics;
        let gate = gate(settings.tokens, is_local, &address.to_string())?;
        let connections_max = settings.connections_max.max(1);
        let (stop, stopped) = watch::channel(false);
        let shared = ApiState {
            gate: Arc::new(ArcSwap::from_pointee(gate)),
            scope: settings.scope,
            operations,
            events,
            // Those who watch stay; they must leave room for the others.
            watchers: Arc::new(Semaphore::new(connections_max.div_ceil(2))),
            sampler: api::Sampler::default(),
            rates: Rates::default(),
            reads: Reads::new("admin reads"),
            checks: Reads::new("admin checks"),
            stopped,
        };
        Ok(Self {
            listener,
            connections_max,
            shared: Arc::new(shared),
            stop,
            closed: Arc::default(),
        })
    }

    /// Makes a handle to change it while it runs.
    pub fn control(&self) -> AdminControl {
        let address = self.listener.address();
        AdminControl {
            gate: Arc::clone(&self.shared.gate),
            is_local: address.is_local(),
            address: address.to_string(),
            closed: Arc::clone(&self.closed),
        }
    }

    /// Address that it listens on; for port 0, with the port assigned.
    pub fn address(&self) -> &BindAddress {
        self.listener.address()
    }

    /// Serves until `shutdown`, then lets answers that have begun finish, for up to two seconds.
    /// Dropping the future cuts all connections; it can then be run again.
    pub async fn run(&mut self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        if self.serve(shutdown.as_mut()).await == Ended::Closed {
            // The task is that of the process: it ends with it.
            shutdown.await;
        }
    }

    async fn serve(&mut self, mut shutdown: Pin<&mut impl Future<Output = ()>>) -> Ended {
        let mut connections = JoinSet::new();
        let mut places = Places::default();
        let mut sweep = interval(SWEEP);
        // A shortage repeats itself for as long as it lasts.
        let told = LogLimit::default();
        let ended = loop {
            // While all are being answered, others wait to be accepted; one of those that make
            // room may still be closing.
            let has_room = places.len() < self.connections_max || places.has_silent();
            let full = !has_room || connections.len() >= self.connections_max * 2;
            tokio::select! {
                () = &mut shutdown => break Ended::Shutdown,
                () = self.closed.notified() => break Ended::Closed,
                Some(ended) = connections.join_next_with_id() => match ended {
                    Ok((id, ())) => places.give_back(id),
                    Err(error) => {
                        places.give_back(error.id());
                        if error.is_panic() {
                            tracing::error!(%error, "a connection of the admin API failed");
                        }
                    }
                },
                _ = sweep.tick() => places.sweep(Instant::now()),
                accepted = self.listener.accept(), if !full => match accepted {
                    Ok(connection) => {
                        if places.len() >= self.connections_max {
                            places.make_room();
                        }
                        let shared = Arc::clone(&self.shared);
                        let activity = Activity::new();
                        let serving = serve(connection, shared, Arc::clone(&activity));
                        places.take(activity, connections.spawn(serving));
                    }
                    Err(error) => {
                        if let Some(passed_over) = told.due(error.kind(), Instant::now()) {
                            tracing::warn!(
                                %error, passed_over,
                                "the admin API cannot accept a connection"
                            );
                        }
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        };
        let room = (self.connections_max * 2).saturating_sub(connections.len());
        for connection in self.listener.close(room) {
            connections.spawn(serve(connection, Arc::clone(&self.shared), Activity::new()));
        }
        self.stop.send_replace(true);
        let all = async { while connections.join_next().await.is_some() {} };
        // What is left is cut when the set is dropped.
        let _ = timeout(SHUTDOWN_PATIENCE, all).await;
        ended
    }
}

/// Reasons why it has stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// The process ends.
    Shutdown,
    /// The configuration has no admin API any more.
    Closed,
}

impl AdminControl {
    /// Stops serving, as at the end of the process.
    pub fn close(&self) {
        self.closed.notify_one();
    }

    /// Replaces the tokens for all requests from now on, on a reload.
    ///
    /// # Errors
    /// If it would be open to everyone; the old tokens stay.
    pub fn set_tokens(&self, tokens: Tokens) -> Result<(), SettingsError> {
        let gate = gate(tokens, self.is_local, &self.address)?;
        self.gate.store(Arc::new(gate));
        Ok(())
    }
}

impl fmt::Debug for AdminControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminControl")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for AdminSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminSettings")
            .field("token", &self.tokens.change.as_ref().map(|_| "***"))
            .field("scope", &self.scope)
            .field("connections_max", &self.connections_max)
            .finish()
    }
}

fn gate(tokens: Tokens, is_local: bool, address: &str) -> Result<Gate, SettingsError> {
    let given = || [&tokens.change, &tokens.read].into_iter().flatten();
    if given().next().is_none() && !is_local {
        return Err(SettingsError::PublicWithoutToken(address.to_owned()));
    }
    if given().any(|token| token.trim().is_empty()) {
        return Err(SettingsError::EmptyToken);
    }
    Ok(Gate::new(tokens))
}

async fn serve(connection: AdminConnection, shared: Arc<ApiState>, activity: Arc<Activity>) {
    match connection {
        AdminConnection::Tcp(stream, peer) => serve_stream(stream, peer, shared, activity).await,
        AdminConnection::Unix(stream, peer) => serve_stream(stream, peer, shared, activity).await,
    }
}

async fn serve_stream<S>(stream: S, peer: Peer, shared: Arc<ApiState>, activity: Arc<Activity>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut stopped = shared.stopped.clone();
    let asked = Arc::clone(&activity);
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        let busy = asked.begin();
        async move {
            let answer = timeout(ANSWER_TIMEOUT, api::answer(&shared, peer, request)).await;
            let answer = answer.unwrap_or_else(|_| {
                let sentence = "the request or its answer took too long";
                reply::error(StatusCode::SERVICE_UNAVAILABLE, sentence)
            });
            Ok::<_, Infallible>(answer.map(|body| HeldBody::new(body, busy)))
        }
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
    // A client that has only just connected has its say.
    let mut patience = std::pin::pin!(sleep(FIRST_WORD));
    let gone = poll_fn(|cx| match connection.as_mut().poll(cx) {
        Poll::Ready(_) => Poll::Ready(true),
        Poll::Pending if activity.has_begun() => Poll::Ready(false),
        Poll::Pending => patience.as_mut().poll(cx).map(|()| false),
    });
    if !gone.await {
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

/// Maximum time without a request head on a connection, also between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum time from the head of a request to the head of its answer, the request's body included.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Interval between two searches for silent connections.
const SWEEP: Duration = Duration::from_secs(1);

const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Pause after a failed accept, mostly for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Time that a client without a request so far has to send one after the API was told to end.
const FIRST_WORD: Duration = Duration::from_millis(500);

const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(2);
