//! `cache` of a route: answers are stored for others, as RFC 9111 allows it.

mod bad_disk;
mod bodies;
mod changes;
mod collapse;
mod disk;
mod poisoning;
mod purge;
mod stale;
mod users;
mod working_group;

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::{Act, Answer, Backend, Proxy, Settings, answer_bytes, eventually};

pub(crate) fn text(cache: &str) -> String {
    format!(
        r#"
        [access_log]
        path = "access.log"
        [admin]
        address = "$admin"
        token = "0123456789"
        [listeners.web]
        address = "$web"
        protocols = ["http/1.1", "h2"]
        [routes.all]
        pool = "app"
        retry = false
        {cache}
        [pools.app]
        endpoints = ["$app"]
        ejection = false
        "#
    )
}

pub(super) async fn start(cache: &str, app: &Backend) -> Proxy {
    Settings::new(&text(cache))
        .backend("app", app)
        .start()
        .await
}

/// An answer with these fields, whose body is the number of the request.
pub(super) fn numbered(
    fields: &'static str,
) -> impl Fn(&crate::harness::Seen) -> Vec<Act> + Send + Sync {
    let count = AtomicUsize::new(0);
    move |_| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        let body = format!("answer {number}");
        answer_bytes(&format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{fields}\r\n{body}",
            body.len()
        ))
    }
}

pub(super) fn status(answer: &Answer) -> &str {
    answer
        .fields
        .all("cache-status")
        .last()
        .copied()
        .unwrap_or_default()
}

#[tokio::test]
async fn a_fresh_answer_is_served_without_the_endpoint() {
    let app = Backend::start(numbered("cache-control: max-age=60\r\nx-own: 1\r\n")).await;
    let proxy = start("cache = {}", &app).await;
    let first = proxy.get("/a?b=1").await;
    assert_eq!((first.status, first.text()), (200, "answer 1".into()));
    assert_eq!(status(&first), "sluicegate; fwd=uri-miss; stored");
    let second = eventually("a hit", || async {
        let answer = proxy.get("/a?b=1").await;
        status(&answer).contains("; hit;").then_some(answer)
    })
    .await;
    assert_eq!((second.status, second.text()), (200, "answer 1".into()));
    assert_eq!(second.field("x-own"), "1");
    assert_eq!(second.field("content-length"), "8");
    assert!(second.field("age").parse::<u64>().unwrap() < 60);
    let mut client = proxy.h2_client().await;
    let over_h2 = client.get("/a?b=1").await.unwrap();
    assert_eq!(over_h2.text(), "answer 1");
    let head = proxy.request("HEAD", "/a?b=1", "", b"").await;
    assert_eq!((head.status, head.field("content-length")), (200, "8"));
    assert_eq!(app.count(), 1);
    // Another URL, another answer.
    assert_eq!(proxy.get("/a?b=2").await.text(), "answer 2");
    assert_eq!(app.count(), 2);
    let line = proxy.logged("a hit", |line| line["cache"] == "hit").await;
    assert_eq!(line["attempts"].as_array().map_or(0, Vec::len), 0, "{line}");
    let labels = [("route", "all"), ("result", "miss")];
    proxy
        .metric_becomes("sluicegate_cache_requests_total", &labels, 2.0)
        .await;
    proxy
        .metric_becomes("sluicegate_cache_entries", &[("route", "all")], 2.0)
        .await;
    proxy.finish().await;
}

#[tokio::test]
async fn what_must_not_be_shared_is_not_stored() {
    for (fields, lines) in [
        ("", ""),
        ("cache-control: private, max-age=60\r\n", ""),
        ("cache-control: no-store\r\n", ""),
        ("cache-control: max-age=60\r\nset-cookie: a=b\r\n", ""),
        ("cache-control: max-age=60\r\nvary: *\r\n", ""),
        (
            "cache-control: max-age=60\r\n",
            "authorization: Basic eDp5\n",
        ),
    ] {
        let app = Backend::start(numbered(fields)).await;
        let proxy = start("cache = {}", &app).await;
        for number in 1..4 {
            let answer = proxy.request("GET", "/", lines, b"").await;
            assert_eq!(answer.text(), format!("answer {number}"), "{fields}");
            assert!(!status(&answer).contains("stored"), "{fields}");
        }
        proxy.finish().await;
    }
}

