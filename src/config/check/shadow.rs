//! Checks on the shadow of a route.

use super::Check;
use crate::config::schema::{Destination, Route, Shadow, ShadowBody};
use crate::config::value::Name;

pub(super) fn check(check: &mut Check<'_>, name: &Name, route: &Route) {
    let Some(shadow) = &route.shadow else { return };
    let place = format!("routes.{name}.shadow");
    check_target(check, &place, route, shadow);
    let (spans, in_flight) = (&shadow.spans, shadow.in_flight_max.into());
    check.within(
        &place,
        spans,
        "in_flight_max",
        in_flight,
        (1, IN_FLIGHT_MAX),
    );
    check.positive(&place, spans, &[("timeout", shadow.timeout)]);
    if shadow.body_max.bytes() > BODY_MAX {
        let message = format!("{place}.body_max is {}", shadow.body_max);
        check.error(spans.of("body_max"), message, "at most 16MiB");
    }
    let Some(compare) = &shadow.compare else {
        return;
    };
    let place = format!("{place}.compare");
    if compare.body != Some(ShadowBody::Json) && compare.spans.has("json_ignore") {
        let message = format!("{place}.json_ignore has no effect");
        check.error(
            compare.spans.of("json_ignore"),
            message,
            "it needs body = \"json\"",
        );
    }
    let mut paths = compare.json_ignore.iter();
    if let Some(path) = paths.find(|path| !path.starts_with('/')) {
        let message = format!("{place}.json_ignore: \"{path}\" is not a path to a member");
        let hint = "such as \"/updated_at\" or \"/items/*/id\"";
        check.error(compare.spans.of("json_ignore"), message, hint);
    }
    let nothing = !compare.status && compare.headers.is_empty() && compare.body.is_none();
    if nothing && !check.is_broken(&place) {
        let message = format!("{place} compares nothing");
        let hint = "status = true, headers = [\"…\"] or body = \"json\"";
        check.warn(compare.spans.anchor(), message, hint);
    }
}

/// Refuses copies to where the requests go anyway, and a version without a pool.
fn check_target(check: &mut Check<'_>, place: &str, route: &Route, shadow: &Shadow) {
    let own: Option<&Name> = match &route.destination {
        Destination::Pool(pool) => Some(&pool.value),
        Destination::Rollout(name) => {
            let rollout = check.config.rollouts.get(&name.value);
            rollout.map(|rollout| &rollout.pool.value)
        }
        Destination::Split(_) => None,
        Destination::Redirect(_) | Destination::Respond(_) => return,
    };
    let span = shadow.spans.anchor();
    if check.is_broken(place) {
        return;
    }
    match (&shadow.pool, &shadow.version) {
        (None, None) => {
            let hint = "pool = \"…\", version = \"^2\" of the same pool, or both";
            check.error(span, format!("{place} says neither pool nor version"), hint);
        }
        (None, Some(_)) if matches!(route.destination, Destination::Split(_)) => {
            let message = format!("{place} says no pool, and the route has several");
            check.error(span, message, "name one: pool = \"…\"");
        }
        (pool, version) => {
            let pool = pool.as_ref().map(|pool| &pool.value);
            let same = pool.is_none_or(|pool| Some(pool) == own) && *version == route.version;
            if same && matches!(route.destination, Destination::Pool(_)) {
                let message = format!("{place} would copy requests to where they go anyway");
                let hint = "another pool, or another version of this one";
                check.error(span, message, hint);
            }
        }
    }
}

const IN_FLIGHT_MAX: u64 = 10_000;
/// Each copy may hold three bodies of this size.
const BODY_MAX: u64 = 16 << 20;
