//! An exchange under way: its record, and the connection that it came on.

use std::rc::Rc;

use super::finish;
use crate::{exchange::Exchange, failure::Failure, worker::Connection};

/// An exchange under way.
///
/// [`super::finish`] ends it. One that is dropped before was cancelled: its end is recorded then.
#[derive(Debug)]
pub(super) struct Open {
    connection: Rc<Connection>,
    exchange: Box<Exchange>,
}

impl Open {
    pub(super) fn new(connection: Rc<Connection>, mut exchange: Box<Exchange>) -> Self {
        let generation = exchange.snapshot.shared.generation;
        exchange.call.exchange = connection.exchange_begins(generation, exchange.started);
        connection.exchanges.inc();
        Self {
            connection,
            exchange,
        }
    }

    pub(super) fn exchange(&mut self) -> &mut Exchange {
        &mut self.exchange
    }

    pub(super) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    /// Returns the failure that ends the exchange early.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.exchange.failure
    }

    /// Records the end of the exchange, the first time.
    pub(super) fn end(&mut self) {
        let (connection, exchange) = (&self.connection, &mut *self.exchange);
        if std::mem::replace(&mut exchange.ended, true) {
            return;
        }
        connection.exchange_ends(exchange.call.exchange);
        connection.exchanges.dec();
        if !exchange.complete && exchange.failure.is_none() {
            exchange.failure = Some(if connection.worker.is_cutting() {
                Failure::Shutdown
            } else {
                Failure::ClientGone
            });
        }
        finish::record(connection, exchange);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.end();
    }
}
