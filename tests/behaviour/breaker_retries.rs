//! An open breaker beside retries and other pools.

use crate::breaker::{failing, file};
use crate::harness::{Backend, Port, Settings, answer_bytes, eventually, identity};

#[tokio::test]
async fn an_open_breaker_hands_over_to_failover() {
    let app = Backend::start(failing).await;
    let spare = Backend::start(identity("spare")).await;
    let more = r#"
        failover = ["spare"]
        [pools.spare]
        endpoints = ["$spare"]
        "#;
    let text = file(r#"consecutive = 2, open = "60s""#, more);
    let proxy = Settings::new(&text)
        .backend("app", &app)
        .backend("spare", &spare)
        .start()
        .await;
    for _ in 0..2 {
        assert_eq!(proxy.get("/").await.status, 500);
    }
    for method in ["GET", "POST"] {
        assert_eq!(proxy.request(method, "/", "", b"").await.text(), "spare");
    }
    assert_eq!(app.count(), 2);
    proxy.finish().await;
}

#[tokio::test]
async fn a_retry_that_meets_an_open_breaker_leaves_the_answer_as_it_is() {
    let app = Backend::start(|_| {
        answer_bytes("HTTP/1.1 503 No\r\nx-from: app\r\ncontent-length: 4\r\n\r\nbusy")
    })
    .await;
    let text = file(r#"consecutive = 2, open = "60s""#, "")
        .replace("retry = { attempts = 1 }", "retry = { attempts = 3 }");
    let proxy = Settings::new(&text).backend("app", &app).start().await;
    let answer = proxy.get("/").await;
    assert_eq!((answer.status, answer.text().as_str()), (503, "busy"));
    assert_eq!(answer.field("x-from"), "app", "the endpoint's own answer");
    assert_eq!(app.count(), 2, "the first retry opened it");
    let target = format!("/requests/{}", answer.field("x-request-id"));
    let kept = eventually("the exchange is kept", || async {
        let answer = proxy.admin("GET", &target, "").await?;
        (answer.status == 200).then(|| answer.text())
    })
    .await;
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(kept["not_retried"], "breaker_open", "{kept}");
    proxy.finish().await;
}

#[tokio::test]
async fn a_pool_whose_breaker_is_open_is_no_pool_to_move_on_to() {
    let spare = Backend::start(failing).await;
    let text = r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        retry = { attempts = 1 }
        [routes.spare]
        path = "/spare"
        pool = "spare"
        [pools.app]
        endpoints = ["$dead"]
        ejection = false
        failover = ["spare"]
        [pools.spare]
        endpoints = ["$spare"]
        ejection = false
        breaker = { consecutive = 1, open = "60s" }
    "#;
    let dead = Port::take();
    let settings = Settings::new(text).address("dead", dead.address());
    let proxy = settings.backend("spare", &spare).start().await;
    assert_eq!(proxy.get("/spare").await.status, 500);
    assert_eq!(proxy.get("/spare").await.status, 503);
    let answer = proxy.get("/").await;
    assert!([502, 503].contains(&answer.status), "{}", answer.status);
    let of_app = |line: &serde_json::Value| line["path"] == "/";
    let line = proxy.logged("the request", of_app).await;
    assert_eq!(line["attempts"].as_array().unwrap().len(), 1, "{line}");
    proxy.finish().await;
}
