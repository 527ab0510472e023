//! Details of why a request was not served, for the access log and `why`: the limit that refused it,
//! or what keeps the endpoints of its pool away. The client is told none of it.

use std::borrow::Cow;

use crate::{
    exchange::{BadRequest, Exchange, Failure, Obstacle},
    timer,
    upstream::condition,
};

/// Returns the details of a refusal by a filter, or of a failure of the proxy itself; none for others.
#[cold]
pub(super) fn detail(exchange: &Exchange) -> Option<Cow<'_, str>> {
    if let Some(refusal) = exchange.refused() {
        return refusal.detail.as_deref().map(Cow::Borrowed);
    }
    let detail = match exchange.failure()? {
        Failure::LimitReached => Some(limit(exchange)),
        Failure::BadRequest(BadRequest::BodyMax) => body_max(exchange),
        Failure::NoEndpoint => no_endpoint(exchange),
        Failure::BreakerOpen => {
            let pool = exchange.pool()?;
            let view = pool.shared.breaker.view(timer::recent());
            let cause = view.and_then(|view| view.cause);
            let cause = cause.map_or_else(String::new, |cause| format!(": {cause}"));
            Some(format!("the breaker of pool {} is open{cause}", pool.name))
        }
        _ => None,
    };
    detail.map(Cow::Owned)
}

fn body_max(exchange: &Exchange) -> Option<String> {
    let (route, max) = (exchange.route()?, exchange.body_max()?);
    let default = if route.bounds_bodies {
        " by default"
    } else {
        ""
    };
    Some(format!(
        "body_max of route {} is {max}{default}; a larger size, or false, lets such bodies pass",
        route.name
    ))
}

fn limit(exchange: &Exchange) -> String {
    let Some((obstacle, waited)) = exchange.call.queued.obstacle() else {
        let listener = exchange.listener_name();
        return match exchange.route_name() {
            None => {
                format!("the connections of listener {listener}, of one client, or of the process")
            }
            Some(_) => "no descriptor, port or connection is free towards the endpoint".to_owned(),
        };
    };
    let key = obstacle.key();
    let (kind, name) = match (obstacle, exchange.route_name(), exchange.pool_name()) {
        (Obstacle::Memory, ..) => return key.to_owned(),
        (Obstacle::RouteConcurrency | Obstacle::ClientConcurrency, Some(route), _) => {
            ("route", route)
        }
        (_, _, Some(pool)) => ("pool", pool),
        _ => return key.to_owned(),
    };
    let late = if waited {
        ", waited for queue_timeout"
    } else {
        ""
    };
    format!("{key} of {kind} {name}{late}")
}

fn no_endpoint(exchange: &Exchange) -> Option<String> {
    let pool = exchange.pool()?;
    let name = &pool.name;
    // A flood of such requests must not look through thousands each.
    let count = pool.endpoint_set().endpoints.len();
    if count > LOOKED_AT_MAX {
        return Some(format!(
            "pool {name}: none of its {count} endpoints can serve"
        ));
    }
    Some(match condition::kept_out(pool, false) {
        Some(why) => format!("pool {name}: {why}"),
        None if exchange.call.attempts.is_empty() => {
            format!("pool {name}: no endpoint of the version that it needs can serve")
        }
        None => format!("pool {name}: all endpoints that can serve were tried"),
    })
}

/// Maximum number of endpoints that are looked at for the details of one request.
const LOOKED_AT_MAX: usize = 256;
