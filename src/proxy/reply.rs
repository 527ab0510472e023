//! The answer that the proxy gives when an exchange ends early.
//!
//! Status, `Proxy-Status` (RFC 9209) and a short body that names the request id all
//! say the same word, which log and metric repeat.

use ::http::{HeaderValue, Response, header};
use tokio::time::Instant;

use super::{Outgoing, outgoing::Open, response};
use crate::{
    exchange::{BadRequest, Body, Failure},
    http::grpc,
};

/// Answers with what the failure stands for.
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
    *response.status_mut() = failure.status();
    let headers = response.headers_mut();
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, plain);
    let no_store = HeaderValue::from_static("no-store");
    headers.insert(header::CACHE_CONTROL, no_store);
    match failure {
        Failure::NoEndpoint => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        Failure::BadRequest(BadRequest::Method) => {
            let allowed = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
            headers.insert(header::ALLOW, allowed);
        }
        _ => {}
    }
    add_status(&mut response, failure);
    response::seal(open, response)
}

/// The failure as gRPC tells it: all in the head, under the status 200 (gRPC over HTTP/2,
/// "Responses").
fn grpc_status(status: u16, failure: Failure, request_id: &str) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("application/grpc");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(grpc::STATUS, HeaderValue::from(status));
    let message = format!("{} (request id: {request_id})", failure.sentence());
    if let Ok(message) = HeaderValue::try_from(grpc::percent_encode(&message)) {
        headers.insert(grpc::MESSAGE, message);
    }
    response
}

fn add_status(response: &mut Response<Body>, failure: Failure) {
    let status = format!(
        "sluicegate; error={word}; details=\"{sentence}\"",
        word = failure.word(),
        sentence = failure.sentence(),
    );
    if let Ok(status) = HeaderValue::try_from(status) {
        response.headers_mut().insert(PROXY_STATUS, status);
    }
}

const PROXY_STATUS: ::http::HeaderName = ::http::HeaderName::from_static("proxy-status");
