//! Checks of every request before it is routed (RFC 9110, 9112, 9113).
//!
//! The HTTP/1.1 codec has refused malformed input; these checks are common to both versions.
//! Afterwards `Host` is the authority, and the target is in origin form.

use bytes::Bytes;
use http::{Method, Uri, Version, uri::PathAndQuery};

use crate::{
    exchange::{Exchange, Obstacle, Request},
    failure::{BadRequest, Failure},
    semantics::{
        Known, Value,
        authority::{Authority, effective_authority},
        cookie, hop_by_hop,
        upgrade::{Offer, RequestBody},
    },
    state::{RequestView, Underscores, heads::HeadOrigin},
    worker::Connection,
};

/// Checks a request and brings it into the form that the rest of the walk relies on.
pub(super) fn check(
    connection: &Connection,
    exchange: &mut Exchange,
    request: &mut Request,
) -> Result<Option<Offer>, Failure> {
    remember_target(exchange, &request.uri);
    if connection.refuses_requests() {
        exchange.call.queued.refused_by(Obstacle::Memory, false);
        return Err(Failure::LimitReached);
    }
    if matches!(request.method, Method::CONNECT | Method::TRACE) {
        return Err(BadRequest::Method.into());
    }
    if request.version >= Version::HTTP_2 {
        check_multiplexed(exchange, request)?;
        cookie::join_lines(&mut request.headers);
    }
    exchange.request.authority = effective_authority(
        request.version,
        request.uri.authority().map(|authority| authority.as_str()),
        &request.headers,
    )?;
    check_server_name(exchange)?;
    let authority = exchange.request.authority.as_ref();
    let host = authority.map_or(NO_HOST, Authority::as_value);
    if request.uri.authority().is_some() || request.headers.get(Known::Host) != Some(host) {
        request.headers.insert(Known::Host, host);
    }
    check_target(request)?;
    check_underscores(connection, exchange, request)?;
    if connection.worker.pseudonym().is_in(&request.headers) {
        return Err(Failure::Loop);
    }
    if let Some(handshake) = request.handshake.take() {
        return Ok(Some(Offer::made(handshake)));
    }
    let body = if request.body.is_end() {
        RequestBody::Absent
    } else {
        RequestBody::Present
    };
    Ok(Offer::read(
        request.version,
        &request.method,
        &request.headers,
        body,
    ))
}

/// Returns the view of the request for the route table.
pub(super) fn view<'a>(exchange: &'a Exchange, request: &'a Request) -> RequestView<'a> {
    RequestView {
        listener: exchange.listener.index,
        host: exchange.host(),
        path: request.uri.path(),
        query: request.uri.query(),
        method: &request.method,
        headers: &request.headers,
        client: exchange.client,
        certificate: exchange.client_certificate(),
    }
}

/// Keeps the head of a request for dry runs of a configuration.
#[cold]
pub(super) fn keep_head(connection: &Connection, exchange: &Exchange, view: &RequestView<'_>) {
    let origin = HeadOrigin {
        request_id: exchange.request_id(),
        listener: &exchange.listener.name,
        scheme: exchange.scheme,
        now: exchange.started,
    };
    connection.worker.keep_head(view, origin);
}

/// Refuses a request for another host than the one of the handshake, where clients present
/// certificates: one that was accepted for one host must not reach another over the same session
/// (RFC 9110 section 7.4).
fn check_server_name(exchange: &Exchange) -> Result<(), Failure> {
    let guarded = exchange.listener.tls.as_ref();
    if !guarded.is_some_and(|tls| tls.asks_clients()) {
        return Ok(());
    }
    let session = exchange.tls.as_ref();
    match session.and_then(|session| session.server_name.as_deref()) {
        Some(name) if !name.eq_ignore_ascii_case(exchange.host().trim_end_matches('.')) => {
            Err(Failure::Misdirected)
        }
        _ => Ok(()),
    }
}

fn remember_target(exchange: &mut Exchange, uri: &Uri) {
    // A logged target is what the client sent, as far as it is one.
    exchange.request.target = match uri.path_and_query() {
        Some(target) => Bytes::copy_from_slice(target.as_str().as_bytes()),
        None => Bytes::from(uri.to_string()),
    };
}

/// Checks the limits that the codec has applied to HTTP/1.1 heads.
fn check_multiplexed(exchange: &Exchange, request: &Request) -> Result<(), BadRequest> {
    let limits = &exchange.listener.head;
    let target = request.uri.path_and_query();
    if target.is_some_and(|target| target.as_str().len() > limits.target_max) {
        return Err(BadRequest::TargetTooLong);
    }
    if request.headers.len() > limits.headers_max {
        return Err(BadRequest::TooManyHeaders);
    }
    match request.headers.get(Known::Expect) {
        Some(expect) if !expect.as_bytes().eq_ignore_ascii_case(b"100-continue") => {
            Err(BadRequest::Expectation)
        }
        _ => Ok(()),
    }
}

/// Leaves a target in origin form, or `*` for OPTIONS.
fn check_target(request: &mut Request) -> Result<(), BadRequest> {
    let uri = &request.uri;
    let asterisk = uri.path() == "*";
    if asterisk && request.method != Method::OPTIONS {
        return Err(BadRequest::Target);
    }
    if uri.scheme().is_none() && uri.authority().is_none() {
        return if asterisk || uri.path().starts_with('/') {
            Ok(())
        } else {
            Err(BadRequest::Target)
        };
    }
    let target = match uri.path_and_query() {
        Some(target) if target.as_str().starts_with('/') || asterisk => target.clone(),
        Some(target) => {
            let text = format!("/{}", target.as_str());
            PathAndQuery::try_from(text).map_err(|_| BadRequest::Target)?
        }
        None => PathAndQuery::from_static("/"),
    };
    request.uri = Uri::from(target);
    Ok(())
}

fn check_underscores(
    connection: &Connection,
    exchange: &Exchange,
    request: &mut Request,
) -> Result<(), BadRequest> {
    match exchange.listener.underscores {
        Underscores::Allow => Ok(()),
        Underscores::Drop => {
            if hop_by_hop::has_underscore(&request.headers) {
                let dropped = hop_by_hop::drop_underscores(&mut request.headers);
                let counter = connection.worker.metrics().underscores_dropped();
                counter.add(dropped as u64);
            }
            Ok(())
        }
        Underscores::Refuse if hop_by_hop::has_underscore(&request.headers) => {
            Err(BadRequest::Underscore)
        }
        Underscores::Refuse => Ok(()),
    }
}

/// Value of `Host` towards the endpoint when an HTTP/1.0 client sent none.
const NO_HOST: Value<'_> = Value::from_static("");
