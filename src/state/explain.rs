//! `explain`: where a request would go, and why not elsewhere.
//!
//! The answer itself, which the command line and the admin API both give.

use std::net::{IpAddr, Ipv4Addr};

use ::http::{Method, Uri};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    http::{Headers, Known, authority::Authority},
    route::Explanation,
    state::{self, Action, RequestView, Snapshot, decision},
    tls::ClientCertificate,
};

/// A request to be explained, not sent.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its method.
    pub method: Method,
    /// Its URL, with scheme and host.
    pub url: Uri,
    /// Its headers.
    pub headers: Headers,
    /// The address that it would come from.
    pub source: Option<IpAddr>,
    /// The certificate that its client would show.
    pub certificate: Option<ClientCertificate>,
}

/// Where a request would go.
#[derive(Debug, Serialize)]
pub struct Explained {
    /// The listener that it would come in by.
    pub listener: String,
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

/// Explains a request, by the function that routes.
///
/// # Errors
/// Why the request would be refused before routing.
pub fn explain(snapshot: &Snapshot, asked: &Asked) -> Result<Explained, String> {
    // As in a request: the URL says the host, and where it has none, the header.
    let host = match asked.url.authority() {
        Some(authority) => Some(authority.as_str().as_bytes()),
        None => asked.headers.get(Known::Host).map(|host| host.as_bytes()),
    };
    let authority = host
        .map(Authority::parse)
        .transpose()
        .map_err(|rule| rule.sentence().to_owned())?;
    let view = |listener| RequestView {
        listener,
        host: authority.as_ref().map_or("", |authority| authority.host()),
        path: asked.url.path(),
        query: asked.url.query(),
        method: &asked.method,
        headers: &asked.headers,
        client: asked.source.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        certificate: asked.certificate.as_ref(),
    };
    // A request without a port names no listener: the first that has a route for it.
    let listeners = &snapshot.listeners;
    let port = asked.url.port_u16();
    let by_port = listeners.iter().find(|listener| match &listener.address {
        state::BindAddress::Tcp(address) => Some(address.port()) == port,
        state::BindAddress::Unix(_) => false,
    });
    let by_route = || {
        listeners
            .iter()
            .find(|listener| state::route(snapshot, &view(listener.index)).is_ok())
    };
    let listener = by_port.or_else(by_route).or_else(|| listeners.first());
    let listener = listener.ok_or("the configuration has no listener")?;
    let view = view(listener.index);
    let routes =
        decision::explain(snapshot, &view).map_err(|failure| failure.sentence().to_owned())?;
    let decision = state::route(snapshot, &view).ok();
    let route = decision.map(|decision| &snapshot.routes[decision.route.0 as usize]);
    Ok(Explained {
        listener: listener.name.to_string(),
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
        candidates: route.map_or_else(Vec::new, |route| candidates(snapshot, &route.action)),
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

fn candidates(snapshot: &Snapshot, action: &Action) -> Vec<Value> {
    let Action::Pool(index, view) = action else {
        return Vec::new();
    };
    let pool = &snapshot.pools[index.0 as usize];
    let picture = pool.health.picture();
    let tiers = &pool.views[view.0 as usize].tiers;
    let members = (0_u32..).zip(&pool.endpoints);
    members
        .map(|(place, endpoint)| {
            let place = crate::upstream::picker::EndpointIndex(place);
            let tier = tiers.iter().position(|tier| tier.contains(&place));
            let eligible = picture.is_eligible(place) && endpoint.weight > 0;
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
                "health": picture.endpoint(place).map(|view| view.state.word()),
                "skipped": skipped,
            })
        })
        .collect()
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
