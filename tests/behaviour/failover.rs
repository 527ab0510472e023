//! Failover: if a pool or a priority cannot serve, the next in line does.

use crate::harness::{Backend, Port, Settings, identity};

#[tokio::test]
async fn a_pool_that_is_dead_hands_over_to_the_next() {
    let spare = Backend::start(identity("spare")).await;
    let dead = Port::take();
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "main"
        [pools.main]
        endpoints = ["$dead"]
        failover = ["empty", "spare"]
        health = { tcp = {}, interval = "300ms", interval_down = "300ms", timeout = "300ms", fall = 1 }
        panic_threshold = "0%"
        [pools.empty]
        endpoints = [{ address = "$dead", weight = 0 }]
        [pools.spare]
        endpoints = ["$spare"]
        "#,
    )
    .address("dead", dead.address())
    .backend("spare", &spare)
    .start()
    .await;
    for _ in 0..5 {
        assert_eq!(proxy.get("/").await.text(), "spare");
    }
    assert_eq!(proxy.request("POST", "/", "", b"x").await.text(), "spare");
    proxy.finish().await;
}

#[tokio::test]
async fn a_pool_comes_back_when_its_endpoints_do() {
    let mut main = Backend::start(identity("main")).await;
    let spare = Backend::start(identity("spare")).await;
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "main"
        [pools.main]
        endpoints = ["$main"]
        failover = ["spare"]
        health = { tcp = {}, interval = "300ms", interval_down = "300ms", timeout = "300ms", rise = 1, fall = 1 }
        panic_threshold = "0%"
        [pools.spare]
        endpoints = ["$spare"]
        "#,
    )
    .backend("main", &main)
    .backend("spare", &spare)
    .start()
    .await;
    assert_eq!(proxy.get("/").await.text(), "main");
    main.kill().await;
    let labels = [("pool", "main")];
    proxy
        .metric_becomes("sluicegate_endpoint_healthy", &labels, 0.0)
        .await;
    assert_eq!(proxy.get("/").await.text(), "spare");
    main.up().await;
    proxy
        .metric_becomes("sluicegate_endpoint_healthy", &labels, 1.0)
        .await;
    assert_eq!(proxy.get("/").await.text(), "main");
    proxy.finish().await;
}

#[tokio::test]
async fn a_lower_priority_serves_only_when_the_higher_cannot() {
    let mut first = Backend::start(identity("first")).await;
    let second = Backend::start(identity("second")).await;
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = [{ address = "$second", priority = 1 }, { address = "$first", priority = 0 }]
        health = { tcp = {}, interval = "300ms", interval_down = "300ms", timeout = "300ms", rise = 1, fall = 1 }
        panic_threshold = "0%"
        "#,
    )
    .backend("first", &first)
    .backend("second", &second)
    .start()
    .await;
    for _ in 0..6 {
        assert_eq!(proxy.get("/").await.text(), "first");
    }
    first.kill().await;
    let address = first.address().to_string();
    let labels = [("endpoint", address.as_str())];
    proxy
        .metric_becomes("sluicegate_endpoint_healthy", &labels, 0.0)
        .await;
    assert_eq!(proxy.get("/").await.text(), "second");
    first.up().await;
    proxy
        .metric_becomes("sluicegate_endpoint_healthy", &labels, 1.0)
        .await;
    assert_eq!(proxy.get("/").await.text(), "first");
    proxy.finish().await;
}

#[tokio::test]
async fn a_route_asks_only_for_the_versions_it_names() {
    let old = Backend::start(identity("old")).await;
    let new = Backend::start(identity("new")).await;
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.v1]
        path_prefix = "/v1"
        version = "^1"
        pool = "app"
        [routes.v2]
        path_prefix = "/v2"
        version = "^2.1"
        pool = "app"
        [routes.v3]
        path_prefix = "/v3"
        version = "^3"
        pool = "app"
        [pools.app]
        endpoints = [{ address = "$old", version = "1.9.3" }, { address = "$new", version = "2.4.0" }]
        "#,
    )
    .backend("old", &old)
    .backend("new", &new)
    .start()
    .await;
    for _ in 0..4 {
        assert_eq!(proxy.get("/v1").await.text(), "old");
        assert_eq!(proxy.get("/v2").await.text(), "new");
    }
    proxy
        .get("/v3")
        .await
        .assert_failure(503, "destination_unavailable");
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_that_refuses_is_502_with_its_word_when_nobody_else_is_left() {
    let dead = Port::take();
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = ["$dead"]
        "#,
    )
    .address("dead", dead.address())
    .start()
    .await;
    proxy
        .get("/")
        .await
        .assert_failure(502, "connection_refused");
    let answer = proxy.request("POST", "/", "", b"x").await;
    answer.assert_failure(502, "connection_refused");
    proxy.finish().await;
}
