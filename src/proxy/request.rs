//! Changes to a request before it goes upstream.

use http::{Method, StatusCode};

use super::trace;
use crate::{
    exchange::{Body, Exchange, Request, Response},
    semantics::{
        Known, Value,
        authority::Authority,
        forwarded::{self, Asked, Trust},
        hop_by_hop::{self, Switching},
        upgrade::Offer,
        via::{self, MaxForwards},
    },
    worker::Connection,
};

/// Answers an OPTIONS that must not be forwarded (RFC 9110 section 7.6.2).
pub(super) fn answer_options(exchange: &Exchange, request: &mut Request) -> Option<Response> {
    if request.method != Method::OPTIONS || exchange.request.authority.is_none() {
        return None;
    }
    match via::obey_max_forwards(&request.method, &mut request.headers) {
        MaxForwards::Forward => None,
        MaxForwards::AnswerHere => {
            let mut response = Response::new(Body::Empty);
            response.status = StatusCode::NO_CONTENT;
            response.headers.insert(Known::Allow, METHODS);
            Some(response)
        }
    }
}

/// Removes connection-specific fields and adds those for the endpoint.
pub(super) fn prepare(
    connection: &Connection,
    exchange: &Exchange,
    request: &mut Request,
    offer: Option<&Offer>,
) {
    let headers = &mut request.headers;
    let switching = if offer.is_some() {
        Switching::Yes
    } else {
        Switching::No
    };
    hop_by_hop::strip_request(headers, switching);
    // Answered here, when the body is wanted.
    headers.remove(Known::Expect);
    if exchange.trust == Trust::Untrusted {
        headers.remove(Known::XSluicegateAttempt);
        headers.remove(Known::XSluicegateShadow);
    }
    let authority = exchange.request.authority.as_ref();
    let host = authority.map(Authority::as_value);
    let trusted = &exchange.snapshot.shared.trusted;
    let said = forwarded::client_host(exchange.trust, trusted, headers);
    let client = Asked {
        scheme: exchange.scheme,
        host: said.as_ref().map(Authority::as_value).or(host),
    };
    connection
        .hop()
        .write(headers, exchange.trust, client, host);
    connection
        .worker
        .pseudonym()
        .append(headers, request.version);
    headers.insert(Known::XRequestId, exchange.request_id.as_value());
    if let Some(debug) = &exchange.snapshot.shared.debug_header {
        headers.remove(&debug.name);
    }
    if exchange.trace.is_some() {
        trace::prepare(exchange, headers);
    }
}

/// Methods allowed for requests to the proxy itself.
pub(super) const METHODS: Value<'_> =
    Value::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
