//! The control thread: configuration, health, admin, signals, and the end.
//!
//! It decides; workers read what it decides. Nothing it does can slow them.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use serde_json::json;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, Interval, MissedTickBehavior, interval},
};

use super::{
    StartError,
    board::Board,
    certificates, descriptors, drain, errand,
    file_watch::{FileWatch, Told},
    keeper::Keeper,
    metrics::ControlGauges,
    named_files::NamedFiles,
    notify::Notify,
    operations::Api,
    panics::Panics,
    reload::{Prepared, Reloads, Wanted, steps},
    signal::{Asked, Signals},
    supervision::{Services, Supervision},
};
use crate::{
    admin::{
        AdminAddress, AdminControl, AdminListener, AdminServer, AdminSettings,
        model::{ReloadRefusal, ReloadReport},
    },
    config::{ContentHash, value::FileMode},
    socket::BindAddress,
    state::{self, Registry},
    task,
    telemetry::{events::Events, log::LogControl},
    tls::TicketKeys,
    upstream::health::{Schedule, TICK},
    worker::{Command, Shared},
};

/// What others ask of the control thread.
#[derive(Debug)]
pub(crate) enum Request {
    /// Read the configuration now.
    Reload(Answer),
    /// Stop.
    Drain,
}

/// What came of a reload, for whoever asked for it.
pub(super) type Answer = oneshot::Sender<Result<ReloadReport, ReloadRefusal>>;

/// The state of the control thread.
pub(crate) struct Control {
    pub(super) path: PathBuf,
    pub(super) shared: Arc<Shared>,
    /// Locked by a reload that is being prepared, and here for a moment in each tick.
    pub(super) registry: Arc<Mutex<Registry>>,
    tickets: Arc<TicketKeys>,
    pub(super) schedules: HashMap<Arc<str>, Schedule>,
    pub(super) board: Arc<Board>,
    pub(super) events: Arc<Events>,
    pub(super) gauges: ControlGauges,
    /// Pools that ignore health.
    pub(super) panics: Panics,
    pub(super) admin: Option<AdminControl>,
    /// The level of the log, if reloads are to change it.
    pub(super) log: Option<LogControl>,
    pub(super) hash: ContentHash,
    pub(super) named_files: NamedFiles,
    pub(super) notify: Notify,
    /// Listeners of the last reload that are still being emptied.
    pub(super) leaving: Option<tokio::task::JoinHandle<()>>,
    pub(super) reloads: Reloads,
    /// When a faulty file that was just saved is told of, unless it changes again.
    pub(super) doubt: Option<Instant>,
    pub(super) keeper: Keeper,
    pub(super) draining: bool,
    supervision: Supervision,
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
        let keeper = Keeper::new(&path);
        Self {
            path,
            tickets: Arc::clone(registry.tickets()),
            registry: Arc::new(Mutex::new(registry)),
            schedules: HashMap::new(),
            board: Arc::new(Board::new(degraded)),
            events: Arc::new(Events::new()),
            gauges: ControlGauges::new(&shared.metrics.control()),
            panics: Panics::default(),
            admin: None,
            log,
            hash: ContentHash::of(b""),
            named_files: NamedFiles::default(),
            notify,
            leaving: None,
            reloads: Reloads::default(),
            doubt: None,
            keeper,
            draining: false,
            supervision: Supervision::new(shared.workers.len()),
            shared,
        }
    }
}

/// Runs the process from its first configuration to the end of its drain.
pub(crate) async fn run(
    mut control: Control,
    prepared: Prepared,
    mut signals: Signals,
    stop: impl Future<Output = ()>,
    threads: Vec<JoinHandle<()>>,
) -> Result<(), StartError> {
    let wheel = task::spawn_local("timer wheel", crate::timer::turn());
    let (requests, mut asked) = mpsc::channel(16);
    // Kept open here: without an admin API nobody asks, which is not the end.
    let admin = control.start_admin(&prepared, requests.clone())?;
    control.start(prepared).await;
    let named_files = control.named_files.watch(requests.clone());
    let _requests = requests;
    let certificates = certificates::start(&control.shared, &control.events, control.tickets());
    let stop_admin = Arc::new(tokio::sync::Notify::new());
    let admin = admin.map(|admin| {
        let stopped = Arc::clone(&stop_admin);
        task::spawn_local("admin", async move {
            admin.run(async move { stopped.notified().await }).await;
        })
    });
    let file = FileWatch::start(control.path.clone(), control.of_file());
    let services = [
        ("timer wheel", Some(&wheel)),
        ("certificate watch", Some(&certificates)),
        ("admin API", admin.as_ref()),
        ("file watch", Some(&file.task)),
    ];
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stop = std::pin::pin!(stop);
    let mut told_to_stop = std::pin::pin!(signals.stopped(1));
    control.notify.ready("serving");
    signals.serving();
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            () = &mut told_to_stop => break,
            _ = tick.tick() => {
                control.tick(&services);
                file.tell(control.of_file());
            }
            outcome = control.reloads.prepared() => control.reloaded(outcome).await,
            () = file.changed() => control.want_reload(Wanted::by_file()),
            request = asked.recv() => match request {
                Some(Request::Reload(answer)) => control.want_reload(Wanted::by(answer)),
                Some(Request::Drain) | None => break,
            },
            signal = signals.next() => control.obey(signal),
        }
    }
    control
        .drain(&mut asked, &mut signals, &mut tick, &services)
        .await;
    stop_admin.notify_one();
    if let Some(admin) = admin {
        let _ = tokio::time::timeout(Duration::from_secs(3), admin).await;
    }
    control.end(threads).await;
    file.task.abort();
    certificates.abort();
    named_files.abort();
    wheel.abort();
    Ok(())
}

