//! Checks on the filters of a route.

use super::Check;
use crate::config::{
    diagnostic::Fault,
    schema::Route,
    value::{Name, nearest::alternatives},
};

pub(super) fn check(check: &mut Check<'_>, name: &Name, route: &Route) {
    check_uses(check, name, route);
    check_rates(check, name, route);
}

/// Refuses filters that nobody has registered, and one that is named twice.
fn check_uses(check: &mut Check<'_>, name: &Name, route: &Route) {
    let registered = check.rules.filters;
    for (place, used) in route.uses.iter().enumerate() {
        let before = route.uses[..place].iter();
        if let Some(first) = before.into_iter().find(|it| it.value == used.value) {
            let message = format!("route \"{name}\" uses filter \"{used}\" twice");
            let fault = Fault::error(used.span, message, "name it once");
            check
                .faults
                .push(fault.with_related(first.span, "the first one"));
        } else if !registered.contains(&&*used.value) {
            let message =
                format!("route \"{name}\" uses filter \"{used}\", which is not registered");
            let hint = if registered.is_empty() {
                "only a program that embeds the proxy can register filters".to_owned()
            } else {
                alternatives("registered", used, registered)
            };
            check.error(used.span, message, hint);
        }
    }
    if route.uses.len() > USES_MAX {
        let message = format!("route \"{name}\" uses {} filters", route.uses.len());
        check.error(
            route.spans.of("use"),
            message,
            format!("at most {USES_MAX}"),
        );
    }
}

/// Refuses rules without room, and two of one name.
fn check_rates(check: &mut Check<'_>, name: &Name, route: &Route) {
    let rules = &route.rate_limit.0;
    let place = format!("routes.{name}.rate_limit");
    for (at, rule) in rules.iter().enumerate() {
        let burst = rule.burst.unwrap_or(1).into();
        check.within(&place, &rule.spans, "burst", burst, (1, BURST_MAX));
        let keys = rule.keys_max.into();
        check.within(&place, &rule.spans, "keys_max", keys, (1, KEYS_MAX));
        let label = rule.label();
        if let Some(first) = rules[..at].iter().find(|it| it.label() == label) {
            let message = format!("route \"{name}\" has two rate limits named \"{label}\"");
            let hint = "give one of them a name: name = \"…\"";
            let fault = Fault::error(rule.spans.anchor(), message, hint);
            check
                .faults
                .push(fault.with_related(first.spans.anchor(), "the first one"));
        }
    }
}

const BURST_MAX: u64 = 1_000_000;
/// Takes half a gigabyte.
const KEYS_MAX: u64 = 10_000_000;
/// More would be a mistake.
const USES_MAX: usize = 64;
