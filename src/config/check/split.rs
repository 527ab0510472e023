//! Checks on splits between pools, and on the recognition of their users.

use super::{Check, session::is_token};
use crate::config::schema::{Destination, Route, Split};
use crate::config::setting::Spans;
use crate::config::value::HashKey;

pub(super) fn check(check: &mut Check<'_>, place: &str, route: &Route, split: &Split) {
    let weights = split.0.iter();
    for (name, weight) in weights.filter(|(_, weight)| weight.value > WEIGHT_MAX) {
        let message = format!("{place}.split.{name} cannot be {}", weight.value);
        check.error(weight.span, message, format!("from 0 to {WEIGHT_MAX}"));
    }
    let nobody = split.0.values().all(|weight| weight.value == 0);
    if nobody && !check.has_broken(&format!("{place}.split")) {
        let message = format!("{place}.split has no pool with a weight above 0");
        let hint = "such as split = { orders-a = 90, orders-b = 10 }";
        check.error(route.spans.of("split"), message, hint);
    }
}

pub(super) fn check_pin(check: &mut Check<'_>, place: &str, route: &Route) {
    let Some(pin) = &route.pin else { return };
    if !matches!(route.destination, Destination::Split(_)) {
        let message = format!("{place}.pin has no effect");
        let hint = match &route.destination {
            Destination::Rollout(name) => format!("users of a rollout: pin in [rollouts.{name}]"),
            _ => "this route has no split".to_owned(),
        };
        check.warn(route.spans.of("pin"), message, hint);
        return;
    }
    let place = format!("{place}.pin");
    check_users(check, &place, &pin.spans, pin.by.as_ref(), &pin.cookie);
}

/// Checks the part of a request that users are recognised by, and the name of the proxy's cookie.
pub(super) fn check_users(
    check: &mut Check<'_>,
    place: &str,
    spans: &Spans,
    by: Option<&HashKey>,
    cookie: &str,
) {
    if by == Some(&HashKey::Path) {
        let message = format!("{place}.by cannot be \"path\", which names no user");
        let hint = "allowed: \"client_ip\", \"header:NAME\", \"cookie:NAME\" or \"query:NAME\"";
        check.error(spans.of("by"), message, hint);
    }
    if cookie.is_empty() || !cookie.bytes().all(is_token) {
        let message = format!("{place}.cookie: \"{cookie}\" is not the name of a cookie");
        check.error(spans.of("cookie"), message, "letters, digits, `-` and `_`");
    }
}

/// As large as any weight needs to be; sums stay far below what a number holds.
const WEIGHT_MAX: u32 = 1_000_000;
