//! Placeholders in headers and redirects.

use crate::harness::{Backend, Settings, answer};

const TABLES: &str = r#"
        [listeners.web]
        address = "$web"
        [routes.app]
        path = "/app"
        pool = "app"
        headers_request = { set = { x-asked = "{host_port} {host} {listener}" } }
        headers_response = { set = { x-asked = "{host_port} {host} {listener}" } }
        [routes.away]
        path = "/away"
        redirect = { to = "{scheme}://{host_port}/there" }
        [pools.app]
        endpoints = ["$app"]
"#;

#[tokio::test]
async fn the_host_can_be_told_with_and_without_its_port() {
    let app = Backend::start(|_| answer("")).await;
    let proxy = Settings::new(TABLES).backend("app", &app).start().await;
    let lines = "host: Shop.example:8081\n";
    let told = proxy.request("GET", "/app", lines, b"").await;
    let expected = "shop.example:8081 shop.example web";
    assert_eq!(told.field("x-asked"), expected);
    assert_eq!(app.only().field("x-asked"), expected);
    let away = proxy.request("GET", "/away", lines, b"").await;
    assert_eq!(away.field("location"), "http://shop.example:8081/there");
    let mut two = proxy.h2_client().await;
    let told = two.get("/app").await.unwrap();
    assert_eq!(told.field("x-asked"), "shop.example shop.example web");
    proxy.finish().await;
}
