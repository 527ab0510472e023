//! Checks on the clients that may use a route.

use std::{collections::HashMap, fmt, hash::Hash};

use super::{Check, geo};
use crate::config::{
    diagnostic::Fault,
    schema::{AuthStep, Route},
    setting::{Span, Spanned},
    value::Name,
};

pub(super) fn check(check: &mut Check<'_>, name: &Name, route: &Route) {
    let Some(access) = &route.access else { return };
    let place = format!("routes.{name}.access");
    let has_addresses =
        !access.allow.is_empty() || !access.deny.is_empty() || access.file.is_some();
    let has_geo = access.countries.is_some() || access.asns.is_some();
    let has_others = has_geo || !access.methods.is_empty() || access.is_of_claims();
    let has_effect = has_addresses || has_others;
    let is_whole = !check.is_broken(&place) && !check.is_broken(&format!("{place}.allow"));
    if access.allow.is_empty() && access.spans.has("allow") && access.file.is_none() && is_whole {
        let message = format!("{place}.allow is empty, and refuses nobody");
        let hint = "name blocks, or remove it; deny = [\"0.0.0.0/0\", \"::/0\"] refuses everybody";
        check.warn(access.spans.of("allow"), message, hint);
    } else if !has_effect && is_whole {
        let message = format!("{place} has no condition, and refuses nobody");
        let hint = "name blocks of addresses: allow = [\"10.0.0.0/8\"]";
        check.warn(access.spans.anchor(), message, hint);
    }
    geo::check_access(check, &place, access);
    let seen = check_lists(check, &place, &access.allow, &access.deny);
    if let Some(file) = &access.file {
        let contrary = |key: &str, blocks: &[_]| {
            let mut blocks = blocks.iter();
            let found = blocks.find(|it| seen.get(*it).is_some_and(|(known, _)| *known != key));
            found.map(|block| (*block, seen[block].1))
        };
        let list = &file.content;
        let found = contrary("allow", &list.allow).or_else(|| contrary("deny", &list.deny));
        if let Some((block, span)) = found {
            let path = file.path.display();
            let message = format!("{place} and {path} say the contrary of {block}");
            check.error(span, message, "remove it here or in the file");
        }
    }
    let has_claims = |route: &Route| {
        let mut ways = route.auth.iter().flat_map(|auth| auth.ways());
        ways.any(AuthStep::has_claims)
    };
    if access.is_of_claims()
        && !has_claims(route)
        && !check.is_broken(&format!("routes.{name}.auth"))
    {
        let key = if access.claims.is_empty() {
            "groups"
        } else {
            "claims"
        };
        let message = format!("{place}.{key} lets nobody in: auth has neither jwt nor oidc");
        let hint = "claims are of a token that was verified: add auth = { jwt = { … } }";
        check.error(access.spans.of(key), message, hint);
    }
    if access.spans.has("groups_claim") && access.groups.is_empty() {
        let message = format!("{place}.groups_claim has no effect: there are no groups");
        check.warn(
            access.spans.of("groups_claim"),
            message,
            "name groups, or remove it",
        );
    }
}

/// Warns of what one list names twice, and refuses what both name. Returns each named thing with its
/// list and place.
pub(super) fn check_lists<T: Copy + Eq + Hash + fmt::Display>(
    check: &mut Check<'_>,
    place: &str,
    allow: &[Spanned<T>],
    deny: &[Spanned<T>],
) -> HashMap<T, (&'static str, Span)> {
    let allow = allow.iter().map(|it| ("allow", it));
    let all = allow.chain(deny.iter().map(|it| ("deny", it)));
    let mut seen = HashMap::new();
    for (key, item) in all {
        let Some((first_key, first)) = seen.insert(item.value, (key, item.span)) else {
            continue;
        };
        let message = format!("{place} names {} twice", item.value);
        let fault = if first_key == key {
            Fault::warning(item.span, message, "name it once")
        } else {
            Fault::error(item.span, message, "either in allow or in deny")
        };
        let fault = fault.with_related(first, "the first one");
        check.faults.push(fault);
    }
    seen
}
