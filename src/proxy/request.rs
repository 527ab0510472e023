//! What is done to a request before it goes upstream.

use ::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body as _;

use super::begin::X_REQUEST_ID;
use crate::{
    exchange::{BadRequest, Body, Exchange},
    http::{
        hop_by_hop::{self, Switching},
        upgrade::Offer,
        via::{self, MaxForwards},
    },
    listener::Connection,
};

/// Refuses a body that says it is too large, and bounds one that does not say.
pub(super) fn limit_body(request: &mut Request<Body>, max: Option<u64>) -> Result<(), BadRequest> {
    let Some(max) = max else {
        return Ok(());
    };
    let body = request.body_mut();
    if body.size_hint().lower() > max {
        return Err(BadRequest::BodyTooLarge);
    }
    *body = std::mem::replace(body, Body::Empty).limited(max);
    Ok(())
}

/// Answers an OPTIONS that may go no further (RFC 9110 section 7.6.2).
pub(super) fn answer_options(
    exchange: &Exchange,
    request: &mut Request<Body>,
) -> Option<Response<Body>> {
    if *request.method() != Method::OPTIONS || exchange.request.authority.is_none() {
        return None;
    }
    let method = request.method().clone();
    match via::obey_max_forwards(&method, request.headers_mut()) {
        MaxForwards::Forward => None,
        MaxForwards::AnswerHere => {
            let mut response = Response::new(Body::Empty);
            *response.status_mut() = StatusCode::NO_CONTENT;
            let allowed = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
            response.headers_mut().insert(header::ALLOW, allowed);
            Some(response)
        }
    }
}

/// Takes off what was for this connection only and adds what the endpoint shall know.
pub(super) fn prepare(
    connection: &Connection,
    exchange: &Exchange,
    request: &mut Request<Body>,
    offer: Option<&Offer>,
) {
    let version = request.version();
    let headers = request.headers_mut();
    let switching = if offer.is_some() {
        Switching::Yes
    } else {
        Switching::No
    };
    hop_by_hop::strip_request(headers, switching);
    // Answered here, when the body is wanted.
    headers.remove(header::EXPECT);
    let trust = exchange.snapshot.shared.trusted.trust(exchange.peer);
    let host = exchange
        .request
        .authority
        .as_ref()
        .map(|authority| authority.to_header_value());
    connection.hop().write(headers, trust, host.as_ref());
    connection.worker.pseudonym().append(headers, version);
    headers.insert(X_REQUEST_ID, exchange.request_id.clone());
}
