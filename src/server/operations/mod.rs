//! Reads and commands of the admin API.

mod cache;
mod draft;
mod endpoint;
mod explain;
mod maintenance;
mod readiness;

use std::{
    borrow::Cow,
    collections::HashSet,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde_json::{Map, Value};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

use super::{
    board::Board,
    control::Request,
    figures, rollouts, upgrade,
    views::{self, PoolViews},
};
use crate::{
    admin::{
        BoxFuture, EndpointAction, ExplainRequest, Figures, OperationError, Operations,
        RolloutAction,
        model::{
            self, CertificateExpiry, Checked, Compared, Connection, Draining, EndpointChange,
            Explained, Listener, MaintenanceReport, MaintenanceRequest, Origins, ProcessState,
            Ready, ReloadRefusal, ReloadReport, Status, UpgradeRefusal, UpgradeReport,
            UpgradeRequest,
        },
    },
    config::{Secrets, value::BindAddress},
    state::{
        ExplainedRate, HolderFilter, Snapshot,
        heads::{GateUse, TrafficUse},
    },
    telemetry::{
        metrics::{Exposition, names},
        recent::RecentExchange,
    },
    worker::{Command, SharedState},
};

/// The process, as seen by the admin API.
pub(super) struct Api {
    shared: Arc<SharedState>,
    board: Arc<Board>,
    path: PathBuf,
    requests: mpsc::Sender<Request>,
}

impl Api {
    pub(super) fn new(
        shared: Arc<SharedState>,
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
}

impl Operations for Api {
    fn live(&self) -> bool {
        true
    }

    fn ready(&self) -> Ready {
        self.readiness()
    }

    fn metrics(&self, exposition: Exposition) -> String {
        self.shared.metrics.exposed(exposition)
    }

    fn status(&self) -> Status {
        let snapshot = self.shared.snapshot();
        let degraded = self.board.degraded();
        Status {
            state: match (self.shared.is_draining(), &degraded) {
                (true, _) => ProcessState::Draining,
                (false, Some(_)) => ProcessState::Degraded,
                (false, None) => ProcessState::Running,
            },
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_seconds: self.board.uptime_seconds(),
            generation: snapshot.generation,
            generations_held: snapshot.generations_held(),
            config: self.path.display().to_string(),
            workers: self.shared.workers.len(),
            connections: self.shared.open_connections(),
            requests_total: self.shared.metrics.total(&names::REQUESTS_TOTAL, [None; 4]),
            process_generation: self.board.process_generation,
            parent: self.board.parent,
            predecessor: self.board.predecessor(),
            maintenance: maintenance::closed(&snapshot),
            degraded,
            last_reload: self.board.last_reload(),
        }
    }

    fn config(&self) -> Map<String, Value> {
        match serde_json::to_value(&*self.shared.snapshot().config) {
            Ok(Value::Object(config)) => config,
            Ok(_) | Err(_) => Map::new(),
        }
    }

    fn origins(&self, within: &str, only_written: bool) -> Origins {
        Origins::of(&self.shared.snapshot().config, within, only_written)
    }

    fn listeners(&self) -> Vec<Listener> {
        let snapshot = self.shared.snapshot();
        let listeners = snapshot.listeners.iter().map(|listener| Listener {
            rate_limits: {
                let rates = listener.rates.iter();
                let rules = rates.flat_map(|rates| rates.rules());
                rules.map(ExplainedRate::of).collect()
            },
            name: listener.name.to_string(),
            address: self.shared.sockets.address(&listener.address).to_string(),
            http1: listener.http1,
            http2: listener.http2,
            http3: listener.http3,
            http3_state: listener.http3.then(|| self.udp_state(&listener.address)),
            tls: listener.tls.is_some(),
            connections: listener.open.load(Ordering::Relaxed),
            registration: self.board.registration(&listener.name),
            acme: listener.acme.as_ref().map(|it| figures::acme(it)),
        });
        listeners.collect()
    }

    fn routes(&self) -> Vec<model::Route> {
        let snapshot = self.shared.snapshot();
        views::routes(&snapshot, self.table("routes"))
    }

    fn pools(&self) -> Vec<model::Pool> {
        let snapshot = self.shared.snapshot();
        let mut views = self.pool_views(&snapshot);
        snapshot.pools.iter().map(|pool| views.of(pool)).collect()
    }

    fn pool(&self, name: &str) -> Option<model::Pool> {
        let snapshot = self.shared.snapshot();
        let pool = snapshot.pool(name)?;
        let mut view = self.pool_views(&snapshot).of(pool);
        let workers = self.ask(|answer| Command::InFlight(Arc::clone(&pool.name), answer));
        // Without the answer of each worker the sum would be too small.
        if workers.len() == self.shared.workers.len() {
            views::count_in_flight(&mut view, &workers);
        }
        Some(view)
    }

    fn loaded_pools(&self, endpoints_max: usize) -> Vec<model::Pool> {
        let mut pools = self.pools();
        let endpoints: usize = pools.iter().map(|pool| pool.endpoints.len()).sum();
        if endpoints <= endpoints_max {
            let workers = self.ask(Command::AllInFlight);
            if workers.len() == self.shared.workers.len() {
                views::count_all_in_flight(&mut pools, &workers);
            }
        }
        pools
    }

    fn figures(&self) -> Figures {
        figures::read(&self.shared.metrics)
    }

    fn certificates(&self) -> Vec<CertificateExpiry> {
        figures::certificates(&self.shared.snapshot())
    }

    fn rollouts(&self) -> Vec<model::Rollout> {
        let snapshot = self.shared.snapshot();
        let rollouts = snapshot.rollouts.iter();
        rollouts
            .map(|rollout| rollouts::view(&snapshot, &self.board.rollouts, rollout))
            .collect()
    }

    fn rollout(&self, name: &str) -> Option<model::Rollout> {
        let snapshot = self.shared.snapshot();
        let rollout = snapshot.rollout(name)?;
        Some(rollouts::view(&snapshot, &self.board.rollouts, rollout))
    }

    fn change_rollout<'a>(
        &'a self,
        name: &'a str,
        action: RolloutAction,
    ) -> BoxFuture<'a, Result<model::Rollout, OperationError>> {
        let desk = &self.board.rollouts;
        Box::pin(rollouts::change(&self.shared, desk, name, action))
    }

    fn caches(&self) -> Vec<model::RouteCache> {
        cache::views(&self.shared.snapshot())
    }

    fn purge_cache(&self, what: &model::Purge) -> Result<model::Purged, OperationError> {
        cache::purge(&self.shared.snapshot(), what)
    }

    fn connections(&self, filter: HolderFilter) -> Vec<Connection> {
        let filter = Arc::new(filter);
        // A worker that hangs is reported elsewhere; the others are shown all the same.
        let workers = self.ask(|answer| Command::Connections(Arc::clone(&filter), answer));
        let all = workers.into_iter().flatten().map(views::connection);
        let mut all: Vec<Connection> = all.collect();
        all.sort_by_key(|view| std::cmp::Reverse(view.age_ms));
        all
    }

    fn requests(&self, last: usize) -> Vec<RecentExchange> {
        let mut exchanges = self.shared.recent.last(last);
        self.complete(&mut exchanges);
        exchanges
    }

    fn request(&self, id: &str) -> Option<RecentExchange> {
        let mut exchange = [self.shared.recent.by_id(id)?];
        self.complete(&mut exchange);
        let [exchange] = exchange;
        Some(exchange)
    }

    fn explain(&self, request: ExplainRequest) -> Result<Explained, String> {
        self.explained(request)
    }

    fn check(&self, text: String, secrets: Secrets, traffic: TrafficUse) -> Checked {
        self.checked(text, secrets, traffic)
    }

    fn diff(&self, text: String, secrets: Secrets, traffic: TrafficUse) -> Compared {
        self.compared(text, secrets, traffic)
    }

    fn reload(&self, gate: GateUse) -> BoxFuture<'_, Result<ReloadReport, ReloadRefusal>> {
        Box::pin(async move {
            let (answer, report) = oneshot::channel();
            let sent = self.requests.send(Request::Reload(answer, gate)).await;
            sent.map_err(|_| ReloadRefusal::Stopping)?;
            report.await.unwrap_or(Err(ReloadRefusal::Stopping))
        })
    }

    fn upgrade(
        &self,
        request: UpgradeRequest,
    ) -> BoxFuture<'_, Result<UpgradeReport, UpgradeRefusal>> {
        Box::pin(async move {
            let (answer, report) = oneshot::channel();
            let wanted = Request::Upgrade(upgrade::Wanted::by(request, answer));
            let sent = self.requests.send(wanted).await;
            sent.map_err(|_| UpgradeRefusal::Stopping)?;
            report.await.unwrap_or(Err(UpgradeRefusal::Stopping))
        })
    }

    fn maintenance(
        &self,
        request: MaintenanceRequest,
    ) -> BoxFuture<'_, Result<MaintenanceReport, OperationError>> {
        Box::pin(self.switch(request))
    }

    fn drain(&self) -> BoxFuture<'_, Result<Draining, String>> {
        Box::pin(async {
            let sent = self.requests.send(Request::Drain).await;
            let state = ProcessState::Draining;
            sent.map(|()| Draining { state })
                .map_err(|_| "the proxy is stopping".to_owned())
        })
    }

    fn endpoint(
        &self,
        pool: &str,
        address: &str,
        action: EndpointAction,
    ) -> Result<EndpointChange, OperationError> {
        self.change_endpoint(pool, address, action)
    }
}

