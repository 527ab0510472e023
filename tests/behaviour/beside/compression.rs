//! `compress` beside `gzip` of nginx and `encode` of Caddy.

mod differences;

use std::{io::Read as _, net::SocketAddr};

use super::{Known, Seen, unlisted};
use crate::harness::{Act, Answer, Backend, Client, OtherProxy, Settings, answer_bytes, within};
use differences::{CADDY, NGINX};

/// A server with answers of all sorts; Caddy and the proxy name themselves in `Via`, which must
/// change nothing.
async fn origin() -> Backend {
    Backend::start(|seen: &crate::harness::Seen| {
        let page = page();
        let (status, fields, body) = match &*seen.target {
            "/page" => ("200 OK", "content-type: text/html\r\netag: \"one\"\r\naccept-ranges: bytes\r\n", &*page),
            "/weak" => ("200 OK", "content-type: text/html; charset=utf-8\r\netag: W/\"one\"\r\nvary: origin\r\n", &*page),
            "/dated" => ("200 OK", "content-type: text/css\r\nlast-modified: Sat, 21 Nov 2026 12:00:00 GMT\r\n", &*page),
            "/json" => ("200 OK", "content-type: application/json\r\n", &*page),
            "/short" => ("200 OK", "content-type: text/html\r\netag: \"short\"\r\n", "short"),
            "/png" => ("200 OK", "content-type: image/png\r\netag: \"png\"\r\n", &*page),
            "/untyped" => ("200 OK", "", &*page),
            "/encoded" => ("200 OK", "content-type: text/html\r\ncontent-encoding: br\r\netag: \"br\"\r\nvary: accept-encoding\r\n", &*page),
            "/kept" => ("200 OK", "content-type: text/html\r\ncache-control: no-transform\r\netag: \"kept\"\r\n", &*page),
            "/part" => ("206 Partial Content", "content-type: text/html\r\ncontent-range: bytes 0-35999/40000\r\netag: \"part\"\r\n", &*page),
            "/missing" => ("404 Not Found", "content-type: text/html\r\n", &*page),
            "/broken" => ("500 Internal Server Error", "content-type: text/html\r\n", &*page),
            "/unchanged" => ("304 Not Modified", "etag: \"one\"\r\n", ""),
            "/empty" => ("204 No Content", "", ""),
            "/vary" => ("200 OK", "content-type: text/html\r\nvary: Accept-Encoding, Cookie\r\n", &*page),
            "/any" => ("200 OK", "content-type: text/html\r\nvary: *\r\n", &*page),
            "/digest" => ("200 OK", "content-type: text/html\r\ncontent-md5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\nrepr-digest: sha-256=:AA==:\r\n", &*page),
            "/chunked" => {
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ntransfer-encoding: chunked\r\n\r\n";
                return vec![Act::Send(format!("{head}{:x}\r\n{page}\r\n0\r\n\r\n", page.len()).into())];
            }
            other => panic!("{other}"),
        };
        let bodiless = seen.method == "HEAD" || ["204", "304"].contains(&&status[..3]);
        let length = if status.starts_with("204") || status.starts_with("304") { String::new() } else { format!("content-length: {}\r\n", body.len()) };
        let body = if bodiless { "" } else { body };
        answer_bytes(&format!("HTTP/1.1 {status}\r\n{fields}{length}\r\n{body}"))
    })
    .await
}

fn page() -> String {
    (0..2000).map(|n| format!("<p>line {n:05}</p>\n")).collect()
}

const OURS: &str = r#"
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    retry = false
    compress = { encodings = $codings, min = "1KiB", types = ["text/*", "application/json"] }
    [pools.app]
    endpoints = ["$app"]
    ejection = false
"#;

