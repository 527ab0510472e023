//! The place that a configuration sends a kept head to.

use super::{head::RecentHead, report::RoutedTo};
use crate::{
    config::schema,
    failure::Failure,
    filter::KeptOut,
    rollout::UserRules,
    route::RouteIndex,
    semantics::forwarded::Scheme,
    state::{Action, Asked, Snapshot},
};

/// Returns the route of a request and the place that it goes to. What depends on chance is drawn
/// from `chance`, which is the same under both configurations.
pub(super) fn of(
    snapshot: &Snapshot,
    head: &RecentHead,
    asked: &Asked,
    chance: u64,
) -> (Option<RouteIndex>, RoutedTo) {
    let decision = match asked.decide(snapshot) {
        Ok(decision) => decision,
        Err(None) => return (None, RoutedTo::refused(None, "no such listener")),
        Err(Some(Failure::RouteNotFound)) => return (None, RoutedTo::refused(None, "no route")),
        Err(Some(failure)) => return (None, RoutedTo::refused(None, failure.word())),
    };
    let index = decision.route.0 as usize;
    let route = &snapshot.routes[index];
    let name = Some(route.name.to_string());
    if let Some(why) = route
        .filters
        .keeps_out(head.client, head.scheme == Scheme::Https)
    {
        let to = match why {
            KeptOut::ToHttps => "redirect to https".to_owned(),
            KeptOut::Maintenance => {
                return (Some(decision.route), RoutedTo::refused(name, "maintenance"));
            }
            KeptOut::Access(_) => return (Some(decision.route), RoutedTo::refused(name, "access")),
        };
        return (Some(decision.route), RoutedTo::served(name, to));
    }
    let written = snapshot.config.routes.get(&*route.name);
    let to = match &route.action {
        Action::Pool(pool, _) => {
            let pool = snapshot
                .pools
                .get(pool.0 as usize)
                .map_or("", |pool| &*pool.name);
            let version = written.and_then(|written| written.version.as_ref());
            match version {
                Some(version) => format!("pool \"{pool}\", version {version}"),
                None => format!("pool \"{pool}\""),
            }
        }
        Action::Split(split) => {
            let known = split.users.known(&asked.user());
            let user = known.unwrap_or_else(|| UserRules::new_user(chance));
            match split.choose(&user) {
                Some(arm) => format!("pool \"{}\"", arm.name),
                None => return (Some(decision.route), RoutedTo::refused(name, "no weight")),
            }
        }
        // The share of each version is no part of the configuration.
        Action::Rollout(rollout) => format!("rollout \"{}\"", rollout.name),
        Action::Redirect(_) | Action::Respond(_) => match written.map(|it| &it.destination) {
            Some(schema::Destination::Redirect(redirect)) => {
                format!("redirect to {}", redirect.to)
            }
            Some(schema::Destination::Respond(respond)) => {
                format!("answer {}", respond.status.as_u16())
            }
            _ => String::new(),
        },
    };
    (Some(decision.route), RoutedTo::served(name, to))
}
