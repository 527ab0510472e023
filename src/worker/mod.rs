//! State of one thread: its view of the snapshot, its clock, its connections, its records.
//!
//! All of it belongs to one thread and is accessed through `Rc` and `Cell`; other threads reach a
//! worker only by [`Command`]s, and all of them read [`SharedState`]. The walk of a request stands
//! above it and uses it; `server` runs its thread.

mod admission;
mod clock;
mod command;
mod connection;
mod connections;
mod ending;
mod overload;
mod records;
mod refresh;
mod shared;
pub(crate) mod shortage;
mod sockets;
mod view;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use http::HeaderValue;
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use tokio::time::Instant;

pub(crate) use admission::{Accepted, Admission};
use clock::Clock;
pub(crate) use command::{Command, InFlight};
pub use connection::Connection;
use connections::Connections;
use records::Records;
pub use shared::SharedState;
pub(crate) use shared::WorkerPlace;
pub(crate) use sockets::{LeavingSocket, OpenSockets, SocketOffer};
pub(crate) use view::{ConnectionView, HolderView};

use crate::{
    config::value::BindAddress,
    semantics::{request_id::RequestId, via::Pseudonym},
    state::{
        Listener, LocalListener, LocalSnapshot, RequestView, Snapshot, UnderWay, heads::HeadOrigin,
    },
    telemetry::{access_log::Line, metrics::WorkerCounters, trace::TraceView},
    upstream::{local_set::LocalEndpoints, room::RoomRequest},
};

/// State of one worker.
#[derive(Debug)]
pub struct Worker {
    index: usize,
    shared: Arc<SharedState>,
    generation: Cell<u64>,
    current: RefCell<Rc<LocalSnapshot>>,
    endpoints: RefCell<Endpoints>,
    counters: WorkerCounters,
    random: RefCell<SmallRng>,
    clock: Clock,
    ticks: Cell<u64>,
    records: Records,
    connections: Connections,
    under_way: UnderWay,
    /// Number of connections that are being refused.
    refusing: Cell<usize>,
    cutting: Cell<bool>,
}

/// This worker's side of the endpoints of each pool, by its name.
type Endpoints = HashMap<Arc<str>, Rc<LocalEndpoints>>;

impl Worker {
    /// Makes the state of worker `index`, ready to use the newest snapshot.
    pub(crate) fn new(index: usize, shared: Arc<SharedState>) -> Rc<Self> {
        let counters = WorkerCounters::new(shared.metrics.worker());
        let snapshot = shared.snapshot();
        let empty = LocalSnapshot {
            worker: index,
            shared: Arc::clone(&snapshot),
            listeners: Vec::new(),
            pools: Vec::new(),
            filters: shared.registered.filters.local_states().into(),
            routes: Vec::new(),
        };
        let worker = Rc::new(Self {
            index,
            generation: Cell::new(0),
            current: RefCell::new(Rc::new(empty)),
            endpoints: RefCell::default(),
            counters,
            random: RefCell::new(SmallRng::from_rng(&mut rand::rng())),
            clock: Clock::new(),
            ticks: Cell::new(0),
            records: Records::new(shared.recent.worker(), shared.heads.worker()),
            connections: Connections::default(),
            under_way: UnderWay::default(),
            refusing: Cell::new(0),
            cutting: Cell::new(false),
            shared,
        });
        worker.refresh();
        worker
    }

    /// Waits for the connections that were cut, and closes those to endpoints.
    pub(crate) async fn wind_up(&self) {
        // What was cut writes its line when its task is gone.
        let patience = Instant::now() + LAST_LINES;
        while !self.connections.is_empty() && Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.close_upstream().await;
    }

