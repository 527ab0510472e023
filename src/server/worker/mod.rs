//! One worker: a thread with its own runtime, sockets, connections and picker state.
//!
//! Everything here belongs to one thread and is reached through `Rc` and `Cell`;
//! other threads reach a worker by [`Command`]s only.

mod admission;
mod command;
mod refresh;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::SocketAddr,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use ::http::HeaderValue;
use foldhash::fast::RandomState;
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

pub(crate) use admission::Admission;
pub(crate) use command::{Command, ConnectionView};

use super::Shared;
use crate::{
    exchange::Exchange,
    http::{date::DateCache, request_id::RequestId, via::Pseudonym},
    listener::Connection,
    socket::{self, BindAddress},
    state::{Listener, LocalListener, LocalSnapshot},
    task,
    telemetry::{
        access_log::{Line, WorkerLog},
        metrics::WorkerCounters,
        recent::RecentExchange,
    },
    timer,
    upstream::idle::LocalEndpoint,
};

/// The state of one worker.
#[derive(Debug)]
pub struct Worker {
    index: usize,
    shared: Arc<Shared>,
    generation: Cell<u64>,
    current: RefCell<Rc<LocalSnapshot>>,
    endpoints: RefCell<Endpoints>,
    counters: WorkerCounters,
    log: RefCell<Option<WorkerLog>>,
    random: RefCell<SmallRng>,
    date: RefCell<DateCache>,
    /// The wall clock and the runtime's, read together: a request reads only the latter.
    clock: Cell<(Duration, Instant)>,
    connections: RefCell<HashMap<u64, Rc<Connection>, RandomState>>,
    next_connection: Cell<u64>,
    accepting: RefCell<HashMap<BindAddress, Accepting>>,
    recent: Arc<crate::telemetry::recent::RecentRing>,
    cutting: Cell<bool>,
    refusing: Cell<usize>,
    /// Records kept for the admin API since the last tick.
    kept: Cell<u32>,
}

/// This worker's side of every endpoint, by pool and address.
type Endpoints = HashMap<(Arc<str>, Arc<str>), Rc<LocalEndpoint>>;

