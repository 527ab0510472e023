//! What the admin API reads and commands.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use ::http::{HeaderName, HeaderValue, Method, Uri};
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{board::Board, control::Request};
use crate::{
    admin::{BoxFuture, EndpointAction, ExplainRequest, OperationError, Operations, Readiness},
    config::{self, Diff, Loaded, PastTime, Rules, Secrets},
    http::Headers,
    state::{self, Action, BuildError, HealthKnown, Registered, Route, Snapshot, Source, TlsFiles},
    telemetry::{metrics::names, recent::RecentExchange},
    upstream::{
        health::AdminState,
        pool::{Pool, ViewIndex},
        tier,
    },
    worker::{Command, ConnectionView, Shared},
};

/// The admin API's view of the process.
pub(super) struct Api {
    shared: Arc<Shared>,
    board: Arc<Board>,
    path: PathBuf,
    requests: mpsc::Sender<Request>,
}

impl Api {
    pub(super) fn new(
        shared: Arc<Shared>,
        board: Arc<Board>,
        path: PathBuf,
        requests: mpsc::Sender<Request>,
    ) -> Self {
        Self {
            shared,
            board,
            path,
            requests,
        }
    }

    /// Checks a text as if it were the content of the file.
    fn parse(
        &self,
        text: String,
        past_time: PastTime<'_>,
        secrets: Secrets,
    ) -> Result<Loaded, Value> {
        let names: Vec<&str> = self.shared.registered.pickers.names().collect();
        config::parse(
            text,
            &self.path,
            &Rules {
                pickers: &names,
                past_time,
                secrets,
            },
        )
        .map_err(|faults| json!({ "ok": false, "faults": faults }))
    }
}

impl Operations for Api {
    fn live(&self) -> bool {
        true
    }

    fn ready(&self) -> Readiness {
        let mut reasons = Vec::new();
        let draining = self.shared.is_draining();
        if draining {
            reasons.push("draining".to_owned());
        }
        // A start with the last good configuration serves: it must not take a fleet out of
        // rotation.
        reasons.extend(self.board.degraded());
        let troubles = self.board.troubles();
        let ready = !draining && !troubles.iter().any(|trouble| trouble.hurts_traffic);
        reasons.extend(troubles.into_iter().map(|trouble| trouble.what));
        if let Some(report) = self.board.last_reload()
            && let Some(error) = report.error
        {
            reasons.push(format!("the last reload was refused: {error}"));
        }
        Readiness { ready, reasons }
    }

    fn metrics(&self) -> String {
        self.shared.metrics.text()
    }

    fn status(&self) -> Value {
        let snapshot = self.shared.snapshot();
        let degraded = self.board.degraded();
        let state = match (self.shared.is_draining(), &degraded) {
            (true, _) => "draining",
            (false, Some(_)) => "degraded",
            (false, None) => "running",
        };
        let requests = self.shared.metrics.total(&names::REQUESTS_TOTAL, [None; 4]);
        json!({
            "state": state,
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "uptime_seconds": self.board.uptime_seconds(),
            "generation": snapshot.generation,
            "generations_held": snapshot.generations_held(),
            "config": self.path,
            "workers": self.shared.workers.len(),
            "connections": self.shared.open_connections(),
            "requests_total": requests,
            "degraded": degraded,
            "last_reload": self.board.last_reload(),
        })
    }

    fn config(&self) -> Value {
        serde_json::to_value(&*self.shared.snapshot().config).unwrap_or_default()
    }

    fn listeners(&self) -> Value {
        let snapshot = self.shared.snapshot();
        let listeners = snapshot.listeners.iter().map(|listener| {
            json!({
                "name": &*listener.name,
                "address": self.shared.sockets.address(&listener.address).to_string(),
                "http1": listener.http1,
                "http2": listener.http2,
                "connections": listener.open.load(std::sync::atomic::Ordering::Relaxed),
            })
        });
        listeners.collect()
    }

    fn routes(&self) -> Value {
        let snapshot = self.shared.snapshot();
        let config = self.config();
        let config = config.get("routes").cloned().unwrap_or_default();
        let routes = snapshot.table.in_order().into_iter();
        routes
            .map(|index| route_view(&snapshot, &snapshot.routes[index.0 as usize], &config))
            .collect()
    }

