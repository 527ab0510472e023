//! Conditions of a route, tested one by one.
//!
//! `check` is the only place that decides whether a route takes a request once host and path are
//! settled; the lookup of a route drops the reason, the explanation prints it.

mod certificate;
mod host;
mod path;
mod query;
mod value;

use std::fmt;

use http::Method;

use super::spec::RouteSpec;
use super::table::Facts;
use crate::semantics::{Value, cookie};

pub(super) use host::matches_host;
pub(super) use path::matches_path;

/// The first condition of a route that a request does not meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// The request arrived at another listener.
    Listener,
    /// None of the hosts of the route.
    Host,
    /// Not the path of the route.
    Path,
    /// None of the methods of the route.
    Method,
    /// The field at this place in the route is absent or has another value.
    Header(usize),
    /// The query parameter at this place in the route is absent or has another value.
    Query(usize),
    /// The cookie at this place in the route is absent or has another value.
    Cookie(usize),
    /// The client is in none of the networks of the route.
    Source,
    /// The part of the client's certificate at this place in the route is absent, or has another
    /// value.
    Certificate(usize),
}

/// Tests all conditions of a route but host and path, in a fixed order, cheap ones first.
///
/// `listeners` are the indexes of the route's listeners in ascending order, `None` for all.
pub(super) fn check(
    spec: &RouteSpec,
    listeners: Option<&[u32]>,
    facts: &Facts<'_>,
) -> Result<(), Mismatch> {
    if let Some(listeners) = listeners
        && listeners.binary_search(&facts.listener).is_err()
    {
        return Err(Mismatch::Listener);
    }
    let takes_method = spec.methods.is_empty()
        || spec.methods.contains(facts.method)
        || (spec.preflights && is_preflight(spec, facts));
    if !takes_method {
        return Err(Mismatch::Method);
    }
    if !spec.source.is_empty() {
        let client = facts.client.to_canonical();
        if !spec.source.iter().any(|net| net.contains(&client)) {
            return Err(Mismatch::Source);
        }
    }
    for (place, (part, wanted)) in spec.client_certificate.iter().enumerate() {
        if !certificate::matches(*part, facts.certificate, wanted) {
            return Err(Mismatch::Certificate(place));
        }
    }
    for (place, (name, wanted)) in spec.headers.iter().enumerate() {
        if !value::matches_header(wanted, facts.headers, name) {
            return Err(Mismatch::Header(place));
        }
    }
    for (place, (name, wanted)) in spec.query.iter().enumerate() {
        if !query::matches(facts.query, name, wanted) {
            return Err(Mismatch::Query(place));
        }
    }
    for (place, (name, wanted)) in spec.cookies.iter().enumerate() {
        if !wanted.matches(cookie::find(facts.headers, name)) {
            return Err(Mismatch::Cookie(place));
        }
    }
    Ok(())
}

/// Returns true for a preflight that asks for one of the route's methods (Fetch standard,
/// "CORS-preflight request").
#[cold]
fn is_preflight(spec: &RouteSpec, facts: &Facts<'_>) -> bool {
    let asked = facts.headers.get("access-control-request-method");
    *facts.method == Method::OPTIONS
        && facts.headers.contains("origin")
        && asked.is_some_and(|asked| {
            let mut methods = spec.methods.iter();
            methods.any(|method| method.as_str().as_bytes() == asked.as_bytes())
        })
}

impl Mismatch {
    /// Describes the condition of the route and the value of the request.
    pub(super) fn describe(&self, spec: &RouteSpec, facts: &Facts<'_>, listener: &str) -> String {
        match *self {
            Self::Listener => format!(
                "listener \"{listener}\" is not {}",
                list(spec.listeners.iter().flatten())
            ),
            Self::Host => format!("host \"{}\" is not {}", facts.host, list(&spec.hosts)),
            Self::Path => format!("{} does not match \"{}\"", spec.path, facts.path.as_str()),
            Self::Method => format!("method {} is not {}", facts.method, list(&spec.methods)),
            Self::Source => format!("client {} is not in {}", facts.client, list(&spec.source)),
            Self::Certificate(place) => {
                let (part, wanted) = &spec.client_certificate[place];
                certificate::describe(*part, facts.certificate, wanted)
            }
            Self::Header(place) => {
                let (name, wanted) = &spec.headers[place];
                let found = facts.headers.get(name).map(Value::as_bytes);
                value::describe(wanted, "header", name.as_str(), found)
            }
            Self::Query(place) => {
                let (name, wanted) = &spec.query[place];
                let found = crate::semantics::query::find(facts.query, name);
                let found = found.map(Iterator::collect::<Vec<u8>>);
                value::describe(wanted, "query parameter", name, found.as_deref())
            }
            Self::Cookie(place) => {
                let (name, wanted) = &spec.cookies[place];
                value::describe(wanted, "cookie", name, cookie::find(facts.headers, name))
            }
        }
    }
}

/// Prints the allowed values: `"a"`, or `"a" or "b"`.
fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items
        .into_iter()
        .map(|item| format!("\"{item}\""))
        .collect();
    items.join(" or ")
}
