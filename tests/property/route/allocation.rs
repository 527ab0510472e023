//! Routing must not allocate.

use std::hint::black_box;
use std::sync::Arc;

use http::{HeaderValue, Method, Version};
use sluicegate::config::value::{HostPattern, ValueMatch};
use sluicegate::route::{Facts, PathMatch, RouteIndex, RouteSpec, RouteTable};
use sluicegate::semantics::Headers;
use sluicegate::semantics::authority::effective_authority;
use sluicegate::semantics::date::DateCache;
use sluicegate::semantics::forwarded::{TrustedProxies, client_address};
use sluicegate::semantics::hop_by_hop::{Switching, strip_request};
use sluicegate::semantics::path::normalise;
use sluicegate::semantics::request_id::RequestId;
use sluicegate::semantics::via::Pseudonym;

use crate::allocation::allocations;

/// Counts the allocations of the second run; the first fills caches of the regex engine.
fn warm_allocations(mut work: impl FnMut()) -> usize {
    work();
    allocations(work)
}

fn request() -> Headers {
    let mut headers = Headers::new();
    for (name, value) in [
        ("host", "shop.example:8080"),
        ("connection", "keep-alive"),
        ("cookie", "a=1; beta=1"),
        ("x-tenant", "acme"),
        ("x-forwarded-for", "1.1.1.1, 2.2.2.2"),
        ("via", "1.1 other"),
    ] {
        headers.append(name, HeaderValue::from_static(value));
    }
    headers
}

fn busy_table() -> RouteTable {
    let mut specs: Vec<RouteSpec> = (0..100)
        .map(|at| {
            let mut spec = RouteSpec::any(&format!("r{at}"));
            spec.path = PathMatch::prefix(&format!("/s{at}")).unwrap();
            spec
        })
        .collect();
    let mut wanted = RouteSpec::any("wanted");
    wanted.hosts = vec![HostPattern::parse("*.example").unwrap()];
    wanted.path = PathMatch::Regex("^/orders/[0-9]+$".parse().unwrap());
    wanted.methods = vec![Method::GET];
    wanted.headers = vec![(
        "x-tenant".parse().unwrap(),
        ValueMatch::Exact("acme".into()),
    )];
    wanted.query = vec![(
        "lang".to_owned(),
        ValueMatch::Regex("^d e$".parse().unwrap()),
    )];
    wanted.cookies = vec![("beta".to_owned(), ValueMatch::Present(true))];
    wanted.source = vec!["192.0.2.0/24".parse().unwrap()];
    specs.push(wanted);
    RouteTable::build(&specs, &[Arc::from("web")])
}

#[test]
fn finding_a_route_does_not_allocate() {
    let (table, headers) = (busy_table(), request());
    let count = warm_allocations(|| {
        let path = normalise(b"/orders/17").unwrap();
        let facts = Facts {
            listener: 0,
            host: "shop.example",
            path: &path,
            query: Some(b"x=1&lang=d+e"),
            method: &Method::GET,
            headers: &headers,
            client: [192, 0, 2, 1].into(),
            certificate: None,
        };
        assert_eq!(table.find(&facts), Ok(Some(RouteIndex(100))));
    });
    assert_eq!(count, 0);
}

#[test]
fn reading_the_head_of_a_plain_request_does_not_allocate() {
    let headers = request();
    let via = Pseudonym::new("a").unwrap();
    let trusted = TrustedProxies::new(["10.0.0.0/8".parse().unwrap()]);
    let count = warm_allocations(|| {
        black_box(effective_authority(Version::HTTP_11, None, &headers).unwrap());
        black_box(client_address([10, 0, 0, 1].into(), &trusted, &headers));
        assert!(!via.is_in(&headers));
    });
    assert_eq!(count, 0);
}

#[test]
fn stripping_identities_and_dates_do_not_allocate() {
    let mut requests = [request(), request()];
    let mut date = DateCache::new();
    let count = warm_allocations(|| {
        // Whether the map itself is given back is not the question.
        if let Some(headers) = requests.last_mut() {
            strip_request(headers, Switching::No);
        }
        requests.rotate_right(1);
        black_box(RequestId::new(1, 2));
        black_box(date.header_value(784_111_777));
    });
    assert_eq!(count, 0);
}
