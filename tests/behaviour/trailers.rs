//! Trailers pass between all protocols, and what headers may not say trailers may not, either.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::harness::{Act, Backend, H2Act, H2Backend, Seen, Settings, h2_read};

const BOTH: &str = r#"
    [listeners.web]
    address = "$web"
    [listeners.strict]
    address = "$strict"
    underscores = "refuse"
    [routes.one]
    path_prefix = "/one"
    pool = "one"
    headers_request = { set = { x-user = "nobody" }, remove = ["x-secret"] }
    headers_response = { set = { x-frame = "deny" }, remove = ["x-powered-by"] }
    [routes.two]
    path_prefix = "/two"
    pool = "two"
    headers_request = { set = { x-user = "nobody" }, remove = ["x-secret"] }
    headers_response = { set = { x-frame = "deny" }, remove = ["x-powered-by"] }
    [pools.one]
    endpoints = ["$one"]
    [pools.two]
    endpoints = ["$two"]
    protocol = "h2"
"#;

/// Names that a client must not bring in behind the checks of the head.
const OF_REQUESTS: [&str; 16] = [
    "authorization",
    "cookie",
    "x-forwarded-for",
    "x-forwarded-proto",
    "forwarded",
    "x-real-ip",
    "via",
    "x-request-id",
    "content-type",
    "proxy-authorization",
    "range",
    "x_forwarded_for",
    "x-user",
    "x-secret",
    "max-forwards",
    "x-http-method-override",
];

const OF_RESPONSES: [&str; 9] = [
    "set-cookie",
    "content-type",
    "location",
    "cache-control",
    "www-authenticate",
    "x-frame",
    "x-powered-by",
    "x-request-id",
    "access-control-allow-origin",
];

/// A trailer that passes: the sum of the body. Other unknown names pass as well.
const FINE: &str = "x-checksum";

fn http1_trailers(names: &[&str]) -> String {
    let lines = names.iter().chain([&FINE]);
    lines.map(|name| format!("{name}: evil\r\n")).collect()
}

fn http2_trailers(names: &[&str]) -> HeaderMap {
    let names = names.iter().chain([&FINE]);
    let fields = names.map(|name| {
        (
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_static("evil"),
        )
    });
    fields.collect()
}

fn http1_script(_: &Seen) -> Vec<Act> {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n";
    let answer = format!("{head}{}\r\n", http1_trailers(&OF_RESPONSES));
    vec![Act::Read, Act::Send(answer.into_bytes())]
}

fn http2_script(_: &Seen) -> Vec<H2Act> {
    let names = OF_RESPONSES.into_iter().chain([FINE]);
    vec![
        H2Act::Read,
        H2Act::Head(200, vec![]),
        H2Act::Data(b"hi".to_vec()),
        H2Act::Trailers(names.map(|name| (name, "evil")).collect()),
    ]
}

fn names<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    fields.map(|(name, _)| name.to_ascii_lowercase()).collect()
}

