//! State of one worker about one endpoint: idle connections and load.
//!
//! State by identity (pool + address): it outlives reloads that keep the endpoint, and is dropped,
//! with its connections, when the endpoint is removed.

use std::{
    cell::{Cell, RefCell},
    fmt, io,
    rc::{Rc, Weak},
    sync::Arc,
    time::Duration,
};

use http::Version;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::{
    endpoint::Endpoint,
    endpoint_metrics::EndpointMetrics,
    freed::Limit,
    health::{EndpointHealth, Observed},
    opening::Opening,
    picker::Load,
    pinned::Slot,
    secure,
    shared::{EndpointShared, PoolShared},
    transport::{Closing, Http1Connection, Http2Connection},
};
use crate::{
    failure::Failure,
    memory,
    telemetry::metrics::{Gauge, Histogram},
    timer,
};

/// One worker's side of an endpoint.
///
/// Fields are in the order of use: those that a request over HTTP/1.1 needs are in one cache line
/// with the reference counts. With many endpoints it is cold when the endpoint's turn comes.
#[repr(C)]
pub struct LocalEndpoint {
    /// Idle connections; the last used come last.
    idle: Cell<IdleList>,
    idle_gauge: Gauge,
    pool: Arc<PoolShared>,
    described: RefCell<Rc<Described>>,
    retired: Cell<bool>,
    agreed: Cell<Option<Agreed>>,
    /// True if the last answer was in HTTP/1.0; none before the first.
    http10: Cell<Option<bool>>,
    /// Metrics of it.
    pub metrics: Rc<EndpointMetrics>,
    /// Load of it for the pickers.
    pub load: Load,
    /// State shared by all workers.
    pub shared: Arc<EndpointShared>,
    http2: RefCell<Vec<Rc<Http2Connection>>>,
    /// Held by the waiters: its outcome holds the connection open.
    opening: RefCell<Weak<Opening>>,
    /// Connections that belong to one client each.
    pinned: RefCell<Vec<Weak<Slot>>>,
    /// Its address as text, for the log.
    label: Arc<str>,
}

/// An endpoint as described by the newest set, as one worker uses it. Attempts hold it, so that
/// each is reported as the endpoint was then.
#[derive(Debug)]
pub struct Described {
    /// Name of the pool.
    pub pool: Arc<str>,
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// Its health, with the tally of its outcomes.
    pub health: Arc<EndpointHealth>,
    /// Durations of attempts, together with others of its version.
    pub durations: Rc<Histogram>,
    /// Metrics of the endpoint.
    pub metrics: Rc<EndpointMetrics>,
}

impl Described {
    /// Counts the duration of an attempt.
    pub fn observe(&self, took: Duration) {
        self.metrics.observe(took, &self.durations);
    }
}

/// A list that holds one connection in place; memory for more is allocated when needed.
type IdleList = SmallVec<[Http1Connection; 1]>;

/// Protocol agreed on in the last handshake with an endpoint, where there was a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreed {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

impl LocalEndpoint {
    /// Makes the state of an endpoint that is new to this worker.
    pub fn new(pool: &Arc<PoolShared>, described: Rc<Described>, idle_gauge: Gauge) -> Self {
        Self {
            metrics: Rc::clone(&described.metrics),
            idle: Cell::default(),
            idle_gauge,
            pool: Arc::clone(pool),
            retired: Cell::new(false),
            agreed: Cell::new(None),
            http10: Cell::new(None),
            load: Load::default(),
            shared: pool.endpoint(&described.endpoint.label),
            http2: RefCell::default(),
            opening: RefCell::default(),
            pinned: RefCell::default(),
            label: Arc::clone(&described.endpoint.label),
            described: RefCell::new(described),
        }
    }

    /// Its number in the pool; unique among the current endpoints.
    pub fn number(&self) -> usize {
        self.shared.slot
    }

    /// Returns the endpoint as described by the newest set.
    pub fn described(&self) -> Rc<Described> {
        Rc::clone(&self.described.borrow())
    }

    /// Prefetches the description into the cache.
    pub(super) fn prefetch_described(&self) {
        memory::prefetch(&**self.described.borrow());
    }

    /// Replaces the description.
    pub(super) fn describe(&self, described: Rc<Described>) {
        *self.described.borrow_mut() = described;
    }

