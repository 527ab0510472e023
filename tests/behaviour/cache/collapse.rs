//! One fetch for many equal requests.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{numbered, start};
use crate::harness::{Act, Backend, Client, Gate, answer_bytes};

#[tokio::test]
async fn equal_requests_share_one_fetch_and_read_it_as_it_arrives() {
    let (head, rest) = (Gate::new(), Gate::new());
    let gates = (head.clone(), rest.clone());
    let app = Backend::start(move |_| {
        vec![
            Act::Read,
            Act::Wait(gates.0.clone()),
            Act::Send(
                "HTTP/1.1 200 OK\r\ncontent-length: 6\r\ncache-control: max-age=60\r\n\r\nabc"
                    .into(),
            ),
            Act::Wait(gates.1.clone()),
            Act::Send("def".into()),
        ]
    })
    .await;
    let proxy = start("cache = { collapse_timeout = \"20s\" }", &app).await;
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..8 {
        let mut client = proxy.client().await;
        client
            .send("GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n")
            .await;
        clients.push(client);
    }
    app.has_seen(1).await;
    proxy
        .metric_becomes("sluicegate_requests_in_flight", &[], 8.0)
        .await;
    head.open();
    // The one who fetches leaves in mid-body.
    let mut first = clients.remove(0);
    first.head().await;
    assert_eq!(first.bytes(3).await.unwrap(), b"abc");
    first.abort();
    for client in &mut clients {
        let (status, _) = client.head().await;
        assert_eq!(status, 200);
        assert_eq!(client.bytes(3).await.unwrap(), b"abc");
    }
    rest.open();
    for client in &mut clients {
        assert_eq!(client.bytes(3).await.unwrap(), b"def");
    }
    assert_eq!(proxy.get("/").await.text(), "abcdef");
    assert_eq!(app.count(), 1);
    proxy
        .logged("a follower", |line| line["cache"] == "collapsed")
        .await;
}

#[tokio::test]
async fn requests_do_not_wait_for_an_answer_that_is_private() {
    let app = Backend::start(numbered("cache-control: private\r\n")).await;
    let proxy = start("cache = { collapse_timeout = \"60s\" }", &app).await;
    let asking = (0..10).map(|_| proxy.get("/"));
    let mut bodies = Vec::new();
    for answer in asking {
        bodies.push(answer.await.text());
    }
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), 10);
    proxy.finish().await;
}

#[tokio::test]
async fn a_slow_fetch_holds_the_others_for_a_bounded_time() {
    let count = AtomicUsize::new(0);
    let app = Backend::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => vec![Act::Read, Act::Stall],
        _ => answer_bytes(
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncache-control: max-age=60\r\n\r\nok",
        ),
    })
    .await;
    let proxy = start("cache = { collapse_timeout = \"200ms\" }", &app).await;
    let mut slow = proxy.client().await;
    slow.send("GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n")
        .await;
    app.has_seen(1).await;
    assert_eq!(proxy.get("/").await.text(), "ok");
    slow.abort();
}

#[tokio::test]
async fn another_fetches_when_the_one_who_did_leaves() {
    let count = AtomicUsize::new(0);
    let app = Backend::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => vec![Act::Read, Act::Stall],
        _ => answer_bytes(
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncache-control: max-age=60\r\n\r\nok",
        ),
    })
    .await;
    let proxy = start("cache = { collapse_timeout = \"30s\" }", &app).await;
    let mut first = proxy.client().await;
    first
        .send("GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n")
        .await;
    app.has_seen(1).await;
    let mut second = proxy.client().await;
    second
        .send("GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n")
        .await;
    proxy
        .metric_becomes("sluicegate_requests_in_flight", &[], 2.0)
        .await;
    first.abort();
    assert_eq!(second.answer().await.text(), "ok");
    assert_eq!(app.count(), 2);
}

#[tokio::test]
async fn a_slow_reader_holds_nobody() {
    let body = "y".repeat(4 << 20);
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\ncache-control: max-age=60\r\n\r\n{body}",
        body.len()
    );
    let app = Backend::start(move |_| answer_bytes(&answer)).await;
    let proxy = start("cache = {}", &app).await;
    let mut slow = Client::narrow(proxy.address("web")).await;
    slow.send("GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n")
        .await;
    slow.head().await;
    let answer = proxy.get("/").await;
    assert!(answer.body == body.as_bytes());
    assert_eq!(app.count(), 1);
    slow.abort();
}
