//! The precedence and the words of an explanation, each on a table that one can read.

use std::sync::Arc;

use http::{HeaderValue, Method};
use sluicegate::config::value::{HostPattern, ValueMatch};
use sluicegate::{
    failure::BadRequest,
    route::{Explanation, Facts, PathMatch, RouteSpec, RouteTable},
    semantics::{
        Headers,
        path::{NormalPath, normalise},
    },
};

fn route(name: &str, change: impl FnOnce(&mut RouteSpec)) -> RouteSpec {
    let mut spec = RouteSpec::any(name);
    change(&mut spec);
    spec
}

fn host(name: &str) -> Vec<HostPattern> {
    vec![HostPattern::parse(name).unwrap()]
}

fn ask<T>(
    host: &str,
    path: &str,
    fields: &[(&'static str, &str)],
    then: impl Fn(&Facts<'_>) -> T,
) -> T {
    let mut headers = Headers::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(query.as_bytes())),
        None => (path, None),
    };
    let path: NormalPath<'_> = normalise(path.as_bytes()).unwrap();
    then(&Facts {
        listener: 0,
        host,
        path: &path,
        query,
        method: &Method::GET,
        headers: &headers,
        client: "192.0.2.1".parse().unwrap(),
        certificate: None,
    })
}

fn table(specs: &[RouteSpec]) -> RouteTable {
    RouteTable::build(specs, &[Arc::from("web"), Arc::from("secure")])
}

fn winner(table: &RouteTable, host: &str, path: &str) -> String {
    ask(host, path, &[], |facts| {
        let found = table.find(facts).unwrap();
        found.map_or_else(
            || "none".to_owned(),
            |at| table.spec(at).unwrap().name.to_string(),
        )
    })
}

fn reason(explanation: &Explanation, route: &str) -> String {
    let mut verdicts = explanation.verdicts.iter();
    verdicts
        .find(|verdict| verdict.route == route)
        .unwrap()
        .reason
        .clone()
}

#[test]
fn a_less_specific_host_takes_what_no_route_of_the_better_host_matches() {
    let table = table(&[
        route("exact", |r| {
            (r.hosts, r.path) = (host("a.b.c"), PathMatch::prefix("/x").unwrap());
        }),
        route("near", |r| {
            (r.hosts, r.path) = (host("*.b.c"), PathMatch::prefix("/y").unwrap());
        }),
        route("far", |r| r.hosts = host("*.c")),
        route("any", |r| r.path = PathMatch::exact("/x").unwrap()),
    ]);
    assert_eq!(winner(&table, "a.b.c", "/x"), "exact");
    assert_eq!(winner(&table, "a.b.c", "/y"), "near");
    assert_eq!(winner(&table, "a.b.c", "/z"), "far");
    assert_eq!(winner(&table, "b.c", "/y"), "far");
    assert_eq!(winner(&table, "c", "/x"), "any");
    assert_eq!(winner(&table, "", "/x"), "any");
    assert_eq!(winner(&table, "c", "/y"), "none");
}

#[test]
fn priority_goes_before_everything() {
    let table = table(&[
        route("exact", |r| {
            (r.hosts, r.path) = (host("a"), PathMatch::exact("/x").unwrap());
        }),
        route("maintenance", |r| r.priority = 1),
        route("last", |r| {
            (r.hosts, r.path, r.priority) = (host("a"), PathMatch::exact("/x").unwrap(), -1);
        }),
    ]);
    assert_eq!(winner(&table, "a", "/x"), "maintenance");
}

#[test]
fn an_empty_table_routes_nothing() {
    let table = table(&[]);
    assert!(table.is_empty());
    assert_eq!(winner(&table, "a", "/"), "none");
    let text = ask("a", "/", &[], |facts| table.explain(facts).to_string());
    assert_eq!(text, "no route\n");
}

#[test]
fn a_route_of_unknown_listeners_takes_nothing() {
    let table = table(&[route("a", |r| r.listeners = Some(vec!["other".into()]))]);
    assert_eq!(winner(&table, "a", "/"), "none");
}

#[test]
fn every_loser_has_its_reason() {
    let orders = || PathMatch::prefix("/orders").unwrap();
    let table = table(&[
        route("winner", |r| {
            (r.hosts, r.path) = (host("shop.example"), PathMatch::exact("/orders/1").unwrap());
        }),
        route("prefix", |r| {
            (r.hosts, r.path) = (host("shop.example"), orders());
        }),
        route("host", |r| r.hosts = host("*.shop.example")),
        route("path", |r| r.path = PathMatch::prefix("/cart").unwrap()),
        route("regex", |r| {
            r.path = PathMatch::Regex("^/[a-z]+$".parse().unwrap());
        }),
        route("method", |r| r.methods = vec![Method::PUT, Method::POST]),
        route("header", |r| {
            r.headers = vec![(
                "x-tenant".parse().unwrap(),
                ValueMatch::Exact("acme".into()),
            )];
        }),
        route("absent", |r| {
            r.headers = vec![("x-none".parse().unwrap(), ValueMatch::Present(true))];
        }),
        route("query", |r| {
            r.query = vec![("lang".into(), ValueMatch::Regex("^de$".parse().unwrap()))];
        }),
        route("cookie", |r| {
            r.cookies = vec![("beta".into(), ValueMatch::Present(false))];
        }),
        route("source", |r| r.source = vec!["10.0.0.0/8".parse().unwrap()]),
        route("listener", |r| r.listeners = Some(vec!["secure".into()])),
    ]);
    let fields = [("x-tenant", "foo"), ("cookie", "beta=1")];
    let explanation = ask("shop.example", "/orders/1?lang=fr%21", &fields, |facts| {
        table.explain(facts)
    });
    assert_eq!(explanation.winner.as_deref(), Some("winner"));
    for (name, expected) in [
        ("winner", "matches: path \"/orders/1\", 1 host"),
        (
            "prefix",
            "matches, but route \"winner\" is more specific: exact path before prefix",
        ),
        ("host", "host \"shop.example\" is not \"*.shop.example\""),
        ("path", "path prefix \"/cart\" does not match \"/orders/1\""),
        (
            "regex",
            "path regex \"^/[a-z]+$\" does not match \"/orders/1\"",
        ),
        ("method", "method GET is not \"PUT\" or \"POST\""),
        ("header", "header x-tenant is \"foo\", not \"acme\""),
        ("absent", "header x-none is missing"),
        (
            "query",
            "query parameter lang is \"fr!\", which does not match \"^de$\"",
        ),
        ("cookie", "cookie beta is there, and must not be"),
        ("source", "client 192.0.2.1 is not in \"10.0.0.0/8\""),
        ("listener", "listener \"web\" is not \"secure\""),
    ] {
        assert_eq!(reason(&explanation, name), expected);
    }
    let text = explanation.to_string();
    assert!(
        text.starts_with("route \"winner\"\n  + winner: matches"),
        "{text}"
    );
    let json = serde_json::to_value(&explanation).unwrap();
    assert_eq!(json["winner"], "winner");
    assert_eq!(json["verdicts"][1]["outcome"], "outranked");
}

#[test]
fn an_encoded_slash_that_would_change_the_route_is_refused() {
    let table = table(&[
        route("public", |r| r.path = PathMatch::prefix("/public").unwrap()),
        route("admin", |r| r.path = PathMatch::prefix("/admin").unwrap()),
    ]);
    let find = |path: &str| {
        ask("a", path, &[], |facts| {
            table.find(facts).map(|found| found.map(|at| at.0))
        })
    };
    assert_eq!(find("/public/a%2Fb"), Ok(Some(0)));
    assert_eq!(find("/public/..%2fadmin"), Err(BadRequest::Path));
    assert_eq!(find("/admin%2fx"), Err(BadRequest::Path));
    assert_eq!(find("/public/../admin"), Ok(Some(1)));
    let explanation = ask("a", "/public/..%2fadmin", &[], |facts| table.explain(facts));
    assert_eq!(explanation.winner, None);
    assert_eq!(
        explanation.refused.as_deref(),
        Some(
            "the path \"/public/..%2Fadmin\" goes to route \"public\", but with its encoded slash decoded, \
             \"/admin\", to route \"admin\""
        )
    );
}
