//! Checks on headers that a route sets: none that frame the message, none that break it.
//!
//! Only the proxy may set the length of a body and the state of a connection (RFC 9110 section
//! 7.6.1, RFC 9112 section 6): two values that differ allow request smuggling.

use http::header::{HOST, HeaderName, HeaderValue};

use super::Check;
use crate::config::schema::{Destination, HeaderChanges, Route};
use crate::config::setting::Span;
use crate::config::value::{Name, Piece, Template};
use crate::semantics::hop_by_hop::FRAMING;

pub(super) fn check(check: &mut Check<'_>, name: &Name, route: &Route) {
    let place = format!("routes.{name}");
    check_changes(
        check,
        &format!("{place}.headers_request"),
        &route.headers_request,
    );
    check_changes(
        check,
        &format!("{place}.headers_response"),
        &route.headers_response,
    );
    let request = &route.headers_request;
    let names = |pairs: &[(HeaderName, Template)]| pairs.iter().any(|(name, _)| name == HOST);
    for (key, is_named) in [
        ("set", names(&request.set)),
        ("add", names(&request.add)),
        ("remove", request.remove.contains(&HOST)),
    ] {
        if is_named {
            let message = format!("{place}.headers_request.{key} cannot change \"host\"");
            let hint = "rewrite = { host = \"…\" } does";
            check.error(request.spans.of(key), message, hint);
        }
    }
    match &route.destination {
        Destination::Pool(_) | Destination::Split(_) | Destination::Rollout(_) => {}
        Destination::Redirect(redirect) => {
            let span = redirect.spans.of("to");
            check_template(check, &format!("{place}.redirect.to"), &redirect.to, span);
        }
        Destination::Respond(respond) => {
            let names = respond.headers.iter().map(|(header, _)| header);
            let span = respond.spans.of("headers");
            check_names(check, &format!("{place}.respond.headers"), names, span);
        }
    }
}

fn check_changes(check: &mut Check<'_>, place: &str, changes: &HeaderChanges) {
    for (key, pairs) in [("set", &changes.set), ("add", &changes.add)] {
        let place = format!("{place}.{key}");
        let span = changes.spans.of(key);
        check_names(check, &place, pairs.iter().map(|(header, _)| header), span);
        for (header, template) in pairs {
            check_template(check, &format!("{place}.{header}"), template, span);
        }
    }
    let span = changes.spans.of("remove");
    check_names(
        check,
        &format!("{place}.remove"),
        changes.remove.iter(),
        span,
    );
}

/// Refuses names of fields that frame a message.
pub(super) fn check_names<'a>(
    check: &mut Check<'_>,
    place: &str,
    names: impl Iterator<Item = &'a HeaderName>,
    span: Span,
) {
    for name in names.filter(|name| FRAMING.contains(&name.as_str())) {
        let message = format!("{place} cannot change \"{name}\"");
        check.error(span, message, "the proxy itself says where a message ends");
    }
}

/// Refuses a text that would end the header line early.
fn check_template(check: &mut Check<'_>, place: &str, template: &Template, span: Span) {
    let is_broken = |piece: &Piece| match piece {
        Piece::Text(text) => HeaderValue::from_str(text).is_err(),
        Piece::Fill(_) => false,
    };
    if template.pieces().iter().any(is_broken) {
        let message = format!("{place} cannot be the value of a header");
        check.error(span, message, "visible ASCII, spaces and tabs on one line");
    }
}
