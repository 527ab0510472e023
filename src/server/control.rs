//! The control thread: configuration, health, admin, signals, and the end.
//!
//! It decides; workers read its decisions. Nothing it does can slow them.

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
    time::{Instant, MissedTickBehavior, interval},
};

use super::{
    StartError,
    board::Board,
    cache_disks::CacheDisks,
    decisions::Decisions,
    descriptors,
    discovery::{Discoveries, ask_first},
    drain, errand,
    failing::Failing,
    file_watch::Told,
    keeper::Keeper,
    log_losses::LogLosses,
    maintenance::{Maintenance, Switch},
    metrics::ControlGauges,
    metrics_listener::MetricsListener,
    named_files::NamedFiles,
    notify::Notify,
    panics::Panics,
    registration::Registrations,
    reload::{Prepared, Reloads, Wanted, steps},
    service::Services,
    shared_config::SharedConfiguration,
    signal::{Asked, Signals, is_stopped_meanwhile},
    strain::Strains,
    supervision::Supervision,
    traces::Traces,
    upgrade::{
        self, Farewell, Program, Sections, Upgrades,
        predecessor::{News, Predecessor},
    },
};
use crate::{
    admin::{
        AdminControl, AdminOffer,
        model::{ReloadRefusal, ReloadReport},
    },
    config::{ContentHash, value::BindAddress},
    state::{Registry, heads::GateUse},
    telemetry::{events::Events, log::LogControl},
    tls::{Challenges, TicketKeys},
    upstream::health::{Schedule, TICK},
    worker::{Command, SharedState},
};

/// Requests to the control thread.
#[derive(Debug)]
pub(crate) enum Request {
    /// Read the configuration now.
    Reload(Answer, GateUse),
    /// Read the configuration, which has changed and may change again.
    FileChanged,
    /// The shared configuration has changed in its store.
    StoreChanged,
    /// Close routes, or open them again.
    Maintenance(Switch, Answer),
    /// Hand over to a new process.
    Upgrade(upgrade::Wanted),
    /// The process before this one tells how its drain goes on.
    Predecessor(News),
    /// Stop.
    Drain,
}

/// Sender of a reload's result to the requester.
pub(super) type Answer = oneshot::Sender<Result<ReloadReport, ReloadRefusal>>;

/// The state of the control thread.
pub(crate) struct Control {
    pub(super) path: PathBuf,
    pub(super) shared: Arc<SharedState>,
    /// Locked by a reload under preparation, and here for a moment in each tick.
    pub(super) registry: Arc<Mutex<Registry>>,
    pub(super) tickets: Arc<TicketKeys>,
    pub(super) challenges: Arc<Challenges>,
    pub(super) schedules: HashMap<Arc<str>, Schedule>,
    /// Sources of the pools' endpoints.
    pub(super) discoveries: Discoveries,
    /// Entries of the listeners in registries.
    pub(super) registrations: Registrations,
    pub(super) board: Arc<Board>,
    pub(super) events: Arc<Events>,
    pub(super) gauges: ControlGauges,
    /// Limits on requests at once that hold requests back.
    pub(super) strains: Strains,
    pub(super) cache_disks: CacheDisks,
    pub(super) log_losses: LogLosses,
    /// Pools that ignore health.
    pub(super) panics: Panics,
    /// Pools and routes that fail.
    pub(super) failing: Failing,
    pub(super) admin: Option<AdminControl>,
    /// The address of its socket as it is written, and the socket, to pass it on.
    pub(super) admin_offer: Option<(BindAddress, Arc<AdminOffer>)>,
    pub(super) metrics: MetricsListener,
    pub(super) traces: Traces,
    /// Queue of requests to this thread.
    pub(super) requests: mpsc::Sender<Request>,
    /// The level of the log, if reloads may change it.
    pub(super) log: Option<LogControl>,
    pub(super) hash: ContentHash,
    pub(super) named_files: NamedFiles,
    pub(super) notify: Notify,
    /// Listeners of the last reload that are still being emptied.
    pub(super) leaving: Option<tokio::task::JoinHandle<()>>,
    pub(super) reloads: Reloads,
    pub(super) upgrades: Upgrades,
    /// Time at which a faulty file that was just saved is reported, unless it changes again.
    pub(super) doubt: Option<Instant>,
    pub(super) keeper: Keeper,
    pub(super) maintenance: Maintenance,
    pub(super) decisions: Decisions,
    /// The part of the configuration that other proxies have, too.
    pub(super) shared_config: SharedConfiguration,
    pub(super) draining: bool,
    pub(super) services: Services,
    pub(super) supervision: Supervision,
}

