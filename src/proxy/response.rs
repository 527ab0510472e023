//! What is done to a response before it goes downstream.

use std::time::Duration;

use ::http::{Response, StatusCode};
use tokio::time::Instant;

use super::{
    Outgoing,
    begin::{X_REQUEST_ID, logged_fields},
    grpc_web,
    outgoing::Open,
};
use crate::{
    config::value::FieldSource,
    exchange::Body,
    http::hop_by_hop::{self, Switching},
};

/// Takes off what was for the upstream connection only.
pub(super) fn clean(response: &mut Response<Body>) {
    let switching = if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        Switching::Yes
    } else {
        Switching::No
    };
    hop_by_hop::strip_response(response.headers_mut(), switching);
}

/// Names the exchange in the response, in the client's own protocol, and joins its record to
/// the body.
pub(super) fn seal(mut open: Open, response: Response<Body>) -> Response<Outgoing> {
    let worker = std::rc::Rc::clone(&open.connection().worker);
    let exchange = open.exchange();
    exchange.status = Some(response.status());
    exchange.answered.get_or_insert_with(Instant::now);
    let id = exchange.request_id.clone();
    let http2 = exchange.request.version == ::http::Version::HTTP_2;
    let idle = exchange.route().map(|route| route.timeouts.idle);
    if !exchange.snapshot.shared.logged.is_empty() {
        let snapshot = std::rc::Rc::clone(&exchange.snapshot);
        let of_response = logged_fields(&snapshot, response.headers(), |source| match source {
            FieldSource::ResponseHeader(name) => Some(name),
            FieldSource::RequestHeader(_) => None,
        });
        exchange.request.logged.extend(of_response);
    }
    let (mut head, body) = response.into_parts();
    let (body, encoder) = match &mut exchange.grpc_web {
        None => (body, None),
        Some(call) => grpc_web::close(call, &mut head.headers, body),
    };
    head.headers.insert(X_REQUEST_ID, id);
    if http2 && !head.headers.contains_key(::http::header::DATE) {
        head.headers
            .insert(::http::header::DATE, worker.date_value());
    }
    let idle = idle.filter(|idle| *idle > Duration::ZERO);
    Response::from_parts(head, Outgoing::new(open, body, encoder, idle))
}
