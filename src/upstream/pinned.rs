//! Upstream connections that belong to one client, since it has authenticated them.
//!
//! The client's connection holds them and uses them for its requests to the same endpoint; no other
//! client gets them. The endpoint knows them as well, to close them when they have been idle too
//! long, when it is removed, or when others need the room.

use std::{
    cell::{Cell, RefCell},
    fmt,
    rc::Rc,
    time::Duration,
};

use smallvec::SmallVec;
use tokio::time::Instant;

use super::{idle::LocalEndpoint, transport::Http1Connection};
use crate::{telemetry::metrics::Gauge, timer};

/// Connections of one client; dropped with its own connection.
#[derive(Debug, Default)]
pub struct Pinned(RefCell<SmallVec<[Pin; 1]>>);

#[derive(Debug)]
struct Pin {
    endpoint: Rc<LocalEndpoint>,
    slot: Rc<Slot>,
}

/// Place where such a connection waits between two exchanges, and counts as idle.
pub struct Slot {
    connection: Cell<Option<Http1Connection>>,
    idle: Gauge,
}

impl Pinned {
    /// Takes a connection back after a clean exchange.
    pub fn keep(&self, endpoint: &Rc<LocalEndpoint>, connection: Http1Connection) {
        connection.begin_idle(timer::recent());
        let slot = Rc::new(Slot::new(connection, endpoint.idle_gauge()));
        if !endpoint.know_pinned(&slot) {
            return;
        }
        let mut pins = self.0.borrow_mut();
        pins.retain(|pin| !pin.slot.is_empty());
        if pins.len() >= PINS_MAX {
            pins.remove(0);
        }
        pins.push(Pin {
            endpoint: Rc::clone(endpoint),
            slot,
        });
    }

    /// Returns true if one of the connections leads to this endpoint.
    pub fn leads_to(&self, endpoint: &Rc<LocalEndpoint>) -> bool {
        let pins = self.0.borrow();
        let mut pins = pins.iter();
        pins.any(|pin| Rc::ptr_eq(&pin.endpoint, endpoint) && !pin.slot.is_empty())
    }

    /// Returns true if there is none.
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Takes the connection to an endpoint, if one is still alive and was made with the same TLS
    /// settings.
    pub fn take(
        &self,
        endpoint: &Rc<LocalEndpoint>,
        now: Instant,
        security: u64,
        idle_timeout: Duration,
        lifetime: Duration,
    ) -> Option<Http1Connection> {
        loop {
            let slot = {
                let mut pins = self.0.borrow_mut();
                let at = pins
                    .iter()
                    .rposition(|pin| Rc::ptr_eq(&pin.endpoint, endpoint))?;
                pins.remove(at).slot
            };
            if slot.has_usable(now, idle_timeout, lifetime)
                && let Some(connection) = slot.take()
            {
                if connection.security() == security {
                    return Some(connection);
                }
                connection.say_goodbye();
            }
        }
    }
}

impl Slot {
    fn new(connection: Http1Connection, idle: &Gauge) -> Self {
        idle.add(1);
        Self {
            connection: Cell::new(Some(connection)),
            idle: idle.clone(),
        }
    }

    fn take(&self) -> Option<Http1Connection> {
        let connection = self.connection.take()?;
        self.idle.add(-1);
        Some(connection)
    }

    /// Closes the connection; false if it is in use.
    pub(super) fn close(&self) -> bool {
        let connection = self.take();
        if let Some(connection) = &connection {
            connection.say_goodbye();
        }
        connection.is_some()
    }

    /// Returns true if the connection can carry another exchange; closes one that cannot.
    pub(super) fn has_usable(&self, now: Instant, idle: Duration, lifetime: Duration) -> bool {
        let usable = self.look(|connection| {
            connection.is_in_time(now, idle, lifetime) && connection.is_usable()
        });
        if usable == Some(false) {
            self.close();
        }
        usable == Some(true)
    }

    fn is_empty(&self) -> bool {
        self.look(|_| ()).is_none()
    }

    fn look<R>(&self, look: impl FnOnce(&Http1Connection) -> R) -> Option<R> {
        let connection = self.connection.take();
        let seen = connection.as_ref().map(look);
        self.connection.set(connection);
        seen
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.close();
    }
}

/// Maximum number of connections that one client holds at once; the oldest is closed for another.
const PINS_MAX: usize = 4;
