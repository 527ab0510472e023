//! Checks on the authentication of a route.

use super::{Check, certificate_match::is_asked_for};
use crate::config::{
    schema::{AuthStep, AuthSteps, KeySource, Route},
    setting::Span,
    value::{Name, header},
};

pub(super) fn check(check: &mut Check<'_>, name: &Name, route: &Route) {
    let place = format!("routes.{name}.auth");
    let Some(auth) = &route.auth else { return };
    let steps = &auth.0;
    if steps.0.is_empty() && !check.is_broken(&place) {
        let message = format!("{place} is empty: everybody passes");
        let hint =
            "name a way in, such as { basic = { file = \"users.htpasswd\" } }, or remove the key";
        check.error(route.spans.of("auth"), message, hint);
    }
    for step in &steps.0 {
        match &step.value {
            AuthStep::Any(any) => check_any(check, &place, route, step.span, any),
            other => check_step(check, &place, route, step.span, other),
        }
    }
}

/// Refuses a choice between less than two, and one within another.
fn check_any(check: &mut Check<'_>, place: &str, route: &Route, span: Span, any: &AuthSteps) {
    let place = format!("{place}.any");
    if any.0.len() < 2 && !check.is_broken(&place) {
        let message = format!("{place} needs at least two ways in");
        check.error(span, message, "a single one stands without any");
    }
    for step in &any.0 {
        if let AuthStep::Any(_) = step.value {
            let message = format!("{place} has another any in it");
            check.error(step.span, message, "put all ways in one list");
        } else {
            check_step(check, &place, route, step.span, &step.value);
        }
    }
}

fn check_step(check: &mut Check<'_>, place: &str, route: &Route, span: Span, step: &AuthStep) {
    let place = format!("{place}.{}", step.word());
    match step {
        AuthStep::Basic(basic) => {
            let fits = |byte: u8| (b' '..=b'~').contains(&byte) && !matches!(byte, b'"' | b'\\');
            let realm = basic.realm.as_deref().unwrap_or("x");
            if realm.is_empty() || realm.len() > REALM_MAX || !realm.bytes().all(fits) {
                let message = format!("{place}.realm is not a realm");
                let hint = "1 to 100 printable characters of ASCII without \" and \\";
                check.error(basic.spans.of("realm"), message, hint);
            }
        }
        AuthStep::ApiKey(key) => {
            let (kind, name) = match &key.source {
                KeySource::Header(_) => return,
                KeySource::Query(name) => ("query", name),
                KeySource::Cookie(name) => ("cookie", name),
            };
            if header::name(name).is_err() {
                let message = format!("{place}.{kind} {name:?} is not a name");
                let hint = "letters, digits and some signs, without spaces";
                check.error(key.spans.anchor(), message, hint);
            }
        }
        AuthStep::Mtls(_) if !is_asked_for(check, route) => {
            let message =
                format!("{place} lets nobody in: no listener asks clients for certificates");
            let hint = "add client_ca to the [listeners.NAME.tls] that it is for";
            check.error(span, message, hint);
        }
        AuthStep::Mtls(_) | AuthStep::Any(_) => {}
    }
}

const REALM_MAX: usize = 100;
