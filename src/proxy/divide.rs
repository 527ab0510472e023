//! The step of the walk at which a request of a route with several pools gets one of them.

use super::forward;
use crate::{
    exchange::{Exchange, Request, Response},
    failure::Failure,
    rollout::{Cohort, KnownBy, Split, User, UserRules},
    semantics::{Known, forwarded::Scheme, upgrade::Offer},
    upstream::HashInput,
    worker::Connection,
};

/// Sends a request to the pool that its user has by weight, and returns the response to pass on.
///
/// # Errors
/// Those of [`forward::forward`].
pub(super) async fn by_weight(
    connection: &Connection,
    exchange: &mut Exchange,
    split: &Split,
    request: &mut Request,
    offer: Option<&Offer>,
) -> Result<Response, Failure> {
    let user = user_of(connection, exchange, &split.users, request);
    let arm = split.choose(&user).ok_or(Failure::NoEndpoint)?;
    exchange.cohort = Some(Box::new(Cohort {
        pool: arm.pool,
        known_by: user.known_by,
    }));
    if let Some(metrics) = exchange.route_metrics() {
        metrics.count_split(&arm.name);
    }
    let (pool, view) = (arm.pool, arm.view);
    let mut response = forward::forward(connection, exchange, pool, view, request, offer).await?;
    give_cookie(exchange, &split.users, &mut response);
    Ok(response)
}

/// Returns the user of a request; a new one if it has nothing to recognise him by.
fn user_of(
    connection: &Connection,
    exchange: &Exchange,
    rules: &UserRules,
    request: &Request,
) -> User {
    let query = request.uri.query();
    let input = HashInput::of_user(&request.headers, query, exchange.client);
    let known = rules.known(&input);
    known.unwrap_or_else(|| UserRules::new_user(connection.worker.draw()))
}

/// Gives a new user the cookie that he is recognised by from now on.
fn give_cookie(exchange: &Exchange, rules: &UserRules, response: &mut Response) {
    let Some(KnownBy::New(number)) = exchange.cohort.as_ref().map(|cohort| cohort.known_by) else {
        return;
    };
    let secure = exchange.scheme == Scheme::Https;
    if let Some(line) = rules.set_cookie(number, secure) {
        response.headers.append(Known::SetCookie, line);
    }
}
