//! `access` of a route: clients are let in or refused by their addresses.

use std::fs;

use crate::harness::{Backend, Settings, answer, eventually};

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

#[tokio::test]
async fn a_file_of_blocks_is_watched_and_a_bad_line_leaves_the_last_good_one() {
    let app = Backend::start(|_| answer("fine")).await;
    let settings = Settings::new(
        r#"
        [proxy]
        trusted_proxies = ["127.0.0.0/8"]
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        access = { allow = ["10.0.0.0/8"], file = "blocks" }
        [pools.app]
        endpoints = ["$app"]
        "#,
    )
    .backend("app", &app);
    let file = settings.folder().join("blocks");
    fs::write(
        &file,
        "# guests\ndeny 10.1.0.0/16;\nallow 10.1.2.3 # but this one\n",
    )
    .unwrap();
    let proxy = settings.start().await;
    let status = async |client: &str| {
        let lines = format!("x-forwarded-for: {client}\n");
        proxy.request("GET", "/", &lines, b"").await.status
    };
    for (client, expected) in [("10.2.0.1", 200), ("10.1.0.1", 403), ("10.1.2.3", 200)] {
        assert_eq!(status(client).await, expected, "{client}");
    }
    fs::write(&file, "deny 10.2.0.0/16\n").unwrap();
    eventually("the new file counts", || async {
        (status("10.2.0.1").await == 403).then_some(())
    })
    .await;
    assert_eq!(status("10.1.0.1").await, 200);
    fs::write(&file, "deny 10.3.0.0/16\n10.4.0.0/16\n").unwrap();
    proxy.reload_fails().await;
    proxy
        .log_says("blocks:2: it begins with neither allow nor deny")
        .await;
    assert_eq!(status("10.2.0.1").await, 403);
    assert_eq!(status("10.3.0.1").await, 200);
    proxy.finish().await;
}

#[tokio::test]
async fn other_methods_are_answered_with_those_that_are_allowed() {
    let app = Backend::start(|_| answer("fine")).await;
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        access = { methods = ["GET", "PURGE"] }
        [pools.app]
        endpoints = ["$app"]
        "#,
    )
    .backend("app", &app)
    .start()
    .await;
    for (method, status) in [("GET", 200), ("PURGE", 200), ("POST", 405), ("get", 405)] {
        let got = proxy.request(method, "/", "", b"").await;
        assert_eq!(got.status, status, "{method}");
        if status == 405 {
            got.assert_failure(405, "http_request_denied");
            assert_eq!(got.field("allow"), "GET, PURGE");
        }
    }
    assert_eq!(app.count(), 2);
    proxy.finish().await;
}

#[tokio::test]
async fn a_header_that_asks_for_another_method_does_not_get_past_the_allowed_ones() {
    let app = Backend::start(|_| answer("fine")).await;
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        access = { methods = ["GET", "POST", "PATCH"] }
        [routes.open]
        path = "/open"
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
        "#,
    )
    .backend("app", &app)
    .start()
    .await;
    for (header, value, status) in [
        ("x-http-method-override", "DELETE", 405),
        ("X-HTTP-Method", "delete", 405),
        ("x-method-override", "PUT", 405),
        ("x-method-override", "PATCH, DELETE", 405),
        ("x-method-override", "", 405),
        ("x-http-method-override", "PATCH", 200),
        ("x-http-method-override", "patch", 200),
        ("x-http-methods", "DELETE", 200),
    ] {
        let line = format!("{header}: {value}\n");
        let one = proxy.request("POST", "/", &line, b"").await;
        let name = header.to_ascii_lowercase();
        let mut two = proxy.h2_client().await;
        let fields = [(name.as_str(), value)];
        let two = two.request("POST", "/", &fields, b"").await.unwrap();
        for got in [one, two] {
            assert_eq!(got.status, status, "{header}: {value}");
            if status == 405 {
                got.assert_failure(405, "http_request_denied");
                assert_eq!(got.field("allow"), "GET, POST, PATCH");
            }
        }
        let open = proxy.request("POST", "/open", &line, b"").await;
        assert_eq!(open.status, 200, "no list of methods");
    }
    let twice = "x-method-override: PATCH\nx-method-override: DELETE\n";
    assert_eq!(proxy.request("POST", "/", twice, b"").await.status, 405);
    proxy.finish().await;
}
