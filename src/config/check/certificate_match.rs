//! Checks on routes that require client certificates: some listener must ask for them.

use std::net::IpAddr;

use super::Check;
use crate::config::schema::Route;
use crate::config::value::ValueMatch;

pub(super) fn check(check: &mut Check<'_>, place: &str, route: &Route) {
    let Some(asked) = &route.client_certificate else {
        return;
    };
    let place = format!("{place}.client_certificate");
    let span = route.spans.of("client_certificate");
    if asked.conditions().next().is_none() && !check.is_broken(&place) {
        let message = format!("{place} asks for nothing");
        let hint = "such as { subject = \"CN=…\" }, or { subject = { present = true } } for any";
        return check.error(span, message, hint);
    }
    if let Some(ValueMatch::Exact(address)) = &asked.ip
        && address.parse::<IpAddr>().is_err()
    {
        let message = format!("{place}.ip \"{address}\" is not an IP address");
        check.error(asked.spans.of("ip"), message, "such as \"10.0.0.1\"");
    }
    // Who only asks that there is none is right at every listener.
    let needed = |wanted: &ValueMatch| *wanted != ValueMatch::Present(false);
    if asked.conditions().any(|(_, wanted)| needed(wanted)) && !is_asked_for(check, route) {
        let message = format!("{place} never holds: no listener asks clients for certificates");
        let hint = "add client_ca to the [listeners.NAME.tls] that it is for";
        check.error(span, message, hint);
    }
}

/// Returns true if any listener of the route, as far as it could be read, requests certificates.
pub(super) fn is_asked_for(check: &Check<'_>, route: &Route) -> bool {
    let config = check.config;
    let listed = |name: &str| {
        let mut listed = route.listeners.iter();
        route.listeners.is_empty() || listed.any(|it| *it.value == *name)
    };
    check.has_broken("listeners")
        || config.listeners.iter().any(|(name, listener)| {
            let tls = listener.tls.as_ref();
            listed(name) && tls.is_some_and(|tls| tls.client_ca.is_some())
        })
}