    fn pools(&self) -> Value {
        let snapshot = self.shared.snapshot();
        let shown = ShownPools::of(self, &snapshot);
        snapshot.pools.iter().map(|pool| shown.view(pool)).collect()
    }

    fn pool(&self, name: &str) -> Option<Value> {
        let snapshot = self.shared.snapshot();
        let pool = snapshot.pool(name)?;
        Some(ShownPools::of(self, &snapshot).view(pool))
    }

    fn connections(&self) -> Value {
        let mut all: Vec<ConnectionView> = Vec::new();
        for place in &self.shared.workers {
            let (answer, views) = oneshot::channel();
            if place
                .commands
                .try_send(Command::Connections(answer))
                .is_ok()
            {
                all.extend(views.blocking_recv().unwrap_or_default());
            }
        }
        all.sort_by_key(|view| std::cmp::Reverse(view.age_ms));
        json!(all)
    }

    fn requests(&self, last: usize) -> Value {
        let mut exchanges = self.shared.recent.last(last);
        self.redact(&mut exchanges);
        json!(exchanges)
    }

    fn request(&self, id: &str) -> Option<Value> {
        let mut exchange = [self.shared.recent.by_id(id)?];
        self.redact(&mut exchange);
        let [exchange] = exchange;
        serde_json::to_value(exchange).ok()
    }

    fn explain(&self, request: ExplainRequest) -> Result<Value, String> {
        let method = Method::try_from(request.method.as_str());
        let method = method.map_err(|_| format!("{:?} is not a method", request.method))?;
        let url: Uri = request
            .url
            .parse()
            .map_err(|_| format!("{:?} is not a URL", request.url))?;
        let mut headers = Headers::new();
        for (name, value) in &request.headers {
            let name = HeaderName::try_from(name).map_err(|_| format!("{name:?} is no header"))?;
            let value = HeaderValue::try_from(value)
                .map_err(|_| format!("{value:?} is no value of a header"))?;
            headers.append(name, value);
        }
        let asked = state::Asked {
            method,
            url,
            headers,
            listener: request.listener,
            source: request.source,
            certificate: request.client_certificate,
        };
        let snapshot = self.shared.snapshot();
        let explained = state::explain(&snapshot, &asked, HealthKnown::Yes)?;
        let mut told = json!(explained);
        snapshot.config.mask_sentences(&mut told);
        Ok(told)
    }

    fn check(&self, text: String, secrets: Secrets) -> Value {
        let loaded = match self.parse(text, PastTime::Refused, secrets) {
            Ok(loaded) => loaded,
            Err(faults) => return faults,
        };
        match compile(loaded, &self.shared.registered) {
            Ok((_, warnings)) => json!({ "ok": true, "faults": warnings }),
            Err(error) => json!({ "ok": false, "faults": [], "error": error.to_string() }),
        }
    }

    fn diff(&self, text: String, secrets: Secrets) -> Value {
        match self.parse(text, PastTime::Served, secrets) {
            Ok(loaded) => json!(Diff::between(
                &self.shared.snapshot().config,
                &loaded.config
            )),
            Err(faults) => faults,
        }
    }

    fn reload(&self) -> BoxFuture<'_, Result<Value, Value>> {
        Box::pin(async {
            let (answer, report) = oneshot::channel();
            let gone = || json!({ "error": "the proxy is stopping" });
            let sent = self.requests.send(Request::Reload(answer)).await;
            sent.map_err(|_| gone())?;
            report.await.unwrap_or_else(|_| Err(gone()))
        })
    }

    fn drain(&self) -> BoxFuture<'_, Result<Value, Value>> {
        Box::pin(async {
            let sent = self.requests.send(Request::Drain).await;
            sent.map(|()| json!({ "state": "draining" }))
                .map_err(|_| json!({ "error": "the proxy is stopping" }))
        })
    }

    fn endpoint(
        &self,
        pool: &str,
        address: &str,
        action: EndpointAction,
    ) -> Result<Value, OperationError> {
        let snapshot = self.shared.snapshot();
        let Some(found) = snapshot.pool(pool) else {
            return Err(OperationError::NotFound(format!(
                "there is no pool \"{pool}\""
            )));
        };
        let state = match action {
            EndpointAction::Drain => AdminState::Draining,
            EndpointAction::Enable => AdminState::Enabled,
            EndpointAction::Eject => AdminState::Ejected,
        };
        if !found
            .shared
            .health
            .set_admin(address, state, Instant::now())
        {
            let message = format!("pool \"{pool}\" has no endpoint \"{address}\"");
            return Err(OperationError::NotFound(message));
        }
        Ok(json!({ "pool": pool, "endpoint": address, "action": action.to_string() }))
    }
}

