//! `compress` of a route: answers are compressed for clients that accept it.

use std::{io::Read as _, process::Stdio};

use crate::harness::{Act, Answer, Backend, Gate, Settings, answer_bytes, within};

fn decoded(answer: &Answer) -> Vec<u8> {
    let mut text = Vec::new();
    match answer.field("content-encoding") {
        "zstd" => text = zstd::decode_all(&answer.body[..]).unwrap(),
        "br" => {
            brotli::Decompressor::new(&answer.body[..], 4096)
                .read_to_end(&mut text)
                .unwrap();
        }
        "gzip" => {
            flate2::read::GzDecoder::new(&answer.body[..])
                .read_to_end(&mut text)
                .unwrap();
        }
        other => panic!("{other}"),
    }
    text
}

fn page() -> String {
    (0..2000).map(|n| format!("<p>line {n}</p>\n")).collect()
}

/// An answer with these fields and the page as its body.
fn answer(fields: &str) -> String {
    let page = page();
    let length = page.len();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n{fields}\r\n{page}")
}

const TABLES: &str = r#"
    [access_log]
    path = "access.log"
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    compress = {}
    [routes.own]
    path_prefix = "/own"
    pool = "app"
    compress = { encodings = ["gzip"], types = ["image/x-own"], min = "1MiB", level = 1 }
    [pools.app]
    endpoints = ["$app"]
"#;

#[tokio::test]
async fn an_answer_is_compressed_as_the_client_likes_best() {
    let app = Backend::start(|_| {
        answer_bytes(&answer(
            "content-type: text/html\r\netag: \"one\"\r\naccept-ranges: bytes\r\nvary: origin\r\n",
        ))
    })
    .await;
    let proxy = Settings::new(TABLES).backend("app", &app).start().await;
    for (accepted, coding) in [
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip;q=1, br;q=0.9", "gzip"),
        ("br", "br"),
        ("*;q=0.1", "zstd"),
    ] {
        let lines = format!("accept-encoding: {accepted}\n");
        let one = proxy.request("GET", "/", &lines, b"").await;
        let fields = [("accept-encoding", accepted)];
        let mut client = proxy.h2_client().await;
        let two = client.request("GET", "/", &fields, b"").await.unwrap();
        for answer in [one, two] {
            assert_eq!(answer.fields.all("content-encoding"), [coding]);
            assert_eq!(decoded(&answer), page().as_bytes());
            assert!(
                answer.body.len() < page().len() / 3,
                "{}",
                answer.body.len()
            );
            assert_eq!(answer.field("etag"), "W/\"one\"");
            assert_eq!(answer.fields.all("vary"), ["origin", "Accept-Encoding"]);
            for name in ["content-length", "accept-ranges"] {
                assert!(!answer.fields.has(name), "{answer:?}");
            }
        }
        // HEAD gets the same fields.
        let head = proxy.request("HEAD", "/", &lines, b"").await;
        assert_eq!(head.fields.all("content-encoding"), [coding]);
        assert!(!head.fields.has("content-length"), "{head:?}");
    }
    for lines in [
        "",
        "accept-encoding: identity\n",
        "accept-encoding: gzip;q=0\n",
    ] {
        let plain = proxy.request("GET", "/", lines, b"").await;
        assert!(!plain.fields.has("content-encoding"), "{plain:?}");
        assert_eq!(plain.body, page().as_bytes());
        assert_eq!(plain.field("etag"), "\"one\"");
        // A cache must not give this answer to others.
        assert_eq!(plain.fields.all("vary"), ["origin", "Accept-Encoding"]);
    }
    proxy.finish().await;
}

