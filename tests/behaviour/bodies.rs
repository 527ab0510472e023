//! Bodies stream both ways and end as they ended on the other side.

use std::time::Duration;

use tokio::time::timeout;

use crate::harness::{Act, Backend, End, Gate, Settings, answer_bytes, identity};

const ALL: &str = r#"
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    body_max = false
    [pools.app]
    endpoints = ["$app"]
"#;

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

#[tokio::test]
async fn large_bodies_pass_both_ways_unchanged() {
    let large: Vec<u8> = (0..4_000_000_u32)
        .map(|n| n.to_le_bytes()[n as usize % 3])
        .collect();
    let back = large.clone();
    let app = Backend::start(move |_| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", back.len());
        vec![
            Act::Read,
            Act::Send(head.into_bytes()),
            Act::Send(back.clone()),
        ]
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let answer = proxy.request("POST", "/", "", &large).await;
    assert!(
        answer.body == large,
        "{} bytes came back",
        answer.body.len()
    );
    assert!(
        app.only().body == large,
        "{} bytes arrived",
        app.only().body.len()
    );

    let mut client = proxy.h2_client().await;
    let answer = client.request("POST", "/", &[], &large).await.unwrap();
    assert!(
        answer.body == large,
        "{} bytes came back",
        answer.body.len()
    );
    assert!(app.seen()[1].body == large);
    proxy.finish().await;
}

#[tokio::test]
async fn a_length_of_zero_goes_on_where_it_was_announced() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut h2 = proxy.h2_client().await;
    for method in ["GET", "DELETE", "OPTIONS"] {
        let mut client = proxy.client().await;
        for head in ["content-length: 0\r\n", ""] {
            client
                .send(format!("{method} / HTTP/1.1\r\nhost: a\r\n{head}\r\n"))
                .await;
            client.answer_to(method).await;
        }
        for fields in [&[("content-length", "0")][..], &[]] {
            h2.request(method, "/", fields, b"").await.unwrap();
        }
        let seen = app.seen();
        let lengths = seen
            .iter()
            .rev()
            .take(4)
            .map(|it| it.field("content-length"));
        assert_eq!(lengths.collect::<Vec<_>>(), ["", "0", "", "0"], "{method}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_chunked_request_arrives_whole() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
        .await;
    client.send("6\r\n world\r\n0\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
    let seen = app.only();
    assert_eq!(seen.body, b"hello world");
    assert!(seen.complete);
    proxy.finish().await;
}

#[tokio::test]
async fn each_piece_of_an_answer_is_passed_on_at_once() {
    let gate = Gate::new();
    let held = gate.clone();
    let app = Backend::start(move |_| {
        vec![
            Act::Read,
            Act::Send(format!("{CHUNKED}5\r\nfirst\r\n").into_bytes()),
            Act::Wait(held.clone()),
            Act::Send(b"6\r\nsecond\r\n0\r\n\r\n".to_vec()),
        ]
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(client.head().await.0, 200);
    let first = client.bytes("5\r\nfirst\r\n".len()).await.unwrap();
    assert_eq!(first, b"5\r\nfirst\r\n");
    gate.open();
    let rest = client
        .bytes("6\r\nsecond\r\n0\r\n\r\n".len())
        .await
        .unwrap();
    assert_eq!(rest, b"6\r\nsecond\r\n0\r\n\r\n");
    proxy.finish().await;
}

#[tokio::test]
async fn each_piece_of_a_request_is_passed_on_at_once() {
    let app = Backend::start(|_| {
        vec![
            Act::ReadSome(5),
            Act::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n".to_vec()),
            Act::Send(b"seen".to_vec()),
            Act::Read,
        ]
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    // The rest of the body never comes before the answer is there.
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhello")
        .await;
    assert_eq!(client.answer().await.text(), "seen");
    proxy.finish().await;
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_request_is_relayed_at_once() {
    let app = Backend::start(|_| {
        let refusal =
            "HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno";
        vec![Act::Send(refusal.into()), Act::Close]
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nstart")
        .await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.text().as_str()), (413, "no"));
    proxy.finish().await;
}

#[tokio::test]
async fn a_body_that_ends_with_the_connection_is_whole() {
    let app = Backend::start(|_| {
        let bytes = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nall of it".to_vec();
        vec![Act::Read, Act::Send(bytes), Act::Close]
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    for _ in 0..2 {
        let answer = client.get("/").await;
        assert_eq!(
            (answer.text().as_str(), answer.end),
            ("all of it", End::Complete)
        );
    }
    proxy.finish().await;
}

#[tokio::test]
async fn answers_that_have_no_body_have_none() {
    let app = Backend::start(|seen| {
        answer_bytes(match (seen.method.as_str(), seen.target.as_str()) {
            ("HEAD", _) => "HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n",
            (_, "/204") => "HTTP/1.1 204 No Content\r\n\r\n",
            (_, "/304") => "HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\netag: \"a\"\r\n\r\n",
            _ => "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nafter",
        })
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    let head = client.request("HEAD", "/", "", b"").await;
    assert_eq!((head.status, head.field("content-length")), (200, "1234"));
    let empty = client.get("/204").await;
    assert_eq!(empty.status, 204);
    assert!(!empty.fields.has("content-length") && !empty.fields.has("transfer-encoding"));
    let unchanged = client.get("/304").await;
    assert_eq!((unchanged.status, unchanged.field("etag")), (304, "\"a\""));
    // If any of them had had a body, this would not be read as an answer.
    assert_eq!(client.get("/").await.text(), "after");
    // A failure has none either where the request was HEAD.
    proxy.finish().await;
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let app = Backend::start(|_| {
        answer_bytes(&format!(
            "{CHUNKED}2\r\nok\r\n0\r\nx-sum: 9\r\ncontent-length: 7\r\n\r\n"
        ))
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    client
        .send(
            "POST / HTTP/1.1\r\nhost: a\r\nte: trailers\r\ntransfer-encoding: chunked\r\n\r\n\
             2\r\nhi\r\n0\r\nx-up: 1\r\nhost: evil\r\n\r\n",
        )
        .await;
    let answer = client.answer().await;
    assert_eq!(answer.trailers.get("x-sum"), Some("9"));
    assert!(
        !answer.trailers.has("content-length"),
        "framing is no trailer"
    );
    let seen = app.only();
    assert_eq!(seen.trailers.get("x-up"), Some("1"));
    assert!(!seen.trailers.has("host"), "routing is no trailer");

    let mut client = proxy.h2_client().await;
    let answer = client.request("GET", "/", &[("te", "trailers")], b"").await;
    assert_eq!(answer.unwrap().trailers.get("x-sum"), Some("9"));
    proxy.finish().await;
}

#[tokio::test]
async fn a_client_that_expects_100_gets_it_after_routing_and_then_its_answer() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.app]
        path_prefix = "/app"
        body_max = "1KiB"
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
        "#,
    )
    .backend("app", &app)
    .start()
    .await;
    let expecting = |target: &str, length: usize| {
        format!(
            "POST {target} HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n\
             content-length: {length}\r\n\r\n"
        )
    };
    let mut client = proxy.client().await;
    client.send(expecting("/app", 4)).await;
    assert_eq!(client.head().await.0, 100);
    client.send("body").await;
    assert_eq!(client.answer().await.text(), "app");
    assert_eq!(app.only().body, b"body");

    // Neither of these is asked for its body.
    for (target, length, status) in [("/none", 4, 404), ("/app", 4096, 413)] {
        let mut client = proxy.client().await;
        client.send(expecting(target, length)).await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.informational.len()), (status, 0));
    }
    assert_eq!(app.count(), 1);
    proxy.finish().await;
}

#[tokio::test]
async fn informational_answers_never_end_an_exchange() {
    let app = Backend::start(|_| {
        answer_bytes(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n\
             HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfinal",
        )
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    for _ in 0..2 {
        let answer = client.get("/").await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "final"));
    }
    // A client of HTTP/1.0 does not know them (RFC 9110 section 15.2).
    let mut client = proxy.client().await;
    client.send("GET / HTTP/1.0\r\nhost: a\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.informational.len()), (200, 0));
    proxy.finish().await;
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_no_chunks() {
    let app = Backend::start(|_| answer_bytes(&format!("{CHUNKED}5\r\nhello\r\n0\r\n\r\n"))).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    let answer = client.answer().await;
    assert!(!answer.fields.has("transfer-encoding"), "{answer:?}");
    assert!(answer.version.starts_with("HTTP/1."), "{answer:?}");
    assert_eq!(
        (answer.text().as_str(), answer.end),
        ("hello", End::Complete)
    );
    proxy.finish().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_the_endpoint_back() {
    let app = Backend::start(|_| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {HUGE}\r\n\r\n");
        vec![
            Act::Read,
            Act::Send(head.into_bytes()),
            Act::Send(vec![b'x'; HUGE]),
            Act::Close,
        ]
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(client.head().await.0, 200);
    // That nothing happens has no event to wait for.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(app.open(), 1, "the endpoint could not send it all");
    let memory = "process_resident_memory_bytes";
    let memory = proxy
        .metrics()
        .await
        .sum(&format!("sluicegate_{memory}"), &[]);
    if let Some(bytes) = memory {
        assert!(bytes < 64e6, "{bytes} bytes for one body");
    }
    assert_eq!(client.bytes(HUGE).await.map(|bytes| bytes.len()), Ok(HUGE));
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_that_does_not_read_holds_the_client_back() {
    let gate = Gate::new();
    let held = gate.clone();
    let app = Backend::start(move |_| {
        [
            vec![Act::Wait(held.clone())],
            crate::harness::answer("read"),
        ]
        .concat()
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    let head = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {HUGE}\r\n\r\n");
    client.send(head).await;
    let body = vec![b'x'; HUGE];
    let mut sent = 0;
    for piece in body.chunks(1 << 20) {
        let sending = client.send(piece);
        if timeout(Duration::from_millis(500), sending).await.is_err() {
            break;
        }
        sent += piece.len();
    }
    assert!(sent < HUGE, "all of it went somewhere");
    gate.open();
    assert_eq!(proxy.get("/other").await.text(), "read");
}

/// More than the buffers of all sockets on the way hold together.
const HUGE: usize = 64 << 20;
