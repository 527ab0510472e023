//! What one worker keeps for one endpoint: idle connections and load.
//!
//! State by identity (pool + address): it outlives reloads that keep the endpoint,
//! and is given up, with its connections, when the endpoint leaves.

use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    opening::Opening,
    picker::Load,
    shared::{EndpointShared, PoolShared},
    transport::{Closing, Http1Connection, Http2Connection},
};
use crate::{telemetry::metrics::Gauge, timer};

/// One worker's side of an endpoint.
#[derive(Debug)]
pub struct LocalEndpoint {
    /// What the pickers know of it.
    pub load: Load,
    /// What all workers share of it.
    pub shared: Arc<EndpointShared>,
    pool: Arc<PoolShared>,
    idle: RefCell<Vec<Idle>>,
    http2: RefCell<Vec<Rc<Http2Connection>>>,
    /// Held by those who wait for it: its outcome holds the connection open.
    opening: RefCell<Weak<Opening>>,
    agreed: Cell<Option<Agreed>>,
    retired: Cell<bool>,
    idle_gauge: Gauge,
}

#[derive(Debug)]
struct Idle {
    since: Instant,
    connection: Box<Http1Connection>,
}

/// What the last handshake with an endpoint agreed on, where there was a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreed {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

impl LocalEndpoint {
    /// An endpoint that this worker has not met before.
    pub fn new(pool: &Arc<PoolShared>, address: &Arc<str>, idle_gauge: Gauge) -> Self {
        Self {
            load: Load::default(),
            shared: pool.endpoint(address),
            pool: Arc::clone(pool),
            idle: RefCell::default(),
            http2: RefCell::default(),
            opening: RefCell::default(),
            agreed: Cell::new(None),
            retired: Cell::new(false),
            idle_gauge,
        }
    }

    /// Takes the idle connection used last, if one is left that still lives and was made
    /// under the same TLS settings.
    pub fn take_idle(
        &self,
        now: Instant,
        security: u64,
        idle_timeout: Duration,
        lifetime: Duration,
    ) -> Option<Box<Http1Connection>> {
        loop {
            let mut idle = self.idle.borrow_mut().pop()?;
            self.idle_gauge.add(-1);
            let fresh =
                now < idle.since + idle_timeout && now < idle.connection.opened() + lifetime;
            let same = idle.connection.security() == security;
            if fresh && same && idle.connection.is_usable() {
                return Some(idle.connection);
            }
            idle.connection.say_goodbye();
        }
    }

    /// Takes a connection back after a clean exchange.
    pub fn give_back(&self, connection: Box<Http1Connection>) {
        if self.retired.get() {
            return connection.say_goodbye();
        }
        self.idle_gauge.add(1);
        self.idle.borrow_mut().push(Idle {
            since: timer::recent(),
            connection,
        });
        self.pool.tell_freed();
    }

    /// Closes one idle connection so that another can be opened; false if there is none.
    pub fn close_oldest(&self) -> bool {
        let mut idle = self.idle.borrow_mut();
        if idle.is_empty() {
            return false;
        }
        self.idle_gauge.add(-1);
        idle.remove(0).connection.say_goodbye();
        true
    }

    /// Closes what has waited or lived too long, or was closed by the endpoint.
    pub fn sweep(&self, now: Instant, idle_timeout: Duration, lifetime: Duration) {
        let mut idle = self.idle.borrow_mut();
        let spent = idle.extract_if(.., |idle| {
            let keep = now < idle.since + idle_timeout
                && now < idle.connection.opened() + lifetime
                && idle.connection.is_usable();
            if keep && now > idle.since + MEMORY_KEPT {
                idle.connection.release_memory();
            }
            !keep
        });
        let closed = spent.map(|idle| idle.connection.say_goodbye()).count();
        self.idle_gauge.add(-i64::try_from(closed).unwrap_or(0));
        self.http2
            .borrow_mut()
            .retain(|connection| !connection.is_spent(now, idle_timeout, lifetime));
    }

    /// An HTTP/2 connection with room for one more stream, made under the same TLS settings.
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

    /// What the last handshake agreed on; none before there was one.
    pub fn agreed(&self) -> Option<Agreed> {
        self.agreed.get()
    }

    /// Remembers what a handshake agreed on.
    pub fn agree(&self, agreed: Agreed) {
        self.agreed.set(Some(agreed));
    }

    /// The connection that is being opened for everyone, if one is.
    pub fn opening(&self) -> Option<Rc<Opening>> {
        let opening = self.opening.borrow().upgrade();
        opening.filter(|opening| !opening.has_ended())
    }

    /// From here on others wait for the connection that is being opened.
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
            shared.push(Rc::clone(connection));
        }
    }

    /// The endpoint has left the pool, or the worker ends: closes what is idle, and takes
    /// nothing back. Gives what tells when connections that are shared have closed.
    pub fn retire(&self) -> Vec<Closing> {
        self.retired.set(true);
        let idle = std::mem::take(&mut *self.idle.borrow_mut());
        self.idle_gauge.add(-i64::try_from(idle.len()).unwrap_or(0));
        idle.into_iter()
            .for_each(|idle| idle.connection.say_goodbye());
        let shared = std::mem::take(&mut *self.http2.borrow_mut());
        shared.iter().map(|shared| shared.closing()).collect()
    }
}

/// After this time without use a connection's buffers are given back.
const MEMORY_KEPT: Duration = Duration::from_secs(2);
