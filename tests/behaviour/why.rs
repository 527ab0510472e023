//! The record of a request says why it was tried again, or not, and how long was waited.

use serde_json::Value;

use crate::harness::{Act, Answer, Backend, Proxy, Settings, answer, answer_bytes, eventually};

const ONE: &str = r#"
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    retry = { attempts = 3, on = ["reset", "503"], body_max = "8B" }
    [pools.app]
    endpoints = ["$app"]
    ejection = false
    retry_budget = { ratio = "0%", minimum = 2 }
"#;

async fn start(text: &str) -> (Proxy, Backend) {
    let app = Backend::start(|seen| match seen.target.as_str() {
        "/503" => answer_bytes("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"),
        "/500" => answer_bytes("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"),
        "/reset" => vec![Act::Read, Act::Reset],
        _ => answer("ok"),
    })
    .await;
    let proxy = Settings::new(text).backend("app", &app).start().await;
    (proxy, app)
}

/// The record of an exchange, from the admin API.
pub(crate) async fn record(proxy: &Proxy, answer: &Answer) -> Value {
    let target = format!("/requests/{}", answer.field("x-request-id"));
    eventually("the exchange is kept", || async {
        let answer = proxy.admin("GET", &target, "").await?;
        serde_json::from_slice(&answer.body)
            .ok()
            .filter(|_| answer.status == 200)
    })
    .await
}

#[tokio::test]
async fn the_record_says_why_a_request_was_not_tried_again() {
    let (proxy, _app) = start(ONE).await;
    let long = b"longer than eight";
    for (method, target, body, why) in [
        ("GET", "/503", &b""[..], "attempts_used"),
        ("GET", "/500", b"", "not_listed"),
        ("POST", "/reset", b"1", "not_repeatable"),
        ("PUT", "/503", long, "body_spent"),
    ] {
        let answer = proxy.request(method, target, "", body).await;
        let record = record(&proxy, &answer).await;
        assert_eq!(record["not_retried"], why, "{method} {target}: {record}");
        assert!(record["url"].as_str().unwrap().starts_with("http://"));
    }
    let answer = proxy.get("/").await;
    let record = record(&proxy, &answer).await;
    assert_eq!(record["not_retried"], Value::Null, "{record}");
    proxy.finish().await;
}

#[tokio::test]
async fn the_record_says_how_long_was_waited_before_each_attempt() {
    let wait = r#"body_max = "8B", backoff = { base = "40ms", max = "40ms" }"#;
    let (proxy, _app) = start(&ONE.replace(r#"body_max = "8B""#, wait)).await;
    // The wait is drawn between nothing and its bound.
    let mut waited = 0.0;
    for _ in 0..10 {
        let answer = proxy.get("/503").await;
        let record = record(&proxy, &answer).await;
        let attempts = record["attempts"].as_array().unwrap();
        assert_eq!(attempts.len(), 3, "{record}");
        assert_eq!(attempts[0]["waited_ms"], 0.0);
        let of = |attempt: &Value| attempt["waited_ms"].as_f64().unwrap();
        assert!(attempts.iter().all(|attempt| of(attempt) <= 40.0));
        waited += attempts.iter().map(of).sum::<f64>();
    }
    assert!(waited > 0.0);
    proxy.finish().await;
}

#[tokio::test]
async fn the_record_says_that_the_budget_was_used_up() {
    let none = ONE.replace("minimum = 2", "minimum = 0");
    let (proxy, _app) = start(&none).await;
    let answer = proxy.get("/503").await;
    let record = record(&proxy, &answer).await;
    assert_eq!(record["not_retried"], "budget_used", "{record}");
    proxy.finish().await;
}
