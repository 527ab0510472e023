//! Answers that were asked for before a change are not used after it.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::{purge::purge, start, status};
use crate::harness::{Act, Backend, Client, Gate, Proxy, answer_bytes};

/// Fields and body of an answer whose end the client sees only once it is stored.
fn body(text: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncache-control: max-age=60\r\n\r\n{:x}\r\n{text}\r\n0\r\n\r\n",
        text.len()
    )
}

/// Answers the first GET with "old" once the gate is open, and those after it with "new".
async fn backend(gate: &Gate) -> Backend {
    let (gate, count) = (gate.clone(), AtomicUsize::new(0));
    Backend::start(move |seen| match &*seen.method {
        "GET" if count.fetch_add(1, Ordering::SeqCst) == 0 => vec![
            Act::Read,
            Act::Wait(gate.clone()),
            Act::Send(body("old").into()),
        ],
        "GET" => answer_bytes(&body("new")),
        _ => answer_bytes("HTTP/1.1 204 No Content\r\n\r\n"),
    })
    .await
}

/// A request that waits at the endpoint.
async fn asking(proxy: &Proxy, app: &Backend) -> Client {
    let mut client = proxy.client().await;
    let request = "GET /a HTTP/1.1\r\nhost: shop.example\r\n\r\n";
    client.send(request).await;
    app.has_seen(1).await;
    client
}

async fn change(proxy: &Proxy, by: &str) {
    match by {
        "purge" => {
            let what = json!({ "url": "http://shop.example/a" });
            assert_eq!(purge(proxy, &what).await.0, 200);
        }
        method => assert_eq!(proxy.request(method, "/a", "", b"").await.status, 204),
    }
}

#[tokio::test]
async fn an_answer_that_a_change_overtook_is_not_stored() {
    for cache in ["cache = { collapse_timeout = \"0s\" }", "cache = {}"] {
        for by in ["POST", "DELETE", "purge"] {
            let gate = Gate::new();
            let app = backend(&gate).await;
            let proxy = start(cache, &app).await;
            let mut first = asking(&proxy, &app).await;
            change(&proxy, by).await;
            gate.open();
            assert_eq!(first.answer().await.text(), "old");
            assert_eq!(proxy.get("/a").await.text(), "new", "{cache} {by}");
            proxy.finish().await;
        }
    }
}

#[tokio::test]
async fn who_asks_after_a_change_does_not_wait_for_a_fetch_from_before() {
    for by in ["POST", "purge"] {
        let gate = Gate::new();
        let app = backend(&gate).await;
        let proxy = start("cache = { collapse_timeout = \"30s\" }", &app).await;
        let mut first = asking(&proxy, &app).await;
        change(&proxy, by).await;
        let second = proxy.get("/a").await;
        assert_eq!(second.text(), "new", "{by}");
        gate.open();
        assert_eq!(first.answer().await.text(), "old");
        // The older answer does not replace the newer one.
        let third = proxy.get("/a").await;
        assert_eq!(third.text(), "new", "{by}");
        assert!(status(&third).contains("; hit;"), "{third:?}");
        proxy.finish().await;
    }
}
