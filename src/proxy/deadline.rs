//! The client's own deadline, on routes that accept one (`timeouts.from_client`).
//!
//! Anyone may set it, since it can only shorten the time that the route allows.

use crate::{
    exchange::{Exchange, Request},
    semantics::deadline,
};

/// Reads the client's deadline from its request.
pub(super) fn read(exchange: &mut Exchange, request: &Request) {
    let given = deadline::read(&request.headers);
    let given = given.and_then(|given| exchange.started.checked_add(given));
    exchange.client_deadline = exchange.client_deadline.into_iter().chain(given).min();
}
