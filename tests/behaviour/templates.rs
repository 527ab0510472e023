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

const OF_CLIENTS: &str = r#"
        [proxy]
        trusted_proxies = ["127.0.0.2"]
        [listeners.web]
        address = "$web"
        [routes.app]
        path_regex = "^/app/(?<shop>[^/]+)/(.*)$"
        pool = "app"
        [routes.app.headers_request]
        remove = ["x-old"]
        set = { x-new = "{header:x-old}", x-tenant = "{cookie:tenant}/{query:t}", x-port = "{client_port}" }
        add = { x-group = "{path.shop}|{path.1}|{path.2}" }
        [routes.app.headers_response]
        set = { x-back = "{header:x-old}|{cookie:tenant}|{query:t}|{path.shop}" }
        [routes.go]
        path_regex = "^/go(.*)$"
        redirect = { to = "/at{path.1}?next={query:next}&who={header:x-who}" }
        [routes.root]
        path_regex = "^/root(.*)$"
        redirect = { to = "/{path.1}" }
        [routes.name]
        path_prefix = "/name"
        pool = "app"
        rewrite = { host = "{header:x-tenant}.internal" }
        [routes.page]
        path_prefix = "/page"
        respond = { body = "<p>{query:q} { {unknown} {{", headers = { content-type = "text/html" } }
        [routes.json]
        path_prefix = "/json"
        respond = { body = "{\"q\": \"{query:q}\"}", headers = { content-type = "application/json" } }
        [pools.app]
        endpoints = ["$app"]
"#;

#[tokio::test]
async fn templates_know_headers_cookies_parameters_groups_and_the_port() {
    let app = Backend::start(|_| answer("")).await;
    let proxy = Settings::new(OF_CLIENTS).backend("app", &app).start().await;
    let lines = "x-old: a\nx-old: b\ncookie: x=1; tenant=acme\n";
    let target = "/app/books/a%20b/c?t=x%2Fy&t=z";
    let told = proxy.request("GET", target, lines, b"").await;
    assert_eq!(told.field("x-back"), "a, b|acme|x/y|books");
    let seen = app.only();
    assert!(!seen.fields.has("x-old"), "{seen:?}");
    assert_eq!(seen.field("x-new"), "a, b");
    assert_eq!(seen.field("x-tenant"), "acme/x/y");
    assert_eq!(seen.field("x-group"), "books|books|a%20b/c");
    assert!(seen.field("x-port").parse::<u16>().unwrap() > 0);
    // Nothing is there: nothing is said.
    let none = proxy.get("/app/books/").await;
    assert_eq!(none.field("x-back"), "|||books");
    assert_eq!(app.seen().pop().unwrap().field("x-new"), "");
    let mut two = proxy.h2_client().await;
    let told = two.get("/app/shoes/?t=2").await.unwrap();
    assert_eq!(told.field("x-back"), "||2|shoes");
    proxy.finish().await;
}

#[tokio::test]
async fn a_value_of_a_client_adds_no_field_and_no_line() {
    let app = Backend::start(|_| answer("")).await;
    let proxy = Settings::new(OF_CLIENTS).backend("app", &app).start().await;
    let told = proxy.get("/app/a/?t=1%0d%0ax-evil:%201").await;
    assert!(!told.fields.has("x-evil"), "{:?}", told.fields);
    assert!(!told.fields.has("x-back"), "{:?}", told.fields);
    let seen = app.only();
    assert!(!seen.fields.has("x-evil"), "{seen:?}");
    assert!(!seen.fields.has("x-tenant"), "{seen:?}");
    // A host that is none is refused, not sent.
    let named = proxy.request("GET", "/name", "x-tenant: acme\n", b"").await;
    assert_eq!(named.status, 200);
    assert_eq!(app.seen().pop().unwrap().field("host"), "acme.internal");
    for tenant in ["a/b", "a b", "u@evil", ""] {
        let lines = format!("x-tenant: {tenant}\n");
        let refused = proxy.request("GET", "/name", &lines, b"").await;
        refused.assert_failure(400, "http_request_error");
    }
    assert_eq!(app.count(), 2);
    proxy.finish().await;
}

#[tokio::test]
async fn a_redirect_leads_where_its_text_says_whatever_the_client_sends() {
    let app = Backend::start(|_| answer("")).await;
    let proxy = Settings::new(OF_CLIENTS).backend("app", &app).start().await;
    for (target, lines, expected) in [
        (
            "/go/a%20b?next=/x%26y%3D1%0d%0ab:c",
            "",
            "/at/a%20b?next=%2Fx%26y%3D1%0D%0Ab%3Ac&who=",
        ),
        (
            "/go?next=a",
            "x-who: a&b=c d\n",
            "/at?next=a&who=a%26b%3Dc%20d",
        ),
        ("/root//evil.example/x", "", "/evil.example/x"),
    ] {
        let told = proxy.request("GET", target, lines, b"").await;
        assert_eq!((told.status, told.field("location")), (308, expected));
    }
    // What fits into a request head need not fit into a target.
    let long = "a".repeat(14_000);
    let lines = format!("x-who: {}\n", "%".repeat(14_000));
    let told = proxy
        .request("GET", &format!("/go?next={long}"), &lines, b"")
        .await;
    told.assert_failure(431, "http_request_error");
    proxy.finish().await;
}

#[tokio::test]
async fn in_a_body_a_value_of_a_client_is_nothing_but_text() {
    let app = Backend::start(|_| answer("")).await;
    let proxy = Settings::new(OF_CLIENTS).backend("app", &app).start().await;
    let page = proxy.get("/page?q=%3Cscript%3E'%22").await;
    assert_eq!(page.text(), "<p>&lt;script&gt;&#39;&quot; { {unknown} {{");
    let json = proxy.get("/json?q=%22%2C%5C%0a").await;
    assert_eq!(json.text(), "{\"q\": \"\\\",\\\\ \"}");
    proxy.finish().await;
}

#[tokio::test]
async fn the_port_is_that_of_the_client_itself() {
    let app = Backend::start(|_| answer("")).await;
    let text = OF_CLIENTS.replace("127.0.0.2", "127.0.0.1");
    let proxy = Settings::new(&text).backend("app", &app).start().await;
    assert_eq!(proxy.get("/app/a/").await.status, 200);
    assert!(!app.seen().pop().unwrap().field("x-port").is_empty());
    // Of a client behind a trusted proxy nobody knows it.
    let lines = "x-forwarded-for: 203.0.113.7\n";
    assert_eq!(
        proxy.request("GET", "/app/a/", lines, b"").await.status,
        200
    );
    assert_eq!(app.seen().pop().unwrap().field("x-port"), "");
    proxy.finish().await;
}
