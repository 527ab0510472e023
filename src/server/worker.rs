//! One worker: a thread with its own runtime, sockets, connections and picker state.
//!
//! Everything here belongs to one thread and is reached through `Rc` and `Cell`;
//! other threads reach a worker by [`Command`]s only.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::IpAddr,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use ::http::HeaderValue;
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use socket2::Socket;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{Shared, task, worker_metrics::WorkerCounters};
use crate::{
    exchange::Exchange,
    http::{date::DateCache, request_id::RequestId, via::Pseudonym},
    listener::{
        Connection,
        accept::{self, Accepted, Acceptor},
    },
    proxy::RouteMetrics,
    socket::Stream,
    state::{Listener, LocalSnapshot, Snapshot},
    telemetry::{
        access_log::{Line, WorkerLog},
        metrics::{Gauge, names},
    },
    timer,
    upstream::{
        idle::LocalEndpoint, local::LocalPool, metrics::PoolMetrics, picker::AnyPicker, pool::Pool,
        shared::Padded,
    },
};

/// What control and other workers ask of a worker.
#[derive(Debug)]
pub(crate) enum Command {
    /// Accept connections from this socket.
    Listen(Arc<Listener>, Socket),
    /// Stop accepting for the listener at that address; answers when the socket is closed.
    Unlisten(crate::state::BindAddress, oneshot::Sender<()>),
    /// Serve a connection that another worker accepted.
    Adopt(Arc<Listener>, Accepted),
    /// Take up the newest snapshot now, not with the next exchange.
    Refresh,
    /// Tell clients that share connections between requests to open no more of them (GOAWAY).
    CloseShared,
    /// Close every connection when its exchange is over.
    CloseConnections,
    /// Cut what is left; answers with how many connections that were.
    Cut(oneshot::Sender<usize>),
    /// Tell about the open connections.
    Connections(oneshot::Sender<Vec<ConnectionView>>),
    /// Take up the newest access log.
    ReopenLog,
    /// End the thread.
    End,
}

/// An open connection as the admin API shows it.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct ConnectionView {
    pub(crate) id: String,
    pub(crate) listener: String,
    pub(crate) client: String,
    pub(crate) protocol: &'static str,
    pub(crate) age_ms: u64,
    pub(crate) requests: u64,
    pub(crate) in_flight: u32,
    pub(crate) closing: bool,
}

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
    clock: Cell<(SystemTime, Instant)>,
    connections: RefCell<HashMap<u64, Rc<Connection>>>,
    next_connection: Cell<u64>,
    accepting: RefCell<HashMap<crate::state::BindAddress, Accepting>>,
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

/// Counts a downstream connection; gives the count back when dropped.
#[derive(Debug)]
pub(crate) struct Admission {
    worker: Rc<Worker>,
    open: Gauge,
    limits: Arc<Padded>,
}

