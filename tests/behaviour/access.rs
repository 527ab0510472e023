//! `access` of a route: clients are let in or refused by their addresses.

use crate::harness::{Backend, Settings, answer};

#[tokio::test]
async fn the_longest_block_decides_who_is_let_in() {
    let app = Backend::start(|_| answer("fine")).await;
    let proxy = Settings::new(
        r#"
        [proxy]
        trusted_proxies = ["127.0.0.0/8"]
        [access_log]
        path = "access.log"
        [listeners.web]
        address = "$web"
        [routes.inner]
        pool = "app"
        access = { allow = ["10.0.0.0/8", "2001:db8::/32", "10.1.2.0/24"], deny = ["10.1.0.0/16"] }
        headers_response = { set = { x-route = "inner" } }
        [routes.open]
        path = "/open"
        pool = "app"
        access = { deny = ["192.0.2.0/24"] }
        [pools.app]
        endpoints = ["$app"]
        "#,
    )
    .backend("app", &app)
    .start()
    .await;
    for (target, client, is_allowed) in [
        ("/", "10.200.0.1", true),
        ("/", "10.1.0.1", false),
        ("/", "10.1.2.3", true),
        ("/", "11.0.0.1", false),
        ("/", "2001:db8::7", true),
        ("/", "::ffff:10.0.0.1", true),
        ("/", "fe80::1", false),
        ("/open", "11.0.0.1", true),
        ("/open", "fe80::1", true),
        ("/open", "192.0.2.9", false),
    ] {
        let lines = format!("x-forwarded-for: {client}\n");
        let one = proxy.request("GET", target, &lines, b"").await;
        let fields = [("x-forwarded-for", client)];
        let mut two = proxy.h2_client().await;
        let two = two.request("GET", target, &fields, b"").await.unwrap();
        for answer in [one, two] {
            if is_allowed {
                assert_eq!(answer.status, 200, "{client}: {answer:?}");
                continue;
            }
            answer.assert_failure(403, "http_request_denied");
            // The reason is not for the client.
            assert!(!answer.text().contains("access"), "{answer:?}");
            let id = answer.field("x-request-id").to_owned();
            let line = proxy
                .logged("of a refusal", |line| line["request_id"] == *id)
                .await;
            let detail = line["reason_detail"].as_str().unwrap();
            assert!(detail.starts_with("access: ") && detail.ends_with(" is not allowed"));
        }
    }
    // Without a proxy in front that names another, the peer itself is the client.
    assert_eq!(proxy.get("/").await.status, 403);
    proxy.finish().await;
}
