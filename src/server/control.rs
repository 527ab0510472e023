//! The control thread: configuration, health, admin, signals, and the end.
//!
//! It decides; workers read what it decides. Nothing it does can slow them.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval},
};

use super::{
    Shared, StartError,
    board::{Board, ReloadReport},
    certificates, drain,
    metrics::ControlGauges,
    notify::Notify,
    operations::Api,
    reload::{self, Prepared, ReloadError},
    signal::{Asked, Signals},
    task,
    worker::Command,
};
use crate::{
    admin::{AdminAddress, AdminControl, AdminListener, AdminServer, AdminSettings},
    config::{ContentHash, Watcher},
    state::{self, BindAddress, Registry},
    telemetry::{events::Events, log::LogControl},
    upstream::health::{Schedule, TICK},
};

/// What others ask of the control thread.
#[derive(Debug)]
pub(crate) enum Request {
    /// Read the configuration now.
    Reload(oneshot::Sender<Result<Value, Value>>),
    /// Stop.
    Drain,
}

/// The state of the control thread.
pub(crate) struct Control {
    path: PathBuf,
    shared: Arc<Shared>,
    registry: Registry,
    schedules: HashMap<Arc<str>, Schedule>,
    board: Arc<Board>,
    events: Arc<Events>,
    gauges: ControlGauges,
    admin: Option<AdminControl>,
    /// The level of the log, if reloads are to change it.
    log: Option<LogControl>,
    hash: ContentHash,
    notify: Notify,
    /// Listeners of the last reload that are still being emptied.
    leaving: Option<tokio::task::JoinHandle<()>>,
}

impl Control {
    pub(crate) fn new(
        path: PathBuf,
        shared: Arc<Shared>,
        registry: Registry,
        degraded: Option<String>,
        log: Option<LogControl>,
        notify: Notify,
    ) -> Self {
        Self {
            path,
            registry,
            schedules: HashMap::new(),
            board: Arc::new(Board::new(degraded)),
            events: Arc::new(Events::new()),
            gauges: ControlGauges::new(&shared.metrics.control()),
            admin: None,
            log,
            hash: ContentHash::of(b""),
            notify,
            leaving: None,
            shared,
        }
    }
}

/// Runs the process from its first configuration to the end of its drain.
pub(crate) async fn run(
    mut control: Control,
    prepared: Prepared,
    signals: bool,
    stop: impl Future<Output = ()>,
    threads: Vec<JoinHandle<()>>,
) -> Result<(), StartError> {
    let wheel = task::spawn_local("timer wheel", crate::timer::turn());
    let (requests, mut asked) = mpsc::channel(16);
    // Kept open here: without an admin API nobody asks, which is not the end.
    let admin = control.start_admin(&prepared, requests.clone())?;
    control.start(prepared).await?;
    let _requests = requests;
    let certificates =
        certificates::start(&control.shared, &control.events, control.registry.tickets());
    let stop_admin = Arc::new(tokio::sync::Notify::new());
    let admin = admin.map(|admin| {
        let stopped = Arc::clone(&stop_admin);
        task::spawn_local("admin", async move {
            admin.run(async move { stopped.notified().await }).await;
        })
    });
    let mut signals = Signals::new(signals)?;
    let (seen, mut changes) = follow_file(&control);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stop = std::pin::pin!(stop);
    control.notify.ready("serving");
    loop {
        tokio::select! {
            () = &mut stop => break,
            _ = tick.tick() => control.tick(),
            Some(()) = changes.recv() => {
                control.reload().await;
            }
            request = asked.recv() => match request {
                Some(Request::Reload(answer)) => {
                    let report = control.reload().await;
                    let value = serde_json::to_value(&report).unwrap_or_default();
                    let _ = answer.send(if report.result == "failed" { Err(value) } else { Ok(value) });
                    let _ = seen.send(control.hash).await;
                }
                Some(Request::Drain) | None => break,
            },
            signal = signals.next() => match signal {
                Asked::Stop => break,
                Asked::Reload => {
                    control.reload().await;
                    let _ = seen.send(control.hash).await;
                }
                Asked::Reopen => control.reopen_logs().await,
            },
        }
    }
    let settings = control.shared.snapshot().drain;
    let open = control.shared.open_connections();
    control
        .notify
        .stopping(open, settings.grace + settings.timeout);
    let draining = drain::drain(&control.shared, &control.events);
    tokio::select! {
        () = draining => {}
        () = second_stop(&mut signals) => {
            tracing::warn!("told to stop a second time: ending at once");
            drain::cut(&control.shared).await;
        }
    }
    stop_admin.notify_one();
    if let Some(admin) = admin {
        let _ = tokio::time::timeout(Duration::from_secs(3), admin).await;
    }
    control.end(threads).await;
    certificates.abort();
    wheel.abort();
    Ok(())
}

