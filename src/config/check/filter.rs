//! Checks on the filters of a route.

use super::Check;
use crate::config::{
    diagnostic::Fault,
    schema::Route,
    value::{Name, nearest::alternatives},
};

pub(super) fn check(check: &mut Check<'_>, name: &Name, route: &Route) {
    check_uses(check, name, route);
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

/// More would be a mistake.
const USES_MAX: usize = 64;
