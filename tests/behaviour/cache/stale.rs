//! Stale answers: validated, or served where that is allowed.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{numbered, start, status};
use crate::harness::{Act, Backend, answer_bytes, eventually};

#[tokio::test]
async fn a_stale_answer_serves_while_one_request_fetches_a_new_one() {
    let app = Backend::start(numbered(
        "cache-control: max-age=1, stale-while-revalidate=600\r\nage: 1\r\n",
    ))
    .await;
    let proxy = start("cache = {}", &app).await;
    assert_eq!(proxy.get("/").await.text(), "answer 1");
    let stale = proxy.get("/").await;
    assert_eq!(
        (stale.text(), status(&stale)),
        ("answer 1".into(), "sluicegate; hit; ttl=0")
    );
    eventually("the new answer is there", || async {
        (proxy.get("/").await.text() != "answer 1").then_some(())
    })
    .await;
    proxy
        .logged("a stale one", |line| line["cache"] == "stale")
        .await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_stale_answer_serves_in_place_of_a_failure() {
    let count = AtomicUsize::new(0);
    let app = Backend::start(move |seen| match count.fetch_add(1, Ordering::SeqCst) {
        0 | 1 if seen.target == "/strict" => answer_bytes("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncache-control: max-age=1, must-revalidate\r\nage: 1\r\netag: \"1\"\r\n\r\nok"),
        0 | 1 => answer_bytes("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncache-control: max-age=1\r\nage: 1\r\n\r\nok"),
        2 | 3 => answer_bytes("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"),
        _ => vec![Act::Read, Act::Close],
    })
    .await;
    let proxy = start("cache = {}", &app).await;
    proxy.get("/").await;
    proxy.get("/strict").await;
    let stale = proxy.get("/").await;
    assert_eq!((stale.status, stale.text()), (200, "ok".into()));
    assert_eq!(status(&stale), "sluicegate; hit; fwd=stale; fwd-status=503");
    assert_eq!(proxy.get("/strict").await.status, 503);
    let stale = proxy.get("/").await;
    assert_eq!(
        (stale.status, status(&stale)),
        (200, "sluicegate; hit; fwd=stale")
    );
    assert_eq!(proxy.get("/strict").await.status, 502);
    proxy.finish().await;
}
