//! Client connections that a worker serves.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::SocketAddr,
    rc::Rc,
};

use foldhash::fast::RandomState;

use super::{Connection, Worker};
use crate::state::LocalListener;

/// Open connections by their numbers.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: RefCell<HashMap<u64, Rc<Connection>, RandomState>>,
    next: Cell<u64>,
}

impl Connections {
    pub(super) fn count(&self) -> usize {
        self.open.borrow().len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.borrow().is_empty()
    }
}

impl Worker {
    /// Makes the record of a connection.
    pub(crate) fn open(
        self: &Rc<Self>,
        listener: &LocalListener,
        peer: SocketAddr,
        local: Option<SocketAddr>,
    ) -> Rc<Connection> {
        let id = self.connections.next.get();
        self.connections.next.set(id + 1);
        let connection = Connection::new(self, id, Rc::clone(listener), peer, local);
        let connection = Rc::new(connection);
        let mut open = self.connections.open.borrow_mut();
        open.insert(id, Rc::clone(&connection));
        connection
    }

    /// Removes a closed connection.
    pub(crate) fn closed(&self, connection: &Connection) {
        connection.leave_client_place();
        self.connections.open.borrow_mut().remove(&connection.id);
    }

    /// Uses the newest snapshot, and closes the connections of removed listeners.
    pub(crate) fn close_left(&self) {
        let snapshot = self.snapshot();
        for connection in self.connections.open.borrow().values() {
            let _ = connection.listener(&snapshot);
        }
    }

    /// Closes the selected connections when their exchange is over.
    pub(crate) fn close_connections(&self, which: impl Fn(&Connection) -> bool) {
        for connection in self.connections.open.borrow().values() {
            if which(connection) {
                connection.close();
            }
        }
    }

    /// Cuts all remaining connections; returns their number.
    pub(crate) fn cut_connections(&self) -> usize {
        self.cutting.set(true);
        let connections = self.connections.open.borrow();
        for connection in connections.values() {
            connection.cut();
        }
        connections.len()
    }

    /// Calls `look` with each open connection.
    pub(super) fn each_connection(&self, look: impl FnMut(&Rc<Connection>)) {
        self.connections.open.borrow().values().for_each(look);
    }
}