#[tokio::test]
async fn trailers_say_nothing_that_headers_may_not_whatever_the_protocols() {
    let one = Backend::start(http1_script).await;
    let two = H2Backend::start(http2_script).await;
    let proxy = Settings::new(BOTH)
        .backend("one", &one)
        .address("two", two.address())
        .start()
        .await;
    for target in ["/one", "/two"] {
        let mut client = proxy.client().await;
        let head = "HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
        let more = [
            &OF_REQUESTS[..],
            &["host", "content-length", "te", "if-match"],
        ]
        .concat();
        let trailers = http1_trailers(&more);
        client
            .send(format!(
                "POST {target} {head}2\r\nhi\r\n0\r\n{trailers}\r\n"
            ))
            .await;
        let answer = client.answer().await;
        assert_eq!(names(answer.trailers.iter()), [FINE], "1.1 {target}");

        let mut client = proxy.h2_client().await;
        let (response, mut body) = client.open("POST", target, &[], false).await.unwrap();
        body.send_data(Bytes::from_static(b"hi"), false).unwrap();
        body.send_trailers(http2_trailers(&OF_REQUESTS)).unwrap();
        let answer = h2_read(response).await.unwrap();
        assert_eq!(names(answer.trailers.iter()), [FINE], "h2 {target}");
    }
    for seen in one.seen().into_iter().chain(two.seen()) {
        assert!(seen.complete && seen.body == b"hi", "{seen:?}");
        assert_eq!(names(seen.trailers.iter()), [FINE], "{}", seen.target);
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_trailer_with_an_underscore_is_refused_where_such_headers_are() {
    let one = Backend::start(http1_script).await;
    let proxy = Settings::new(BOTH)
        .backend("one", &one)
        .address("two", one.address())
        .start()
        .await;
    let mut client = proxy.client_of("strict").await;
    let head = "POST /one HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    client.send(format!("{head}0\r\nx_a: 1\r\n\r\n")).await;
    client
        .answer()
        .await
        .assert_failure(400, "http_request_error");
    proxy.finish().await;
}

/// All that a client may send before its body, and when the trailers come.
#[tokio::test]
async fn trailers_of_http2_reach_http1_whenever_they_come() {
    let one = Backend::start(http1_script).await;
    let proxy = Settings::new(BOTH)
        .backend("one", &one)
        .address("two", one.address())
        .start()
        .await;
    let announced = [("content-length", "2"), ("trailer", "x-checksum")];
    let silent = [("content-length", "2")];
    let lengths: [(&[(&str, &str)], bool); 3] = [(&[], true), (&announced, true), (&silent, false)];
    for (fields, pass) in lengths {
        for late in [false, true] {
            let mut client = proxy.h2_client().await;
            let before = one.seen().len();
            let (response, mut body) = client.open("POST", "/one", fields, false).await.unwrap();
            if late {
                body.send_data(Bytes::from_static(b"h"), false).unwrap();
                crate::harness::eventually("the head is there", async || {
                    (one.seen().len() > before).then_some(())
                })
                .await;
                body.send_data(Bytes::from_static(b"i"), false).unwrap();
            } else {
                body.send_data(Bytes::from_static(b"hi"), false).unwrap();
            }
            body.send_trailers(http2_trailers(&[])).unwrap();
            assert_eq!(h2_read(response).await.unwrap().status, 200);
            let seen = one.seen().pop().unwrap();
            assert_eq!(seen.body, b"hi");
            assert_eq!(seen.trailers.has(FINE), pass, "{fields:?}, late: {late}");
        }
    }
    proxy.finish().await;
}

/// A name as a peer of HTTP/1.1 writes it: one that the proxy knows by number, and two that
/// it does not.
const SPELLED: [&str; 3] = ["Server-Timing", "X-CheckSum", "grpc-Extra"];

fn spelled<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let mut names: Vec<_> = fields.map(|(name, _)| name.to_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn trailer_names_keep_their_spelling_between_peers_of_http1() {
    let section: String = SPELLED.map(|name| format!("{name}: 1\r\n")).concat();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n{section}\r\n"
    );
    let one =
        Backend::start(move |_| vec![Act::Read, Act::Send(answer.clone().into_bytes())]).await;
    let two = H2Backend::start(|_| {
        let trailers = [
            ("server-timing", "1"),
            ("x-checksum", "1"),
            ("grpc-extra", "1"),
        ];
        vec![
            H2Act::Read,
            H2Act::Head(200, vec![]),
            H2Act::Data(b"hi".to_vec()),
            H2Act::Trailers(trailers.to_vec()),
        ]
    })
    .await;
    let proxy = Settings::new(BOTH)
        .backend("one", &one)
        .address("two", two.address())
        .start()
        .await;
    let lower = SPELLED.map(str::to_ascii_lowercase);
    let mut lower = lower.to_vec();
    lower.sort();
    for (target, as_written) in [("/one", true), ("/two", false)] {
        let mut client = proxy.client().await;
        client
            .send(format!(
                "POST {target} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\
                 2\r\nhi\r\n0\r\n{section}\r\n"
            ))
            .await;
        let answer = client.answer().await;
        let expected = if as_written {
            SPELLED.map(str::to_owned).to_vec()
        } else {
            lower.clone()
        };
        assert_eq!(spelled(answer.trailers.iter()), expected, "1.1 {target}");
        let seen = if as_written {
            one.seen().pop()
        } else {
            two.seen().pop()
        };
        assert_eq!(
            spelled(seen.unwrap().trailers.iter()),
            expected,
            "1.1 {target}"
        );

        let mut client = proxy.h2_client().await;
        let (response, mut body) = client.open("POST", target, &[], false).await.unwrap();
        body.send_data(Bytes::from_static(b"hi"), false).unwrap();
        let names = lower.iter().map(|name| name.parse().unwrap());
        let trailers = names.map(|name: HeaderName| (name, HeaderValue::from_static("1")));
        body.send_trailers(trailers.collect()).unwrap();
        let answer = h2_read(response).await.unwrap();
        assert_eq!(spelled(answer.trailers.iter()), lower, "h2 {target}");
        let seen = if as_written {
            one.seen().pop()
        } else {
            two.seen().pop()
        };
        assert_eq!(spelled(seen.unwrap().trailers.iter()), lower, "h2 {target}");
    }
    proxy.finish().await;
}
