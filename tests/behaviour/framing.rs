//! A message that two parsers could read two ways is refused (RFC 9112), before
//! anything of it reaches an endpoint.

use crate::harness::{Backend, End, Settings, identity};

const ALL: &str = r#"
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
"#;

/// The fault, the bytes, the status. `H` stands for a Host line.
type Case = (&'static str, &'static str, u16);

/// Checks that each request is refused with its status and told why, that the
/// connection is closed then, and that no endpoint saw anything.
async fn are_refused(cases: &[Case]) {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut faults = Vec::new();
    for (what, bytes, status) in cases {
        let mut client = proxy.raw_client().await;
        let follower = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
        client.send(bytes.replace("\nH\r", "\nHost: a\r")).await;
        client.send(follower).await;
        match client.try_answer_to("GET").await {
            Ok(answer) if answer.status != *status => {
                faults.push(format!("{what}: {} instead of {status}", answer.status));
            }
            Ok(answer) => {
                let word = answer
                    .field("proxy-status")
                    .contains("error=http_request_error");
                if !word {
                    faults.push(format!("{what}: no reason in {answer:?}"));
                }
                // On a connection that stays open the follower is answered too.
                if client.try_answer_to("GET").await.is_ok() {
                    faults.push(format!("{what}: the connection stays open"));
                }
            }
            Err(end) => faults.push(format!("{what}: no answer, {end:?}")),
        }
    }
    let reached = app.seen();
    if !reached.is_empty() {
        faults.push(format!("these reached the endpoint: {reached:#?}"));
    }
    assert!(faults.is_empty(), "{faults:#?}");
    proxy.finish().await;
}

