//! A connection carries the next exchange only when nothing of the last one is left on it.

use crate::harness::{Act, Backend, End, Settings, answer, answer_bytes, identity};

/// One worker, so that the next request meets the idle connection of the last.
const ALL: &str = r#"
    [proxy]
    workers = 1
    [listeners.web]
    address = "$web"
    [routes.app]
    path_prefix = "/app"
    body_max = "1KiB"
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
    ejection = false
"#;

const HIDDEN: &str = "GET /app/hidden HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn a_body_that_nobody_reads_is_never_taken_for_a_request() {
    let app = Backend::start(|seen| match seen.target.as_str() {
        // Answers before it has read the body.
        "/app/early" => vec![
            Act::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly".to_vec()),
            Act::Read,
        ],
        other => answer(other),
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let chunk = format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len());
    let long = format!("content-length: {}\r\n\r\n{HIDDEN}", HIDDEN.len());
    let chunked = format!("transfer-encoding: chunked\r\n\r\n{chunk}");
    let huge = format!("content-length: 100000\r\n\r\n{HIDDEN}");
    for (target, statuses) in [
        ("/none", &[404][..]),
        ("/app%2fx", &[400]),
        ("/app/early", &[200, 413]),
        ("/app/whole", &[200, 413]),
    ] {
        for rest in [&long, &chunked, &huge] {
            let mut client = proxy.client().await;
            client
                .send(format!("POST {target} HTTP/1.1\r\nhost: a\r\n{rest}"))
                .await;
            client
                .send("GET /app/next HTTP/1.1\r\nhost: a\r\n\r\n")
                .await;
            let Ok(first) = client.try_answer_to("POST").await else {
                continue;
            };
            assert!(
                statuses.contains(&first.status),
                "{target} {rest}: {first:?}"
            );
            match client.try_answer_to("GET").await {
                Ok(second) => assert_eq!(second.text(), "/app/next", "{target} {rest}"),
                Err(end) => assert_ne!(end, End::Garbled, "{target} {rest}"),
            }
        }
    }
    assert_eq!(app.count_of("GET", "/app/hidden"), 0);
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_that_answered_before_the_body_gets_its_next_request_elsewhere() {
    let app = Backend::start(|seen| match seen.target.as_str() {
        "/app/early" => vec![
            Act::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly".to_vec()),
            Act::Read,
        ],
        other => answer(other),
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    for _ in 0..5 {
        let mut client = proxy.client().await;
        client
            .send("POST /app/early HTTP/1.1\r\nhost: a\r\ncontent-length: 500\r\n\r\nstart")
            .await;
        assert_eq!(client.answer().await.text(), "early");
        drop(client);
        assert_eq!(proxy.get("/app/next").await.text(), "/app/next");
    }
    let seen = app.seen();
    for early in seen.iter().filter(|seen| seen.target == "/app/early") {
        let after = |other: &&crate::harness::Seen| {
            other.connection == early.connection && other.turn > early.turn
        };
        assert!(!seen.iter().any(|other| after(&other)), "{seen:#?}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn answers_without_a_body_leave_the_connection_clean() {
    let app = Backend::start(|seen| {
        answer_bytes(match (seen.method.as_str(), seen.target.as_str()) {
            ("HEAD", "/app/length") => "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n",
            ("HEAD", _) => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            (_, "/app/304") => "HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n",
            (_, "/app/empty") => "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            _ => "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnext",
        })
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    for (method, target) in [
        ("HEAD", "/app/length"),
        ("HEAD", "/app/chunked"),
        ("GET", "/app/304"),
        ("GET", "/app/empty"),
    ] {
        let first = client.request(method, target, "", b"").await;
        assert!(first.body.is_empty(), "{method} {target}");
        assert_eq!(client.get("/app/next").await.text(), "next", "{target}");
    }
    assert_eq!(app.connections(), 1, "each of them was fit for the next");
    proxy.finish().await;
}

#[tokio::test]
async fn a_body_where_there_must_be_none_is_not_the_next_answer() {
    let app = Backend::start(|seen| match seen.target.as_str() {
        "/app/204" => answer_bytes(
            "HTTP/1.1 204 No Content\r\ncontent-length: 51\r\n\r\n\
             HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison-----",
        ),
        "/app/head" => answer_bytes(
            "HTTP/1.1 200 OK\r\ncontent-length: 44\r\n\r\n\
             HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison",
        ),
        _ => answer("clean"),
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    for (method, target) in [("GET", "/app/204"), ("HEAD", "/app/head")] {
        for _ in 0..5 {
            let status = client.request(method, target, "", b"").await.status;
            assert!(matches!(status, 200 | 204 | 502), "{target}: {status}");
            assert_eq!(client.get("/app/next").await.text(), "clean", "{target}");
        }
    }
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_that_says_close_is_believed() {
    let app = Backend::start(|seen| match seen.target.as_str() {
        "/app/old" => answer_bytes("HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nold"),
        _ => answer_bytes("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 3\r\n\r\nnew"),
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    for _ in 0..3 {
        assert_eq!(client.get("/app/old").await.text(), "old");
        // Not even a POST is risked on a connection that is about to close.
        let answer = client.request("POST", "/app/new", "", b"x").await;
        assert_eq!(answer.text(), "new");
        assert_ne!(
            answer.field("connection"),
            "close",
            "that was said to the proxy"
        );
    }
    assert!(
        app.seen().iter().all(|seen| seen.turn == 0),
        "{:#?}",
        app.seen()
    );
    proxy.finish().await;
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    for _ in 0..20 {
        let answer = proxy.request("POST", "/app", "", b"body").await;
        assert_eq!(answer.text(), "app");
    }
    assert_eq!(app.connections(), 1, "other clients, the same connection");
    proxy.finish().await;
}
