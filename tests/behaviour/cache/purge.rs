//! Stored answers are removed by URL, prefix and tag.

use serde_json::{Value, json};

use super::start;
use crate::harness::{Backend, Gate, Proxy, answer_bytes, eventually};

pub(super) async fn purge(proxy: &Proxy, what: &Value) -> (u16, Value) {
    let body = what.to_string();
    let lines = "authorization: Bearer 0123456789\ncontent-type: application/json\n";
    let address = proxy.address("admin");
    let mut client = crate::harness::Client::connect(address).await;
    let answer = client
        .request("POST", "/cache/purge", lines, body.as_bytes())
        .await;
    let said = serde_json::from_slice(&answer.body).unwrap();
    (answer.status, said)
}

pub(super) async fn cached(proxy: &Proxy) -> Value {
    let answer = eventually("the API answers", || async {
        proxy.admin("GET", "/cache", "").await
    })
    .await;
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn answers_are_purged_by_url_prefix_and_tag() {
    let app = Backend::start(|seen| {
        let tag = match &*seen.target {
            "/a/1" => "cache-tag: one, both\r\n",
            "/a/2" => "surrogate-key: two both\r\n",
            _ => "",
        };
        answer_bytes(&format!(
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncache-control: max-age=60\r\nvary: x-lang\r\n{tag}\r\nok"
        ))
    })
    .await;
    let proxy = start("cache = { key = { query_ignore = [\"x\"] } }", &app).await;
    let host = proxy.get("/a/1").await;
    assert_eq!(host.status, 200);
    let seen = app.only();
    let host = seen.field("host").to_owned();
    let fill = async || {
        for target in ["/a/1", "/a/2", "/b?q=1"] {
            proxy.get(target).await;
            proxy.request("GET", target, "x-lang: de\n", b"").await;
        }
        eventually("all are stored", || async {
            (cached(&proxy).await[0]["entries"] == 3).then_some(())
        })
        .await;
    };
    for (what, count) in [
        (json!({ "url": format!("http://{host}/b?x=5&q=1") }), 1),
        (json!({ "prefix": format!("http://{host}/a/") }), 2),
        (json!({ "tag": "one" }), 1),
        (json!({ "tag": "both" }), 2),
        (json!({ "tag": "bo" }), 0),
        (json!({ "all": true, "route": "all" }), 3),
    ] {
        fill().await;
        assert_eq!(
            purge(&proxy, &what).await,
            (200, json!({ "purged": count })),
            "{what}"
        );
    }
    for (what, status) in [
        (json!({}), 409),
        (json!({ "url": "/a" }), 409),
        (json!({ "tag": "a", "all": true }), 409),
        (json!({ "all": true, "route": "none" }), 404),
        (json!({ "urls": "a" }), 400),
    ] {
        assert_eq!(purge(&proxy, &what).await.0, status, "{what}");
    }
    let refused = proxy.admin("POST", "/cache/purge", "").await.unwrap();
    assert!([401, 403].contains(&refused.status), "{refused:?}");
    proxy.finish().await;
}

#[tokio::test]
async fn what_is_fetched_during_a_purge_is_not_stored() {
    let gate = Gate::new();
    let opened = gate.clone();
    let app = Backend::start(move |_| {
        vec![
            crate::harness::Act::Read,
            crate::harness::Act::Wait(opened.clone()),
            crate::harness::Act::Send(
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncache-control: max-age=60\r\n\r\nok"
                    .into(),
            ),
        ]
    })
    .await;
    let proxy = start("cache = {}", &app).await;
    let mut client = proxy.client().await;
    client
        .send("GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n")
        .await;
    app.has_seen(1).await;
    assert_eq!(purge(&proxy, &json!({ "all": true })).await.0, 200);
    gate.open();
    assert_eq!(client.answer().await.text(), "ok");
    assert_eq!(cached(&proxy).await[0]["entries"], 0);
    proxy.finish().await;
}
