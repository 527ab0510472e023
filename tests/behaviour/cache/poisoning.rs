//! Parts of a request that the key does not have never reach another user by the cache.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{numbered, start, status};
use crate::harness::{Act, Backend, Seen, answer_bytes};

/// Answers with every field of the request that speaks of evil, and may be stored.
fn reflecting(seen: &Seen) -> Vec<Act> {
    let evil = |value: &str| value.to_ascii_lowercase().contains("evil");
    let fields = seen.fields.iter();
    let told: Vec<String> = fields
        .filter(|(_, value)| evil(value))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    stored(&told.join(" "))
}

fn stored(body: &str) -> Vec<Act> {
    answer_bytes(&format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\ncache-control: max-age=60\r\n\r\n{body}",
        body.len()
    ))
}

#[tokio::test]
async fn fields_that_frameworks_obey_reach_no_endpoint() {
    let app = Backend::start(reflecting).await;
    let proxy = start("cache = {}", &app).await;
    let fields = [
        "x-forwarded-host",
        "x-forwarded-server",
        "x-forwarded-scheme",
        "x-forwarded-proto",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-forwarded-path",
        "x-forwarded-ssl",
        "x-host",
        "x-http-host-override",
        "x-original-host",
        "x-original-url",
        "x-rewrite-url",
        "x-url-scheme",
        "front-end-https",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
    ];
    for (number, name) in fields.iter().enumerate() {
        let target = format!("/{number}");
        for line in [
            format!("{name}: evil"),
            format!("{name}: evil.example, shop.example"),
            format!("{}: evil\n{name}: evil2", name.to_ascii_uppercase()),
        ] {
            let answer = proxy.request("GET", &target, &line, b"").await;
            assert_eq!(
                (answer.status, answer.text()),
                (200, String::new()),
                "{line}"
            );
        }
    }
    let forwarded = "forwarded: for=1.2.3.4;host=evil.example;proto=evil";
    let answer = proxy.request("GET", "/f", forwarded, b"").await;
    assert_eq!(answer.text(), "");
    proxy.finish().await;
}

#[tokio::test]
async fn a_field_of_the_key_is_passed_and_tells_answers_apart() {
    let app = Backend::start(reflecting).await;
    let cache = "cache = { key = { headers = [\"x-original-url\"] } }";
    let proxy = start(cache, &app).await;
    let line = "x-original-url: /evil";
    let told = "x-original-url=/evil";
    assert_eq!(proxy.request("GET", "/", line, b"").await.text(), told);
    assert_eq!(proxy.get("/").await.text(), "");
    assert_eq!(proxy.request("GET", "/", line, b"").await.text(), told);
    // The client cannot have it removed behind the key.
    let line = "x-original-url: /evil\nconnection: x-original-url";
    assert_eq!(proxy.request("GET", "/", line, b"").await.text(), "");
    assert_eq!(app.count(), 2);
    proxy.finish().await;
}

#[tokio::test]
async fn a_get_with_a_body_neither_fills_the_cache_nor_reads_it() {
    let count = AtomicUsize::new(0);
    let app = Backend::start(move |_| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        vec![
            Act::Read,
            Act::Reply(std::sync::Arc::new(move |seen: &Seen| {
                let body = String::from_utf8_lossy(&seen.body);
                let text = format!("{number} {body}");
                format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\ncache-control: max-age=60\r\n\r\n{text}",
                    text.len()
                )
                .into()
            })),
        ]
    })
    .await;
    let proxy = start("cache = {}", &app).await;
    let fat = proxy.request("GET", "/", "", b"q=evil").await;
    assert_eq!(fat.text(), "1 q=evil");
    assert_eq!(proxy.get("/").await.text(), "2 ");
    assert_eq!(proxy.get("/").await.text(), "2 ");
    let fat = proxy.request("GET", "/", "", b"q=more").await;
    assert_eq!(fat.text(), "3 q=more");
    assert_eq!(proxy.get("/").await.text(), "2 ");
    proxy.finish().await;
}

