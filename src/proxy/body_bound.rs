//! The bound of request bodies on routes that write none.
//!
//! A bound that is written is a filter. The default is held where a request goes upstream: the
//! chains of most routes stay empty, and a request without a body is not asked about it.

use super::call::Home;
use crate::{
    config::value::{BodyBound, PoolProtocol},
    exchange::{Exchange, Request},
    failure::Failure,
    filter::BodyMax,
    semantics::grpc,
    state::Route,
};

/// Holds the body of a request to the default, if that is for it.
///
/// # Errors
/// [`BadRequest::BodyMax`](crate::failure::BadRequest::BodyMax) if the body announces more.
pub(super) fn hold(
    exchange: &Exchange,
    route: &Route,
    home: Home,
    request: &mut Request,
) -> Result<(), Failure> {
    if !route.bounds_bodies || has_messages(exchange, home, request) {
        return Ok(());
    }
    BodyMax(BodyBound::DEFAULT.bytes()).hold(&mut request.body)
}

/// Returns true for a call of gRPC or gRPC-Web, whose stream of messages has no end. Over HTTP/1.1
/// there are no such calls, whatever the content type says.
fn has_messages(exchange: &Exchange, home: Home, request: &Request) -> bool {
    let pool = exchange.snapshot.shared.pools.get(home.pool.0 as usize);
    pool.is_some_and(|pool| pool.protocol != PoolProtocol::Http1)
        && (exchange.grpc || grpc::is_grpc_web(&request.headers))
}
