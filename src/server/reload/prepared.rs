//! Preparation: a configuration is read, checked, tested and bound beside the one in use.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use super::{bound::NewSockets, error::ReloadError};
#[cfg(feature = "http3")]
use crate::worker::OpenSockets;
use crate::{
    config::{self, Config, Fault, Faults, Loaded, PastTime, Rules, Secrets, SharedPart},
    server::{
        compile, errand,
        keeper::Texts,
        metrics_listener::{MetricsSocket, admin_socket},
    },
    socket::{inherited::Inherited, passed::Passed},
    state::{
        self, Lists, Registered, Registry, Snapshot, Source, TlsFiles,
        heads::{self, GateUse, Heads, Replayed},
    },
    telemetry::{
        access_log::{AccessLog, AccessLogSettings},
        metrics::{Metrics, names},
    },
    worker::SharedState,
};

/// A configuration that is ready to be swapped in.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) texts: Texts,
    pub(crate) hash: config::ContentHash,
    /// Sockets of listeners that are new.
    pub(crate) sockets: NewSockets,
    /// The access log, if it changed.
    pub(crate) log: Option<Option<AccessLog>>,
    /// The socket of the metrics listener, if its address changed.
    pub(crate) metrics: Option<Option<MetricsSocket>>,
    /// Its effect on recent requests, if a gate asks for it.
    pub(crate) replayed: Option<Replayed>,
}

/// Result of reading the file while a configuration is in use.
#[derive(Debug)]
pub(crate) enum ReloadOutcome {
    /// The content is the one in use; with the revision of its shared part.
    Unchanged(config::ContentHash, i64),
    /// It is ready to be swapped in.
    Ready(Box<Prepared>),
}

/// A preparation under way, on a thread of its own.
pub(crate) type Preparing = oneshot::Receiver<Result<ReloadOutcome, ReloadError>>;

/// Parts of the process that a preparation needs.
#[derive(Clone, Debug)]
pub(crate) struct Beside<'a> {
    pub(crate) registered: &'a Registered,
    pub(crate) inherited: &'a Inherited,
    /// Sockets of the process that this one takes over from.
    pub(crate) passed: Option<&'a Passed>,
    pub(crate) metrics: &'a Metrics,
    pub(crate) workers: usize,
    /// Sockets that the process listens on; none at its start.
    #[cfg(feature = "http3")]
    pub(crate) open: Option<&'a OpenSockets>,
    /// Recent requests that a gate judges by; none: there is no gate.
    pub(crate) heads: Option<(&'a Heads, GateUse)>,
}

impl Prepared {
    /// Prepares the first configuration of the process; blocks on the disk.
    pub(crate) fn first(
        loaded: Loaded,
        registry: &mut Registry,
        process: &Beside<'_>,
    ) -> Result<Self, ReloadError> {
        let inherited = process.inherited;
        inherited.tell();
        let first = Self::beside(None, None, loaded, registry, process)?;
        let snapshot = &first.snapshot;
        let config = &snapshot.config;
        let admin = config.admin.as_ref().map(|admin| &admin.address);
        let metrics = config.metrics.address.as_ref();
        for address in inherited.addresses() {
            let mut wanted = snapshot
                .listeners
                .iter()
                .map(|it| &it.address)
                .chain(admin)
                .chain(metrics);
            if !wanted.any(|wanted| wanted == address) {
                tracing::warn!(%address, "neither a listener nor [admin] or [metrics] takes the socket that was given");
            }
        }
        Ok(first)
    }

    /// Begins to prepare the current content of the file, beside the configuration in use. With
    /// `anew` it counts as changed in any case.
    pub(crate) fn next(
        path: PathBuf,
        shared: &Arc<SharedState>,
        registry: &Arc<Mutex<Registry>>,
        part: Option<SharedPart>,
        (anew, gate): (bool, GateUse),
    ) -> io::Result<Preparing> {
        let (shared, registry) = (Arc::clone(shared), Arc::clone(registry));
        errand::send("reload", move || {
            let last = shared.snapshot();
            let loaded = load(&path, &shared, part, gate).map_err(ReloadError::Configuration)?;
            if loaded.config == *last.config && !anew {
                let revision = loaded.shared.map_or(0, |it| it.revision);
                return Ok(ReloadOutcome::Unchanged(loaded.hash, revision));
            }
            Self::beside_last(&last, loaded, &shared, &registry, Some(gate))
        })
    }

    /// Begins to compile the configuration in use anew, whatever the file says now.
    pub(crate) fn again(
        shared: &Arc<SharedState>,
        registry: &Arc<Mutex<Registry>>,
        texts: Option<Texts>,
        hash: config::ContentHash,
    ) -> io::Result<Preparing> {
        let (shared, registry) = (Arc::clone(shared), Arc::clone(registry));
        errand::send("reload", move || {
            let last = shared.snapshot();
            let loaded = Loaded {
                config: (*last.config).clone(),
                text: texts
                    .as_ref()
                    .map_or_else(|| "".into(), |it| Arc::clone(&it.file)),
                included: texts
                    .as_ref()
                    .map_or_else(Arc::default, |it| Arc::clone(&it.included)),
                shared: texts.and_then(|it| it.shared),
                hash,
                warnings: Faults::new(Path::new(""), "".into(), Vec::new()),
            };
            Self::beside_last(&last, loaded, &shared, &registry, None)
        })
    }