    /// Reports the outcome of a request to passive health.
    pub(super) fn observe(&self, worker: usize, outcome: Observed, now: Instant) {
        let described = self.described.borrow();
        let health = &self.pool.health;
        health.observe(&described.health, worker, outcome, now);
    }

    /// Calls `look` with the idle connection used last, if there is one.
    pub fn look_at_idle(&self, look: impl FnOnce(&Http1Connection)) {
        self.with_idle(|idle| idle.last().map(look));
    }

    /// Takes the idle connection used last, if one is still alive and was made with the same TLS
    /// settings.
    pub fn take_idle(
        &self,
        now: Instant,
        security: u64,
        idle_timeout: Duration,
        lifetime: Duration,
    ) -> Option<Http1Connection> {
        loop {
            let connection = self.with_idle(IdleList::pop)?;
            self.idle_gauge.add(-1);
            let in_time = connection.is_in_time(now, idle_timeout, lifetime);
            let same = connection.security() == security;
            if in_time && same && connection.is_usable() {
                return Some(connection);
            }
            connection.say_goodbye();
        }
    }

    /// Takes a connection back after a clean exchange.
    pub fn give_back(&self, connection: Http1Connection) {
        if self.retired.get() {
            return connection.say_goodbye();
        }
        self.idle_gauge.add(1);
        connection.begin_idle(timer::recent());
        self.with_idle(|idle| idle.push(connection));
        self.pool.tell_freed(Limit::Connections);
    }

    /// Gauge of its idle connections.
    pub(super) const fn idle_gauge(&self) -> &Gauge {
        &self.idle_gauge
    }

    /// Remembers a connection that waits for its client; false if none may wait here.
    pub(super) fn know_pinned(&self, slot: &Rc<Slot>) -> bool {
        if self.retired.get() {
            return false;
        }
        let mut pinned = self.pinned.borrow_mut();
        pinned.retain(|slot| slot.strong_count() > 0);
        pinned.push(Rc::downgrade(slot));
        drop(pinned);
        self.pool.tell_freed(Limit::Connections);
        true
    }

    /// Closes one that waits for its client; false if there is none.
    pub(super) fn close_pinned(&self) -> bool {
        let mut pinned = self.pinned.borrow_mut();
        while !pinned.is_empty() {
            let oldest = pinned.remove(0).upgrade();
            if oldest.is_some_and(|slot| slot.close()) {
                return true;
            }
        }
        false
    }

    /// Returns the time since when the least recently used idle connection waits.
    pub(super) fn oldest_idle(&self) -> Option<Instant> {
        let own = self.oldest_own();
        let shared = self.oldest_shared().map(|(since, _)| since);
        own.into_iter().chain(shared).min()
    }

    /// Calls `tell` with the time since when each idle connection waits.
    pub(super) fn each_idle(&self, mut tell: impl FnMut(Instant)) {
        self.with_idle(|idle| {
            let since = idle.iter().map(Http1Connection::idle_since);
            since.for_each(&mut tell);
        });
        let shared = self.http2.borrow();
        let since = shared.iter().filter_map(|shared| shared.idle_since());
        since.for_each(tell);
    }

    /// Closes one idle connection so that another can be opened; false if there is none.
    pub(super) fn close_oldest(&self) -> bool {
        let own = self.oldest_own();
        if let Some((since, place)) = self.oldest_shared()
            && own.is_none_or(|own| since < own)
        {
            self.http2.borrow_mut().remove(place).give_up();
            return true;
        }
        let oldest = self.with_idle(|idle| (!idle.is_empty()).then(|| idle.remove(0)));
        let Some(oldest) = oldest else {
            return false;
        };
        self.idle_gauge.add(-1);
        oldest.say_goodbye();
        true
    }

    fn oldest_own(&self) -> Option<Instant> {
        self.with_idle(|idle| idle.first().map(Http1Connection::idle_since))
    }

    /// Returns the HTTP/2 connection that has been idle longest: the time since when, and its
    /// place.
    fn oldest_shared(&self) -> Option<(Instant, usize)> {
        let shared = self.http2.borrow();
        let idle = shared.iter().enumerate();
        let idle = idle.filter_map(|(place, shared)| Some((shared.idle_since()?, place)));
        idle.min()
    }

