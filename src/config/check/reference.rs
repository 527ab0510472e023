//! Checks on names that refer to other tables, and on tables that no name refers to.

use std::collections::BTreeSet;

use super::Check;
use crate::config::schema::{Auth, AuthStep, Destination, Route};
use crate::config::value::Name;

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    let mut used: BTreeSet<Name> = BTreeSet::new();
    for (name, route) in &config.routes {
        if let Some(pool) = route.shadow.as_ref().and_then(|it| it.pool.as_ref()) {
            check.refer("pools", pool, &config.pools, |wanted| {
                format!("route \"{name}\" has a shadow at pool \"{wanted}\", which is not defined")
            });
            used.insert(pool.value.clone());
        }
        for listener in &route.listeners {
            check.refer("listeners", listener, &config.listeners, |wanted| {
                format!("route \"{name}\" is for listener \"{wanted}\", which is not defined")
            });
        }
        for way in route.auth.iter().flat_map(Auth::ways) {
            if let AuthStep::Forward(forward) = way {
                used.insert(forward.pool.value.clone());
            }
        }
        if let Destination::Rollout(rollout) = &route.destination {
            check.refer("rollouts", rollout, &config.rollouts, |wanted| {
                format!("route \"{name}\" follows rollout \"{wanted}\", which is not defined")
            });
            check_no_version(check, name, route);
            continue;
        }
        for pool in route.destination.pools(check.config) {
            check.refer("pools", &pool, &config.pools, |wanted| {
                format!("route \"{name}\" sends to pool \"{wanted}\", which is not defined")
            });
            check_version(check, route, &pool);
            used.insert(pool.value);
        }
    }
    for rollout in config.rollouts.values() {
        used.insert(rollout.pool.value.clone());
    }
    for (name, pool) in &config.pools {
        for next in &pool.failover {
            used.insert(next.value.clone());
            check.refer("pools", next, &config.pools, |wanted| {
                format!("pool \"{name}\" fails over to pool \"{wanted}\", which is not defined")
            });
        }
    }
    check_policies(check);
    // A route that could not be read may be the one that uses it.
    if check.has_broken("routes") || check.has_broken("rollouts") {
        return;
    }
    for (name, pool) in &config.pools {
        if !used.contains(name) {
            let message = format!("pool \"{name}\" is not used");
            let hint = "no route sends to it and no pool fails over to it";
            check.warn(pool.spans.anchor(), message, hint);
        }
    }
}

/// Warns of policies that no route uses, and refuses those with the name of a registered filter.
fn check_policies(check: &mut Check<'_>) {
    let config = check.config;
    let unread = check.has_broken("routes");
    for (name, policy) in config.policies.tables() {
        if check.rules.filters.contains(&&**name) {
            let message = format!("policy \"{name}\" has the name of a registered filter");
            check.error(policy.span, message, "give it another name");
        } else if !unread && !config.policies.is_used(name) {
            let message = format!("policy \"{name}\" is not used");
            let hint = "no route names it in `use`";
            check.warn(policy.span, message, hint);
        }
    }
}

/// Warns of a version requirement beside a rollout, which has its own.
fn check_no_version(check: &mut Check<'_>, name: &Name, route: &Route) {
    if route.spans.has("version") {
        let message = format!("routes.{name}.version has no effect");
        let hint = "its rollout says which versions it gets";
        check.warn(route.spans.of("version"), message, hint);
    }
}

/// Warns of a version requirement that no endpoint of the route's pool meets.
fn check_version(check: &mut Check<'_>, route: &Route, pool_name: &Name) {
    let (Some(wanted), Some(pool)) = (&route.version, check.config.pools.get(pool_name)) else {
        return;
    };
    let mut versions = pool.endpoints.iter().filter_map(|e| e.version.as_ref());
    if pool.discover.is_none() && !versions.any(|version| wanted.matches(version)) {
        let message =
            format!("no endpoint of pool \"{pool_name}\" has a version that meets \"{wanted}\"");
        let hint = "every request of this route would be answered with 503";
        check.warn(route.spans.of("version"), message, hint);
    }
}
