//! Scrapers and probes have an address of their own, and a token that only reads.

use std::fs;

use crate::{
    harness::{Client, Proxy, Settings, eventually},
    takeover::upgrade,
};

const ALL: &str = r#"
    [admin]
    address = "$admin"
    token = "a-token-for-changes"
    [metrics]
    address = "$metrics"
    [listeners.web]
    address = "$web"
    [routes.all]
    respond = {}
"#;

async fn status(proxy: &Proxy, name: &str, method: &str, target: &str) -> Option<u16> {
    let mut client = Client::try_connect(proxy.address(name)).await.ok()?;
    Some(client.request(method, target, "", b"").await.status)
}

#[tokio::test]
async fn the_metrics_listener_serves_metrics_and_probes_and_nothing_else() {
    let proxy = Settings::new(ALL).start().await;
    for open in ["/metrics", "/live", "/ready"] {
        assert_eq!(status(&proxy, "metrics", "GET", open).await, Some(200));
    }
    for closed in ["/", "/status", "/config", "/requests", "/openapi.json"] {
        assert_eq!(status(&proxy, "metrics", "GET", closed).await, Some(404));
    }
    for closed in ["/reload", "/drain", "/upgrade"] {
        assert_eq!(status(&proxy, "metrics", "POST", closed).await, Some(404));
    }
    let mut client = Client::connect(proxy.address("metrics")).await;
    let scrape = client.get("/metrics").await.text();
    assert!(scrape.contains("sluicegate_build_info"), "{scrape}");
    let missing = client.get("/status").await.text();
    assert!(
        missing.contains("GET /metrics") && !missing.contains("/reload"),
        "{missing}"
    );
    proxy.finish().await;
}

#[tokio::test]
async fn the_metrics_listener_follows_its_address_and_an_occupied_one_refuses_the_reload() {
    let mut proxy = Settings::new(ALL).start().await;
    proxy.reload(&ALL.replace("$metrics", "$other")).await;
    eventually("the old address is closed", || async {
        let old = status(&proxy, "metrics", "GET", "/live").await;
        old.is_none().then_some(())
    })
    .await;
    assert_eq!(status(&proxy, "other", "GET", "/live").await, Some(200));
    let taken = std::net::TcpListener::bind(proxy.address("metrics")).unwrap();
    proxy.replace(ALL);
    proxy.reload_fails().await;
    assert!(proxy.log().contains("metrics: cannot listen on"));
    assert_eq!(status(&proxy, "other", "GET", "/live").await, Some(200));
    drop(taken);
    let without = ALL.replace("[metrics]\n    address = \"$metrics\"\n", "");
    proxy.reload(&without).await;
    eventually("the listener is closed", || async {
        let old = status(&proxy, "other", "GET", "/live").await;
        old.is_none().then_some(())
    })
    .await;
    proxy.finish().await;
}

#[tokio::test]
async fn the_metrics_listener_is_passed_on_by_an_upgrade() {
    let text = format!("[proxy]\ndrain = {{ timeout = \"2s\" }}\n{ALL}");
    let proxy = Settings::new(&text).start().await;
    let (code, said) = upgrade(&proxy, &["--wait"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(status(&proxy, "metrics", "GET", "/live").await, Some(200));
    proxy.all_end().await;
}

#[tokio::test]
async fn the_read_token_reads_changes_nothing_and_follows_its_file() {
    let text = ALL.replace(
        "token = \"a-token-for-changes\"",
        "token = \"a-token-for-changes\"\nread_token = { file = \"read\" }",
    );
    let settings = Settings::new(&text);
    let file = settings.folder().join("read");
    fs::write(&file, "first-token\n").unwrap();
    let proxy = settings.start().await;
    let ask = async |method: &str, target: &str, token: &str| {
        let lines = format!("authorization: Bearer {token}");
        let answer = proxy.admin(method, target, &lines).await;
        answer.expect("an answer").status
    };
    assert_eq!(ask("GET", "/metrics", "first-token").await, 200);
    assert_eq!(ask("POST", "/reload", "first-token").await, 403);
    assert_eq!(ask("GET", "/metrics", "another").await, 401);
    assert_eq!(ask("POST", "/reload", "a-token-for-changes").await, 200);
    fs::write(&file, "second-token\n").unwrap();
    eventually("the new token is good", || async {
        (ask("GET", "/status", "second-token").await == 200).then_some(())
    })
    .await;
    assert_eq!(ask("GET", "/status", "first-token").await, 401);
    let log = proxy.log();
    assert!(!log.contains("second-token"), "{log}");
    proxy.finish().await;
}