    /// Closes the connections to endpoints, with a GOAWAY or `close_notify`.
    async fn close_upstream(&self) {
        let endpoints = std::mem::take(&mut *self.endpoints.borrow_mut());
        let mut closing: Vec<_> = endpoints.values().flat_map(|it| it.retire_all()).collect();
        let patience = Instant::now() + LAST_WORDS;
        loop {
            closing.retain(|connection| !connection.has_ended());
            if closing.is_empty() || Instant::now() >= patience {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Returns this worker's view of the newest snapshot; the same one until a reload.
    pub fn snapshot(&self) -> Rc<LocalSnapshot> {
        if self.generation.get() != self.shared.generation() {
            self.refresh();
        }
        Rc::clone(&self.current.borrow())
    }

    /// Its number among the workers.
    #[cfg(feature = "http3")]
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// Returns a uniform random number.
    pub fn draw(&self) -> u64 {
        self.random.borrow_mut().random()
    }

    /// Makes the id of a new exchange.
    pub fn new_request_id(&self) -> RequestId {
        let time = self.clock.since_epoch();
        let unix_ms = time.as_secs() * 1000 + u64::from(time.subsec_millis());
        RequestId::new(unix_ms, self.random.borrow_mut().random())
    }

    /// The wall clock, from the last tick and the time since.
    pub fn wall_time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.clock.since_epoch()
    }

    /// The time in the HTTP format.
    pub fn date(&self) -> [u8; 29] {
        self.clock.date()
    }

    /// The value of a `Date` field.
    pub fn date_value(&self) -> HeaderValue {
        self.clock.date_value()
    }

    /// Name of this process in `Via`.
    pub fn pseudonym(&self) -> &Pseudonym {
        &self.shared.pseudonym
    }

    /// The metric handles of this worker.
    pub fn metrics(&self) -> &WorkerCounters {
        &self.counters
    }

    /// Returns true if the socket at this address stays open when this process closes it: it is
    /// inherited, or passed on to another process.
    pub(crate) fn leaves_open(&self, address: &BindAddress) -> bool {
        self.shared.inherited.holds(address) || self.shared.sockets.is_passed_on(address)
    }

    /// The exchanges under way, and what they hold.
    pub(crate) fn under_way(&self) -> &UnderWay {
        &self.under_way
    }

    /// Returns true if clients are told to close their connections.
    pub fn is_draining(&self) -> bool {
        self.shared.is_draining()
    }

    /// Returns true if all that is still under way is being cut.
    pub fn is_cutting(&self) -> bool {
        self.cutting.get()
    }

    /// Returns true if there is an access log.
    pub fn has_log(&self) -> bool {
        self.records.has_log()
    }

    /// Returns true if an exchange is kept for the admin API: failed ones always; of the rest all
    /// under light load and a sample under heavy load.
    pub fn keeps(&self, failed: bool) -> bool {
        failed || self.records.samples()
    }

    /// Writes a line of the access log.
    pub fn write_line(&self, line: &Line<'_>) {
        self.records.write_line(line);
    }

    /// Records the spans of an exchange.
    pub fn write_trace(&self, line: &Line<'_>, trace: &TraceView<'_>) {
        self.records.write_trace(line, trace);
    }

    /// Keeps an exchange for the admin API.
    pub fn keep(&self, line: &Line<'_>, snapshot: &Snapshot) {
        self.records.keep(line, snapshot);
    }

    /// Returns true if the head of the request at hand is to be kept for dry runs.
    pub fn wants_head(&self) -> bool {
        self.records.wants_head()
    }

    /// Keeps the head of a request.
    pub fn keep_head(&self, view: &RequestView<'_>, origin: HeadOrigin<'_>) {
        let snapshot = self.current.borrow();
        self.records
            .keep_head(view, origin, &snapshot.shared.secrets);
    }

    /// Switches to the newest access log and queue of spans.
    pub(crate) fn take_up_log(&self) {
        let traces = self.shared.traces.load();
        self.records.take_up_traces((**traces).as_ref());
        let log = self.shared.access_log.load();
        self.records.take_up((**log).as_ref());
    }

    /// Passes the last lines on.
    pub(crate) fn close_log(&self) {
        self.records.take_up(None);
        self.records.take_up_traces(None);
    }

    /// Returns the requests in flight at the endpoints of a pool, of whatever generation.
    pub(crate) fn in_flight(&self, pool: &str) -> InFlight {
        let endpoints = self.endpoints.borrow();
        endpoints
            .get(pool)
            .map_or_else(Vec::new, |it| it.in_flight())
    }

    /// Returns the requests in flight at the endpoints of all pools that have any.
    pub(crate) fn all_in_flight(&self) -> Vec<(Arc<str>, InFlight)> {
        let endpoints = self.endpoints.borrow();
        let pools = endpoints.iter();
        let pools = pools.map(|(pool, endpoints)| (Arc::clone(pool), endpoints.in_flight()));
        pools.filter(|(_, busy)| !busy.is_empty()).collect()
    }

    /// Closes an idle connection to a pool that has no room for another worker's.
    pub(crate) fn make_room(&self, request: RoomRequest) {
        let snapshot = self.snapshot();
        let pool = snapshot.pool(&request.pool.name);
        // One that has left and come back is another.
        let same = pool.filter(|it| Arc::ptr_eq(&it.pool.shared, &request.pool));
        if let Some(pool) = same {
            pool.make_room(request);
        }
    }

    /// Returns the listener from the newest snapshot; unchanged if it was removed.
    pub(crate) fn newest(&self, listener: &Arc<Listener>) -> LocalListener {
        let snapshot = self.snapshot();
        let mut listeners = snapshot.listeners.iter();
        let found = listeners.find(|newest| newest.address == listener.address);
        found.map_or_else(|| Rc::new(Arc::clone(listener)), Rc::clone)
    }

    /// Does the work due every 200 ms: clocks, log lines, idle connections.
    pub(crate) fn tick(&self) {
        self.clock.tick();
        self.shared.workers[self.index]
            .beats
            .fetch_add(1, Ordering::Relaxed);
        self.records.tick();
        let ticks = self.ticks.get() + 1;
        self.ticks.set(ticks);
        if ticks.is_multiple_of(5) {
            let snapshot = self.snapshot();
            let now = Instant::now();
            for pool in &snapshot.pools {
                pool.sweep(now, Duration::MAX);
            }
        }
    }
}

/// Maximum wait at the end of the thread for cut connections to end.
const LAST_LINES: Duration = Duration::from_secs(1);
/// Maximum wait at the end of the thread for shared connections to endpoints to send that they
/// close.
const LAST_WORDS: Duration = Duration::from_millis(500);
