//! The route table as one would write it without thought for speed: every route is asked,
//! those that match are sorted. Written from the rules, not from the code.

use std::cmp::Reverse;

use sluicegate::config::value::{CertificatePart, HostPattern, ValueMatch};
use sluicegate::route::{Facts, PathMatch, RouteSpec};

/// Index of the route that takes the request.
pub(crate) fn find(specs: &[RouteSpec], listeners: &[&str], facts: &Facts<'_>) -> Option<usize> {
    let path = facts.path.as_str();
    specs
        .iter()
        .enumerate()
        .filter(|(_, spec)| takes(spec, listeners, facts, path))
        .filter_map(|(at, spec)| Some((precedence(spec, best_host(spec, facts.host)?), at)))
        .min()
        .map(|(_, at)| at)
}

/// The most specific pattern that the host fits: 0 for none given, up with the length of a
/// wildcard, most for an exact host.
fn best_host(spec: &RouteSpec, host: &str) -> Option<usize> {
    if spec.hosts.is_empty() {
        return Some(0);
    }
    let value = |pattern: &HostPattern| match pattern {
        HostPattern::Any => Some(0),
        HostPattern::Exact(exact) => (**exact == *host).then_some(usize::MAX),
        HostPattern::Wildcard(domain) => {
            let fits = host.ends_with(&format!(".{domain}")) && host.len() > domain.len() + 1;
            fits.then_some(domain.len())
        }
    };
    spec.hosts.iter().filter_map(value).max()
}

type Precedence = (
    Reverse<i32>,
    Reverse<usize>,
    (u8, Reverse<usize>),
    bool,
    Reverse<usize>,
    Reverse<usize>,
    String,
);

fn precedence(spec: &RouteSpec, host: usize) -> Precedence {
    let path = match &spec.path {
        PathMatch::Exact(_) => (0, Reverse(0)),
        PathMatch::Regex(_) => (1, Reverse(0)),
        PathMatch::Prefix(prefix) => (2, Reverse(prefix.len())),
        PathMatch::Any => (2, Reverse(0)),
    };
    let headers = spec.headers.len()
        + spec.cookies.len()
        + usize::from(!spec.source.is_empty())
        + spec.client_certificate.len();
    (
        Reverse(spec.priority),
        Reverse(host),
        path,
        spec.methods.is_empty(),
        Reverse(headers),
        Reverse(spec.query.len()),
        spec.name.to_string(),
    )
}

fn takes(spec: &RouteSpec, listeners: &[&str], facts: &Facts<'_>, path: &str) -> bool {
    let listener = listeners[usize::try_from(facts.listener).unwrap()];
    let path_fits = match &spec.path {
        PathMatch::Any => true,
        PathMatch::Exact(exact) => **exact == *path,
        PathMatch::Prefix(prefix) => {
            let wanted: Vec<&str> = prefix.split('/').skip(1).collect();
            let given: Vec<&str> = path.split('/').skip(1).collect();
            given.starts_with(&wanted)
        }
        PathMatch::Regex(regex) => regex.is_match(path),
    };
    let header = |name: &str| facts.headers.get(name).map(|value| value.to_str().unwrap());
    let pairs = |text: Option<&str>, mark: char, name: &str| {
        let text = text?;
        let mut pairs = text
            .split(mark)
            .filter_map(|pair| pair.trim().split_once('='));
        pairs
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
    };
    let query = facts.query.map(|query| std::str::from_utf8(query).unwrap());
    path_fits
        && spec.client_certificate.iter().all(|(part, wanted)| {
            let names = facts.certificate.map(|shown| match part {
                CertificatePart::Subject => vec![&*shown.subject],
                _ => shown.dns.iter().map(String::as_str).collect(),
            });
            match names.filter(|names| !names.is_empty()) {
                None => is_wanted(wanted, None),
                Some(names) => names.iter().any(|name| is_wanted(wanted, Some(name))),
            }
        })
        && spec
            .listeners
            .as_ref()
            .is_none_or(|names| names.iter().any(|name| **name == *listener))
        && (spec.methods.is_empty() || spec.methods.contains(facts.method))
        && (spec.source.is_empty() || spec.source.iter().any(|net| net.contains(&facts.client)))
        && spec
            .headers
            .iter()
            .all(|(name, wanted)| is_wanted(wanted, header(name.as_str())))
        && spec
            .query
            .iter()
            .all(|(name, wanted)| is_wanted(wanted, pairs(query, '&', name).as_deref()))
        && spec
            .cookies
            .iter()
            .all(|(name, wanted)| is_wanted(wanted, pairs(header("cookie"), ';', name).as_deref()))
}

fn is_wanted(wanted: &ValueMatch, found: Option<&str>) -> bool {
    match wanted {
        ValueMatch::Exact(exact) => found == Some(&**exact),
        ValueMatch::Regex(regex) => found.is_some_and(|value| regex.is_match(value)),
        ValueMatch::Present(present) => found.is_some() == *present,
    }
}
