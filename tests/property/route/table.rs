//! The index against the scan, and the explanation against the index. Alphabets are small
//! so that routes collide.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use sluicegate::config::value::{CertificatePart, HostPattern, ValueMatch};
use sluicegate::route::{Facts, PathMatch, RouteIndex, RouteOutcome, RouteSpec, RouteTable};
use sluicegate::semantics::Headers;
use sluicegate::semantics::path::{NormalPath, normalise};
use sluicegate::tls::ClientCertificate;

use super::scan;

const LISTENERS: [&str; 2] = ["web", "secure"];

/// A request in owned parts.
#[derive(Clone, Debug)]
struct Head {
    listener: u32,
    host: &'static str,
    path: String,
    query: Option<&'static str>,
    method: Method,
    headers: Headers,
    client: IpAddr,
    certificate: Option<ClientCertificate>,
}

impl Head {
    fn facts<'a>(&'a self, path: &'a NormalPath<'a>) -> Facts<'a> {
        Facts {
            listener: self.listener,
            host: self.host,
            path,
            query: self.query.map(str::as_bytes),
            method: &self.method,
            headers: &self.headers,
            client: self.client,
            certificate: self.certificate.as_ref(),
        }
    }
}

fn path() -> impl Strategy<Value = String> {
    (segments(0..4), any::<bool>()).prop_map(|(mut path, slash)| {
        if slash || path.is_empty() {
            path.push('/');
        }
        path
    })
}

/// `/a/b`: so many segments, each behind a slash.
fn segments(count: Range<usize>) -> impl Strategy<Value = String> {
    let segments = vec(select(vec!["a", "b", "ab"]), count);
    segments.prop_map(|segments| segments.iter().flat_map(|segment| ["/", segment]).collect())
}

fn path_match() -> impl Strategy<Value = PathMatch> {
    let regexes = vec![
        "^/a/",
        "^/a/b/?$",
        "^/a/b?",
        "/b$",
        "^/a|/b",
        "^/a/b|^/b",
        "^/a/?b$",
        "^/(a|b)/",
        "^/ab/+a",
        "",
        "^/a/b/ab$",
        "(?i)^/A/B",
        "^/a/a*",
    ];
    prop_oneof![
        1 => Just(PathMatch::Any),
        2 => path().prop_map(|path| PathMatch::exact(&path).unwrap()),
        3 => path().prop_map(|path| PathMatch::prefix(&path).unwrap()),
        2 => select(regexes).prop_map(|regex| PathMatch::Regex(regex.parse().unwrap())),
    ]
}

fn value() -> impl Strategy<Value = ValueMatch> {
    prop_oneof![
        select(vec!["1", "2"]).prop_map(|value| ValueMatch::Exact(value.into())),
        Just(ValueMatch::Regex("^[12]$".parse().unwrap())),
        any::<bool>().prop_map(ValueMatch::Present),
    ]
}

fn named_values() -> impl Strategy<Value = Vec<(String, ValueMatch)>> {
    let one = (select(vec!["n", "m"]).prop_map(str::to_owned), value());
    prop_oneof![3 => Just(Vec::new()), 1 => vec(one, 1..3)]
}

fn spec() -> impl Strategy<Value = RouteSpec> {
    let hosts = vec!["a", "x.a", "y.x.a", "*.a", "*.x.a", "*"];
    let conditions = (
        prop_oneof![3 => Just(vec![]), 1 => subsequence(vec![Method::GET, Method::POST], 1..=2)],
        named_values(),
        named_values(),
        named_values(),
        prop_oneof![3 => Just(vec![]), 1 => Just(vec!["10.0.0.0/8".parse().unwrap()])],
        certificate_parts(),
    );
    let scope = (
        subsequence(hosts, 0..=3),
        of(subsequence(LISTENERS.to_vec(), 0..=2)),
        prop_oneof![4 => Just(0), 1 => -1..=1],
    );
    (scope, path_match(), conditions).prop_map(|(scope, path, conditions)| {
        let (hosts, listeners, priority) = scope;
        let (methods, headers, query, cookies, source, client_certificate) = conditions;
        let header =
            |(name, value): (String, ValueMatch)| (name.parse::<HeaderName>().unwrap(), value);
        RouteSpec {
            name: "".into(),
            listeners: listeners.map(|names| names.into_iter().map(Arc::from).collect()),
            hosts: hosts
                .into_iter()
                .map(|host| HostPattern::parse(host).unwrap_or(HostPattern::Any))
                .collect(),
            path,
            methods,
            preflights: false,
            headers: headers.into_iter().map(header).collect(),
            query,
            cookies,
            source,
            client_certificate,
            priority,
        }
    })
}

fn certificate_parts() -> impl Strategy<Value = Vec<(CertificatePart, ValueMatch)>> {
    let part = select(vec![CertificatePart::Subject, CertificatePart::Dns]);
    prop_oneof![3 => Just(Vec::new()), 1 => vec((part, value()), 1..3)]
}

