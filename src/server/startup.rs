//! From a file to a running process, and the way an embedding program starts it.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
};

use tokio::{runtime, sync::mpsc};

use super::{
    Registered, Shared, Worker,
    control::{self, Control},
    last_good,
    notify::Notify,
    reload::{Prepared, ReloadError},
    shared::WorkerPlace,
    task,
    worker::Command,
};
use crate::{
    config::{self, Faults, Loaded, PastTime, Rules, schema::Workers},
    filter::Filter,
    http::via::Pseudonym,
    listener::{bind::BindError, inherited::Inherited},
    state::{BuildError, Registry},
    telemetry::{log::LogControl, metrics::Metrics},
    upstream::{picker::Picker, shared::Padded},
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
}

/// Why the process does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration has faults, and there is no earlier one to start with.
    #[error("{0}")]
    Configuration(Faults),
    /// The configuration cannot be compiled, or its tests fail.
    #[error("{0}")]
    Build(#[from] BuildError),
    /// A listener's address cannot be had.
    #[error("listener \"{0}\": {1}")]
    Bind(Arc<str>, BindError),
    /// The admin API cannot start.
    #[error("admin: {0}")]
    Admin(String),
    /// The access log cannot be opened.
    #[error("access log: {0}")]
    AccessLog(String),
    /// The system gives no thread or runtime.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

impl From<ReloadError> for StartError {
    fn from(error: ReloadError) -> Self {
        match error {
            ReloadError::Configuration(faults) => Self::Configuration(faults),
            ReloadError::Build(error) => Self::Build(error),
            ReloadError::Bind(listener, error) => Self::Bind(listener, error),
            ReloadError::AccessLog(error) => Self::AccessLog(error),
        }
    }
}

impl StartError {
    /// The error for a log: one line for each fault.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Configuration(faults) => faults.lines(),
            Self::Build(_)
            | Self::Bind(..)
            | Self::Admin(_)
            | Self::AccessLog(_)
            | Self::System(_) => self.to_string().lines().map(str::to_owned).collect(),
        }
    }

    /// Whether the configuration is at fault.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Configuration(_) | Self::Build(_) => true,
            Self::Bind(..) | Self::Admin(_) | Self::AccessLog(_) | Self::System(_) => false,
        }
    }
}

impl Server {
    /// A proxy that reads its configuration from this file, and follows it.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            registered: Registered::default(),
            signals: true,
            log: None,
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

    /// Adds a filter that every route goes through.
    #[must_use]
    pub fn with_filter(mut self, name: &str, filter: impl Filter + 'static) -> Self {
        self.registered.filters.register(name, filter);
        self
    }

    /// Leaves signals, and what passes between the process and its service manager (sockets
    /// given, states told), to the embedding program.
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

    /// Runs until the process is told to stop and has drained.
    ///
    /// # Errors
    /// Why it does not start.
    pub fn run(self) -> Result<(), StartError> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name("control")
            .build()?;
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, self.serve(std::future::pending()))
    }

    /// As [`Self::run`], inside a `LocalSet` of the caller's, until `stop` is ready as well.
    ///
    /// # Errors
    /// Why it does not start.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> Result<(), StartError> {
        let (loaded, degraded) = self.load()?;
        let workers = worker_count(&loaded);
        let metrics = Metrics::new(loaded.config.metrics.series_max as usize);
        let mut registry = Registry::new(workers);
        let (inherited, notify) = if self.signals {
            (Inherited::from_environment(), Notify::Manager)
        } else {
            (Inherited::default(), Notify::Nobody)
        };
        let registered = &self.registered;
        let prepared = Prepared::first(loaded, registered, &mut registry, &inherited, workers)?;
        let (places, receivers): (Vec<_>, Vec<_>) = (0..workers).map(|_| place()).unzip();
        let pseudonym = Pseudonym::new(&format!("{:08x}", rand::random::<u32>()))
            .map_err(|error| io::Error::other(error.to_string()))?;
        let shared = Arc::new(Shared::new(
            Arc::clone(&prepared.snapshot),
            self.registered,
            pseudonym,
            metrics,
            inherited,
            places,
        ));
        let threads = receivers
            .into_iter()
            .enumerate()
            .map(|(index, commands)| start_worker(index, &shared, commands))
            .collect::<io::Result<Vec<_>>>()?;
        let control = Control::new(
            self.path,
            Arc::clone(&shared),
            registry,
            degraded,
            self.log,
            notify,
        );
        control::run(control, prepared, self.signals, stop, threads).await
    }

    /// Reads the file; if that is faulty, the last good one that is kept on disk.
    fn load(&self) -> Result<(Loaded, Option<String>), StartError> {
        let names: Vec<&str> = self.registered.pickers.names().collect();
        let rules = Rules {
            pickers: &names,
            // An expired certificate is no reason to serve nothing at all.
            past_time: PastTime::Served,
        };
        let faults = match config::load(&self.path, &rules) {
            Ok(loaded) => return Ok((loaded, None)),
            Err(faults) => faults,
        };
        let Some(loaded) = last_good::load(&self.path, &rules) else {
            return Err(StartError::Configuration(faults));
        };
        tracing::error!(
            file = %self.path.display(),
            "the configuration has faults; starting with the last good one"
        );
        for line in faults.lines() {
            tracing::error!("{line}");
        }
        let reason = format!(
            "started with the last good configuration: {} has {} faults",
            self.path.display(),
            faults.errors()
        );
        Ok((loaded, Some(reason)))
    }
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
    };
    (place, receiver)
}

fn start_worker(
    index: usize,
    shared: &Arc<Shared>,
    commands: mpsc::Receiver<Command>,
) -> io::Result<JoinHandle<()>> {
    let shared = Arc::clone(shared);
    std::thread::Builder::new()
        .name(format!("worker-{index}"))
        .spawn(move || {
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .event_interval(EVENT_INTERVAL)
                .build_local(runtime::LocalOptions::default());
            match runtime {
                Ok(runtime) => runtime.block_on(async {
                    let worker = Worker::new(index, shared);
                    if task::caught(std::pin::pin!(worker.run(commands)))
                        .await
                        .is_err()
                    {
                        tracing::error!(index, "a worker panicked; this is a bug");
                    }
                }),
                Err(error) => tracing::error!(index, %error, "a worker has no runtime"),
            }
        })
}

/// Commands that wait for a worker; handed-on connections are the most of them.
const COMMANDS_MAX: usize = 1024;
/// Tasks run between two looks at the sockets; fewer looks are fewer system calls.
const EVENT_INTERVAL: u32 = 512;
