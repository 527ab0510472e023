//! The walk of a request from its head to the head of the response, and the end after its body.
//!
//! Every step is one call; a step that ends the walk early returns a [`Failure`], which becomes a
//! reply in one place. A panic ends the exchange with 500 and nothing else.

use std::{pin::pin, rc::Rc};

use super::{
    Outgoing, admit, begin::begin, cached, call::Home, challenge, deadline, divide, forward,
    grpc_web, reply, request, response, version, way_back,
};
use crate::{
    exchange::{Exchange, Request, Response},
    failure::Failure,
    filter::{RateLimitFilter, Verdict},
    state::{self, Action},
    task,
    worker::Connection,
};

/// Carries one request through the proxy; the response body is still to be streamed.
///
/// Dropping the future cancels the exchange: the client has left.
pub async fn serve(connection: &Rc<Connection>, mut request: Box<Request>) -> Response<Outgoing> {
    let mut open = begin(connection, Some(&request));
    let failure = {
        let walked = {
            let walking = pin!(walk(connection, open.exchange(), &mut request));
            task::caught(walking).await
        };
        match walked {
            Ok(Ok(response)) => return response::seal(open, response),
            Ok(Err(failure)) => failure,
            Err(task::Panicked) => Failure::Internal,
        }
    };
    // In memory of its own: an exchange that goes well has no room for it.
    Box::pin(way_back::fail(open, failure, Some(&request))).await
}

/// Answers a request whose head was refused as invalid.
pub fn refuse(connection: &Rc<Connection>, failure: Failure) -> Response<Outgoing> {
    let mut open = begin(connection, None);
    let mut response = reply::failure(open.exchange(), failure);
    way_back::show_unrouted(open.exchange(), None, &mut response);
    response::seal(open, response)
}

/// Ends an exchange whose response was sent, or cut short: metrics, health signals and the log
/// line are made here.
///
/// A response that is dropped without it belongs to a cancelled exchange.
pub fn finish(response: &mut Outgoing) {
    response.end().end();
}

async fn walk(
    connection: &Connection,
    exchange: &mut Exchange,
    request: &mut Request,
) -> Result<Response, Failure> {
    let offer = admit::check(connection, exchange, request)?;
    if let Some(answer) = challenge::answer(exchange, request) {
        return Ok(answer);
    }
    if exchange.listener.rates.is_some() {
        // In memory of its own: few listeners limit rates.
        Box::pin(RateLimitFilter::before_routing(exchange, request)).await?;
    }
    let decision = {
        let view = admit::view(exchange, request);
        if connection.worker.wants_head() {
            admit::keep_head(connection, exchange, &view);
        }
        state::route(&exchange.snapshot.shared, &view)?
    };
    exchange.decision = Some(decision);
    let snapshot = Rc::clone(&exchange.snapshot);
    let metrics = &snapshot.routes[decision.route.0 as usize];
    let under_way = connection.worker.under_way();
    under_way.route(exchange.call.exchange, metrics);
    let route = &snapshot.shared.routes[decision.route.0 as usize];
    if route.grpc_web {
        grpc_web::open(exchange, request);
    }
    if route.deadlines {
        deadline::read(exchange, request);
    }
    if let Some(answer) = request::answer_options(exchange, request) {
        return Ok(answer);
    }
    request::prepare(connection, exchange, request, offer.as_ref());
    if let Some(name) = &route.version_header {
        version::read(exchange, &request.headers, name)?;
    }
    let verdict = if route.filters.is_empty() {
        Verdict::Continue
    } else {
        route.filters.on_request(exchange, request).await?
    };
    let mut response = match (verdict, &route.action) {
        (Verdict::Reply(response), _) => response,
        (Verdict::Continue, Action::Pool(pool, view)) => {
            let home = Home {
                pool: *pool,
                view: *view,
            };
            if exchange.cached.is_none() {
                forward::forward(connection, exchange, home, request, offer.as_ref()).await?
            } else {
                // In memory of its own: few routes have a cache.
                let cached = cached::forward(connection, exchange, home, request, offer.as_ref());
                Box::pin(cached).await?
            }
        }
        (Verdict::Continue, Action::Split(split)) => {
            // In memory of its own: few routes have one.
            let divided = divide::by_weight(connection, exchange, split, request, offer.as_ref());
            Box::pin(divided).await?
        }
        (Verdict::Continue, Action::Rollout(rollout)) => {
            let divided =
                divide::by_version(connection, exchange, rollout, request, offer.as_ref());
            Box::pin(divided).await?
        }
        (Verdict::Continue, Action::Redirect(redirect)) => redirect.reply(exchange, request)?,
        (Verdict::Continue, Action::Respond(respond)) => respond.reply(exchange, request)?,
    };
    response::clean(&mut response);
    grpc_web::part(exchange, &mut response);
    if exchange.passage.is_left() {
        route.filters.on_response(exchange, &mut response).await?;
    }
    Ok(response)
}