fn certificate() -> impl Strategy<Value = Option<ClientCertificate>> {
    let names = subsequence(vec!["1", "2", "3"], 0..=2);
    of(
        (select(vec!["1", "2", "3"]), names).prop_map(|(subject, dns)| ClientCertificate {
            subject: subject.into(),
            dns: dns.into_iter().map(str::to_owned).collect(),
            ..ClientCertificate::default()
        }),
    )
}

/// Up to 24 routes whose names are in another order than their places.
fn specs() -> impl Strategy<Value = Vec<RouteSpec>> {
    vec(spec(), 0..24).prop_map(|mut specs| {
        for (at, spec) in specs.iter_mut().enumerate() {
            spec.name = format!("r{:02}", (at * 7) % 24).into();
        }
        specs
    })
}

fn head() -> impl Strategy<Value = Head> {
    let values = || of(select(vec!["1", "2", "3"]));
    (
        (
            0..2_u32,
            select(vec!["", "a", "x.a", "y.x.a", "z.y.x.a", "b"]),
        ),
        prop_oneof![8 => path(), 1 => Just("*".to_owned())],
        of(select(vec!["", "n=1", "m=2&n=2", "n=1&n=2", "m=3"])),
        select(vec![Method::GET, Method::POST, Method::PUT]),
        (values(), values(), values()),
        (select(vec!["10.1.1.1", "192.0.2.1"]), certificate()),
    )
        .prop_map(|((listener, host), path, query, method, fields, client)| {
            let (client, certificate) = client;
            let (n, m, cookie) = fields;
            let mut headers = Headers::new();
            let cookie = cookie.map(|value| format!("m=1; n={value}"));
            for (name, value) in [("n", n), ("m", m), ("cookie", cookie.as_deref())] {
                if let Some(value) = value {
                    headers.insert(name, HeaderValue::from_str(value).unwrap());
                }
            }
            let client = client.parse().unwrap();
            Head {
                listener,
                host,
                path,
                query,
                method,
                headers,
                client,
                certificate,
            }
        })
}

fn build(specs: &[RouteSpec]) -> RouteTable {
    RouteTable::build(specs, &LISTENERS.map(Arc::from))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn the_table_finds_what_a_linear_scan_finds(specs in specs(), heads in vec(head(), 8)) {
        let table = build(&specs);
        for head in heads {
            let path = normalise(head.path.as_bytes()).unwrap();
            let facts = head.facts(&path);
            let expected = scan::find(&specs, &LISTENERS, &facts);
            let found = table.find(&facts).unwrap().map(|RouteIndex(at)| usize::try_from(at).unwrap());
            prop_assert_eq!(found, expected, "{:?}\n{}", head, table.explain(&facts));
        }
    }

    #[test]
    fn the_explanation_agrees_with_the_table(specs in specs(), head in head()) {
        let table = build(&specs);
        let path = normalise(head.path.as_bytes()).unwrap();
        let facts = head.facts(&path);
        let found = table.find(&facts).unwrap();
        let explanation = table.explain(&facts);
        let name = found.map(|at| table.spec(at).unwrap().name.to_string());
        prop_assert_eq!(&explanation.winner, &name);
        prop_assert_eq!(explanation.verdicts.len(), specs.len());
        let winners = explanation.verdicts.iter().filter(|verdict| verdict.outcome == RouteOutcome::Wins);
        prop_assert_eq!(winners.map(|verdict| verdict.route.clone()).collect::<Vec<_>>(), Vec::from_iter(name));
        prop_assert!(explanation.verdicts.iter().all(|verdict| !verdict.reason.is_empty()));
    }

    #[test]
    fn an_encoded_slash_goes_where_both_readings_go_or_nowhere(
        specs in specs(),
        head in head(),
        front in segments(1..4),
        back in path(),
    ) {
        let table = build(&specs);
        let encoded = format!("{front}%2f{}", back.trim_matches('/'));
        let path = normalise(encoded.as_bytes()).unwrap();
        let kept = NormalPath::trusted(path.as_str());
        let decoded = NormalPath::trusted(path.with_slashes_decoded().unwrap());
        let (kept, decoded) = (table.find(&head.facts(&kept)), table.find(&head.facts(&decoded)));
        let facts = head.facts(&path);
        let found = table.find(&facts);
        let explanation = table.explain(&facts);
        prop_assert_eq!(explanation.refused.is_some(), found.is_err());
        if kept == decoded {
            prop_assert_eq!(found, kept);
        } else {
            prop_assert!(found.is_err());
            prop_assert_eq!(explanation.winner, None);
        }
    }

    #[test]
    fn the_order_in_the_file_does_not_matter(specs in specs(), head in head()) {
        let path = normalise(head.path.as_bytes()).unwrap();
        let facts = head.facts(&path);
        let winner = |specs: &[RouteSpec]| {
            let table = build(specs);
            table.find(&facts).unwrap().map(|at| Arc::clone(&table.spec(at).unwrap().name))
        };
        let mut reversed = specs.clone();
        reversed.reverse();
        prop_assert_eq!(winner(&specs), winner(&reversed));
    }
}