#[tokio::test]
async fn what_must_not_change_stays_as_it_is() {
    let app = Backend::start(|seen| {
        let text = match seen.target.trim_start_matches("/own") {
            "/encoded" => answer("content-type: text/html\r\ncontent-encoding: gzip\r\n"),
            "/kept" => answer("content-type: text/html\r\ncache-control: public, no-transform\r\n"),
            "/image" => answer("content-type: image/png\r\n"),
            "/unknown" => answer(""),
            "/part" => answer("content-type: text/html\r\ncontent-range: bytes 0-9/20\r\n")
                .replace("200 OK", "206 Partial Content"),
            "/grpc" => answer("content-type: application/grpc-web+json\r\n"),
            "/short" => {
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 4\r\n\r\nfour".into()
            }
            _ => "HTTP/1.1 304 Not Modified\r\netag: \"one\"\r\ncontent-type: text/html\r\n\r\n"
                .into(),
        };
        answer_bytes(&text)
    })
    .await;
    let proxy = Settings::new(TABLES).backend("app", &app).start().await;
    let lines = "accept-encoding: gzip, br, zstd\n";
    for target in [
        "/encoded",
        "/kept",
        "/image",
        "/unknown",
        "/part",
        "/grpc",
        "/short",
        "/304",
        "/own/kept",
    ] {
        let answer = proxy.request("GET", target, lines, b"").await;
        let expected: &[&str] = if target == "/encoded" { &["gzip"] } else { &[] };
        assert_eq!(answer.fields.all("content-encoding"), expected, "{target}");
        match target {
            "/short" => assert_eq!(answer.body, b"four"),
            "/304" => assert_eq!(answer.field("etag"), "\"one\""),
            _ => assert_eq!(answer.body, page().as_bytes(), "{target}"),
        }
    }
    proxy.finish().await;
}

#[tokio::test]
async fn events_of_a_stream_arrive_at_once() {
    let gate = Gate::new();
    let waiting = gate.clone();
    let app = Backend::start(move |_| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: one\n\n";
        vec![
            Act::Send(head.into()),
            Act::Wait(waiting.clone()),
            Act::Send(b"data: two\n\n".to_vec()),
            Act::Close,
        ]
    })
    .await;
    let proxy = Settings::new(TABLES).backend("app", &app).start().await;
    let url = format!("http://{}/", proxy.address("web"));
    let mut curl = std::process::Command::new("curl");
    let curl = curl.args(["-sSN", "--compressed", "-m", "20", &url]);
    let mut curl = curl.stdout(Stdio::piped()).spawn().expect("curl");
    let mut output = curl.stdout.take().expect("a pipe");
    let reading = tokio::task::spawn_blocking(move || {
        let mut first = [0; 11];
        output.read_exact(&mut first).unwrap();
        (first, output)
    });
    let (first, mut output) = within("the first event", reading).await.unwrap();
    assert_eq!(&first, b"data: one\n\n");
    gate.open();
    let reading = tokio::task::spawn_blocking(move || {
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        curl.wait().unwrap();
        rest
    });
    let rest = within("the end", reading).await.unwrap();
    assert_eq!(rest, "data: two\n\n");
    proxy.finish().await;
}

#[tokio::test]
async fn curl_reads_what_was_compressed() {
    let app = Backend::start(|_| answer_bytes(&answer("content-type: application/json\r\n"))).await;
    let proxy = Settings::new(TABLES).backend("app", &app).start().await;
    for http in ["--http1.1", "--http2-prior-knowledge"] {
        let url = format!("http://{}/", proxy.address("web"));
        let mut curl = std::process::Command::new("curl");
        curl.args(["-sS", "--compressed", "-m", "20", http, &url]);
        let output = tokio::task::spawn_blocking(move || curl.output());
        let output = within("curl", output).await.unwrap().expect("curl");
        assert_eq!(String::from_utf8_lossy(&output.stdout), page());
    }
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_that_compresses_nothing_for_proxies_still_gives_a_compressed_answer() {
    // nginx with `gzip on` and `gzip_proxied off`, its default: nothing is compressed for a request
    // with `Via`.
    let app = Backend::start(|seen| match seen.fields.has("via") {
        true => answer_bytes(&answer("content-type: text/html\r\n")),
        false => answer_bytes("HTTP/1.1 500 No Via\r\ncontent-length: 0\r\n\r\n"),
    })
    .await;
    let proxy = Settings::new(TABLES).backend("app", &app).start().await;
    for (accepted, coding) in [
        ("gzip", "gzip"),
        ("br", "br"),
        ("gzip, deflate, br, zstd", "zstd"),
    ] {
        let lines = format!("accept-encoding: {accepted}");
        let answer = proxy.request("GET", "/", &lines, b"").await;
        assert_eq!(
            (answer.status, answer.field("content-encoding")),
            (200, coding)
        );
        assert_eq!(decoded(&answer), page().as_bytes());
        // The endpoint knew what the client accepts.
        let seen = app.seen().pop().unwrap();
        assert_eq!(seen.fields.get("accept-encoding"), Some(accepted));
    }
    proxy.finish().await;
}