#[tokio::test]
async fn two_ways_to_tell_the_length_are_refused() {
    are_refused(&[
        ("length and chunked", "POST / HTTP/1.1\r\nH\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("chunked and length", "POST / HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
        ("two lengths", "POST / HTTP/1.1\r\nH\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400),
        ("one length twice", "POST / HTTP/1.1\r\nH\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400),
        ("a list of lengths", "POST / HTTP/1.1\r\nH\r\nContent-Length: 1, 1\r\n\r\nx", 400),
        ("a signed length", "POST / HTTP/1.1\r\nH\r\nContent-Length: +1\r\n\r\nx", 400),
        ("a negative length", "POST / HTTP/1.1\r\nH\r\nContent-Length: -1\r\n\r\nx", 400),
        ("a hexadecimal length", "POST / HTTP/1.1\r\nH\r\nContent-Length: 0x1\r\n\r\nx", 400),
        ("an empty length", "POST / HTTP/1.1\r\nH\r\nContent-Length:\r\n\r\nx", 400),
        ("a length of 2^63", "POST / HTTP/1.1\r\nH\r\nContent-Length: 9223372036854775808\r\n\r\nx", 400),
        ("a length past 64 bits", "POST / HTTP/1.1\r\nH\r\nContent-Length: 18446744073709551617\r\n\r\nx", 400),
        ("chunked twice", "POST / HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
        ("chunked not last", "POST / HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400),
        ("chunked in two lines", "POST / HTTP/1.1\r\nH\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("another coding", "POST / HTTP/1.1\r\nH\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        ("a coding with a control byte", "POST / HTTP/1.1\r\nH\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
        ("a space in the name", "POST / HTTP/1.1\r\nH\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
        ("a coding in HTTP/1.0", "POST / HTTP/1.0\r\nH\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ])
    .await;
}

#[tokio::test]
async fn lines_that_are_not_of_the_grammar_are_refused() {
    are_refused(&[
        ("bare line feeds", "GET / HTTP/1.1\nHost: a\n\n", 400),
        (
            "one bare line feed",
            "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
            400,
        ),
        (
            "a bare carriage return",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
            400,
        ),
        (
            "NUL in a value",
            "GET / HTTP/1.1\r\nH\r\nX: a\0b\r\n\r\n",
            400,
        ),
        (
            "a folded line",
            "GET / HTTP/1.1\r\nH\r\nX: a\r\n b\r\n\r\n",
            400,
        ),
        (
            "a first line folded",
            "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
            400,
        ),
        (
            "a space before the colon",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            400,
        ),
        (
            "a name that is no token",
            "GET / HTTP/1.1\r\nH\r\nX(y): 1\r\n\r\n",
            400,
        ),
        ("an empty name", "GET / HTTP/1.1\r\nH\r\n: 1\r\n\r\n", 400),
        (
            "a line without colon",
            "GET / HTTP/1.1\r\nH\r\nnonsense\r\n\r\n",
            400,
        ),
        (
            "a method that is no token",
            "G@T / HTTP/1.1\r\nH\r\n\r\n",
            400,
        ),
        ("two spaces", "GET  / HTTP/1.1\r\nH\r\n\r\n", 400),
        ("a tab", "GET\t/ HTTP/1.1\r\nH\r\n\r\n", 400),
        ("a trailing space", "GET / HTTP/1.1 \r\nH\r\n\r\n", 400),
        ("no version", "GET /\r\nH\r\n\r\n", 400),
        ("version 3", "GET / HTTP/3.0\r\nH\r\n\r\n", 505),
        ("version 1.2", "GET / HTTP/1.2\r\nH\r\n\r\n", 505),
        ("a lower-case version", "GET / http/1.1\r\nH\r\n\r\n", 400),
        (
            "another expectation",
            "POST / HTTP/1.1\r\nH\r\nExpect: more\r\nContent-Length: 1\r\n\r\nx",
            417,
        ),
        (
            "TLS on a plain port",
            "\x16\x03\x01\x02\x00\x01\x00\x01\u{7f}\r\n\r\n",
            400,
        ),
    ])
    .await;
}

#[tokio::test]
async fn hosts_that_are_not_of_the_grammar_are_refused() {
    are_refused(&[
        ("no host", "GET / HTTP/1.1\r\nX: y\r\n\r\n", 400),
        (
            "two hosts",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            400,
        ),
        (
            "one host twice",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            400,
        ),
        (
            "a space in the host",
            "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
            400,
        ),
        (
            "a path in the host",
            "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
            400,
        ),
        (
            "a user in the host",
            "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
            400,
        ),
        (
            "a list of hosts",
            "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
            400,
        ),
        (
            "a port that is none",
            "GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n",
            400,
        ),
        (
            "an open bracket",
            "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
            400,
        ),
    ])
    .await;
}

#[tokio::test]
async fn targets_that_are_not_of_the_grammar_are_refused() {
    are_refused(&[
        ("a fragment", "GET /a#b HTTP/1.1\r\nH\r\n\r\n", 400),
        (
            "a space in the target",
            "GET /a b HTTP/1.1\r\nH\r\n\r\n",
            400,
        ),
        (
            "a control byte in the target",
            "GET /a\x01b HTTP/1.1\r\nH\r\n\r\n",
            400,
        ),
        (
            "DEL in the target",
            "GET /a\x7fb HTTP/1.1\r\nH\r\n\r\n",
            400,
        ),
        (
            "a backslash in the target",
            "GET /a\\b HTTP/1.1\r\nH\r\n\r\n",
            400,
        ),
        ("a relative target", "GET a HTTP/1.1\r\nH\r\n\r\n", 400),
        (
            "an asterisk without OPTIONS",
            "GET * HTTP/1.1\r\nH\r\n\r\n",
            400,
        ),
        (
            "an absolute target with a user",
            "GET http://u@a/ HTTP/1.1\r\nH\r\n\r\n",
            400,
        ),
        (
            "an empty authority",
            "GET http:/// HTTP/1.1\r\nH\r\n\r\n",
            400,
        ),
    ])
    .await;
}

#[tokio::test]
async fn connect_and_trace_are_not_allowed() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    for bytes in [
        "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
        "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let mut client = proxy.client().await;
        client.send(bytes).await;
        let refused = client.answer().await;
        refused.assert_failure(405, "http_request_error");
    }
    assert_eq!(app.count(), 0);
    proxy.finish().await;
}

#[tokio::test]
async fn a_garbled_chunk_ends_the_exchange_and_the_connection() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    for chunk in [
        "x\r\n",
        "-1\r\n\r\n",
        "0x1\r\na\r\n",
        "1\nab\r\n",
        "1\r\nab\r\n",
        "FFFFFFFFFFFFFFFFF\r\n",
        "1 \r\na\r\n",
        "1;a=\x01\r\na\r\n",
        "0\r\nbad trailer\r\n\r\n",
    ] {
        let mut client = proxy.raw_client().await;
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.send(format!("{head}{chunk}")).await;
        // Whether the status still gets through depends on how far the endpoint is.
        if let Ok(answer) = client.try_answer_to("POST").await {
            assert_eq!(answer.status, 400, "{chunk:?}: {answer:?}");
        }
        assert_ne!(client.ended().await, End::Complete);
    }
    assert!(
        app.seen().iter().all(|seen| !seen.complete),
        "{:?}",
        app.seen()
    );
    proxy.finish().await;
}

#[tokio::test]
async fn an_absolute_target_wins_over_host() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    client
        .send("GET http://real.example/x?y HTTP/1.1\r\nHost: other.example\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 200);
    let seen = app.only();
    assert_eq!(
        (seen.target.as_str(), seen.field("host")),
        ("/x?y", "real.example")
    );
    proxy.finish().await;
}

#[tokio::test]
async fn requests_may_come_in_any_pieces_and_one_behind_the_other() {
    let app = Backend::start(|seen| crate::harness::answer(&seen.target)).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    // An empty line before a request is tolerated (RFC 9112 section 2.2).
    let bytes = "\r\nPOST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                 3;x=\"y\"\r\nabc\r\n0\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n\
                 OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n";
    for piece in bytes.as_bytes().chunks(7) {
        client.send(piece).await;
        tokio::task::yield_now().await;
    }
    for target in ["/1", "/2", "*", "/3"] {
        assert_eq!(client.answer().await.text(), target);
    }
    assert_eq!(app.seen()[0].body, b"abc");
    proxy.finish().await;
}
