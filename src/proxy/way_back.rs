//! The way of a failure to the client: through the filters that saw the request.
//!
//! So a 502 has what the filters of the route put on every answer. Each filter sees an answer
//! once, whether it fails over it or not, so the way has an end.

use std::{pin::pin, rc::Rc};

use super::{Outgoing, grpc_web, open::Open, reply, response};
use crate::{
    exchange::{Exchange, Request, Response},
    failure::Failure,
    task,
};

/// Ends the walk with the answer to a failure.
pub(super) async fn fail(
    mut open: Open,
    failure: Failure,
    request: Option<&Request>,
) -> Response<Outgoing> {
    let exchange = open.exchange();
    let mut response = reply::failure(exchange, failure);
    show_unrouted(exchange, request, &mut response);
    if exchange.passage.is_left() {
        response = pass_filters(exchange, response).await;
    }
    response::seal(open, response)
}

/// Gives an answer to a request without a route the form that the listener has for it.
pub(super) fn show_unrouted(
    exchange: &mut Exchange,
    request: Option<&Request>,
    response: &mut Response,
) {
    if exchange.decision.is_none()
        && let Some(pages) = exchange.listener.error_pages.clone()
    {
        pages.show_unrouted(exchange, request, response);
    }
}

/// Leads an answer of the proxy through the filters that are left. One that fails, or panics, has
/// its own failure answered; that goes on to the next.
async fn pass_filters(exchange: &mut Exchange, mut response: Response) -> Response {
    let snapshot = Rc::clone(&exchange.snapshot);
    let routes = &snapshot.shared.routes;
    let route = exchange.decision.map(|it| it.route.0 as usize);
    let Some(route) = route.and_then(|route| routes.get(route)) else {
        return response;
    };
    loop {
        grpc_web::part(exchange, &mut response);
        let passed = {
            let passing = pin!(route.filters.on_response(exchange, &mut response));
            task::caught(passing).await
        };
        let failure = match passed {
            Ok(Ok(())) => return response,
            Ok(Err(failure)) => failure,
            Err(task::Panicked) => Failure::Internal,
        };
        response = reply::failure(exchange, failure);
    }
}
