//! `explain`: where a request would go, and why not elsewhere.
//!
//! The answer itself, which the command line and the admin API both give.

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    route::Explanation,
    state::{self, Action, ArrivalReason, Asked, Snapshot, decision},
    upstream::tier,
};

/// Where a request would go.
#[derive(Debug, Serialize)]
pub struct Explained {
    /// The listener that it would come in by.
    pub listener: String,
    /// Why by that one.
    pub listener_by: ArrivalReason,
    /// The route that wins, if one does.
    pub route: Option<String>,
    /// What the route does with it.
    pub action: Value,
    /// What happens on the way.
    pub policies: Value,
    /// Who could serve it.
    pub candidates: Vec<Value>,
    /// Every route, with the reason why it won or lost.
    pub routes: Explanation,
}

/// Whether a snapshot is one that runs, so that the health of its endpoints is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthKnown {
    /// It runs.
    Yes,
    /// It was only compiled from a file: nobody has asked the endpoints.
    No,
}

/// Explains a request, by the function that routes.
///
/// # Errors
/// Why the request would be refused before routing.
pub fn explain(
    snapshot: &Snapshot,
    asked: &Asked,
    health: HealthKnown,
) -> Result<Explained, String> {
    let authority = asked.authority();
    let authority = authority.map_err(|rule| rule.sentence().to_owned())?;
    let arrival = asked.arrive(snapshot, authority.as_ref())?;
    let view = asked.view(authority.as_ref(), arrival.listener);
    let routes =
        decision::explain(snapshot, &view).map_err(|failure| failure.sentence().to_owned())?;
    let decision = state::route(snapshot, &view).ok();
    let route = decision.map(|decision| &snapshot.routes[decision.route.0 as usize]);
    Ok(Explained {
        listener: arrival.listener.name.to_string(),
        listener_by: arrival.reason,
        route: route.map(|route| route.name.to_string()),
        action: route.map_or(Value::Null, |route| action(snapshot, &route.action)),
        policies: route.map_or(Value::Null, |route| {
            json!({
                "timeouts": {
                    "total_ms": millis(route.timeouts.total),
                    "attempt_ms": millis(route.timeouts.attempt),
                    "idle_ms": millis(route.timeouts.idle),
                },
                "attempts": route.retry.attempts,
                "filters": route.filters.names(),
                "grpc_web": route.grpc_web,
                "body_max": route.body_max,
            })
        }),
        candidates: route.map_or_else(Vec::new, |route| {
            candidates(snapshot, &route.action, health)
        }),
        routes,
    })
}

fn action(snapshot: &Snapshot, action: &Action) -> Value {
    match action {
        Action::Pool(pool, _) => json!({ "pool": &*snapshot.pools[pool.0 as usize].name }),
        Action::Redirect(redirect) => json!({ "redirect": redirect.status.as_u16() }),
        Action::Respond(respond) => json!({ "respond": respond.status().as_u16() }),
    }
}

fn candidates(snapshot: &Snapshot, action: &Action, known: HealthKnown) -> Vec<Value> {
    let Action::Pool(index, view) = action else {
        return Vec::new();
    };
    let pool = &snapshot.pools[index.0 as usize];
    let picture = pool.health.picture();
    let tiers = &pool.views[view.0 as usize].tiers;
    let panic = tier::is_in_panic(&snapshot.pools, pool, *view);
    let members = (0_u32..).zip(&pool.endpoints);
    members
        .map(|(place, endpoint)| {
            let place = crate::upstream::picker::EndpointIndex(place);
            let tier = tiers.iter().position(|tier| tier.contains(&place));
            let eligible = match known {
                HealthKnown::Yes => {
                    picture.is_eligible(place) || (panic && picture.is_enabled(place))
                }
                // No check has run, and none has failed.
                HealthKnown::No => true,
            };
            let eligible = eligible && endpoint.weight > 0;
            let skipped = match (tier, eligible) {
                (None, _) => Some("its version does not meet the route's requirement".to_owned()),
                (Some(_), false) if endpoint.weight == 0 => Some("its weight is 0".to_owned()),
                (Some(_), false) => picture.endpoint(place).map(|view| match &view.cause {
                    Some(cause) => format!("{}: {cause}", view.state.word()),
                    None => view.state.word().to_owned(),
                }),
                (Some(0), true) => None,
                (Some(_), true) => Some("only when nobody preferred can serve".to_owned()),
            };
            json!({
                "endpoint": &*endpoint.label,
                "weight": endpoint.weight,
                "version": endpoint.version_label.as_deref(),
                "zone": endpoint.zone.as_deref(),
                "priority": endpoint.priority,
                "health": match known {
                    HealthKnown::Yes => picture.endpoint(place).map(|view| view.state.word()),
                    HealthKnown::No => None,
                },
                "skipped": skipped,
            })
        })
        .collect()
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