impl Control {
    pub(crate) fn new(
        path: PathBuf,
        shared: Arc<SharedState>,
        registry: Registry,
        board: Board,
        log: Option<LogControl>,
        notify: Notify,
        program: Option<Program>,
    ) -> (Self, mpsc::Receiver<Request>) {
        let (requests, asked) = mpsc::channel(REQUESTS_MAX);
        let events = Arc::new(Events::new());
        let board = Arc::new(board);
        let keeper = Keeper::new(&path, &board.outages);
        let maintenance = Maintenance::new(&path, registry.closed(), &board.outages);
        let decisions = Decisions::new(&path, &board.outages);
        let control = Self {
            path,
            tickets: Arc::clone(registry.tickets()),
            challenges: Arc::clone(registry.challenges()),
            registry: Arc::new(Mutex::new(registry)),
            schedules: HashMap::new(),
            discoveries: Discoveries::new(&shared.metrics.control(), &board.outages),
            upgrades: Upgrades::new(program, board.process_generation),
            registrations: Registrations::new(&board, &events, shared.metrics.control()),
            traces: Traces::new(shared.metrics.control(), Arc::clone(&board.outages)),
            board,
            services: Services::new(&events, shared.metrics.control()),
            events,
            gauges: ControlGauges::new(&shared.metrics.control()),
            strains: Strains::default(),
            cache_disks: CacheDisks::default(),
            log_losses: LogLosses::default(),
            panics: Panics::default(),
            failing: Failing::default(),
            admin: None,
            admin_offer: None,
            metrics: MetricsListener::default(),
            requests,
            log,
            hash: ContentHash::of(b""),
            named_files: NamedFiles::default(),
            notify,
            leaving: None,
            reloads: Reloads::default(),
            doubt: None,
            keeper,
            maintenance,
            decisions,
            shared_config: SharedConfiguration::default(),
            draining: false,
            supervision: Supervision::new(shared.workers.len()),
            shared,
        };
        (control, asked)
    }
}

/// Input of [`run`].
pub(super) struct Start {
    pub(super) prepared: Prepared,
    /// Queue of requests to control.
    pub(super) asked: mpsc::Receiver<Request>,
    /// The process to take over from.
    pub(super) predecessor: Option<Predecessor>,
    pub(super) threads: Vec<JoinHandle<()>>,
}

/// Runs the process from its first configuration to the end of its drain.
pub(super) async fn run(
    mut control: Control,
    start: Start,
    mut signals: Signals,
    stop: impl Future<Output = ()>,
) -> Result<(), StartError> {
    let Start {
        prepared,
        mut asked,
        predecessor,
        threads,
    } = start;
    let passed = predecessor.as_ref().map(|it| &it.passed);
    let admin = control.start_admin(&prepared, passed)?;
    let (predecessor, state) = match predecessor {
        None => (None, None),
        Some(predecessor) => tokio::select! {
            taken = control.take_over(predecessor, &prepared.snapshot) => {
                let (predecessor, state) = taken?;
                (Some(predecessor), Some(state))
            }
            () = signals.stopped(1) => {
                tracing::info!("stopped before it took over");
                return Ok(());
            }
        },
    };
    if is_stopped_meanwhile(ask_first(&prepared.snapshot), &mut signals).await {
        return Ok(());
    }
    control.start(prepared, state).await;
    let file = control.start_services(admin);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stop = std::pin::pin!(stop);
    let mut told_to_stop = std::pin::pin!(signals.stopped(1));
    match predecessor {
        // The manager hears of this process from the one before first.
        Some(predecessor) => control.follow(predecessor, control.requests.clone())?,
        None => control.notify.ready("serving"),
    }
    signals.serving();
    let mut successor = None;
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            () = &mut told_to_stop => break,
            _ = tick.tick() => {
                control.tick();
                file.tell(control.of_file());
            }
            outcome = control.reloads.prepared() => control.reloaded(outcome).await,
            answer = control.discoveries.next() => control.hear_source(&answer),
            Some(request) = asked.recv() => match request {
                Request::Drain => break,
                request => control.hear(request),
            },
            ended = control.upgrades.ended() => {
                successor = control.upgraded(ended);
                if successor.is_some() {
                    break;
                }
            }
            signal = signals.next() => control.obey(signal),
        }
    }
    let handed_over = successor.as_ref().map(|_| drain::Way::HandedOver);
    let way = handed_over.unwrap_or(drain::Way::End);
    let farewell = successor.and_then(|successor| control.leave_to(successor));
    control
        .drain(way, &mut asked, &mut signals, &mut tick)
        .await;
    control.services.stop(SERVICES_PATIENCE).await;
    control.end(threads, farewell).await;
    Ok(())
}

