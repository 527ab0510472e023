//! Finding a route must cost the same in a table of 10 as in one of 10,000.
//!
//! `cargo bench --bench route`

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use http::Method;
use sluicegate::config::value::HostPattern;
use sluicegate::route::{Facts, PathMatch, RouteIndex, RouteSpec, RouteTable};
use sluicegate::semantics::{Headers, path::normalise};

/// A kind of table: how route `at` of it looks, and a request for one in the middle.
struct Shape {
    name: &'static str,
    route: fn(usize) -> (HostPattern, PathMatch),
    request: fn(usize) -> (String, String),
}

const SHAPES: [Shape; 5] = [
    Shape {
        name: "host_and_prefix",
        route: |at| {
            (
                exact_host(&format!("h{at}.example")),
                PathMatch::Prefix("/api".into()),
            )
        },
        request: |at| (format!("h{at}.example"), "/api/v1/items".to_owned()),
    },
    Shape {
        name: "prefixes_of_one_host",
        route: |at| {
            (
                exact_host("shop.example"),
                PathMatch::Prefix(format!("/s{at}/v1").into()),
            )
        },
        request: |at| ("shop.example".to_owned(), format!("/s{at}/v1/items/7")),
    },
    Shape {
        name: "exact_paths_of_one_host",
        route: |at| {
            (
                exact_host("shop.example"),
                PathMatch::Exact(format!("/p/{at}").into()),
            )
        },
        request: |at| ("shop.example".to_owned(), format!("/p/{at}")),
    },
    Shape {
        name: "wildcard_hosts",
        route: |at| {
            (
                HostPattern::Wildcard(format!("h{at}.example").into()),
                PathMatch::Any,
            )
        },
        request: |at| (format!("a.b.h{at}.example"), "/api/v1/items".to_owned()),
    },
    Shape {
        name: "regexes_by_directory",
        route: |at| (HostPattern::Any, regex(&format!("^/s{at}/[0-9]+$"))),
        request: |at| ("shop.example".to_owned(), format!("/s{at}/1234")),
    },
];

fn find(criterion: &mut Criterion) {
    let headers = Headers::new();
    for shape in &SHAPES {
        let mut group = criterion.benchmark_group(shape.name);
        for routes in [10, 100, 1_000, 10_000] {
            let table = build(shape, routes);
            let (host, path) = (shape.request)(routes / 2);
            let expected = u32::try_from(routes / 2).ok().map(RouteIndex);
            group.bench_function(BenchmarkId::from_parameter(routes), |bencher| {
                bencher.iter(|| {
                    let path = normalise(black_box(path.as_bytes())).ok();
                    let found = path.as_ref().and_then(|path| {
                        let facts = Facts {
                            listener: 0,
                            host: black_box(&host),
                            path,
                            query: None,
                            method: &Method::GET,
                            headers: &headers,
                            client: [192, 0, 2, 1].into(),
                            certificate: None,
                        };
                        table.find(&facts).ok().flatten()
                    });
                    assert_eq!(found, expected);
                });
            });
        }
        group.finish();
    }
}

fn build(shape: &Shape, routes: usize) -> RouteTable {
    let specs: Vec<RouteSpec> = (0..routes)
        .map(|at| {
            let (host, path) = (shape.route)(at);
            let mut spec = RouteSpec::any(&format!("r{at}"));
            spec.hosts = vec![host];
            spec.path = path;
            spec
        })
        .collect();
    RouteTable::build(&specs, &[Arc::from("web")])
}

fn exact_host(name: &str) -> HostPattern {
    HostPattern::Exact(name.into())
}

fn regex(pattern: &str) -> PathMatch {
    // The patterns above are valid; another path would fail the assertion of the bench.
    pattern.parse().map_or(PathMatch::Any, PathMatch::Regex)
}

criterion_group!(benches, find);
criterion_main!(benches);
