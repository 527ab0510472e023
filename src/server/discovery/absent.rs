//! Endpoints that their source does not list any more, and that still pass their active checks.

use crate::upstream::{
    endpoint::Endpoint, endpoint_set::EndpointSet, health::EndpointState, pool::Pool,
};

/// Keeps the endpoints of a set in use that are healthy and not listed any more, if the pool wants
/// that.
pub(super) fn keep(pool: &Pool, set: &EndpointSet) {
    let picture = set.health.picture();
    let listed = |endpoint: &Endpoint| pool.listed.iter().any(|it| it.label == endpoint.label);
    let wants = pool.discovery.as_ref().is_some_and(|it| it.keeps_absent);
    let new = pool
        .shared
        .discovered
        .keep_absent(&set.endpoints, |at, endpoint| {
            let view = picture.endpoints.get(at);
            let is_healthy = view.is_some_and(|view| view.state == EndpointState::Healthy);
            wants && is_healthy && endpoint.is_up() && !listed(endpoint)
        });
    for endpoint in new.iter().take(LINES_MAX) {
        tracing::info!(pool = %pool.name, %endpoint, "endpoint not listed any more; it is used until its check fails");
    }
}

/// Returns true if an endpoint that is not listed any more is not healthy any more.
pub(super) fn have_failed(pool: &Pool) -> bool {
    let absent = pool.shared.discovered.absent();
    let set = pool.endpoint_set();
    let picture = set.health.picture();
    let mut views = picture.endpoints.iter();
    views.any(|view| view.state != EndpointState::Healthy && absent.contains(&view.address))
}

/// Maximum number of endpoints that are logged one by one.
const LINES_MAX: usize = 20;
