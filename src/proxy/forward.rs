//! The step of the walk at which a request goes upstream.
//!
//! Makes the exchange's [`UpstreamCall`]: by the policies of its route, for its client.

use std::rc::Rc;

use tokio::time::Instant;

use super::{
    call::{CallTerms, UpstreamCall, tell_session},
    upload::upload_of,
};
use crate::{
    exchange::{Exchange, Request, Response},
    failure::Failure,
    semantics::{grpc, upgrade::Offer},
    state::Route,
    timer,
    upstream::pool::{PoolIndex, ViewIndex},
    worker::Connection,
};

/// Sends a request to a pool and returns the response to pass on.
///
/// # Errors
/// The failure of the last attempt, or the reason why there was none.
pub(super) async fn forward(
    connection: &Connection,
    exchange: &mut Exchange,
    pool: PoolIndex,
    view: ViewIndex,
    request: &mut Request,
    offer: Option<&Offer>,
) -> Result<Response, Failure> {
    let snapshot = Rc::clone(&exchange.snapshot);
    let Some(decision) = exchange.decision else {
        return Err(Failure::Internal);
    };
    let route = &snapshot.shared.routes[decision.route.0 as usize];
    let upload = upload_of(&connection.worker, exchange, route, request);
    let terms = CallTerms {
        worker: &connection.worker,
        snapshot: &snapshot,
        home: (pool, view),
        retry: &route.retry,
        timeouts: &route.timeouts,
        end: end_of(exchange, route),
        given_up: exchange.grpc_deadline,
        client: &exchange.client,
        downstream: Some(connection),
        offer,
        grpc: exchange.grpc,
        lends_host: exchange.request.authority.is_none(),
    };
    let mut call = UpstreamCall::new(terms, request, upload, &mut exchange.call);
    let mut response = call.run().await?;
    tell_session(exchange, &connection.worker, &mut response);
    exchange.answered = Some(timer::recent());
    if exchange.grpc {
        exchange.grpc_status = grpc::status_in(&response.headers);
    }
    Ok(response)
}

/// Returns the deadline of the response head: the end of the route's total time, or of the client's
/// deadline for a gRPC call.
fn end_of(exchange: &Exchange, route: &Route) -> Instant {
    let end = exchange.started + route.timeouts.total;
    exchange.grpc_deadline.map_or(end, |given| end.min(given))
}
