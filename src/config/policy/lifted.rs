//! Protection of a policy or of `[defaults]` that a route would lose without saying so.

use toml::de::{DeTable, DeValue};

use super::items;
use crate::config::{diagnostic::Fault, setting::Span};

/// Refuses empty lists in `access` of a route that stand in place of lists of `from`, called
/// `source`: they let in everybody, and look as if they let in nobody.
pub(in crate::config) fn check_access(
    name: &str,
    route: &DeTable<'_>,
    from: &DeTable<'_>,
    source: &str,
) -> Vec<Fault> {
    let (Some(written), Some(other)) = (access_of(route), access_of(from)) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    empty_lists(written, other, "access", &mut found);
    let told = found.into_iter().map(|(place, span, others)| {
        let message = format!("routes.{name}.{place} is empty, and lifts the list of {source}");
        let hint = match &*place {
            "access.allow" => {
                "for every address write [\"0.0.0.0/0\", \"::/0\"]; access = false lifts all of it"
            }
            _ => "access = false lifts all of it; else remove the empty list",
        };
        Fault::error(span, message, hint).with_related(others, "this list")
    });
    told.collect()
}

/// Warns of `auth` of a route in place of that of policies, whose steps otherwise add up.
pub(super) fn check_auth(
    name: &str,
    route: &DeTable<'_>,
    joined: &DeTable<'_>,
    source: &str,
) -> Option<Fault> {
    let (key, written) = route.get_key_value("auth")?;
    let (other_key, other) = joined.get_key_value("auth")?;
    // `false` says so.
    let (own, others) = (items(written)?, items(other)?);
    if let ([own], [other]) = (&own[..], &others[..])
        && written.get_ref().is_table()
    {
        let (own, other) = (own.get_ref().as_table()?, other.get_ref().as_table()?);
        // One way of the same kind is merged key by key.
        if own.keys().any(|key| other.contains_key(&**key.get_ref())) {
            return None;
        }
    }
    let message = format!("routes.{name}.auth replaces all steps of {source}");
    let hint = "to ask for both, write it as a policy and use both; to replace them, use a policy \
                without auth, or write the steps here";
    let fault = Fault::warning(key.span().into(), message, hint);
    Some(fault.with_related(other_key.span().into(), "these steps"))
}

fn access_of<'t, 'i>(table: &'t DeTable<'i>) -> Option<&'t DeTable<'i>> {
    table.get("access")?.get_ref().as_table()
}

/// Finds empty lists in place of others that are not.
fn empty_lists(
    written: &DeTable<'_>,
    other: &DeTable<'_>,
    place: &str,
    found: &mut Vec<(String, Span, Span)>,
) {
    for (key, value) in written {
        let Some(of_other) = other.get(&**key.get_ref()) else {
            continue;
        };
        let place = format!("{place}.{}", key.get_ref());
        match (value.get_ref(), of_other.get_ref()) {
            (DeValue::Array(own), DeValue::Array(others))
                if own.is_empty() && !others.is_empty() =>
            {
                found.push((place, value.span().into(), of_other.span().into()));
            }
            (DeValue::Table(own), DeValue::Table(others)) => {
                empty_lists(own, others, &place, found);
            }
            _ => {}
        }
    }
}
