//! Answer to a CA that verifies a name over plain HTTP (RFC 8555 section 8.3).
//!
//! Before any route: neither a redirect to TLS nor an authentication may stand in its way. Only
//! tokens of challenges under way are answered; every other request goes on.

use http::{Method, StatusCode};

use crate::{
    exchange::{Body, Exchange, Request, Response},
    semantics::{Headers, Known, Value},
};

/// Returns the answer, if the request is one of a CA.
#[inline]
pub(super) fn answer(exchange: &Exchange, request: &Request) -> Option<Response> {
    exchange.snapshot.shared.challenges.as_ref()?;
    text(exchange, request)
}

#[cold]
fn text(exchange: &Exchange, request: &Request) -> Option<Response> {
    let challenges = exchange.snapshot.shared.challenges.as_ref()?;
    let is_plain = exchange.listener.tls.is_none();
    if !is_plain || !matches!(request.method, Method::GET | Method::HEAD) {
        return None;
    }
    let text = challenges.text_of(request.uri.path())?;
    let mut headers = Headers::default();
    let kind = Value::from_static("application/octet-stream");
    headers.insert(Known::ContentType, kind);
    let no_store = Value::from_static("no-store");
    headers.insert(Known::CacheControl, no_store);
    Some(Response {
        status: StatusCode::OK,
        headers,
        body: Body::from(text.to_string()),
    })
}