    fn beside_last(
        last: &Snapshot,
        loaded: Loaded,
        shared: &SharedState,
        registry: &Mutex<Registry>,
        gate: Option<GateUse>,
    ) -> Result<ReloadOutcome, ReloadError> {
        let process = Beside {
            heads: gate.map(|gate| (&shared.heads, gate)),
            registered: &shared.registered,
            inherited: &shared.inherited,
            passed: None,
            metrics: &shared.metrics,
            workers: shared.workers.len(),
            #[cfg(feature = "http3")]
            open: Some(&shared.sockets),
        };
        let log = shared.access_log.load();
        let log = (**log).as_ref().map(AccessLog::settings);
        let mut registry = registry.lock().unwrap_or_else(PoisonError::into_inner);
        let prepared = Self::beside(Some(last), log, loaded, &mut registry, &process)?;
        Ok(ReloadOutcome::Ready(Box::new(prepared)))
    }

    fn beside(
        last: Option<&Snapshot>,
        log: Option<&AccessLogSettings>,
        loaded: Loaded,
        registry: &mut Registry,
        process: &Beside<'_>,
    ) -> Result<Self, ReloadError> {
        log_warnings(&loaded);
        let source = Source {
            config: Arc::new(loaded.config),
            registered: process.registered,
            last,
            files: TlsFiles::Read,
            lists: Lists::Read,
            generation: last.map_or(0, |last| last.generation) + 1,
            now: Instant::now(),
        };
        let snapshot = Arc::new(state::build(&source, registry)?);
        let replayed = judge(last, &snapshot, process)?;
        let sockets = NewSockets::bind(&snapshot, last, process)
            .map_err(|(name, error)| ReloadError::Bind(name, error))?;
        let log = open_log(&snapshot, log, process.metrics)?;
        let metrics = open_metrics(&snapshot.config, last, process)?;
        Ok(Self {
            metrics,
            snapshot,
            texts: Texts {
                file: loaded.text,
                included: loaded.included,
                shared: loaded.shared,
            },
            hash: loaded.hash,
            sockets,
            log,
            replayed,
        })
    }
}

/// Has the gate of the configuration in use judge the effect of the new one on recent requests.
fn judge(
    last: Option<&Snapshot>,
    new: &Snapshot,
    process: &Beside<'_>,
) -> Result<Option<Replayed>, ReloadError> {
    let (Some(last), Some((heads, gate))) = (last, process.heads) else {
        return Ok(None);
    };
    let Some(written) = &last.config.config.gate else {
        return Ok(None);
    };
    let now = Instant::now();
    let former = compile::former(heads, process.registered, now);
    let used = (last, former.as_ref());
    let replayed = heads::replay(used, new, heads, now, Secrets::Needed);
    let replayed = replayed.judged(written.routes_changed_max.get());
    match gate {
        GateUse::Applies if replayed.is_refused() => Err(ReloadError::Gate(Box::new(replayed))),
        GateUse::Applies | GateUse::Overridden => Ok(Some(replayed)),
    }
}

/// Opens the access log again if its configuration changed.
fn open_log(
    snapshot: &Snapshot,
    current: Option<&AccessLogSettings>,
    metrics: &Metrics,
) -> Result<Option<Option<AccessLog>>, ReloadError> {
    if current == snapshot.access_log.as_ref() {
        return Ok(None);
    }
    let Some(settings) = &snapshot.access_log else {
        return Ok(Some(None));
    };
    let dropped = metrics
        .control()
        .counter(&names::ACCESS_LOG_LINES_DROPPED_TOTAL, []);
    match AccessLog::open(settings.clone(), dropped) {
        Ok(log) => Ok(Some(Some(log))),
        Err(error) => Err(ReloadError::AccessLog(format!(
            "{}: {error}",
            settings.target
        ))),
    }
}

/// Opens the socket of the metrics listener if its address changed.
fn open_metrics(
    config: &Config,
    last: Option<&Snapshot>,
    process: &Beside<'_>,
) -> Result<Option<Option<MetricsSocket>>, ReloadError> {
    let wanted = config.metrics.address.as_ref();
    if last.is_some_and(|last| last.config.metrics.address.as_ref() == wanted) {
        return Ok(None);
    }
    let Some(address) = wanted else {
        return Ok(Some(None));
    };
    let socket = admin_socket(address, None, process.inherited, process.passed)
        .map_err(|error| ReloadError::Metrics(address.clone(), error))?;
    Ok(Some(Some(MetricsSocket {
        written: address.clone(),
        socket,
    })))
}

/// Reads the file, and checks it with the newest shared part, if there is one; blocks on the disk.
/// With [`GateUse::Overridden`] included files may all be gone.
fn load(
    path: &Path,
    shared: &SharedState,
    part: Option<SharedPart>,
    gate: GateUse,
) -> Result<Loaded, Faults> {
    let names: Vec<&str> = shared.registered.pickers.names().collect();
    let filters: Vec<&str> = shared.registered.filters.usable().collect();
    let last = shared.snapshot();
    let used = last.certificates();
    let before = match gate {
        GateUse::Applies => last.config.include.files(),
        GateUse::Overridden => &[],
    };
    let rules = Rules {
        pickers: &names,
        filters: &filters,
        past_time: PastTime::InUse(&used),
        before,
        ..Rules::default()
    };
    let loaded = config::load(path, &rules)?;
    if loaded.config.config.source.is_none() {
        return Ok(loaded);
    }
    let Some(part) = part else {
        let why = "config.source is new: it is used after a restart of the proxy";
        return Err(Faults::new(path, loaded.text, vec![Fault::of_file(why)]));
    };
    config::parse_with(loaded.text, Some(part), path, &rules)
}

fn log_warnings(loaded: &Loaded) {
    for line in loaded.warnings.lines() {
        tracing::warn!("{line}");
    }
}

/// Maximum time for reading the files of a configuration and opening its sockets.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
