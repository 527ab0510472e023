//! Answers of the admin API.

use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use super::auth::Refusal;
use super::body::Body;
use super::entries::{ENTRIES, PLAIN};
use super::model::Error;
use super::router::Scope;

pub(super) type Reply = Response<Body>;

/// Makes an answer from a body and its media type. It must not be cached or sniffed as another
/// type.
pub(super) fn with(status: StatusCode, media_type: &'static str, body: Body) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply
}

pub(super) fn text(media_type: &'static str, text: String) -> Reply {
    let body = Body::whole(text);
    with(StatusCode::OK, media_type, body)
}

/// Makes a JSON answer, indented for human readers.
pub(super) fn json<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Reply {
    let Ok(mut text) = serde_json::to_vec_pretty(value) else {
        let mut reply = text(PLAIN, String::new());
        *reply.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return reply;
    };
    text.push(b'\n');
    let body = Body::whole(text);
    with(status, "application/json", body)
}

pub(super) fn error(status: StatusCode, sentence: impl Into<String>) -> Reply {
    json(status, &Error::new(sentence))
}

pub(super) fn refused(refusal: Refusal) -> Reply {
    let mut reply = error(refusal.status(), refusal.sentence());
    if refusal.status() == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer realm=\"sluicegate\"");
        reply.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    }
    reply
}

pub(super) fn too_many() -> Reply {
    let sentence = "this address has asked too often; ask again in a second";
    let mut reply = error(StatusCode::TOO_MANY_REQUESTS, sentence);
    let second = HeaderValue::from_static("1");
    reply.headers_mut().insert(RETRY_AFTER, second);
    reply
}

pub(super) fn wrong_method(allow: &'static str) -> Reply {
    let sentence = format!("this method is not allowed here; allowed: {allow}");
    let mut reply = error(StatusCode::METHOD_NOT_ALLOWED, sentence);
    let allow = HeaderValue::from_static(allow);
    reply.headers_mut().insert(ALLOW, allow);
    reply
}

/// Makes a 404 that lists the endpoints there are.
pub(super) fn not_found(path: &str, scope: Scope) -> Reply {
    let endpoints: Vec<String> = ENTRIES
        .iter()
        .filter(|entry| entry.is_in(scope))
        .map(|entry| format!("{} {}", entry.verb.name(), entry.path))
        .collect();
    let body = Error {
        endpoints,
        ..Error::new(format!("there is nothing at {path}"))
    };
    json(StatusCode::NOT_FOUND, &body)
}
