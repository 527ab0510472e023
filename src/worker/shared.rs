//! State shared by all threads of the process.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering},
};

use arc_swap::ArcSwap;
use tokio::sync::mpsc;

use super::{Command, OpenSockets};
use crate::{
    resilience::Pressure,
    semantics::via::Pseudonym,
    socket::inherited::Inherited,
    state::{Registered, Snapshot, heads::Heads},
    telemetry::{access_log::AccessLog, metrics::Metrics, recent::Recent, trace::TraceSpool},
    upstream::shared::Padded,
};

/// State shared by control and workers. On the request path it is only read.
#[derive(Debug)]
pub struct SharedState {
    snapshot: ArcSwap<Snapshot>,
    /// Generation of `snapshot`; workers compare it per exchange.
    generation: AtomicU64,
    /// True if answers tell clients to close their connections.
    pub(crate) draining: AtomicBool,
    /// Name of this process in `Via`.
    pub(crate) pseudonym: Pseudonym,
    /// Parts that an embedding program added.
    pub(crate) registered: Registered,
    /// The metrics of the process.
    pub metrics: Metrics,
    /// The open access log.
    pub(crate) access_log: ArcSwap<Option<AccessLog>>,
    /// The queue of spans, while tracing is on.
    pub(crate) traces: ArcSwap<Option<TraceSpool>>,
    /// Inherited sockets of the process.
    pub(crate) inherited: Arc<Inherited>,
    /// Sockets that the process has opened and listens on.
    pub(crate) sockets: OpenSockets,
    /// The latest exchanges, for the admin API.
    pub recent: Recent,
    /// Recent request heads, for the dry run of a configuration.
    pub heads: Heads,
    /// One entry per worker: its channels, and its load.
    pub(crate) workers: Vec<WorkerPlace>,
    /// Number of open downstream connections, over all workers.
    pub(crate) connections: Padded,
    /// Number of connections that the process has file descriptors for.
    pub(crate) connections_max: usize,
    /// Pressure on memory; written by control.
    pressure: AtomicU8,
}

/// Channels to a worker, for the others.
#[derive(Debug)]
pub(crate) struct WorkerPlace {
    pub(crate) commands: mpsc::Sender<Command>,
    /// Number of downstream connections that it serves.
    pub(crate) connections: Padded,
    /// Heartbeats, one every 200 ms.
    pub(crate) beats: AtomicU64,
    /// True if its thread has ended.
    pub(crate) ended: AtomicBool,
}

impl SharedState {
    pub(crate) fn new(
        snapshot: Arc<Snapshot>,
        registered: Registered,
        pseudonym: Pseudonym,
        metrics: Metrics,
        inherited: Arc<Inherited>,
        workers: Vec<WorkerPlace>,
        connections_max: usize,
    ) -> Self {
        Self {
            generation: AtomicU64::new(snapshot.generation),
            snapshot: ArcSwap::new(snapshot),
            draining: AtomicBool::new(false),
            pseudonym,
            registered,
            metrics,
            access_log: ArcSwap::from_pointee(None),
            traces: ArcSwap::from_pointee(None),
            inherited,
            sockets: OpenSockets::default(),
            recent: Recent::new(1000),
            heads: Heads::new(workers.len()),
            connections_max,
            workers,
            connections: Padded::default(),
            pressure: AtomicU8::new(0),
        }
    }

    /// Returns the newest snapshot. Changes a reference count that all threads share: not for every
    /// exchange.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// The generation of the newest snapshot.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Makes `snapshot` the one that every new exchange uses.
    pub(crate) fn swap(&self, snapshot: Arc<Snapshot>) {
        let generation = snapshot.generation;
        self.snapshot.store(snapshot);
        self.generation.store(generation, Ordering::Release);
    }

    /// Pressure on the memory of the process.
    pub(crate) fn pressure(&self) -> Pressure {
        self.pressure.load(Ordering::Relaxed).into()
    }

    pub(crate) fn set_pressure(&self, pressure: Pressure) {
        self.pressure.store(pressure as u8, Ordering::Relaxed);
    }

    /// Returns true if answers tell clients to close their connections.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Returns the number of open connections, which the workers count.
    pub fn open_connections(&self) -> usize {
        let count = |place: &WorkerPlace| -> usize {
            let connections: &AtomicUsize = &place.connections;
            connections.load(Ordering::Relaxed)
        };
        self.workers.iter().map(count).sum()
    }
}