#[derive(Debug)]
struct Accepting {
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Worker {
    /// The state of worker `index`, ready to take up the newest snapshot.
    pub(super) fn new(index: usize, shared: Arc<Shared>) -> Rc<Self> {
        let counters = WorkerCounters::new(shared.metrics.worker());
        let snapshot = shared.snapshot();
        let empty = LocalSnapshot {
            shared: Arc::clone(&snapshot),
            listeners: Vec::new(),
            pools: Vec::new(),
            routes: Vec::new(),
        };
        let worker = Rc::new(Self {
            index,
            generation: Cell::new(0),
            current: RefCell::new(Rc::new(empty)),
            endpoints: RefCell::default(),
            counters,
            log: RefCell::new(None),
            random: RefCell::new(SmallRng::from_rng(&mut rand::rng())),
            date: RefCell::new(DateCache::new()),
            clock: Cell::new(clocks()),
            connections: RefCell::default(),
            next_connection: Cell::new(0),
            accepting: RefCell::default(),
            recent: shared.recent.worker(),
            cutting: Cell::new(false),
            refusing: Cell::new(0),
            kept: Cell::new(0),
            shared,
        });
        worker.refresh();
        worker
    }

    /// Runs the worker until it is told to stop by the end of its commands.
    pub(super) async fn run(self: Rc<Self>, mut commands: mpsc::Receiver<Command>) {
        let wheel = task::spawn_local("timer wheel", timer::turn());
        let bursts = task::spawn_local("send bursts", socket::bursts());
        let tick = {
            let worker = Rc::clone(&self);
            task::spawn_local("worker tick", async move { worker.tick().await })
        };
        while let Some(command) = commands.recv().await {
            if matches!(command, Command::End) {
                break;
            }
            self.obey(command);
        }
        // What was cut writes its line when its task is gone.
        let patience = Instant::now() + LAST_LINES;
        while !self.connections.borrow().is_empty() && Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.close_upstream().await;
        tick.abort();
        wheel.abort();
        bursts.abort();
        self.log.borrow_mut().take();
    }

    /// Closes what is left open to endpoints, so that each of them is told.
    async fn close_upstream(&self) {
        let endpoints = std::mem::take(&mut *self.endpoints.borrow_mut());
        let mut closing: Vec<_> = endpoints.values().flat_map(|it| it.retire()).collect();
        let patience = Instant::now() + LAST_WORDS;
        loop {
            closing.retain(|connection| !connection.has_ended());
            if closing.is_empty() || Instant::now() >= patience {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// This worker's view of the newest snapshot; the same one until a reload.
    pub fn snapshot(&self) -> Rc<LocalSnapshot> {
        if self.generation.get() != self.shared.generation() {
            self.refresh();
        }
        Rc::clone(&self.current.borrow())
    }

    /// A uniform random number.
    pub fn draw(&self) -> u64 {
        self.random.borrow_mut().random()
    }

    /// The identity of a new exchange.
    pub fn new_request_id(&self) -> RequestId {
        let time = self.since_epoch();
        let unix_ms = time.as_secs() * 1000 + u64::from(time.subsec_millis());
        RequestId::new(unix_ms, self.random.borrow_mut().random())
    }

    /// The wall clock, as of the last tick and the time since.
    pub fn wall_time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.since_epoch()
    }

    fn since_epoch(&self) -> Duration {
        let (unix, then) = self.clock.get();
        unix + timer::recent().saturating_duration_since(then)
    }

    /// The time as HTTP writes it.
    pub fn date(&self) -> [u8; 29] {
        *self.date.borrow_mut().text(self.unix_seconds())
    }

    /// The value of a `Date` field.
    pub fn date_value(&self) -> HeaderValue {
        self.date.borrow_mut().header_value(self.unix_seconds())
    }

    /// The name of this process in `Via`.
    pub fn pseudonym(&self) -> &Pseudonym {
        &self.shared.pseudonym
    }

    /// The metric handles of this worker.
    pub fn metrics(&self) -> &WorkerCounters {
        &self.counters
    }

    /// Whether the socket at this address was given to the process, and outlives it.
    pub(crate) fn inherits(&self, address: &BindAddress) -> bool {
        self.shared.inherited.holds(address)
    }

    /// Whether clients are told to close their connections.
    pub fn is_draining(&self) -> bool {
        self.shared.is_draining()
    }

    /// Whether what is still under way is being cut.
    pub fn is_cutting(&self) -> bool {
        self.cutting.get()
    }

    /// Whether there is an access log.
    pub fn has_log(&self) -> bool {
        self.log.borrow().is_some()
    }

    /// Whether an exchange is kept for the admin API: what failed, and of the rest all under
    /// light load and a sample under heavy load.
    pub fn keeps(&self, exchange: &Exchange) -> bool {
        exchange.failure.is_some() || self.samples()
    }

    /// Writes a line of the access log.
    pub fn write_line(&self, line: &Line<'_>) {
        if let Some(log) = &mut *self.log.borrow_mut() {
            log.write(line);
        }
    }

    /// Keeps an exchange for the admin API.
    pub fn keep(&self, line: &Line<'_>, generation: u64) {
        self.recent.push(|| RecentExchange {
            generation,
            ..line.into()
        });
    }

    /// The listener as the newest snapshot has it; as it was if it has left.
    pub(crate) fn newest(&self, listener: &Arc<Listener>) -> LocalListener {
        let snapshot = self.snapshot();
        let mut listeners = snapshot.listeners.iter();
        let found = listeners.find(|newest| newest.address == listener.address);
        found.map_or_else(|| Rc::new(Arc::clone(listener)), Rc::clone)
    }

    /// Makes the record of a connection.
    pub(crate) fn open(
        self: &Rc<Self>,
        listener: &LocalListener,
        peer: SocketAddr,
        local: Option<SocketAddr>,
    ) -> Rc<Connection> {
        let id = self.next_connection.get();
        self.next_connection.set(id + 1);
        let connection = Connection::new(self, id, Rc::clone(listener), peer, local);
        let connection = Rc::new(connection);
        self.connections
            .borrow_mut()
            .insert(id, Rc::clone(&connection));
        connection
    }

    /// Forgets a connection that has closed.
    pub(crate) fn closed(&self, connection: &Connection) {
        self.connections.borrow_mut().remove(&connection.id);
    }

    /// Every 200 ms: clocks, log lines, idle connections.
    async fn tick(&self) {
        let mut ticks = 0_u64;
        loop {
            timer::sleep_until(Instant::now() + TICK).await;
            self.clock.set(clocks());
            self.shared.workers[self.index]
                .beats
                .fetch_add(1, Ordering::Relaxed);
            self.kept.set(0);
            if let Some(log) = &mut *self.log.borrow_mut() {
                log.flush();
            }
            ticks += 1;
            if ticks.is_multiple_of(5) {
                let snapshot = self.snapshot();
                let now = Instant::now();
                for pool in &snapshot.pools {
                    pool.sweep(now);
                }
            }
        }
    }

    fn take_up_log(&self) {
        let log = self.shared.access_log.load();
        *self.log.borrow_mut() = (**log).as_ref().map(|log| log.worker());
    }

    /// The first exchanges of each tick are kept for the admin API: all of them under light
    /// load, and a bounded price under heavy load.
    fn samples(&self) -> bool {
        let kept = self.kept.get();
        self.kept.set(kept.saturating_add(1));
        kept < KEPT_PER_TICK
    }

    fn unix_seconds(&self) -> u64 {
        self.since_epoch().as_secs()
    }
}

/// The wall clock, since the Unix epoch, and the runtime's.
fn clocks() -> (Duration, Instant) {
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    (unix.unwrap_or_default(), timer::now())
}

/// How long the end of the thread waits for cut connections to be gone.
const LAST_LINES: Duration = Duration::from_secs(1);
/// How long it waits for shared connections to endpoints to say that they close.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Records kept for the admin API in each tick.
const KEPT_PER_TICK: u32 = 20;
const TICK: Duration = Duration::from_millis(200);
