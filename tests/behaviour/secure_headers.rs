//! `secure_headers` and `https_only`: what browsers are told, also with failures of the proxy.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{Answer, Authority, Backend, Proxy, Settings, answer_bytes, shake};

const FIELDS: [(&str, &str); 3] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "SAMEORIGIN"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
];
const STRICT: &str = "strict-transport-security";

async fn started(app: &Backend) -> (Proxy, Authority) {
    let settings = Settings::new(TABLES).backend("app", app);
    let authority = Authority::new("test authority");
    let issued = authority.issue("shop", &["shop.example"]);
    issued.write(settings.folder(), "a");
    (settings.start().await, authority)
}

const TABLES: &str = r#"
        [listeners.web]
        address = "$web"
        [listeners.secure]
        address = "$secure"
        tls = { certificates = [{ chain = "a.pem", key = "a.key" }] }
        [routes.app]
        path_prefix = "/app"
        pool = "app"
        secure_headers = true
        body_max = 10
        [routes.dead]
        path = "/dead"
        pool = "dead"
        secure_headers = true
        [routes.own]
        path = "/own"
        pool = "app"
        secure_headers = true
        headers_response = { set = { referrer-policy = "no-referrer" } }
        [routes.only]
        path_prefix = "/only"
        pool = "app"
        secure_headers = true
        https_only = true
        rewrite = { strip_prefix = "/only" }
        [pools.app]
        endpoints = ["$app"]
        [pools.dead]
        endpoints = ["$nobody"]
"#;

/// One GET over TLS, as text.
async fn over_tls(proxy: &Proxy, authority: &Authority, target: &str) -> String {
    let config = Arc::new(authority.client(None, &["http/1.1"]));
    let to = proxy.address("secure");
    let mut session = shake(to, config, "shop.example").await.unwrap();
    let head = format!("GET {target} HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n");
    session.write_all(head.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    session.read_to_end(&mut text).await.unwrap();
    String::from_utf8_lossy(&text).to_lowercase()
}

fn assert_careful(answer: &Answer) {
    for (name, value) in FIELDS {
        assert_eq!(answer.fields.all(name), [value], "{answer:?}");
    }
    assert!(!answer.fields.has(STRICT), "{answer:?}");
}

#[tokio::test]
async fn every_answer_of_a_route_makes_browsers_careful() {
    let own = "HTTP/1.1 200 OK\r\nx-frame-options: DENY\r\ncontent-length: 0\r\n\r\n";
    let app = Backend::start(move |seen| match seen.target.as_str() {
        "/own" => answer_bytes(own),
        _ => answer_bytes("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    })
    .await;
    let (proxy, authority) = started(&app).await;
    assert_careful(&proxy.get("/app").await);
    assert_careful(&proxy.h2_client().await.get("/app").await.unwrap());
    let dead = proxy.get("/dead").await;
    assert_eq!(dead.status, 502);
    assert_careful(&dead);
    let large = proxy.request("POST", "/app", "", &[b'x'; 11]).await;
    assert_eq!(large.status, 413);
    assert_careful(&large);
    // What the endpoint or the route says stays.
    let own = proxy.get("/own").await;
    assert_eq!(own.fields.all("x-frame-options"), ["DENY"]);
    assert_eq!(own.fields.all("referrer-policy"), ["no-referrer"]);
    assert_eq!(own.fields.all("x-content-type-options"), ["nosniff"]);
    for target in ["/app", "/dead"] {
        let text = over_tls(&proxy, &authority, target).await;
        let strict = "\r\nstrict-transport-security: max-age=31536000\r\n";
        assert!(text.contains(strict), "{text}");
        assert!(
            text.contains("\r\nx-content-type-options: nosniff\r\n"),
            "{text}"
        );
    }
    proxy.finish().await;
}

#[tokio::test]
async fn plain_requests_are_sent_to_the_same_place_over_https() {
    let app =
        Backend::start(|_| answer_bytes("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
    let (proxy, authority) = started(&app).await;
    for (method, target) in [
        ("GET", "/only"),
        ("POST", "/only/a%20b?x=1&y=%2F"),
        ("HEAD", "/only/?"),
    ] {
        let lines = "host: shop.example:8080\n";
        let mut client = proxy.client().await;
        let body: &[u8] = if method == "POST" { b"body" } else { b"" };
        let answer = client.request(method, target, lines, body).await;
        assert_eq!(answer.status, 308, "{answer:?}");
        let place = format!("https://shop.example{target}");
        assert_eq!(answer.field("location"), place);
        assert_careful(&answer);
    }
    assert_eq!(app.count(), 0);
    let text = over_tls(&proxy, &authority, "/only/a").await;
    assert!(text.starts_with("http/1.1 200 "), "{text}");
    assert_eq!(app.only().target, "/a");
    proxy.finish().await;
}
