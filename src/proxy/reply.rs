//! Answer of the proxy to an exchange that ends early.
//!
//! Status, `Proxy-Status` (RFC 9209) and a short body that names the request id have the same word,
//! which log and metric repeat.

use http::HeaderValue;
use tokio::time::Instant;

use super::{Outgoing, open::Open, request::METHODS, response};
use crate::{
    exchange::{Body, Response},
    failure::{BadRequest, Failure},
    semantics::{Known, Value, grpc},
};

/// Makes the answer to a failure.
pub(super) fn failure(mut open: Open, failure: Failure) -> Response<Outgoing> {
    let exchange = open.exchange();
    exchange.failure = Some(failure);
    if exchange.grpc {
        let status = if exchange.is_given_up(Instant::now()) {
            grpc::DEADLINE_EXCEEDED
        } else {
            grpc::status_of(failure)
        };
        exchange.grpc_status = u8::try_from(status).ok();
        let mut response = grpc_status(status, failure, exchange.request_id());
        add_status(&mut response, failure);
        return response::seal(open, response);
    }
    let text = format!(
        "{status} {reason}: {sentence}\nrequest id: {id}\n",
        status = failure.status().as_str(),
        reason = failure.status().canonical_reason().unwrap_or("Error"),
        sentence = failure.sentence(),
        id = exchange.request_id(),
    );
    let mut response = Response::new(Body::from(text));
    response.status = failure.status();
    let headers = &mut response.headers;
    let plain = Value::from_static("text/plain; charset=utf-8");
    headers.insert(Known::ContentType, plain);
    let no_store = Value::from_static("no-store");
    headers.insert(Known::CacheControl, no_store);
    match failure {
        Failure::NoEndpoint | Failure::LimitReached => {
            headers.insert(Known::RetryAfter, Value::from_static("1"));
        }
        Failure::BadRequest(BadRequest::Method) => {
            headers.insert(Known::Allow, METHODS);
        }
        _ => {}
    }
    add_status(&mut response, failure);
    response::seal(open, response)
}

/// Makes the trailers-only answer of gRPC: all in the head, with the status 200 (gRPC over HTTP/2,
/// "Responses").
fn grpc_status(status: u16, failure: Failure, request_id: &str) -> Response {
    let mut response = Response::new(Body::Empty);
    let headers = &mut response.headers;
    let kind = Value::from_static("application/grpc");
    headers.insert(Known::ContentType, kind);
    headers.insert(Known::GrpcStatus, HeaderValue::from(status));
    let message = format!("{} (request id: {request_id})", failure.sentence());
    if let Ok(message) = HeaderValue::try_from(grpc::percent_encode(&message)) {
        headers.insert(Known::GrpcMessage, message);
    }
    response
}

fn add_status(response: &mut Response, failure: Failure) {
    let status = format!(
        "sluicegate; error={word}; details=\"{sentence}\"",
        word = failure.word(),
        sentence = failure.sentence(),
    );
    if let Ok(status) = HeaderValue::try_from(status) {
        response.headers.insert(Known::ProxyStatus, status);
    }
}
