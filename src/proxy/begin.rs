//! The record of an exchange, from the moment its head has arrived.

use std::rc::Rc;

use ::http::{HeaderValue, Method, Request, Version, header};
use bytes::Bytes;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::{held::Held, outgoing::Open};
use crate::{
    exchange::{Body, Exchange, RequestLine},
    http::{forwarded, grpc, request_id},
    listener::Connection,
    state::LocalSnapshot,
};

/// Opens the record; without a request when its head could not be understood.
pub(super) fn begin(connection: &Rc<Connection>, request: Option<&Request<Body>>) -> Open {
    let snapshot = connection.worker.snapshot();
    let listener = connection.listener(&snapshot);
    let trusted = &snapshot.shared.trusted;
    let client = match request {
        Some(request) => forwarded::client_address(connection.peer, trusted, request.headers()),
        None => connection.peer,
    };
    let exchange = Exchange {
        listener,
        started: Instant::now(),
        request_id: request_id_of(connection, &snapshot, request),
        peer: connection.peer,
        client,
        scheme: match request {
            Some(request) => forwarded::client_scheme(
                forwarded::Scheme::Http,
                trusted.trust(connection.peer),
                request.headers(),
            ),
            None => forwarded::Scheme::Http,
        },
        request: request_line(&snapshot, request),
        decision: None,
        attempts: SmallVec::new(),
        failure: None,
        status: None,
        answered: None,
        queued_ns: 0,
        bytes_in: 0,
        bytes_out: 0,
        grpc: request.is_some_and(|request| grpc::is_grpc(request.headers())),
        complete: false,
        held: Held::default(),
        snapshot,
    };
    Open::new(Rc::clone(connection), exchange)
}

/// The id that a trusted peer sent, else a new one.
fn request_id_of(
    connection: &Connection,
    snapshot: &LocalSnapshot,
    request: Option<&Request<Body>>,
) -> HeaderValue {
    let sent = request
        .filter(|_| snapshot.shared.trusted.contains(connection.peer))
        .and_then(|request| request.headers().get(X_REQUEST_ID))
        .filter(|id| request_id::is_acceptable(id));
    match sent {
        Some(id) => id.clone(),
        None => connection.worker.new_request_id(),
    }
}

fn request_line(snapshot: &LocalSnapshot, request: Option<&Request<Body>>) -> RequestLine {
    let Some(request) = request else {
        return RequestLine {
            method: Method::GET,
            target: Bytes::new(),
            version: Version::HTTP_11,
            authority: None,
            user_agent: None,
            known: false,
        };
    };
    let logged = snapshot.shared.access_log.is_some();
    RequestLine {
        method: request.method().clone(),
        // Filled in when the target has been checked.
        target: Bytes::new(),
        version: request.version(),
        authority: None,
        user_agent: if logged {
            request.headers().get(header::USER_AGENT).cloned()
        } else {
            None
        },
        known: true,
    }
}

/// Names an exchange, towards endpoints and clients.
pub(super) const X_REQUEST_ID: ::http::HeaderName = ::http::HeaderName::from_static("x-request-id");
