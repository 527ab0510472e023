//! The step of the walk at which a request goes upstream.
//!
//! Makes the exchange's [`UpstreamCall`]: by the policies of its route, for its client.

use std::rc::Rc;

use tokio::time::Instant;

use super::{
    body_bound, cached,
    call::{CallTerms, Home, UpstreamCall, tell_attempts, tell_session},
    shadow,
    upload::upload_of,
    version,
};
use crate::{
    exchange::{Body, Exchange, Request, Response},
    failure::{Failure, Side},
    semantics::{grpc, upgrade::Offer},
    state::Route,
    timer,
    worker::Connection,
};

/// Sends a request to a pool, or answers it from the cache of its route.
///
/// # Errors
/// The failure of the last attempt, or the reason why there was none.
pub(super) async fn by_cache(
    connection: &Connection,
    exchange: &mut Exchange,
    home: Home,
    request: &mut Request,
    offer: Option<&Offer>,
) -> Result<Response, Failure> {
    if exchange.cached.is_some() {
        // In memory of its own: few routes have a cache.
        return Box::pin(cached::forward(connection, exchange, home, request, offer)).await;
    }
    forward(connection, exchange, home, request, offer).await
}

/// Sends a request to a pool and returns the response to pass on. On a route with a cache, that is
/// the response as the endpoint sent it.
///
/// # Errors
/// The failure of the last attempt, or the reason why there was none.
pub(super) async fn forward(
    connection: &Connection,
    exchange: &mut Exchange,
    home: Home,
    request: &mut Request,
    offer: Option<&Offer>,
) -> Result<Response, Failure> {
    let snapshot = Rc::clone(&exchange.snapshot);
    let Some(decision) = exchange.decision else {
        return Err(Failure::Internal);
    };
    let route = &snapshot.shared.routes[decision.route.0 as usize];
    if exchange.is_given_up(timer::recent()) {
        return Err(Failure::ResponseTimeout);
    }
    if !matches!(request.body, Body::Empty) {
        body_bound::hold(exchange, route, home, request)?;
    }
    if let Some(shadow) = &route.shadow {
        shadow::begin(connection, exchange, shadow, home, request, offer);
    }
    let upload = upload_of(&connection.worker, exchange, route, request);
    let terms = CallTerms {
        worker: &connection.worker,
        snapshot: &snapshot,
        home,
        route,
        end: end_of(exchange, route),
        given_up: &exchange.client_deadline,
        client: &exchange.client,
        downstream: Some(connection),
        offer,
        trace: exchange.trace.as_deref(),
        grpc: exchange.grpc,
        lends_host: exchange.request.authority.is_none(),
        is_copy: false,
    };
    let mut call = UpstreamCall::new(terms, request, upload, &mut exchange.call);
    let mut response = match call.run().await {
        Ok(response) => response,
        Err(failure) => {
            let failure = version::explain(exchange, failure);
            return Err(failure_of(exchange, failure));
        }
    };
    if let Some(name) = &route.version_header {
        // Before a cache sees it.
        version::vary(&mut response.headers, name);
    }
    if let Some(copied) = exchange.call.take_copied() {
        shadow::answered(copied, &mut response);
    }
    exchange.answered = Some(timer::recent());
    if exchange.cached.is_none() {
        tell(connection, exchange, &mut response);
    }
    Ok(response)
}

/// Tells this client in the response what the call was like, and notes what the response says.
pub(super) fn tell(connection: &Connection, exchange: &mut Exchange, response: &mut Response) {
    if exchange.call.repeated > 1 {
        tell_attempts(exchange, &mut response.headers);
    }
    tell_session(exchange, &connection.worker, response);
    if exchange.grpc {
        exchange.grpc_status = grpc::status_in(&response.headers);
    }
}

/// Returns the failure to tell: whatever was waited for when the client's deadline passed, the
/// response is late.
fn failure_of(exchange: &Exchange, failure: Failure) -> Failure {
    if failure.side() != Side::Downstream && exchange.is_given_up(timer::now()) {
        Failure::ResponseTimeout
    } else {
        failure
    }
}

/// Returns the deadline of the response head: the end of the route's total time, or the client's
/// deadline if that is earlier.
fn end_of(exchange: &Exchange, route: &Route) -> Instant {
    let end = exchange.started + route.timeouts.total;
    exchange.client_deadline.map_or(end, |given| end.min(given))
}