impl Api {
    /// Returns the state of the UDP port of a listener that speaks HTTP/3.
    fn udp_state(&self, address: &BindAddress) -> String {
        let state = if self.shared.is_draining() {
            "closed"
        } else if self.shared.sockets.accepts_quic(address) {
            "open"
        } else {
            "waiting"
        };
        state.to_owned()
    }

    /// Asks all workers; returns the answers of those that answer in time.
    fn ask<T>(&self, command: impl Fn(oneshot::Sender<T>) -> Command) -> Vec<T> {
        let deadline = Instant::now() + WORKERS_PATIENCE;
        let asked = self.shared.workers.iter().filter_map(|place| {
            let (answer, told) = oneshot::channel();
            let sent = place.commands.try_send(command(answer));
            sent.ok().map(|()| told)
        });
        let asked: Vec<_> = asked.collect();
        Handle::current().block_on(async {
            let mut answers = Vec::with_capacity(asked.len());
            for told in asked {
                if let Ok(Ok(answer)) = timeout_at(deadline, told).await {
                    answers.push(answer);
                }
            }
            answers
        })
    }

    /// Adds the fields of the heads that are kept, and masks the values that the access log masks.
    fn complete(&self, exchanges: &mut [RecentExchange]) {
        let snapshot = self.shared.snapshot();
        let ids: HashSet<&str> = exchanges.iter().map(|it| &*it.request_id).collect();
        let mut fields = self.shared.heads.shown_headers(&ids);
        for exchange in exchanges {
            exchange.headers = fields.remove(&*exchange.request_id).unwrap_or_default();
            // By the names of now as well, which may be more.
            if let Cow::Owned(url) = snapshot.secrets.masked_url(&exchange.url) {
                exchange.url = url;
            }
        }
    }

    /// Makes the views of pools, from data collected once for all of them.
    fn pool_views<'s>(&self, snapshot: &'s Snapshot) -> PoolViews<'s> {
        let picks = self.shared.metrics.totals(&names::PICKS_TOTAL);
        PoolViews::new(snapshot, self.table("pools"), picks)
    }

    /// Returns one table of tables of the configuration, secrets masked.
    fn table(&self, name: &str) -> Map<String, Value> {
        match self.config().remove(name) {
            Some(Value::Object(table)) => table,
            _ => Map::new(),
        }
    }
}

/// Maximum wait for workers that are asked about their connections.
const WORKERS_PATIENCE: Duration = Duration::from_secs(2);