    /// Closes connections that have been idle or open too long, or were closed by the endpoint.
    pub fn sweep(&self, now: Instant, idle_timeout: Duration, lifetime: Duration) {
        let closed = self.with_idle(|idle| {
            let before = idle.len();
            idle.retain(|connection| {
                let keep =
                    connection.is_in_time(now, idle_timeout, lifetime) && connection.is_usable();
                if !keep {
                    connection.say_goodbye();
                } else if now > connection.idle_since() + MEMORY_KEPT {
                    connection.release_memory();
                }
                keep
            });
            before - idle.len()
        });
        if closed > 0 {
            self.idle_gauge.add(-i64::try_from(closed).unwrap_or(0));
        }
        self.pinned.borrow_mut().retain(|slot| {
            let slot = slot.upgrade();
            slot.is_some_and(|slot| slot.has_usable(now, idle_timeout, lifetime))
        });
        self.http2.borrow_mut().retain(|connection| {
            let spent = connection.is_spent(now, idle_timeout, lifetime);
            if spent {
                connection.release();
            }
            !spent
        });
    }

    /// Returns an HTTP/2 connection with room for one more stream, made with the same TLS settings.
    pub fn http2(
        &self,
        now: Instant,
        security: u64,
        lifetime: Duration,
    ) -> Option<Rc<Http2Connection>> {
        self.http2
            .borrow()
            .iter()
            .find(|connection| {
                connection.security() == security && connection.has_room(now, lifetime)
            })
            .cloned()
    }

    /// Returns the protocol agreed on in the last handshake; none before the first.
    pub fn agreed(&self) -> Option<Agreed> {
        self.agreed.get()
    }

    /// Returns the failure of a request on a connection that broke with this error: that of TLS, or
    /// `otherwise`.
    pub(super) fn failure_of(&self, error: &io::Error, otherwise: Failure) -> Failure {
        secure::failure_behind(&self.pool, &self.label, error, otherwise)
    }

    /// Remembers the protocol of a handshake.
    pub fn agree(&self, agreed: Agreed) {
        self.agreed.set(Some(agreed));
    }

    /// Notes the version of an answer.
    pub fn hear_version(&self, version: Version) {
        let old = version == Version::HTTP_10;
        if self.http10.replace(Some(old)) != Some(old) {
            self.shared.spoken.answered(old);
        }
    }

    /// Returns true if it is known to speak HTTP/1.0, which has no chunked coding.
    pub fn is_http10(&self) -> bool {
        self.shared.spoken.is_http10()
    }

    /// Returns the connection that is being opened for all, if there is one.
    pub fn opening(&self) -> Option<Rc<Opening>> {
        let opening = self.opening.borrow().upgrade();
        opening.filter(|opening| !opening.has_ended())
    }

    /// Begins to open a connection that others wait for.
    pub fn begin_opening(&self) -> Rc<Opening> {
        let opening = Rc::new(Opening::default());
        *self.opening.borrow_mut() = Rc::downgrade(&opening);
        opening
    }

    /// Keeps a new HTTP/2 connection for other requests to share.
    pub fn share(&self, connection: &Rc<Http2Connection>) {
        if !self.retired.get() {
            let mut shared = self.http2.borrow_mut();
            shared.retain(|known| !known.is_closed());
            connection.keep(&self.idle_gauge);
            shared.push(Rc::clone(connection));
        }
    }

    /// Retires the endpoint, as it was removed or the worker ends: closes idle connections, and
    /// takes none back. Returns handles that tell when shared connections have closed.
    pub fn retire(&self) -> Vec<Closing> {
        self.retired.set(true);
        let idle = self.idle.take();
        self.idle_gauge.add(-i64::try_from(idle.len()).unwrap_or(0));
        idle.iter().for_each(Http1Connection::say_goodbye);
        while self.close_pinned() {}
        let shared = std::mem::take(&mut *self.http2.borrow_mut());
        shared.iter().for_each(|shared| shared.release());
        shared.iter().map(|shared| shared.closing()).collect()
    }

    /// Calls `change` with the list taken out; `change` must not use the list otherwise.
    fn with_idle<R>(&self, change: impl FnOnce(&mut IdleList) -> R) -> R {
        let mut idle = self.idle.take();
        let changed = change(&mut idle);
        self.idle.set(idle);
        changed
    }
}

impl fmt::Debug for LocalEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalEndpoint")
            .field("load", &self.load)
            .field("agreed", &self.agreed)
            .field("retired", &self.retired)
            .finish_non_exhaustive()
    }
}

/// Time without use after which a connection's buffers are released.
const MEMORY_KEPT: Duration = Duration::from_secs(2);
