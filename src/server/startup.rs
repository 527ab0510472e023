//! Start of the process from a file, also for embedding programs.

use std::{
    io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Duration,
};

use tokio::{runtime, sync::mpsc, time::timeout};

use super::{
    Process,
    board::Board,
    control::{self, Control},
    decisions, descriptors, errand, faults, last_good, maintenance,
    notify::Notify,
    reload::{Beside, Prepared, ReloadError},
    rollouts,
    shared_config::{self, Store},
    start_error::StartError,
    upgrade::predecessor::Predecessor,
    workers,
};
use crate::{
    config::{self, Loaded, PastTime, Rules, schema::Workers},
    filter::{Filter, Runs},
    semantics::via::Pseudonym,
    socket::inherited::Inherited,
    state::{Registered, Registry},
    telemetry::{
        log::LogControl,
        metrics::{Metrics, SeriesLimits},
    },
    upstream::{picker::Picker, shared::Padded},
    worker::{Command, SharedState, WorkerPlace},
};

/// A proxy that is about to run.
///
/// ```no_run
/// # fn main() -> Result<(), sluicegate::server::StartError> {
/// sluicegate::server::Server::new("proxy.toml").run()
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    registered: Registered,
    signals: bool,
    log: Option<LogControl>,
    process: Option<Process>,
}

impl Server {
    /// Makes a proxy that reads its configuration from this file, and follows its edits.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            registered: Registered::default(),
            signals: true,
            log: None,
            process: None,
        }
    }

    /// Adds a picker that pools can name. The factory makes one per worker, from a seed.
    #[must_use]
    pub fn with_picker<F>(mut self, name: &str, factory: F) -> Self
    where
        F: Fn(u64) -> Box<dyn Picker> + Send + Sync + 'static,
    {
        self.registered.pickers.register(name, factory);
        self
    }

    /// Adds a filter that every route goes through. Several go in the order in which they are
    /// added, before those that routes choose.
    #[must_use]
    pub fn with_filter(self, name: &str, filter: impl Filter + 'static) -> Self {
        self.register(name, Runs::Everywhere, filter)
    }

    /// Adds a filter for the routes that name it in `use`, in the order in which they do.
    #[must_use]
    pub fn with_route_filter(self, name: &str, filter: impl Filter + 'static) -> Self {
        self.register(name, Runs::WhereUsed, filter)
    }

    fn register(mut self, name: &str, runs: Runs, filter: impl Filter + 'static) -> Self {
        self.registered.filters.register(name, runs, filter);
        self
    }

    /// Leaves signals, and the communication with the service manager (inherited sockets, state
    /// messages), to the embedding program.
    #[must_use]
    pub fn without_signals(mut self) -> Self {
        self.signals = false;
        self
    }

    /// Lets reloads change the level of the log.
    #[must_use]
    pub fn with_log(mut self, control: LogControl) -> Self {
        self.log = Some(control);
        self
    }

    /// Uses signals and sockets that the process took before.
    #[must_use]
    pub fn in_process(mut self, process: Process) -> Self {
        self.process = Some(process);
        self
    }

    /// Runs until the process is told to stop and has drained.
    ///
    /// # Errors
    /// The reason why it does not start.
    pub fn run(mut self) -> Result<(), StartError> {
        if self.signals && self.process.is_none() {
            self.process = Some(Process::take()?);
        }
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name("control")
            .build()?;
        let local = tokio::task::LocalSet::new();
        let ended = local.block_on(&runtime, self.serve(std::future::pending()));
        drop(local);
        // What still waits for a disk or a resolver is not waited for.
        runtime.shutdown_background();
        ended
    }

    /// Runs as [`Self::run`], inside a `LocalSet` of the caller's, until `stop` is ready as well.
    ///
    /// # Errors
    /// The reason why it does not start.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> Result<(), StartError> {
        let process = match self.process {
            Some(process) => process,
            None if self.signals => Process::take()?,
            None => Process::embedded(),
        };
        let notify = if process.program.is_some() {
            Notify::from_environment(process.predecessor.is_some())
        } else {
            Notify::default()
        };
        let (path, registered) = (self.path.clone(), self.registered.clone());
        let (given, link) = (process.inherited, process.predecessor);
        let first = errand::send("start", move || {
            First::prepare(&path, &registered, given, link)
        })?;
        let first = tokio::select! {
            first = timeout(START_PATIENCE, first) => match first {
                Ok(Ok(first)) => first?,
                Ok(Err(_)) => return Err(ReloadError::Panicked.into()),
                Err(_) => return Err(ReloadError::TooSlow.into()),
            },
            () = process.signals.stopped(1) => {
                tracing::info!("stopped before the start was complete");
                return Ok(());
            }
        };
        let (places, receivers): (Vec<_>, Vec<_>) = (0..first.workers).map(|_| place()).unzip();
        let pseudonym = Pseudonym::new(&format!("{:08x}", rand::random::<u32>()))
            .map_err(|error| io::Error::other(error.to_string()))?;
        let shared = Arc::new(SharedState::new(
            Arc::clone(&first.prepared.snapshot),
            self.registered,
            pseudonym,
            first.metrics,
            Arc::new(first.inherited),
            places,
            descriptors::connections_max(first.workers),
        ));
        let threads = workers::start(&shared, receivers).await?;
        let (control, asked) = Control::new(
            self.path,
            Arc::clone(&shared),
            first.registry,
            Board::new(first.degraded, first.predecessor.as_ref()),
            self.log,
            notify,
            process.program,
        );
        let start = control::Start {
            asked,
            prepared: first.prepared,
            predecessor: first.predecessor,
            threads,
        };
        control::run(control, start, process.signals, stop).await
    }
}

