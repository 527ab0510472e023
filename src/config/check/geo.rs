//! Checks on the use of the databases of `[geo]`, and on rules about countries and autonomous systems.

use std::{fmt, hash::Hash};

use super::{Check, access};
use crate::config::{
    schema::Access,
    setting::{Span, Spanned, Spans},
    value::FieldSource,
};

/// A database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GeoKey {
    Country,
    Asn,
}

/// Refuses the use of a database that the file does not name.
pub(super) fn need(check: &mut Check<'_>, user: &str, span: Span, key: GeoKey) {
    let geo = &check.config.geo;
    let (is_there, key, example) = match key {
        GeoKey::Country => (geo.country.is_some(), "country", "GeoLite2-Country.mmdb"),
        GeoKey::Asn => (geo.asn.is_some(), "asn", "GeoLite2-ASN.mmdb"),
    };
    if !is_there && !check.is_broken("geo") {
        let message = format!("{user} needs a database: {key} of [geo]");
        let hint = format!("geo = {{ {key} = \"{example}\" }}, from MaxMind, DB-IP or IPinfo");
        check.error(span, message, hint);
    }
}

/// Checks the rules of a route.
pub(super) fn check_access(check: &mut Check<'_>, place: &str, access: &Access) {
    if let Some(rule) = &access.countries {
        let place = format!("{place}.countries");
        need(check, &place, rule.spans.anchor(), GeoKey::Country);
        let lists = (&rule.allow[..], &rule.deny[..]);
        check_rule(check, &place, &rule.spans, lists, "\"DE\"");
    }
    if let Some(rule) = &access.asns {
        let place = format!("{place}.asns");
        need(check, &place, rule.spans.anchor(), GeoKey::Asn);
        let lists = (&rule.allow[..], &rule.deny[..]);
        check_rule(check, &place, &rule.spans, lists, "64496");
    }
}

/// Checks the fields of the access log.
pub(super) fn check_log(check: &mut Check<'_>) {
    let Some(log) = &check.config.access_log else {
        return;
    };
    for (name, source) in &log.fields.add {
        let key = match source {
            FieldSource::GeoCountry => GeoKey::Country,
            FieldSource::GeoAsn => GeoKey::Asn,
            FieldSource::RequestHeader(_) | FieldSource::ResponseHeader(_) => continue,
        };
        let user = format!("access_log.fields.add.{name}");
        need(check, &user, log.fields.spans.of("add"), key);
    }
}

fn check_rule<T: Copy + Eq + Hash + fmt::Display>(
    check: &mut Check<'_>,
    place: &str,
    spans: &Spans,
    (allow, deny): (&[Spanned<T>], &[Spanned<T>]),
    example: &str,
) {
    let is_broken = |key: &str| check.is_broken(&format!("{place}.{key}"));
    let is_whole = !check.is_broken(place) && !is_broken("allow") && !is_broken("deny");
    if allow.is_empty() && deny.is_empty() && is_whole {
        let message = format!("{place} has neither allow nor deny");
        let hint =
            format!("allow = [{example}] lets in these alone, deny = [{example}] all others");
        check.error(spans.anchor(), message, hint);
    }
    if !allow.is_empty() && !deny.is_empty() {
        let message = format!("{place}.deny has no effect: allow refuses all others");
        check.warn(spans.of("deny"), message, "remove one of them");
    }
    access::check_lists(check, place, allow, deny);
}