impl Worker {
    /// The state of worker `index`, ready to take up the newest snapshot.
    pub(super) fn new(index: usize, shared: Arc<Shared>) -> Rc<Self> {
        let counters = WorkerCounters::new(shared.metrics.worker());
        let snapshot = shared.snapshot();
        let empty = LocalSnapshot {
            shared: Arc::clone(&snapshot),
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
            clock: Cell::new((SystemTime::now(), Instant::now())),
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
        tick.abort();
        wheel.abort();
        self.log.borrow_mut().take();
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
    pub fn new_request_id(&self) -> HeaderValue {
        let since_epoch = self.wall_time().duration_since(SystemTime::UNIX_EPOCH);
        let unix_ms = since_epoch.map_or(0, |time| time.as_millis());
        let unix_ms = u64::try_from(unix_ms).unwrap_or(0);
        let id = RequestId::new(unix_ms, self.random.borrow_mut().random());
        id.to_header_value()
            .unwrap_or(HeaderValue::from_static("unknown"))
    }

    /// The wall clock, as of the last tick and the time since.
    pub fn wall_time(&self) -> SystemTime {
        let (wall, then) = self.clock.get();
        wall + then.elapsed()
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

    /// Whether clients are told to close their connections.
    pub fn is_draining(&self) -> bool {
        self.shared.is_draining()
    }

    /// Whether what is still under way is being cut.
    pub fn is_cutting(&self) -> bool {
        self.cutting.get()
    }

    /// Whether the end of an exchange is written down: access log, or the admin's list.
    pub fn remembers(&self, exchange: &Exchange) -> bool {
        self.log.borrow().is_some() || exchange.failure.is_some() || self.samples()
    }

    /// Writes a line of the access log, and keeps the exchange for the admin API.
    pub fn write_line(&self, line: &Line<'_>) {
        if let Some(log) = &mut *self.log.borrow_mut() {
            log.write(line);
        }
        self.recent.push(|| line.into());
    }

    /// Counts a connection against the limits of its listener and of the process.
    pub(crate) fn admit(self: &Rc<Self>, listener: &Listener) -> Option<Admission> {
        let snapshot = self.snapshot();
        let all = snapshot.shared.connections_max;
        if !take(&self.shared.connections, all) {
            self.counters.shed("connections");
            return None;
        }
        if !take(&listener.open, listener.connections_max) {
            self.shared.connections.give_back();
            self.counters.shed("listener_connections");
            return None;
        }
        self.place().fetch_add(1, Ordering::Relaxed);
        let metrics = self.counters.listener(&listener.name);
        metrics.connections.inc();
        metrics.connections_total.inc();
        Some(Admission {
            worker: Rc::clone(self),
            open: metrics.connections,
            limits: Arc::clone(&listener.open),
        })
    }

    /// The listener as the newest snapshot has it; as it was if it has left.
    pub(crate) fn newest(&self, listener: &Arc<Listener>) -> Arc<Listener> {
        let snapshot = self.snapshot();
        let mut listeners = snapshot.shared.listeners.iter();
        let found = listeners.find(|newest| newest.address == listener.address);
        Arc::clone(found.unwrap_or(listener))
    }

    /// A place among the connections that are being told that there is none.
    pub(crate) fn refusal(self: &Rc<Self>) -> Option<Refusal> {
        let refusing = self.refusing.get();
        (refusing < REFUSALS_MAX).then(|| {
            self.refusing.set(refusing + 1);
            Refusal(Rc::clone(self))
        })
    }

    /// Makes the record of a connection.
    pub(crate) fn open(
        self: &Rc<Self>,
        listener: &Arc<Listener>,
        peer: IpAddr,
        port: u16,
    ) -> Rc<Connection> {
        let id = self.next_connection.get();
        self.next_connection.set(id + 1);
        let connection = Connection::new(self, id, Arc::clone(listener), peer, port);
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

    /// Hands a new connection to the least busy worker when this one has well more than its
    /// share; otherwise gives it back.
    pub(crate) fn hand_on(&self, listener: &Arc<Listener>, stream: Stream) -> Option<Stream> {
        let workers = &self.shared.workers;
        if workers.len() < 2 {
            return Some(stream);
        }
        let count = |index: usize| workers[index].connections.load(Ordering::Relaxed);
        let mean = self.shared.open_connections() / workers.len();
        if count(self.index) <= mean + mean / 4 + 8 {
            return Some(stream);
        }
        let least = (0..workers.len()).min_by_key(|index| count(*index));
        let Some(least) = least.filter(|least| *least != self.index) else {
            return Some(stream);
        };
        // The place is reserved first: once the stream has left this runtime it must arrive.
        let Ok(permit) = workers[least].commands.try_reserve() else {
            return Some(stream);
        };
        let accepted = match stream {
            Stream::Tcp(stream) => stream.into_std().map(Accepted::Tcp),
            Stream::Unix(stream) => stream.into_std().map(Accepted::Unix),
        };
        match accepted {
            Ok(accepted) => permit.send(Command::Adopt(Arc::clone(listener), accepted)),
            Err(error) => tracing::warn!(%error, "cannot hand on a connection"),
        }
        None
    }

    fn obey(self: &Rc<Self>, command: Command) {
        match command {
            Command::Listen(listener, socket) => self.listen(listener, socket),
            Command::Unlisten(address, done) => self.unlisten(&address, done),
            Command::Adopt(listener, accepted) => accept::adopt(self, &listener, accepted),
            Command::Refresh => {
                let snapshot = self.snapshot();
                for connection in self.connections.borrow().values() {
                    // Closes the connections of listeners that have left.
                    let _ = connection.listener(&snapshot);
                }
            }
            Command::CloseShared => {
                for connection in self.connections.borrow().values() {
                    if connection.protocol.get() == "HTTP/2.0" {
                        connection.close();
                    }
                }
            }
            Command::CloseConnections => {
                for connection in self.connections.borrow().values() {
                    connection.close();
                }
            }
            Command::Cut(done) => {
                self.cutting.set(true);
                let connections = self.connections.borrow();
                for connection in connections.values() {
                    connection.cut();
                }
                let _ = done.send(connections.len());
            }
            Command::Connections(answer) => {
                let connections = self.connections.borrow();
                let views = connections.values().map(|it| self.view(it)).collect();
                let _ = answer.send(views);
            }
            Command::ReopenLog => self.take_up_log(),
            // Ends the loop that calls this.
            Command::End => {}
        }
    }

    fn listen(self: &Rc<Self>, listener: Arc<Listener>, socket: Socket) {
        let acceptor = match Acceptor::new(socket, &listener) {
            Ok(acceptor) => acceptor,
            Err(error) => {
                tracing::error!(listener = %listener.name, %error, "cannot listen");
                return;
            }
        };
        let address = listener.address.clone();
        let (stop, stopped) = oneshot::channel();
        let accepting = accept::run(Rc::clone(self), listener, acceptor, stopped);
        let task = task::spawn_local("accept", accepting);
        self.accepting
            .borrow_mut()
            .insert(address, Accepting { stop, task });
    }

    fn unlisten(&self, address: &crate::state::BindAddress, done: oneshot::Sender<()>) {
        let Some(accepting) = self.accepting.borrow_mut().remove(address) else {
            let _ = done.send(());
            return;
        };
        let _ = accepting.stop.send(());
        task::spawn_local("unlisten", async move {
            let _ = accepting.task.await;
            let _ = done.send(());
        });
    }

    /// Every 200 ms: clocks, log lines, idle connections.
    async fn tick(&self) {
        let mut ticks = 0_u64;
        loop {
            timer::sleep_until(Instant::now() + TICK).await;
            self.clock.set((SystemTime::now(), Instant::now()));
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

    /// Builds this worker's view of the newest snapshot; what kept its identity keeps its state.
    fn refresh(&self) {
        let shared = self.shared.snapshot();
        let old = Rc::clone(&self.current.borrow());
        let registry = self.counters.registry();
        let pools = shared
            .pools
            .iter()
            .map(|pool| self.local_pool(&old, pool))
            .collect();
        let none: Arc<str> = "".into();
        let names = shared.routes.iter().map(|route| &route.name).chain([&none]);
        let routes = names
            .map(|name| RouteMetrics::new(registry, name))
            .collect();
        self.generation.set(shared.generation);
        self.retire_endpoints(&shared);
        let names = shared.listeners.iter().map(|listener| &*listener.name);
        let names: Vec<&str> = names.collect();
        self.counters.retain_listeners(|name| names.contains(&name));
        *self.current.borrow_mut() = Rc::new(LocalSnapshot {
            shared: Arc::clone(&shared),
            pools,
            routes,
        });
        self.take_up_log();
    }

    fn local_pool(&self, old: &LocalSnapshot, pool: &Arc<Pool>) -> Rc<LocalPool> {
        // A pool that nothing changed about is the same object in both snapshots.
        let same = old
            .pools
            .iter()
            .find(|local| Arc::ptr_eq(&local.pool, pool));
        if let Some(same) = same {
            return Rc::clone(same);
        }
        let registry = self.counters.registry();
        let idle = registry.gauge(&names::IDLE_CONNECTIONS, [&pool.name]);
        let mut known = self.endpoints.borrow_mut();
        let endpoints = pool.endpoints.iter().map(|endpoint| {
            let key = (Arc::clone(&pool.name), Arc::clone(&endpoint.label));
            let local = known.entry(key).or_insert_with(|| {
                let idle = idle.clone();
                Rc::new(LocalEndpoint::new(&pool.shared, &endpoint.label, idle))
            });
            Rc::clone(local)
        });
        let build = || {
            // The names of pickers were checked when the snapshot was built.
            AnyPicker::build(&pool.picker, self.draw(), &self.shared.registered.pickers)
                .unwrap_or_else(|_| AnyPicker::Random(Default::default()))
        };
        let metrics = PoolMetrics::new(registry, pool);
        let endpoints = endpoints.collect();
        Rc::new(LocalPool::new(
            Arc::clone(pool),
            self.index,
            endpoints,
            &build,
            metrics,
        ))
    }

    fn retire_endpoints(&self, snapshot: &Snapshot) {
        self.endpoints
            .borrow_mut()
            .retain(|(pool, address), local| {
                let stays = snapshot.pool(pool).is_some_and(|pool| {
                    let mut endpoints = pool.endpoints.iter();
                    endpoints.any(|endpoint| endpoint.label == *address)
                });
                if !stays {
                    local.retire();
                }
                stays
            });
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

    fn view(&self, connection: &Connection) -> ConnectionView {
        let age = connection.since.elapsed().as_millis();
        ConnectionView {
            id: format!("{}-{}", self.index, connection.id),
            listener: connection.known_listener().name.to_string(),
            client: format!("{}:{}", connection.peer, connection.peer_port),
            protocol: connection.protocol.get(),
            age_ms: u64::try_from(age).unwrap_or(u64::MAX),
            requests: connection.requests.get(),
            in_flight: connection.in_flight.get(),
            closing: connection.is_closing(),
        }
    }

    fn unix_seconds(&self) -> u64 {
        let since_epoch = self.wall_time().duration_since(SystemTime::UNIX_EPOCH);
        since_epoch.map_or(0, |time| time.as_secs())
    }

    fn place(&self) -> &Padded {
        &self.shared.workers[self.index].connections
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let worker = &self.worker;
        self.open.dec();
        worker.place().fetch_sub(1, Ordering::Relaxed);
        worker.shared.connections.give_back();
        self.limits.give_back();
    }
}

/// A connection that is being told that there is no room.
#[derive(Debug)]
pub(crate) struct Refusal(Rc<Worker>);

impl Drop for Refusal {
    fn drop(&mut self) {
        self.0.refusing.set(self.0.refusing.get() - 1);
    }
}

fn take(count: &Padded, max: usize) -> bool {
    count.try_take(if max == 0 { usize::MAX } else { max })
}

/// How long the end of the thread waits for cut connections to be gone.
const LAST_LINES: Duration = Duration::from_secs(1);
/// Records kept for the admin API in each tick.
const KEPT_PER_TICK: u32 = 20;
/// Connections told at once that there is no room; more are closed without a word.
const REFUSALS_MAX: usize = 256;
const TICK: Duration = Duration::from_millis(200);
