//! Answer of the proxy to an exchange that ends early.
//!
//! Status, `Proxy-Status` (RFC 9209) and a short body that names the request id have the same word,
//! which log and metric repeat.

use http::HeaderValue;
use tokio::time::Instant;

use super::{call::tell_attempts, request::METHODS};
use crate::{
    exchange::{Body, Exchange, Response},
    failure::{BadRequest, Failure},
    semantics::{Known, Value, grpc},
};

/// The answer to a failure, with which the exchange ends.
pub(super) fn failure(exchange: &mut Exchange, failure: Failure) -> Response {
    exchange.failure = Some(failure);
    let mut response = told(exchange, failure);
    if exchange.call.repeated > 1 {
        tell_attempts(exchange, &mut response.headers);
    }
    if let Some(refusal) = exchange.refused() {
        for (name, value) in refusal.headers.to_fields() {
            response.headers.append(&name, &value);
        }
    }
    response
}

fn told(exchange: &mut Exchange, failure: Failure) -> Response {
    let refusal = exchange.refused();
    let status = refusal.map_or_else(|| failure.status(), |it| it.status);
    let word = refusal.map_or_else(|| failure.word(), |it| it.reason.as_str());
    let sentence = exchange.sentence().unwrap_or_default();
    if exchange.grpc {
        let status = if exchange.is_given_up(Instant::now()) {
            grpc::DEADLINE_EXCEEDED
        } else {
            refusal.map_or_else(
                || grpc::status_of(failure),
                |it| grpc::status_for(it.status),
            )
        };
        exchange.grpc_status = u8::try_from(status).ok();
        let mut response = grpc_status(status, &sentence, exchange.request_id());
        add_status(&mut response, word, &sentence);
        return response;
    }
    let text = format!(
        "{status} {reason}: {sentence}\nrequest id: {id}\n",
        status = status.as_str(),
        reason = status.canonical_reason().unwrap_or("Error"),
        id = exchange.request_id(),
    );
    let refused_ms = exchange.call.refused_ms;
    let mut response = Response::new(Body::from(text));
    response.status = status;
    let headers = &mut response.headers;
    let plain = Value::from_static("text/plain; charset=utf-8");
    headers.insert(Known::ContentType, plain);
    let no_store = Value::from_static("no-store");
    headers.insert(Known::CacheControl, no_store);
    match failure {
        Failure::NoEndpoint | Failure::LimitReached => {
            headers.insert(Known::RetryAfter, Value::from_static("1"));
        }
        Failure::BreakerOpen => {
            headers.insert(
                Known::RetryAfter,
                HeaderValue::from(refused_ms.div_ceil(1000).max(1)),
            );
        }
        Failure::BadRequest(BadRequest::Method) => {
            headers.insert(Known::Allow, METHODS);
        }
        _ => {}
    }
    add_status(&mut response, word, &sentence);
    response
}

/// Makes the trailers-only answer of gRPC: all in the head, with the status 200 (gRPC over HTTP/2,
/// "Responses").
fn grpc_status(status: u16, sentence: &str, request_id: &str) -> Response {
    let mut response = Response::new(Body::Empty);
    let headers = &mut response.headers;
    let kind = Value::from_static("application/grpc");
    headers.insert(Known::ContentType, kind);
    headers.insert(Known::GrpcStatus, HeaderValue::from(status));
    let message = format!("{sentence} (request id: {request_id})");
    if let Ok(message) = HeaderValue::try_from(grpc::percent_encode(&message)) {
        headers.insert(Known::GrpcMessage, message);
    }
    response
}

fn add_status(response: &mut Response, word: &str, sentence: &str) {
    let status = format!("sluicegate; error={word}; details=\"{sentence}\"");
    if let Ok(status) = HeaderValue::try_from(status) {
        response.headers.insert(Known::ProxyStatus, status);
    }
}
