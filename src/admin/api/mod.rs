//! Answers of the API, one file per family; this module dispatches to them.

mod ask;
mod change;
mod events;
mod index;
mod overview;
mod read;
mod readiness;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::auth::{Gate, Peer};
use super::operations::Operations;
use super::rate::Rates;
use super::reads::Reads;
use super::reply::{self, Reply};
use super::router::{Access, Action, Entry, Routed, Scope, route};
use crate::telemetry::events::Events;

pub(super) use events::EventStream;
pub(super) use overview::Sampler;

/// State shared by all connections.
pub(super) struct ApiState {
    /// Replaced when a reload sets another token.
    pub(super) gate: Arc<ArcSwap<Gate>>,
    pub(super) scope: Scope,
    pub(super) operations: Arc<dyn Operations>,
    pub(super) events: Arc<Events>,
    /// Places for watchers of events.
    pub(super) watchers: Arc<Semaphore>,
    /// The last sample of the overview.
    pub(super) sampler: Sampler,
    pub(super) rates: Rates,
    /// Answers from what the proxy knows.
    pub(super) reads: Reads,
    /// Answers about configurations and requests, which may take seconds.
    pub(super) checks: Reads,
    /// True when the server ends.
    pub(super) stopped: watch::Receiver<bool>,
}

/// A request that was found and admitted.
struct ApiCall {
    shared: Arc<ApiState>,
    entry: &'static Entry,
    peer: Peer,
    request: Request<Incoming>,
    parameters: Vec<String>,
}

/// Answers any request.
pub(super) async fn answer(
    shared: &Arc<ApiState>,
    peer: Peer,
    request: Request<Incoming>,
) -> Reply {
    let scope = shared.scope;
    let (entry, parameters) = match route(request.method(), request.uri().path()) {
        Routed::Found(entry, parameters) if entry.is_in(scope) => (entry, parameters),
        Routed::WrongMethod { allow } if scope == Scope::Whole => {
            return reply::wrong_method(allow);
        }
        Routed::WrongMethod { .. } | Routed::NotFound | Routed::Found(..) => {
            return reply::not_found(request.uri().path(), scope);
        }
    };
    // Probes and files of the dashboard cost nothing, and a probe must have its answer.
    if entry.access != Access::Open && !shared.rates.admit(peer, Instant::now()) {
        return reply::too_many();
    }
    let (method, headers) = (request.method(), request.headers());
    let access = match scope {
        Scope::Whole => entry.access,
        Scope::Metrics => Access::Open,
    };
    if let Err(refusal) = shared.gate.load().admit(access, peer, method, headers) {
        return reply::refused(refusal);
    }
    let call = ApiCall {
        shared: Arc::clone(shared),
        entry,
        peer,
        request,
        parameters,
    };
    dispatch(entry.action, call).await
}

async fn dispatch(action: Action, call: ApiCall) -> Reply {
    match action {
        Action::Index => index::index(&call),
        Action::Asset => index::asset(&call),
        Action::Certificates => read::whole(call, |proxy| proxy.certificates()).await,
        Action::Overview => overview::overview(call).await,
        Action::OpenApi => index::open_api(),
        Action::Live => readiness::live(&call),
        Action::Ready => readiness::ready(&call),
        Action::Metrics => read::metrics(call).await,
        Action::Status => read::whole(call, |proxy| proxy.status()).await,
        Action::Config => read::whole(call, |proxy| proxy.config()).await,
        Action::Origins => read::origins(call).await,
        Action::Listeners => read::whole(call, |proxy| proxy.listeners()).await,
        Action::Routes => read::whole(call, |proxy| proxy.routes()).await,
        Action::Pools => read::whole(call, |proxy| proxy.pools()).await,
        Action::Connections => read::connections(call).await,
        Action::Pool => read::pool(call).await,
        Action::Request => read::named(call, "recent request", |proxy, id| proxy.request(id)).await,
        Action::Requests => read::requests(call).await,
        Action::Events => events::watch(&call),
        Action::Explain => ask::explain(call).await,
        Action::Check => ask::check(call).await,
        Action::Diff => ask::diff(call).await,
        Action::Reload => change::reload(call).await,
        Action::Upgrade => change::upgrade(call).await,
        Action::Drain => change::drain(call).await,
        Action::Caches => read::whole(call, |proxy| proxy.caches()).await,
        Action::PurgeCache => change::purge(call).await,
        Action::Maintenance => change::maintenance(call).await,
        Action::Rollouts => read::whole(call, |proxy| proxy.rollouts()).await,
        Action::Rollout => read::named(call, "rollout", |proxy, name| proxy.rollout(name)).await,
        Action::ChangeRollout(action) => change::rollout(call, action).await,
        Action::Endpoint(action) => change::endpoint(call, action).await,
    }
}

impl ApiCall {
    /// Makes an answer in its turn among those of `lane`, so that a large one delays nothing else.
    async fn made(
        &self,
        lane: &Reads,
        make: impl FnOnce(&dyn Operations) -> Reply + Send + 'static,
    ) -> Reply {
        let operations = Arc::clone(&self.shared.operations);
        lane.answer(self.entry.path, move || make(&*operations))
            .await
    }

    /// Runs work that waits for the workers, on a thread that may block. A panic there ends in a 500.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Operations) -> T + Send + 'static,
    ) -> Result<T, Reply> {
        let operations = Arc::clone(&self.shared.operations);
        let done = tokio::task::spawn_blocking(move || work(&*operations)).await;
        done.map_err(|error| bug(&error))
    }

    fn parameter(&self, at: usize) -> String {
        self.parameters.get(at).cloned().unwrap_or_default()
    }

    /// Returns a parameter of the query as it was sent.
    fn query(&self, name: &str) -> Option<&str> {
        let query = self.request.uri().query().unwrap_or_default();
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(found, _)| *found == name).map(|(_, it)| it)
    }

    /// Returns a parameter of the query that is true or false, and false if it is absent; or a message
    /// about its fault.
    fn flag(&self, name: &str) -> Result<bool, String> {
        match self.query(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(format!("{name} is true or false")),
        }
    }

    /// Returns the number of `?last=`, or a message about its fault.
    fn last(&self) -> Result<usize, String> {
        let Some(last) = self.query("last") else {
            return Ok(LAST_DEFAULT);
        };
        let last: Result<usize, _> = last.parse();
        last.map(|last| last.min(LAST_MAX))
            .map_err(|_| format!("last must be a number up to {LAST_MAX}"))
    }
}

/// Makes the answer to a bug of the proxy.
fn bug(error: &tokio::task::JoinError) -> Reply {
    tracing::error!(%error, "a request to the admin API failed");
    let sentence = "the proxy failed to answer; this is a bug in it";
    reply::error(StatusCode::INTERNAL_SERVER_ERROR, sentence)
}

impl fmt::Debug for ApiState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiState").finish_non_exhaustive()
    }
}

const LAST_DEFAULT: usize = 100;

const LAST_MAX: usize = 1000;
