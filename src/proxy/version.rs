//! The step of the walk at which a client asks for a version of the service.
//!
//! Only on routes that allow it. What the client writes is not kept: endpoints are chosen by what it
//! matches of the versions that the pool has.

use http::{HeaderName, HeaderValue, StatusCode};

use crate::{
    exchange::{CallRecord, Exchange, Reason, Refusal},
    failure::Failure,
    rollout::asked,
    semantics::{Headers, Known, Value, token::members},
};

/// Reads the version that a request asks for, if it asks for one.
///
/// # Errors
/// A refusal with 400 if the field cannot be read: another version than the one asked for would be
/// a guess.
#[cold]
pub(super) fn read(
    exchange: &mut Exchange,
    headers: &Headers,
    name: &HeaderName,
) -> Result<(), Failure> {
    match asked(headers, name) {
        Ok(None) => Ok(()),
        Ok(wanted) => {
            exchange.call.extra().wanted = wanted;
            Ok(())
        }
        Err(_) => {
            let refusal = Refusal::new(StatusCode::BAD_REQUEST, BAD)
                .sentence("the version that the request asks for is no requirement such as ^2")
                .detail(format!("header {name}"));
            Err(exchange.refuse(refusal))
        }
    }
}

/// Asks in a call of its own for the version that a request asks for, which was read before.
pub(super) fn ask_again(call: &mut CallRecord, headers: &Headers, name: &HeaderName) {
    if let Ok(Some(wanted)) = asked(headers, name) {
        call.extra().wanted = Some(wanted);
    }
}

/// Says which version is missing, if a call failed as no endpoint has the one that was asked for.
pub(super) fn explain(exchange: &mut Exchange, failure: Failure) -> Failure {
    let call = &exchange.call;
    let wanted = match call.wanted() {
        Some(wanted) if failure == Failure::NoEndpoint && call.attempts.is_empty() => wanted,
        _ => return failure,
    };
    let mut refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, MISSING)
        .header(Known::RetryAfter, Value::from_static("1"));
    // It was parsed: only letters, digits and a few marks are left.
    let sentence = format!("no endpoint that can serve has a version that meets {wanted}");
    refusal.sentence = sentence.into();
    exchange.refuse(refusal)
}

/// Tells caches that answers depend on the version that a request asks for.
#[cold]
pub(super) fn vary(headers: &mut Headers, name: &HeaderName) {
    let name = name.as_str();
    let is_known = headers.get_all(Known::Vary).any(|value| {
        members(value.as_bytes()).any(|it| it == b"*" || it.eq_ignore_ascii_case(name.as_bytes()))
    });
    if !is_known && let Ok(value) = HeaderValue::from_str(name) {
        headers.append(Known::Vary, &value);
    }
}

const BAD: Reason = Reason::new("http_request_error");
const MISSING: Reason = Reason::new("destination_unavailable");