impl Control {
    /// Does what is asked; a drain is for others.
    fn hear(&mut self, request: Request) {
        match request {
            Request::Reload(answer, gate) => self.want_reload(Wanted::by(answer, gate)),
            Request::FileChanged => self.want_reload(Wanted::by_file()),
            Request::StoreChanged => self.want_reload(Wanted::silently()),
            Request::Maintenance(switch, answer) => self.switch(&switch, answer),
            Request::Upgrade(wanted) => self.want_upgrade(wanted),
            Request::Predecessor(told) => self.hear_predecessor(told),
            Request::Drain => {}
        }
    }

    /// Returns the instructions for the watch on the file.
    pub(super) fn of_file(&self) -> Told {
        Told {
            seen: self.hash,
            follows: self.shared.snapshot().config.proxy.watch,
        }
    }

    pub(super) fn obey(&mut self, signal: Asked) {
        match signal {
            Asked::Reload => self.want_reload(Wanted::silently()),
            Asked::Reopen => self.reopen_logs(),
            Asked::Upgrade => self.want_upgrade(upgrade::Wanted::default()),
        }
    }

    /// Starts to serve, with the state of the process before, if there was one.
    async fn start(&mut self, prepared: Prepared, state: Option<Sections>) {
        self.follow_traces(None, &prepared.snapshot);
        if let Some(log) = prepared.log {
            self.shared.access_log.store(Arc::new(log));
        }
        if prepared.snapshot.access_log.is_some() || prepared.snapshot.tracing.is_some() {
            steps::tell(&self.shared, |_| Some(Command::ReopenLog)).await;
        }
        self.follow_metrics(prepared.metrics);
        self.board.hold(&prepared.snapshot.config);
        steps::adopt_pools(&prepared.snapshot, &mut self.schedules);
        if let Some(state) = state {
            self.take_up_state(state);
        }
        self.follow_sources(&prepared.snapshot);
        self.board.uses(prepared.texts.clone());
        self.shared_config
            .begin(&prepared.snapshot.config, prepared.texts.shared.clone());
        if prepared.texts.shared.is_some() {
            // The log began with what the file says.
            self.follow_log(&prepared.snapshot.config);
        }
        descriptors::tell(&prepared.snapshot, self.shared.workers.len());
        self.hash = prepared.hash;
        self.named_files
            .replace(&prepared.snapshot.config.named_files());
        if self.board.degraded().is_none() {
            self.keeper.keep(&prepared.snapshot, &prepared.texts);
        }
        self.gauges.closed(&prepared.snapshot);
        self.gauges.loaded(1, self.board.degraded().is_none());
        prepared.sockets.listen(self).await;
        self.shared.sockets.follow_modes(&prepared.snapshot);
        // There is nothing that could have to leave.
        drop(self.registrations.follow(&prepared.snapshot));
        self.events
            .publish("started", "proxy", json!({ "generation": 1 }));
    }

    /// Ends the workers, and writes the remaining output.
    async fn end(mut self, threads: Vec<JoinHandle<()>>, farewell: Option<Farewell>) {
        self.keeper.settle().await;
        self.keep_decisions();
        self.decisions.settle().await;
        self.maintenance.settle().await;
        let log = self.shared.access_log.load_full();
        let schedules = async {
            for mut schedule in self.schedules.into_values() {
                schedule.stop().await;
            }
        };
        let _ = tokio::time::timeout(SCHEDULES_PATIENCE, schedules).await;
        steps::tell(&self.shared, |_| Some(Command::End)).await;
        let snapshot = self.shared.snapshot();
        let joined = errand::send("end", move || {
            for thread in threads {
                let _ = thread.join();
            }
            for cache in snapshot.routes.iter().filter_map(|it| it.filters.cache()) {
                cache.end(DISK_PATIENCE);
            }
            if let Some(log) = &*log {
                log.settle(Duration::from_secs(2));
            }
        });
        if let Ok(joined) = joined {
            let _ = tokio::time::timeout(THREADS_PATIENCE, joined).await;
        }
        self.shared.sockets.forget_all();
        if let Some(farewell) = farewell {
            farewell.say().await;
        }
        tracing::info!("stopped");
    }
}

/// Maximum number of requests that wait for control.
const REQUESTS_MAX: usize = 16;
/// Maximum wait of a shutdown for a cache to write what it has.
const DISK_PATIENCE: Duration = Duration::from_secs(1);
/// Maximum wait of a shutdown for the background services.
const SERVICES_PATIENCE: Duration = Duration::from_secs(3);
/// Maximum wait of a shutdown for health checks under way.
const SCHEDULES_PATIENCE: Duration = Duration::from_secs(1);
/// Maximum wait of a shutdown for the workers, and for the last lines of the access log.
const THREADS_PATIENCE: Duration = Duration::from_secs(5);