/// Requests: a name, the method, the target, and lines.
const REQUESTS: &[(&str, &str, &str, &str)] = &[
    ("nothing accepted", "GET", "/page", ""),
    ("gzip", "GET", "/page", "accept-encoding: gzip"),
    (
        "a list",
        "GET",
        "/page",
        "accept-encoding: gzip, deflate, br",
    ),
    ("q of 1", "GET", "/page", "accept-encoding: gzip;q=1.0"),
    (
        "q of 0.001",
        "GET",
        "/page",
        "accept-encoding: gzip;q=0.001",
    ),
    ("q of 0", "GET", "/page", "accept-encoding: gzip;q=0"),
    ("q of 0.0", "GET", "/page", "accept-encoding: gzip;q=0.000"),
    (
        "q with blanks",
        "GET",
        "/page",
        "accept-encoding: gzip ; q=0.5",
    ),
    ("identity", "GET", "/page", "accept-encoding: identity"),
    (
        "identity preferred",
        "GET",
        "/page",
        "accept-encoding: identity;q=1, gzip;q=0.1",
    ),
    ("star", "GET", "/page", "accept-encoding: *"),
    ("star of 0", "GET", "/page", "accept-encoding: *;q=0"),
    (
        "gzip forbidden by name, star",
        "GET",
        "/page",
        "accept-encoding: gzip;q=0, *",
    ),
    ("in capitals", "GET", "/page", "accept-encoding: GZIP"),
    (
        "two lines",
        "GET",
        "/page",
        "accept-encoding: deflate\naccept-encoding: gzip",
    ),
    (
        "another name",
        "GET",
        "/page",
        "accept-encoding: xgzip, gzipped",
    ),
    ("an empty list", "GET", "/page", "accept-encoding:"),
    ("HEAD", "HEAD", "/page", "accept-encoding: gzip"),
    ("a weak tag", "GET", "/weak", "accept-encoding: gzip"),
    ("a date", "GET", "/dated", "accept-encoding: gzip"),
    ("JSON", "GET", "/json", "accept-encoding: gzip"),
    ("a short body", "GET", "/short", "accept-encoding: gzip"),
    ("another type", "GET", "/png", "accept-encoding: gzip"),
    ("no type", "GET", "/untyped", "accept-encoding: gzip"),
    (
        "compressed already",
        "GET",
        "/encoded",
        "accept-encoding: gzip, br",
    ),
    ("no-transform", "GET", "/kept", "accept-encoding: gzip"),
    (
        "a part",
        "GET",
        "/part",
        "accept-encoding: gzip\nrange: bytes=0-35999",
    ),
    (
        "a range of a whole",
        "GET",
        "/page",
        "accept-encoding: gzip\nrange: bytes=0-9",
    ),
    ("404", "GET", "/missing", "accept-encoding: gzip"),
    ("500", "GET", "/broken", "accept-encoding: gzip"),
    (
        "304",
        "GET",
        "/unchanged",
        "accept-encoding: gzip\nif-none-match: \"one\"",
    ),
    (
        "304 with a weak tag",
        "GET",
        "/unchanged",
        "accept-encoding: gzip\nif-none-match: W/\"one\"",
    ),
    ("204", "GET", "/empty", "accept-encoding: gzip"),
    ("Vary", "GET", "/vary", "accept-encoding: gzip"),
    ("Vary of all", "GET", "/any", "accept-encoding: gzip"),
    ("digests", "GET", "/digest", "accept-encoding: gzip"),
    ("no length", "GET", "/chunked", "accept-encoding: gzip"),
    ("no length, plain", "GET", "/chunked", ""),
];

fn seen(answer: &Answer) -> Seen {
    let field = |name: &str| answer.fields.all(name).join(", ");
    let coding = field("content-encoding");
    let mut body = answer.body.clone();
    if coding == "gzip" && !body.is_empty() {
        body.clear();
        let read = flate2::read::GzDecoder::new(&answer.body[..]).read_to_end(&mut body);
        read.expect("gzip");
    } else if coding == "zstd" && !body.is_empty() {
        body = zstd::decode_all(&answer.body[..]).expect("zstd");
    }
    let body = match &*String::from_utf8_lossy(&body) {
        "" => "none".to_owned(),
        text if text == page() => "the page".to_owned(),
        text => text.to_owned(),
    };
    let mut vary: Vec<String> = field("vary")
        .to_lowercase()
        .split(',')
        .map(|it| it.trim().to_owned())
        .collect();
    vary.sort();
    Seen::from([
        ("status", answer.status.to_string()),
        ("coding", coding),
        ("body", body),
        ("tag", field("etag")),
        ("vary", vary.join(", ")),
        ("length", field("content-length")),
        ("ranges", field("accept-ranges") + &field("content-range")),
        ("digests", field("content-md5") + &field("repr-digest")),
        ("date", field("last-modified")),
    ])
}

async fn ask(at: SocketAddr, (_, method, target, lines): (&str, &str, &str, &str)) -> Seen {
    let mut client = Client::connect(at).await;
    client
        .send(crate::harness::request_bytes(method, target, lines, b""))
        .await;
    seen(&within("an answer", client.answer_to(method)).await)
}

/// Asks both all requests.
async fn compare(codings: &str, other: &OtherProxy, known: &[Known]) {
    let app = origin().await;
    let text = OURS.replace("$codings", codings);
    let proxy = Settings::new(&text).backend("app", &app).start().await;
    let mut asked = Vec::new();
    for request in REQUESTS {
        let ours = ask(proxy.address("web"), *request).await;
        let theirs = ask(other.address(), *request).await;
        asked.push((request.0, ours, theirs));
    }
    let unlisted = unlisted(&asked, known);
    assert!(unlisted.is_empty(), "\n{unlisted}");
}

#[tokio::test]
async fn answers_are_compressed_as_nginx_does() {
    let app = origin().await;
    let http = format!(
        "gzip on; gzip_min_length 1024; gzip_proxied any; gzip_vary on;
        gzip_types text/css application/json;
        server {{ listen $listen; location / {{ proxy_pass http://{}; proxy_http_version 1.1; proxy_set_header Host $host; }} }}",
        app.address()
    );
    let Some(nginx) = OtherProxy::nginx(&http).await else {
        return;
    };
    compare("[\"gzip\"]", &nginx, NGINX).await;
}

#[tokio::test]
async fn answers_are_compressed_as_caddy_does() {
    let app = origin().await;
    let sites = format!(
        "http://:$port {{
            bind 127.0.0.1
            encode {{
                zstd
                gzip
                minimum_length 1024
                match {{
                    header Content-Type text/*
                    header Content-Type application/json*
                }}
            }}
            reverse_proxy {}
        }}",
        app.address()
    );
    let Some(caddy) = OtherProxy::caddy(&sites).await else {
        return;
    };
    compare("[\"zstd\", \"gzip\"]", &caddy, CADDY).await;
}
