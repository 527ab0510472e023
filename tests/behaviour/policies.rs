//! `[policies]`: filters that routes take by name.

use crate::harness::{Backend, Settings, answer};

const POLICIES: &str = r#"
    [defaults.routes]
    use = ["marked"]
    [policies.marked]
    headers_response = { set = { x-by = "marked" } }
    [policies.inside]
    access = { deny = ["127.0.0.0/8"] }
    [policies.few]
    rate_limit = { key = "client_ip", rate = "1/h", burst = 1 }
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    [routes.closed]
    path_prefix = "/closed"
    pool = "app"
    use = ["inside", "marked"]
    [routes.open]
    path_prefix = "/closed/open"
    pool = "app"
    use = ["inside", "marked"]
    access = false
    [routes.one]
    path_prefix = "/one"
    pool = "app"
    use = ["few"]
    [routes.two]
    path_prefix = "/two"
    pool = "app"
    use = ["few"]
    [pools.app]
    endpoints = ["$app"]
"#;

#[tokio::test]
async fn routes_take_policies_by_name_and_win_over_them() {
    let app = Backend::start(|_| answer("fine")).await;
    let mut proxy = Settings::new(POLICIES).backend("app", &app).start().await;
    assert_eq!(proxy.get("/").await.field("x-by"), "marked");
    let closed = proxy.get("/closed").await;
    closed.assert_failure(403, "http_request_denied");
    // The places of the filters are the same as ever: headers come behind access.
    assert_eq!(closed.field("x-by"), "");
    let open = proxy.get("/closed/open").await;
    assert_eq!((open.status, open.field("x-by")), (200, "marked"));
    // Each route has buckets of its own.
    for (target, status) in [("/one", 200), ("/one", 429), ("/two", 200), ("/two", 429)] {
        let told = proxy.get(target).await;
        assert_eq!((told.status, told.field("x-by")), (status, ""), "{target}");
    }
    let routes = proxy.admin("GET", "/routes", "").await.unwrap();
    let routes: serde_json::Value = serde_json::from_str(&routes.text()).unwrap();
    let closed = routes.as_array().unwrap().iter();
    let closed = closed.clone().find(|it| it["name"] == "closed").unwrap();
    let from = serde_json::json!({ "access": ["inside"], "headers_response": ["marked"] });
    assert_eq!(closed["from_policies"], from);
    // A policy changes for all its routes.
    proxy
        .reload(&POLICIES.replace("\"127.0.0.0/8\"", "\"10.0.0.0/8\""))
        .await;
    assert_eq!(proxy.get("/closed").await.status, 200);
    proxy.finish().await;
}
