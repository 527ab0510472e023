//! Queries with a body, which change nothing.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;

use super::super::operations::{ExplainRequest, Operations};
use super::super::reply::{self, Reply};
use super::super::router::Access;
use super::ApiCall;
use crate::{config::Secrets, state::heads::TrafficUse};

/// `POST /explain`
pub(super) async fn explain(mut call: ApiCall) -> Reply {
    let request: ExplainRequest = match read_json(&mut call).await {
        Ok(request) => request,
        Err(reply) => return reply,
    };
    let make = |proxy: &dyn Operations| match proxy.explain(request) {
        Ok(value) => reply::json(StatusCode::OK, &value),
        Err(sentence) => reply::error(StatusCode::BAD_REQUEST, sentence),
    };
    call.made(&call.shared.checks, make).await
}

/// `POST /check`
pub(super) async fn check(call: ApiCall) -> Reply {
    with_text(call, |proxy, text, secrets, traffic| {
        proxy.check(text, secrets, traffic)
    })
    .await
}

/// `POST /diff`
pub(super) async fn diff(call: ApiCall) -> Reply {
    with_text(call, |proxy, text, secrets, traffic| {
        proxy.diff(text, secrets, traffic)
    })
    .await
}

async fn with_text<T: Serialize>(
    mut call: ApiCall,
    ask: impl FnOnce(&dyn Operations, String, Secrets, TrafficUse) -> T + Send + 'static,
) -> Reply {
    let secrets = secrets_for(&call);
    let traffic = match call.flag("against_live") {
        Ok(false) => TrafficUse::Left,
        Ok(true) => TrafficUse::Replayed,
        Err(sentence) => return reply::error(StatusCode::BAD_REQUEST, sentence),
    };
    let body = match read(call.request.body_mut()).await {
        Ok(body) => body,
        Err(reply) => return reply,
    };
    let Ok(text) = String::from_utf8(body.into()) else {
        return reply::error(StatusCode::BAD_REQUEST, "the body is not UTF-8");
    };
    let make = move |proxy: &dyn Operations| {
        reply::json(StatusCode::OK, &ask(proxy, text, secrets, traffic))
    };
    call.made(&call.shared.checks, make).await
}

/// Decides on access to secrets: error messages could reveal a file's content bit by bit, so files
/// and variables that a text names are read only for clients with the token.
fn secrets_for(call: &ApiCall) -> Secrets {
    let (method, headers) = (call.request.method(), call.request.headers());
    let gate = call.shared.gate.load();
    match gate.admit(Access::Change, call.peer, method, headers) {
        Ok(()) => Secrets::Needed,
        Err(_) => Secrets::Withheld,
    }
}

/// Reads a body of JSON.
pub(super) async fn read_json<T: DeserializeOwned>(call: &mut ApiCall) -> Result<T, Reply> {
    let body = read(call.request.body_mut()).await?;
    serde_json::from_slice(&body).map_err(|error| malformed(&error))
}

/// Reads a body of JSON; one that is empty is the default.
pub(super) async fn read_json_or_default<T: DeserializeOwned + Default>(
    call: &mut ApiCall,
) -> Result<T, Reply> {
    let body = read(call.request.body_mut()).await?;
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&body).map_err(|error| malformed(&error))
}

fn malformed(error: &serde_json::Error) -> Reply {
    reply::error(StatusCode::BAD_REQUEST, format!("the body: {error}"))
}

/// Reads a body within its limits of size and time.
async fn read(body: &mut Incoming) -> Result<Bytes, Reply> {
    let too_large = || {
        let sentence = format!("the body is larger than {BODY_BYTES_MAX} bytes");
        reply::error(StatusCode::PAYLOAD_TOO_LARGE, sentence)
    };
    let announced = body.size_hint().lower();
    if usize::try_from(announced).is_ok_and(|announced| announced > BODY_BYTES_MAX) {
        return Err(too_large());
    }
    let whole = Limited::new(body, BODY_BYTES_MAX).collect();
    match timeout(BODY_TIMEOUT, whole).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(reply::error(
            StatusCode::BAD_REQUEST,
            "the body is malformed or cut short",
        )),
        Err(_) => Err(reply::error(
            StatusCode::REQUEST_TIMEOUT,
            "the body did not arrive in time",
        )),
    }
}

/// Maximum size of a body: much more than any configuration.
const BODY_BYTES_MAX: usize = 1024 * 1024;

const BODY_TIMEOUT: Duration = Duration::from_secs(10);
