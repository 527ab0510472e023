//! Precedence of matching routes: the more specific one wins.
//!
//! Source: Kubernetes Gateway API, `HTTPRouteRule.matches` and `HTTPRoute.hostnames`.

use std::cmp::{Ordering, Reverse};
use std::sync::Arc;

use super::spec::{PathMatch, RouteSpec};
use crate::config::value::HostPattern;

/// Place of a route for one of its host patterns; the smaller wins.
///
/// The order of the fields is the order of precedence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    priority: Reverse<i32>,
    host: HostRank,
    path: PathRank,
    method: MethodRank,
    headers: Reverse<usize>,
    query: Reverse<usize>,
    name: Arc<str>,
    /// Makes the order total if two routes have one name.
    index: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum HostRank {
    Exact,
    /// By length of the domain.
    Wildcard(Reverse<usize>),
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PathRank {
    Exact,
    Regex,
    /// By length; any path is the prefix `/`.
    Prefix(Reverse<usize>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum MethodRank {
    Named,
    Any,
}

impl Rank {
    pub(super) fn new(spec: &RouteSpec, host: &HostPattern, index: u32) -> Self {
        Self {
            priority: Reverse(spec.priority),
            host: match host {
                HostPattern::Exact(_) => HostRank::Exact,
                HostPattern::Wildcard(domain) => HostRank::Wildcard(Reverse(domain.len())),
                HostPattern::Any => HostRank::Any,
            },
            path: match &spec.path {
                PathMatch::Exact(_) => PathRank::Exact,
                PathMatch::Regex(_) => PathRank::Regex,
                PathMatch::Prefix(path) => PathRank::Prefix(Reverse(path.len())),
                PathMatch::Any => PathRank::Prefix(Reverse(0)),
            },
            method: if spec.methods.is_empty() {
                MethodRank::Any
            } else {
                MethodRank::Named
            },
            headers: Reverse(
                spec.headers.len()
                    + spec.cookies.len()
                    + usize::from(!spec.source.is_empty())
                    + spec.client_certificate.len(),
            ),
            query: Reverse(spec.query.len()),
            name: Arc::clone(&spec.name),
            index,
        }
    }

    /// Describes why `self`, the smaller, precedes `other`.
    pub(super) fn reason_before(&self, other: &Self) -> String {
        if self.priority != other.priority {
            return format!("priority {} before {}", self.priority.0, other.priority.0);
        }
        if self.host != other.host {
            return reason_of_hosts(self.host, other.host);
        }
        if self.path != other.path {
            return reason_of_paths(self.path, other.path);
        }
        if self.method != other.method {
            return "named methods before any method".to_owned();
        }
        if self.headers != other.headers {
            return format!(
                "{} header, cookie, source and certificate conditions before {}",
                self.headers.0, other.headers.0
            );
        }
        if self.query != other.query {
            return format!("{} query conditions before {}", self.query.0, other.query.0);
        }
        match self.name.cmp(&other.name) {
            Ordering::Equal => "the same name, earlier in the file".to_owned(),
            _ => format!(
                "equal in all else, and the name \"{}\" sorts before \"{}\"",
                self.name, other.name
            ),
        }
    }
}

fn reason_of_hosts(winner: HostRank, loser: HostRank) -> String {
    match (winner, loser) {
        (HostRank::Exact, HostRank::Any) => "exact host before any host",
        (HostRank::Exact, _) => "exact host before wildcard",
        (_, HostRank::Wildcard(_)) => "longer wildcard host before shorter",
        (_, _) => "wildcard host before any host",
    }
    .to_owned()
}

fn reason_of_paths(winner: PathRank, loser: PathRank) -> String {
    match (winner, loser) {
        (PathRank::Exact, PathRank::Regex) => "exact path before regex",
        (PathRank::Exact, _) => "exact path before prefix",
        (PathRank::Regex, _) => "path regex before prefix",
        (PathRank::Prefix(_), _) => "longer path prefix before shorter",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::ValueMatch;

    fn rank(change: impl FnOnce(&mut RouteSpec), host: &str) -> Rank {
        let mut spec = RouteSpec::any("b");
        change(&mut spec);
        let host = HostPattern::parse(host).unwrap_or(HostPattern::Any);
        Rank::new(&spec, &host, 0)
    }

    #[test]
    fn each_criterion_yields_to_the_ones_before_it() {
        let regex = PathMatch::Regex("a".parse().unwrap());
        let order = [
            (rank(|s| s.priority = 1, "*"), "priority 1 before 0"),
            (rank(|_| {}, "a.b"), "exact host before wildcard"),
            (rank(|_| {}, "*.a.b"), "longer wildcard host before shorter"),
            (rank(|_| {}, "*.b"), "wildcard host before any host"),
            (
                rank(|s| s.path = PathMatch::Exact("/".into()), "*"),
                "exact path before regex",
            ),
            (rank(|s| s.path = regex, "*"), "path regex before prefix"),
            (
                rank(|s| s.path = PathMatch::Prefix("/aa".into()), "*"),
                "longer path prefix before shorter",
            ),
            (
                rank(|s| s.path = PathMatch::Prefix("/a".into()), "*"),
                "longer path prefix before shorter",
            ),
            (
                rank(|s| s.methods = vec![http::Method::GET], "*"),
                "named methods before any method",
            ),
            (
                rank(|s| s.source = vec!["10.0.0.0/8".parse().unwrap()], "*"),
                "1 header, cookie, source and certificate conditions before 0",
            ),
            (
                rank(
                    |s| {
                        s.query = vec![("a".into(), ValueMatch::Present(true))];
                    },
                    "*",
                ),
                "1 query conditions before 0",
            ),
            (
                rank(|s| s.name = "a".into(), "*"),
                "equal in all else, and the name \"a\" sorts before \"b\"",
            ),
            (rank(|_| {}, "*"), ""),
        ];
        for pair in order.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{:?}", pair);
            assert_eq!(pair[0].0.reason_before(&pair[1].0), pair[0].1);
        }
    }
}