/// Watches the file in a task of its own, whose waits nothing interrupts: what it says, and
/// how it is told what was read for another reason.
fn follow_file(control: &Control) -> (mpsc::Sender<ContentHash>, mpsc::Receiver<()>) {
    let mut watcher = Watcher::new(control.path.clone(), control.hash);
    let (seen, mut told) = mpsc::channel(1);
    let (changed, changes) = mpsc::channel(1);
    task::spawn_local("file watch", async move {
        loop {
            tokio::select! {
                hash = told.recv() => match hash {
                    Some(hash) => watcher.set_seen(hash),
                    None => break,
                },
                () = watcher.changed() => {
                    if changed.send(()).await.is_err() {
                        break;
                    }
                }
            }
        }
    });
    (seen, changes)
}

async fn second_stop(signals: &mut Signals) {
    while signals.next().await != Asked::Stop {}
}

impl Control {
    fn start_admin(
        &mut self,
        prepared: &Prepared,
        requests: mpsc::Sender<Request>,
    ) -> Result<Option<AdminServer>, StartError> {
        let Some(written) = &prepared.snapshot.config.admin else {
            return Ok(None);
        };
        let failed = |error: &dyn std::fmt::Display| StartError::Admin(error.to_string());
        let address = written.address.to_string();
        let address = address.parse().map_err(|_| failed(&"malformed address"))?;
        let listener = self
            .admin_listener(&address, &state::bind_address(&written.address))
            .map_err(|error| failed(&format!("cannot listen on {address}: {error}")))?;
        let token = written.token.as_ref().map(|token| token.reveal());
        let settings = AdminSettings {
            token: token.transpose().map_err(|error| failed(&error))?,
            connections_max: ADMIN_CONNECTIONS_MAX,
        };
        let api = Api::new(
            Arc::clone(&self.shared),
            Arc::clone(&self.board),
            self.path.clone(),
            requests,
        );
        let server = AdminServer::new(listener, settings, Arc::new(api), Arc::clone(&self.events))
            .map_err(|error| failed(&error))?;
        tracing::info!(address = %server.address(), "admin API");
        self.admin = Some(server.control());
        Ok(Some(server))
    }

    /// The socket that was given for this address, else one of its own.
    fn admin_listener(
        &self,
        address: &AdminAddress,
        known_as: &BindAddress,
    ) -> std::io::Result<AdminListener> {
        let given = self.shared.inherited.take(known_as, 1).transpose()?;
        match given.and_then(|mut sockets| sockets.pop()) {
            Some(socket) => AdminListener::inherit(address, socket),
            None => AdminListener::bind(address),
        }
    }

    async fn start(&mut self, prepared: Prepared) -> Result<(), StartError> {
        let log = reload::open_log(&self.shared, &prepared.snapshot)
            .map_err(|error| StartError::AccessLog(error.to_string()))?;
        if let Some(log) = log {
            self.shared.access_log.store(Arc::new(log));
            reload::tell(&self.shared, |_| Some(Command::ReopenLog)).await;
        }
        reload::adopt_pools(&prepared.snapshot, &mut self.schedules);
        self.hash = prepared.hash;
        if self.board.degraded().is_none() {
            reload::keep(&prepared.snapshot, &prepared.text);
        }
        self.gauges.loaded(1, self.board.degraded().is_none());
        reload::listen(&self.shared, prepared.bound).await;
        self.events
            .publish("started", "proxy", json!({ "generation": 1 }));
        Ok(())
    }

    /// Every 200 ms: ejections and holds end, transitions are told.
    fn tick(&mut self) {
        let now = Instant::now();
        let snapshot = self.shared.snapshot();
        for pool in &snapshot.pools {
            for transition in pool.shared.health.tick(now) {
                self.gauges.transition(&pool.name, &transition);
                self.events.publish(
                    "health",
                    "proxy",
                    json!({
                        "pool": &*pool.name,
                        "endpoint": &*transition.address,
                        "from": transition.from.word(),
                        "to": transition.to.word(),
                        "cause": transition.cause.to_string(),
                    }),
                );
            }
            self.gauges.pool(pool);
        }
        self.gauges.tick();
        self.gauges
            .retain_pools(|name| snapshot.pool(name).is_some());
        self.registry.forget_unused();
    }

    /// Takes up what the file says now, or keeps what runs and says why.
    async fn reload(&mut self) -> ReloadReport {
        self.notify.reloading();
        let report = match self.try_reload().await {
            Ok(report) => report,
            Err(error) => self.refused(&error),
        };
        self.board.reloaded(&report);
        self.gauges.reloaded(report.result, report.generation);
        let what = serde_json::to_value(&report).unwrap_or_default();
        self.events.publish("reload", "proxy", what);
        self.notify.ready(match report.result {
            "failed" => "the last reload failed; serving the configuration from before it",
            _ => "serving",
        });
        report
    }