/// Configuration and sockets that the process starts with.
struct First {
    prepared: Prepared,
    registry: Registry,
    metrics: Metrics,
    workers: usize,
    /// Sockets that were given to the process, or to one before it.
    inherited: Inherited,
    /// The process that it takes over from.
    predecessor: Option<Predecessor>,
    /// Reason why it is not what the file says.
    degraded: Option<String>,
}

impl First {
    /// Reads and prepares the file; blocks on the disk.
    fn prepare(
        path: &Path,
        registered: &Registered,
        mut inherited: Inherited,
        link: Option<UnixStream>,
    ) -> Result<Self, StartError> {
        let predecessor = link.map(|link| Predecessor::receive(link, &mut inherited));
        let predecessor = predecessor.transpose().map_err(StartError::TakeOver)?;
        let (loaded, degraded) = load(path, registered, predecessor.is_some())?;
        let workers = worker_count(&loaded);
        let metrics = Metrics::with(SeriesLimits {
            series_max: loaded.config.metrics.series_max as usize,
            endpoints_max: loaded.config.metrics.per_endpoint as usize,
        });
        let mut registry = Registry::new(workers);
        maintenance::restore(&registry, loaded.config.proxy.state_dir.as_deref(), path);
        let process = Beside {
            // What it serves is no edit of anything.
            heads: None,
            registered,
            inherited: &inherited,
            passed: predecessor.as_ref().map(|it| &it.passed),
            metrics: &metrics,
            workers,
            #[cfg(feature = "http3")]
            open: None,
        };
        let prepared = Prepared::first(loaded, &mut registry, &process)?;
        rollouts::restore(&prepared.snapshot, path);
        if predecessor.is_none() {
            decisions::restore(&prepared.snapshot, path);
        }
        Ok(Self {
            prepared,
            registry,
            metrics,
            workers,
            inherited,
            predecessor,
            degraded,
        })
    }
}

/// Reads the file; if it has faults, the last good one kept on disk, unless `upgrading`: the
/// predecessor still serves then.
fn load(
    path: &Path,
    registered: &Registered,
    upgrading: bool,
) -> Result<(Loaded, Option<String>), StartError> {
    let names: Vec<&str> = registered.pickers.names().collect();
    let filters: Vec<&str> = registered.filters.usable().collect();
    let rules = Rules {
        pickers: &names,
        filters: &filters,
        // An expired certificate is no reason to serve nothing at all.
        past_time: PastTime::Served,
        ..Rules::default()
    };
    let faults = match config::load(path, &rules) {
        Ok(loaded) => {
            return match Store::of(&loaded.config) {
                None => Ok((loaded, None)),
                Some(store) => shared_config::first(&store, loaded, path, &rules, upgrading)
                    .map_err(StartError::Configuration),
            };
        }
        Err(faults) => faults,
    };
    let last_good = (!upgrading)
        .then(|| last_good::load(path, &rules))
        .flatten();
    let Some(loaded) = last_good else {
        return Err(StartError::Configuration(faults));
    };
    tracing::error!(
        file = %path.display(),
        "the configuration has errors; starting with the last good one"
    );
    faults::log(&faults);
    let reason = format!(
        "started with the last good configuration: {} has {}",
        path.display(),
        match faults.errors() {
            1 => "1 error".to_owned(),
            count => format!("{count} errors"),
        }
    );
    Ok((loaded, Some(reason)))
}

fn worker_count(loaded: &Loaded) -> usize {
    match loaded.config.proxy.workers {
        Workers::Count(count) => usize::from(count.get()),
        Workers::Auto => std::thread::available_parallelism().map_or(1, usize::from),
    }
}

fn place() -> (WorkerPlace, mpsc::Receiver<Command>) {
    let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
    let place = WorkerPlace {
        commands,
        connections: Padded::default(),
        beats: AtomicU64::new(0),
        ended: AtomicBool::new(false),
    };
    (place, receiver)
}

/// Maximum number of commands that wait for a worker; most of them are handed-on connections.
const COMMANDS_MAX: usize = 1024;
/// Maximum time for reading the first configuration and opening its sockets.
const START_PATIENCE: Duration = Duration::from_secs(30);