#[tokio::test]
async fn answers_are_told_apart_by_vary_and_the_key() {
    let app = Backend::start(|seen| {
        let body = format!("{} {}", seen.fields.get("x-lang").unwrap_or("-"), seen.target);
        answer_bytes(&format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\ncache-control: max-age=60\r\nvary: x-lang\r\n\r\n{body}",
            body.len()
        ))
    })
    .await;
    let cache = "cache = { key = { query_ignore = [\"utm_*\"], cookies = [\"beta\"] } }";
    let proxy = start(cache, &app).await;
    for (target, lines, body, count) in [
        ("/?q=1", "x-lang: de\n", "de /?q=1", 1),
        ("/?q=1", "x-lang: fr\n", "fr /?q=1", 2),
        ("/?q=1", "x-lang: de\n", "de /?q=1", 2),
        ("/?utm_source=x&q=1", "x-lang: de\n", "de /?q=1", 2),
        ("/?q=1", "", "- /?q=1", 3),
        ("/?q=1", "cookie: beta=1; a=2\n", "- /?q=1", 4),
        ("/?q=1", "cookie: a=3; beta=1\n", "- /?q=1", 4),
        ("/?q=1", "x-lang: fr\n", "fr /?q=1", 4),
    ] {
        let answer = proxy.request("GET", target, lines, b"").await;
        assert_eq!(answer.text(), body, "{target} {lines}");
        assert_eq!(app.count(), count, "{target} {lines}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_stale_answer_is_validated_and_its_head_renewed() {
    let app = Backend::start(|seen| match seen.fields.get("if-none-match") {
        Some("\"one\"") => answer_bytes(
            "HTTP/1.1 304 Not Modified\r\netag: \"one\"\r\ncache-control: max-age=60\r\nx-turn: 2\r\n\r\n",
        ),
        _ => answer_bytes(
            "HTTP/1.1 200 OK\r\ncontent-length: 4\r\netag: \"one\"\r\ncache-control: no-cache\r\nx-turn: 1\r\n\r\nbody",
        ),
    })
    .await;
    let proxy = start("cache = {}", &app).await;
    assert_eq!(proxy.get("/").await.field("x-turn"), "1");
    let second = proxy.get("/").await;
    assert_eq!(
        (second.status, second.text(), second.field("x-turn")),
        (200, "body".into(), "2")
    );
    assert_eq!(
        status(&second),
        "sluicegate; fwd=stale; fwd-status=304; stored"
    );
    let third = proxy.get("/").await;
    assert!(status(&third).contains("; hit;"), "{third:?}");
    assert_eq!(app.count(), 2);
    // The client's own validators are answered here.
    let same = proxy
        .request("GET", "/", "if-none-match: W/\"one\"\n", b"")
        .await;
    assert_eq!(
        (same.status, same.body.len(), same.field("etag")),
        (304, 0, "\"one\"")
    );
    let other = proxy
        .request("GET", "/", "if-none-match: \"two\"\n", b"")
        .await;
    assert_eq!(other.status, 200);
    let part = proxy.request("GET", "/", "range: bytes=1-2\n", b"").await;
    assert_eq!(
        (part.status, part.text(), part.field("content-range")),
        (206, "od".into(), "bytes 1-2/4")
    );
    // A HEAD has no body of which there could be a part.
    let head = proxy.request("HEAD", "/", "range: bytes=1-2\n", b"").await;
    assert_eq!((head.status, head.field("content-length")), (200, "4"));
    let none = proxy.request("GET", "/", "range: bytes=9-\n", b"").await;
    assert_eq!(
        (none.status, none.field("content-range")),
        (416, "bytes */4")
    );
    assert_eq!(app.count(), 2);
    proxy.finish().await;
}

#[tokio::test]
async fn a_change_removes_what_is_stored() {
    let app = Backend::start(|seen| match &*seen.method {
        "GET" => answer_bytes("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncache-control: max-age=60\r\n\r\nok"),
        _ if seen.target == "/fails" => answer_bytes("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"),
        _ => answer_bytes("HTTP/1.1 201 Created\r\ncontent-length: 0\r\nlocation: /b\r\ncontent-location: http://evil.example/c\r\n\r\n"),
    })
    .await;
    let proxy = start("cache = {}", &app).await;
    for target in ["/a", "/b", "/c", "/fails"] {
        proxy.get(target).await;
        proxy.get(target).await;
        assert_eq!(app.count_of("GET", target), 1);
    }
    proxy.request("POST", "/a", "", b"x").await;
    proxy.request("DELETE", "/fails", "", b"").await;
    for (target, count) in [("/a", 2), ("/b", 2), ("/c", 1), ("/fails", 1)] {
        proxy.get(target).await;
        assert_eq!(app.count_of("GET", target), count, "{target}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn unkeyed_fields_cannot_change_what_others_get() {
    let app = Backend::start(|seen| {
        let names = [
            "x-forwarded-host",
            "x-original-url",
            "x-http-method-override",
            "x-forwarded-prefix",
            "x-host",
        ];
        let body: Vec<&str> = names
            .iter()
            .filter_map(|name| seen.fields.get(name))
            .collect();
        let body = body.join(",");
        answer_bytes(&format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\ncache-control: max-age=60\r\n\r\n{body}",
            body.len()
        ))
    })
    .await;
    let proxy = start("cache = {}", &app).await;
    let lines = "x-forwarded-host: evil.example\nx-original-url: /admin\nx-http-method-override: DELETE\nx-forwarded-prefix: /evil\nx-host: evil.example\n";
    let answer = proxy.request("GET", "/", lines, b"").await;
    assert!(
        !answer.text().contains("evil")
            && !answer.text().contains("admin")
            && !answer.text().contains("DELETE"),
        "{}",
        answer.text()
    );
    // A body is no part of the key: such a request is none for the cache.
    proxy.request("GET", "/fat", "", b"body").await;
    let answer = proxy.get("/fat").await;
    assert_eq!(status(&answer), "sluicegate; fwd=uri-miss; stored");
    proxy.finish().await;
}

#[tokio::test]
async fn only_if_cached_never_asks_an_endpoint() {
    let app = Backend::start(numbered("cache-control: max-age=60\r\n")).await;
    let proxy = start("cache = {}", &app).await;
    let lines = "cache-control: only-if-cached\n";
    assert_eq!(proxy.request("GET", "/", lines, b"").await.status, 504);
    proxy.get("/").await;
    assert_eq!(proxy.request("GET", "/", lines, b"").await.status, 200);
    assert_eq!(app.count(), 1);
    proxy.finish().await;
}

#[tokio::test]
async fn a_reload_keeps_what_is_stored() {
    let app = Backend::start(numbered("cache-control: max-age=60\r\n")).await;
    let mut proxy = start("cache = {}", &app).await;
    proxy.get("/").await;
    let config = text("cache = { max_size = \"64MiB\", default_ttl = \"5s\" }");
    proxy.reload(&config).await;
    assert_eq!(proxy.get("/").await.text(), "answer 1");
    proxy.finish().await;
}
