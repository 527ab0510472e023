//! A configuration that is read, checked, tested and bound beside the one in use.

use std::{collections::HashSet, path::Path, sync::Arc};

use tokio::time::Instant;

use crate::{
    config::{self, Faults, Loaded, PastTime, Rules},
    listener::{
        bind::{self, BindError, Bound},
        inherited::Inherited,
    },
    server::{Registered, Shared},
    state::{self, BindAddress, BuildError, Listener, Registry, Snapshot, Source},
};

/// Why a configuration is not taken up; one that is in use stays.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadError {
    /// The file has faults.
    #[error("{0}")]
    Configuration(Faults),
    /// It cannot be compiled, or its tests fail.
    #[error("{0}")]
    Build(#[from] BuildError),
    /// A new listener's address cannot be had.
    #[error("listener \"{0}\": {1}")]
    Bind(Arc<str>, BindError),
    /// The access log cannot be opened.
    #[error("access log: {0}")]
    AccessLog(String),
}

impl ReloadError {
    /// The error for a log: one line for each fault.
    pub(crate) fn lines(&self) -> Vec<String> {
        match self {
            Self::Configuration(faults) => faults.lines(),
            Self::Build(_) | Self::Bind(..) | Self::AccessLog(_) => {
                self.to_string().lines().map(str::to_owned).collect()
            }
        }
    }
}

/// A listener with its sockets.
pub(super) type BoundListener = (Arc<Listener>, Bound);

/// A configuration that is ready to be swapped in.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) text: Arc<str>,
    pub(crate) hash: config::ContentHash,
    /// Sockets of listeners that were not there before, one per worker.
    pub(crate) bound: Vec<BoundListener>,
}

impl Prepared {
    /// Prepares what the process starts with.
    pub(crate) fn first(
        loaded: Loaded,
        registered: &Registered,
        registry: &mut Registry,
        inherited: &Inherited,
        workers: usize,
    ) -> Result<Self, ReloadError> {
        let first = Self::beside(None, loaded, registered, registry, inherited, workers)?;
        let snapshot = &first.snapshot;
        let admin = snapshot.config.admin.as_ref();
        let admin = admin.map(|admin| state::bind_address(&admin.address));
        for address in inherited.addresses() {
            let mut wanted = snapshot
                .listeners
                .iter()
                .map(|it| &it.address)
                .chain(&admin);
            if !wanted.any(|wanted| wanted == address) {
                tracing::warn!(%address, "neither a listener nor [admin] takes the socket that was given");
            }
        }
        Ok(first)
    }

    /// Prepares what the file says now, beside what runs.
    pub(crate) fn next(
        loaded: Loaded,
        shared: &Shared,
        registry: &mut Registry,
    ) -> Result<Self, ReloadError> {
        let last = shared.snapshot();
        let (registered, inherited) = (&shared.registered, &shared.inherited);
        let workers = shared.workers.len();
        Self::beside(
            Some(&last),
            loaded,
            registered,
            registry,
            inherited,
            workers,
        )
    }

    fn beside(
        last: Option<&Snapshot>,
        loaded: Loaded,
        registered: &Registered,
        registry: &mut Registry,
        inherited: &Inherited,
        workers: usize,
    ) -> Result<Self, ReloadError> {
        log_warnings(&loaded);
        let source = Source {
            config: Arc::new(loaded.config),
            registered,
            last,
            generation: last.map_or(0, |last| last.generation) + 1,
            now: Instant::now(),
        };
        let snapshot = Arc::new(state::build(&source, registry)?);
        let bound = bind_new(&snapshot, last, inherited, workers)
            .map_err(|(name, error)| ReloadError::Bind(name, error))?;
        Ok(Self {
            snapshot,
            text: loaded.text,
            hash: loaded.hash,
            bound,
        })
    }
}

/// Reads and checks the file.
pub(crate) fn load(path: &Path, shared: &Shared) -> Result<Loaded, Faults> {
    let names: Vec<&str> = shared.registered.pickers.names().collect();
    let used = shared.snapshot().certificates();
    let rules = Rules {
        pickers: &names,
        past_time: PastTime::InUse(&used),
    };
    config::load(path, &rules)
}

fn bind_new(
    snapshot: &Snapshot,
    last: Option<&Snapshot>,
    inherited: &Inherited,
    workers: usize,
) -> Result<Vec<BoundListener>, (Arc<str>, BindError)> {
    let last = last.iter().flat_map(|last| &last.listeners);
    let known: HashSet<&BindAddress> = last.map(|listener| &listener.address).collect();
    let mut ours: Vec<&BindAddress> = known.iter().copied().collect();
    let new = snapshot
        .listeners
        .iter()
        .filter(|it| !known.contains(&it.address));
    new.map(|listener| {
        let address = &listener.address;
        let bound = match inherited.take(address, workers) {
            Some(taken) => match taken {
                Ok(sockets) => Ok(Bound {
                    sockets,
                    address: address.clone(),
                    // Who gave the socket keeps its file.
                    file: None,
                }),
                Err(source) => Err(BindError::Other {
                    address: address.clone(),
                    source,
                }),
            },
            None => bind::bind(address, listener.socket, &ours, workers),
        };
        ours.push(address);
        bound
            .map(|bound| (Arc::clone(listener), bound))
            .map_err(|error| (Arc::clone(&listener.name), error))
    })
    .collect()
}

fn log_warnings(loaded: &Loaded) {
    for line in loaded.warnings.lines() {
        tracing::warn!("{line}");
    }
}