impl Control {
    /// What the watch on the file must know.
    fn of_file(&self) -> Told {
        Told {
            seen: self.hash,
            follows: self.shared.snapshot().config.proxy.watch,
        }
    }

    /// What TLS sessions are resumed with.
    fn tickets(&self) -> &Arc<TicketKeys> {
        &self.tickets
    }

    /// Drains the process; what control does otherwise goes on meanwhile.
    async fn drain(
        &mut self,
        asked: &mut mpsc::Receiver<Request>,
        signals: &mut Signals,
        tick: &mut Interval,
        services: &Services<'_>,
    ) {
        self.draining = true;
        let settings = self.shared.snapshot().drain;
        let open = self.shared.open_connections();
        self.notify
            .stopping(open, settings.grace + settings.timeout);
        let (shared, events) = (Arc::clone(&self.shared), Arc::clone(&self.events));
        let mut draining = std::pin::pin!(drain::drain(&shared, &events));
        let mut at_once = std::pin::pin!(signals.stopped(2));
        loop {
            tokio::select! {
                biased;
                () = &mut at_once => {
                    tracing::warn!("received a second stop signal: ending at once");
                    drain::cut(&shared).await;
                    return;
                }
                () = &mut draining => return,
                _ = tick.tick() => self.tick(services),
                Some(request) = asked.recv() => if let Request::Reload(answer) = request {
                    self.want_reload(Wanted::by(answer));
                },
                signal = signals.next() => self.obey(signal),
            }
        }
    }

    fn obey(&mut self, signal: Asked) {
        match signal {
            Asked::Reload => self.want_reload(Wanted::silently()),
            Asked::Reopen => self.reopen_logs(),
            Asked::Upgrade => {
                tracing::warn!(
                    "SIGUSR2 is ignored: this version does not support upgrades of the binary"
                );
            }
        }
    }
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
            .admin_listener(
                &address,
                &state::bind_address(&written.address),
                written.mode,
            )
            .map_err(|error| failed(&format!("cannot listen on {address}: {error}")))?;
        let token = written.token.as_ref().map(|token| token.reveal());
        let token = token.transpose().map_err(|error| failed(&error))?;
        let settings = AdminSettings {
            token: token.map(str::to_owned),
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
        mode: Option<FileMode>,
    ) -> std::io::Result<AdminListener> {
        let given = self.shared.inherited.take(known_as, 1).transpose()?;
        match given.and_then(|mut sockets| sockets.pop()) {
            Some(socket) => AdminListener::inherit(address, socket),
            None => AdminListener::bind(address, mode),
        }
    }

    async fn start(&mut self, prepared: Prepared) {
        if let Some(log) = prepared.log {
            self.shared.access_log.store(Arc::new(log));
            steps::tell(&self.shared, |_| Some(Command::ReopenLog)).await;
        }
        steps::adopt_pools(&prepared.snapshot, &mut self.schedules);
        descriptors::tell(&prepared.snapshot, self.shared.workers.len());
        self.hash = prepared.hash;
        self.named_files
            .replace(&prepared.snapshot.config.named_files());
        if self.board.degraded().is_none() {
            self.keeper.keep(&prepared.snapshot, &prepared.text);
        }
        self.gauges.loaded(1, self.board.degraded().is_none());
        steps::listen(&self.shared, prepared.bound).await;
        self.events
            .publish("started", "proxy", json!({ "generation": 1 }));
    }

    /// Every 200 ms: ejections and holds end, transitions are told, what must go on is
    /// looked after.
    fn tick(&mut self, services: &Services<'_>) {
        let now = Instant::now();
        self.supervision.look(&self.shared, services, &self.board);
        self.notify.flush();
        self.keeper.tick();
        if self.doubt.is_some_and(|doubt| now >= doubt) {
            self.want_reload(Wanted::silently());
        }
        let snapshot = self.shared.snapshot();
        let mut changed = false;
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
            changed |= self.gauges.pool(pool);
        }
        if changed {
            self.panics.tell(&snapshot.pools);
        }
        self.gauges.tick();
        self.gauges
            .retain_pools(|name| snapshot.pool(name).is_some());
        // A reload that is being prepared may hold it.
        if let Ok(mut registry) = self.registry.try_lock() {
            registry.forget_unused();
        }
    }

    fn reopen_logs(&self) {
        if let Some(log) = &**self.shared.access_log.load() {
            log.reopen();
        }
    }

    /// Ends the workers, and writes what is left to write.
    async fn end(mut self, threads: Vec<JoinHandle<()>>) {
        self.keeper.settle().await;
        let log = self.shared.access_log.load_full();
        let schedules = async {
            for mut schedule in self.schedules.into_values() {
                schedule.stop().await;
            }
        };
        let _ = tokio::time::timeout(SCHEDULES_PATIENCE, schedules).await;
        steps::tell(&self.shared, |_| Some(Command::End)).await;
        let joined = errand::send("end", move || {
            for thread in threads {
                let _ = thread.join();
            }
            if let Some(log) = &*log {
                log.settle(Duration::from_secs(2));
            }
        });
        if let Ok(joined) = joined {
            let _ = tokio::time::timeout(THREADS_PATIENCE, joined).await;
        }
        self.shared.sockets.forget_all();
        tracing::info!("stopped");
    }
}

const ADMIN_CONNECTIONS_MAX: usize = 64;
/// How long the end waits for health checks under way.
const SCHEDULES_PATIENCE: Duration = Duration::from_secs(1);
/// How long the end waits for the workers, and for the last lines of the access log.
const THREADS_PATIENCE: Duration = Duration::from_secs(5);