#[tokio::test]
async fn other_spellings_of_a_path_are_other_urls() {
    let app = Backend::start(|seen: &Seen| stored(&seen.target)).await;
    let proxy = start("cache = {}", &app).await;
    let targets = [
        "/a/b",
        "/a//b",
        "/a/./b",
        "/a/x/../b",
        "/%61/b",
        "/a/b?",
        "/a/b?x",
        "/a/b?x=",
        "/a/b;x",
        "/a/b/",
        "/A/b",
        "/a/b%20",
        "/a/b%3f",
        "/a/b%23",
        "/a/b%0d%0a",
    ];
    for _ in 0..2 {
        for target in targets {
            let answer = proxy.get(target).await;
            if answer.status == 200 {
                assert_eq!(answer.text(), target);
            } else {
                assert_eq!(answer.status, 400, "{target}");
            }
        }
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_page_of_a_user_under_the_name_of_a_picture_is_not_stored() {
    // The application takes anything behind /account for the page, and says nothing of caching.
    for (fields, shared) in [
        ("", false),
        ("cache-control: private\r\n", false),
        ("cache-control: no-cache\r\n", false),
        (
            "set-cookie: session=1\r\ncache-control: max-age=60\r\n",
            false,
        ),
        ("vary: cookie\r\ncache-control: max-age=60\r\n", false),
        ("vary: *\r\ncache-control: max-age=60\r\n", false),
        ("cache-control: max-age=60\r\n", true),
    ] {
        let app = Backend::start(move |seen: &Seen| {
            let user = seen.fields.get("cookie").unwrap_or("nobody").to_owned();
            answer_bytes(&format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{fields}\r\n{user}",
                user.len()
            ))
        })
        .await;
        let proxy = start("cache = {}", &app).await;
        for target in [
            "/account/a.css",
            "/account;a.js",
            "/account%2fa.png",
            "/account?a.jpg",
            "/account%00.ico",
            "/account%3fa.svg",
        ] {
            let victim = proxy.request("GET", target, "cookie: victim", b"").await;
            if victim.status != 200 {
                continue;
            }
            assert_eq!(victim.text(), "victim");
            let attacker = proxy.get(target).await;
            let expected = if shared { "victim" } else { "nobody" };
            assert_eq!(attacker.text(), expected, "{target} {fields}");
        }
        proxy.finish().await;
    }
}

#[tokio::test]
async fn parameters_that_do_not_count_hide_no_others() {
    let app = Backend::start(|seen: &Seen| stored(&seen.target)).await;
    for key in ["query_ignore = [\"utm_*\"]", "query_keep = [\"q\"]"] {
        let proxy = start(&format!("cache = {{ key = {{ {key} }} }}"), &app).await;
        // Some servers end a parameter at ";", too.
        for evil in [
            "/?q=1&utm_x=1;q=evil",
            "/?utm_x=1;q=evil&q=1",
            "/?q=1&utm_x;q=evil",
            "/?q=1&utm_x=1%3Bq=ok",
        ] {
            proxy.get(evil).await;
        }
        let answer = proxy.get("/?q=1&utm_x=1").await;
        assert!(!answer.text().contains("evil"), "{key}: {}", answer.text());
        assert!(status(&answer).contains("; hit;"), "{key}");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn the_host_counts_with_its_port_and_in_any_case() {
    let app = Backend::start(|seen: &Seen| {
        let host = seen.fields.get("x-forwarded-host").unwrap_or("-");
        stored(host)
    })
    .await;
    let proxy = start("cache = {}", &app).await;
    let evil = "host: shop.example:1337";
    let answer = proxy.request("GET", "/", evil, b"").await;
    assert_eq!(answer.text(), "shop.example:1337");
    assert_eq!(proxy.get("/").await.text(), "shop.example");
    let loud = proxy.request("GET", "/", "host: SHOP.example", b"").await;
    assert_eq!(loud.text(), "shop.example");
    proxy.finish().await;
}

#[tokio::test]
async fn an_answer_to_a_head_or_to_a_part_is_not_that_of_a_get() {
    let app = Backend::start(numbered("cache-control: max-age=60\r\n")).await;
    let proxy = start("cache = {}", &app).await;
    proxy.request("HEAD", "/", "", b"").await;
    proxy.request("GET", "/", "range: bytes=0-0", b"").await;
    assert_eq!(proxy.get("/").await.text(), "answer 3");
    assert_eq!(proxy.get("/").await.text(), "answer 3");
    proxy.finish().await;
}

/// Answers of endpoints to a request that they do not like, cacheable as a whole site may be.
#[tokio::test]
async fn an_answer_that_blames_its_request_is_for_nobody_else() {
    let app = Backend::start(|seen: &Seen| {
        let refused = seen.target[1..].parse().unwrap();
        let status: u16 = if seen.fields.has("x-odd") { refused } else { 200 };
        answer_bytes(&format!(
            "HTTP/1.1 {status} X\r\ncontent-length: 3\r\ncache-control: public, max-age=60\r\n\r\n{status}"
        ))
    })
    .await;
    let proxy = start("cache = { negative_ttl = \"1m\" }", &app).await;
    let blaming = [
        400, 401, 406, 407, 408, 411, 412, 413, 415, 416, 417, 421, 425, 426, 428, 429, 431,
    ];
    for refused in blaming {
        let target = format!("/{refused}");
        let odd = proxy.request("GET", &target, "x-odd: 1", b"").await;
        assert_eq!(odd.status, refused);
        for found in ["; stored", "; hit;"] {
            let answer = proxy.get(&target).await;
            assert_eq!(answer.text(), "200");
            assert!(status(&answer).contains(found), "{refused}: {answer:?}");
        }
        // Nor does it cost others what is stored.
        let odd = proxy.request("GET", &target, "x-odd: 1", b"").await;
        assert_eq!(odd.text(), "200");
    }
    // One that tells of the resource is for all.
    for refused in [403, 404, 410] {
        let target = format!("/{refused}");
        proxy.request("GET", &target, "x-odd: 1", b"").await;
        assert_eq!(proxy.get(&target).await.status, refused);
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_request_of_an_odd_client_keeps_no_answer_out_of_the_cache() {
    let app = Backend::start(|seen: &Seen| {
        let control = match seen.fields.has("cookie") {
            true => "private",
            false => "max-age=60",
        };
        answer_bytes(&format!(
            "HTTP/1.1 200 OK\r\ncontent-length: 4\r\netag: \"1\"\r\ncache-control: {control}\r\n\r\nfine"
        ))
    })
    .await;
    let proxy = start("cache = {}", &app).await;
    for (target, line) in [
        ("/credentials", "authorization: Basic eDp5"),
        ("/cookie", "cookie: a=1"),
    ] {
        for _ in 0..2 {
            let odd = proxy.request("GET", target, line, b"").await;
            assert_eq!(status(&odd), "sluicegate; fwd=uri-miss");
        }
        for found in ["; stored", "; hit;"] {
            let answer = proxy.get(target).await;
            assert!(status(&answer).contains(found), "{target}: {answer:?}");
        }
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_request_of_an_odd_client_removes_no_stored_answer() {
    let app = Backend::start(|seen: &Seen| {
        let (odd, known) = (seen.fields.has("x-odd"), seen.fields.has("if-none-match"));
        let (head, body) = match (odd, known) {
            (true, _) => ("400 Bad Request\r\ncontent-length: 3", "odd"),
            (false, true) => ("304 Not Modified", ""),
            (false, false) => ("200 OK\r\ncontent-length: 4", "fine"),
        };
        answer_bytes(&format!(
            "HTTP/1.1 {head}\r\netag: \"1\"\r\ncache-control: no-cache\r\n\r\n{body}"
        ))
    })
    .await;
    let proxy = start("cache = {}", &app).await;
    assert!(status(&proxy.get("/").await).contains("; stored"));
    for (line, code) in [("authorization: Basic eDp5", 200), ("x-odd: 1", 400)] {
        let odd = proxy.request("GET", "/", line, b"").await;
        assert_eq!(odd.status, code);
        let answer = proxy.get("/").await;
        let told = status(&answer);
        assert!(told.contains("fwd=stale; fwd-status=304"), "{line}: {told}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_private_answer_is_validated_by_its_client() {
    let app = Backend::start(|seen: &Seen| {
        let (code, body) = match seen.fields.get("if-none-match") {
            Some("\"1\"") => ("304 Not Modified", ""),
            _ => ("200 OK", "content-length: 4\r\n\r\nfine"),
        };
        let end = if body.is_empty() { "\r\n" } else { "" };
        answer_bytes(&format!(
            "HTTP/1.1 {code}\r\netag: \"1\"\r\ncache-control: private\r\n{body}{end}"
        ))
    })
    .await;
    let proxy = start("cache = {}", &app).await;
    assert_eq!(proxy.get("/").await.text(), "fine");
    let line = "if-none-match: \"1\"";
    let again = proxy.request("GET", "/", line, b"").await;
    assert_eq!(again.status, 304, "{again:?}");
    let bypass = |line: &serde_json::Value| line["status"] == 304 && line["cache"] == "bypass";
    proxy.logged("of a bypass", bypass).await;
    proxy.finish().await;
}