impl Api {
    /// Masks in them what the access log masks.
    fn redact(&self, exchanges: &mut [RecentExchange]) {
        let snapshot = self.shared.snapshot();
        if let Some(log) = &snapshot.access_log {
            for exchange in exchanges {
                exchange.url = log.redaction.url(&exchange.url);
            }
        }
    }
}

/// What the views of all pools are made from, collected once for all of them.
struct ShownPools<'s> {
    snapshot: &'s Snapshot,
    config: Value,
    picks: HashMap<Arc<[Box<str>]>, u64>,
}

impl<'s> ShownPools<'s> {
    fn of(api: &Api, snapshot: &'s Snapshot) -> Self {
        Self {
            snapshot,
            config: api.config(),
            picks: api.shared.metrics.totals(&names::PICKS_TOTAL),
        }
    }

    fn view(&self, pool: &Pool) -> Value {
        let panic = tier::is_in_panic(&self.snapshot.pools, pool, ViewIndex(0));
        let picture = pool.health.picture();
        let now = Instant::now();
        let endpoints = pool
            .endpoints
            .iter()
            .zip(&picture.endpoints)
            .map(|(endpoint, view)| {
                let labels = [&*pool.name, &*endpoint.label].map(Box::from);
                let picks = self.picks.get(labels.as_slice()).copied();
                json!({
                    "address": &*endpoint.label,
                    "state": view.state.word(),
                    "eligible": view.eligible || (panic && view.state.is_enabled()),
                    "cause": view.cause.as_ref().map(ToString::to_string),
                    "ejected_for_ms": view.ejected_until.map(|until| {
                        u64::try_from(until.saturating_duration_since(now).as_millis()).unwrap_or(0)
                    }),
                    "ejections": view.ejections,
                    "weight": endpoint.weight,
                    "version": endpoint.version_label.as_deref(),
                    "zone": endpoint.zone.as_deref(),
                    "priority": endpoint.priority,
                    "labels": endpoint.labels,
                    "picks": picks.unwrap_or_default(),
                })
            });
        json!({
            "name": &*pool.name,
            "picker": self.config.pointer(&format!("/pools/{}/picker", pool.name)),
            "panic": panic,
            "connections": pool.shared.connections.load(std::sync::atomic::Ordering::Relaxed),
            "retries_in_flight": pool.shared.budget.retries(),
            "endpoints": endpoints.collect::<Vec<_>>(),
        })
    }
}

fn route_view(snapshot: &Snapshot, route: &Route, config: &Value) -> Value {
    let mut view = json!({ "name": &*route.name, "filters": route.filters.names() });
    match &route.action {
        Action::Pool(pool, _) => {
            view["pool"] = json!(&*snapshot.pools[pool.0 as usize].name);
        }
        Action::Redirect(redirect) => view["redirect"] = json!(redirect.status.as_u16()),
        Action::Respond(respond) => view["respond"] = json!(respond.status().as_u16()),
    }
    view["config"] = config.get(&*route.name).cloned().unwrap_or_default();
    view
}

/// Compiles a configuration for a look at it, and runs its tests; nothing is kept.
pub(crate) fn compile(
    loaded: Loaded,
    registered: &Registered,
) -> Result<(Snapshot, config::Faults), BuildError> {
    let source = Source {
        config: Arc::new(loaded.config),
        registered,
        last: None,
        // They were read for the checks.
        files: TlsFiles::Left,
        generation: 0,
        now: Instant::now(),
    };
    let mut registry = state::Registry::new(1);
    let snapshot = state::build(&source, &mut registry)?;
    Ok((snapshot, loaded.warnings))
}