    async fn try_reload(&mut self) -> Result<ReloadReport, ReloadError> {
        // An address that has just been left may be wanted again.
        if let Some(leaving) = self.leaving.take() {
            let _ = leaving.await;
        }
        let loaded = self.load().await.map_err(ReloadError::Configuration)?;
        self.hash = loaded.hash;
        let old = self.shared.snapshot();
        if loaded.config == *old.config && self.board.degraded().is_none() {
            let report = report("unchanged", old.generation);
            tracing::info!("the configuration is what it was");
            return Ok(report);
        }
        let prepared = Prepared::next(loaded, &self.shared, &mut self.registry)?;
        let new = Arc::clone(&prepared.snapshot);
        let log = reload::open_log(&self.shared, &new)?;
        if let Some(log) = log {
            self.shared.access_log.store(Arc::new(log));
        }
        // From here on nothing can fail.
        reload::adopt_pools(&new, &mut self.schedules);
        self.shared.swap(Arc::clone(&new));
        reload::listen(&self.shared, prepared.bound).await;
        reload::tell(&self.shared, |_| Some(Command::Refresh)).await;
        let removed = reload::removed_listeners(&old, &new);
        let connections_closed = reload::connections_leaving(&old, &removed);
        let shared = Arc::clone(&self.shared);
        self.leaving = Some(task::spawn_local("leaving listeners", async move {
            reload::unlisten(&shared, &removed).await;
        }));
        reload::forget_series(&self.shared, &old.config, &new.config);
        reload::keep(&new, &prepared.text);
        self.follow_admin(&new.config);
        self.follow_log(&new.config);
        let diff = reload::diff(&old, &new);
        tracing::info!(
            generation = new.generation,
            connections_closed,
            "configuration reloaded\n{diff}"
        );
        if diff.needs_restart() {
            tracing::warn!("some of these changes take effect after a restart only");
        }
        let mut report = report("succeeded", new.generation);
        report.changes = serde_json::to_value(&diff).ok();
        report.connections_closed = connections_closed;
        Ok(report)
    }

    /// Reads the file on a thread for such things: the disk may be slow.
    async fn load(&self) -> Result<crate::config::Loaded, crate::config::Faults> {
        let (path, shared) = (self.path.clone(), Arc::clone(&self.shared));
        let loading = tokio::task::spawn_blocking(move || reload::load(&path, &shared));
        match loading.await {
            Ok(loaded) => loaded,
            // Only a panic gets here; the file is then read again in this thread.
            Err(_) => reload::load(&self.path, &self.shared),
        }
    }

    fn refused(&self, error: &ReloadError) -> ReloadReport {
        let generation = self.shared.generation();
        tracing::error!(
            generation,
            "the reload was refused; the old configuration stays\n{error}"
        );
        let mut report = report("failed", generation);
        if let ReloadError::Configuration(faults) = error {
            report.faults = serde_json::to_value(faults).ok();
        }
        report.error = Some(error.to_string());
        report
    }

    fn follow_admin(&self, config: &crate::config::Config) {
        let (Some(control), Some(written)) = (&self.admin, &config.admin) else {
            return;
        };
        let token = written
            .token
            .as_ref()
            .map(|token| token.reveal())
            .transpose();
        let followed = match token {
            Ok(token) => control.set_token(token).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = followed {
            tracing::error!(%error, "the admin token stays what it was");
        }
    }

    fn follow_log(&self, config: &crate::config::Config) {
        let level = config.log.level.word();
        if let Some(control) = &self.log
            && let Err(error) = control.set_level(level)
        {
            tracing::error!(level, %error, "the level of the log stays what it was");
        }
    }

    async fn reopen_logs(&self) {
        if let Some(log) = &**self.shared.access_log.load() {
            log.reopen();
        }
    }

    /// Ends the workers, and writes what is left to write.
    async fn end(self, threads: Vec<JoinHandle<()>>) {
        let log = self.shared.access_log.load_full();
        for mut schedule in self.schedules.into_values() {
            schedule.stop().await;
        }
        reload::tell(&self.shared, |_| Some(Command::End)).await;
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                let _ = thread.join();
            }
            if let Some(log) = &*log {
                log.settle(Duration::from_secs(2));
            }
        });
        let _ = tokio::time::timeout(Duration::from_secs(5), joined).await;
        let paths = self.shared.snapshot();
        for listener in &paths.listeners {
            if let BindAddress::Unix(path) = &listener.address
                && !self.shared.inherited.holds(&listener.address)
            {
                let _ = std::fs::remove_file(path);
            }
        }
        tracing::info!("stopped");
    }
}

fn report(result: &'static str, generation: u64) -> ReloadReport {
    let now = SystemTime::now().max(UNIX_EPOCH);
    ReloadReport {
        result,
        generation,
        time: humantime::format_rfc3339_millis(now).to_string(),
        changes: None,
        connections_closed: 0,
        error: None,
        faults: None,
    }
}

const ADMIN_CONNECTIONS_MAX: usize = 64;
