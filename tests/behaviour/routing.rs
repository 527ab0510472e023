//! A request goes where the most specific route says, whatever the order in the file.

use crate::harness::{Answer, Backend, Settings, identity};

#[tokio::test]
async fn an_exact_host_wins_over_the_longest_wildcard_and_that_over_none() {
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.a_none]
        respond = { status = 200, body = "none" }
        [routes.b_wild]
        hosts = ["*.example"]
        respond = { status = 200, body = "wild" }
        [routes.c_longer]
        hosts = ["*.shop.example"]
        respond = { status = 200, body = "longer" }
        [routes.d_exact]
        hosts = ["www.shop.example"]
        respond = { status = 200, body = "exact" }
        "#,
    )
    .start()
    .await;
    for (host, route) in [
        ("www.shop.example", "exact"),
        ("WWW.Shop.Example", "exact"),
        ("www.shop.example:8080", "exact"),
        ("api.shop.example", "longer"),
        ("a.b.shop.example", "longer"),
        ("shop.example", "wild"),
        ("example", "none"),
        ("127.0.0.1", "none"),
        ("[::1]:80", "none"),
    ] {
        let answer = proxy
            .request("GET", "/", &format!("host: {host}"), b"")
            .await;
        assert_eq!(answer.text(), route, "host {host}");
    }
    proxy.finish().await;
}

/// Routes that differ in their path only.
const PATHS: &str = r#"
    [listeners.web]
    address = "$web"
    [routes.rest]
    respond = { status = 200, body = "rest" }
    [routes.short]
    path_prefix = "/orders"
    respond = { status = 200, body = "short" }
    [routes.long]
    path_prefix = "/orders/open"
    respond = { status = 200, body = "long" }
    [routes.number]
    path_regex = "^/orders/[0-9]+$"
    respond = { status = 200, body = "number" }
    [routes.one]
    path = "/orders/1"
    respond = { status = 200, body = "one" }
"#;

#[tokio::test]
async fn an_exact_path_wins_over_a_regex_and_that_over_the_longest_prefix() {
    let proxy = Settings::new(PATHS).start().await;
    for (target, route) in [
        ("/orders/1", "one"),
        ("/orders/1?x=y", "one"),
        ("/orders/2", "number"),
        ("/orders/open/3", "long"),
        ("/orders/open", "long"),
        ("/orders", "short"),
        ("/orders/", "short"),
        ("/orders/x", "short"),
        ("/", "rest"),
    ] {
        assert_eq!(proxy.get(target).await.text(), route, "target {target}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_prefix_matches_whole_segments_only() {
    let proxy = Settings::new(PATHS).start().await;
    for target in ["/ordersx", "/orders-open", "/order"] {
        assert_eq!(proxy.get(target).await.text(), "rest", "target {target}");
    }
    assert_eq!(proxy.get("/orders/opened").await.text(), "short");
    proxy.finish().await;
}

#[tokio::test]
async fn disguised_paths_match_as_what_they_mean() {
    let proxy = Settings::new(PATHS).start().await;
    for (target, route) in [
        ("/%6frders/1", "one"),
        ("//orders//1", "one"),
        ("/x/../orders/1", "one"),
        ("/x/%2e%2e/orders/1", "one"),
        ("/./orders/./1", "one"),
        ("/orders/../x", "rest"),
    ] {
        assert_eq!(proxy.get(target).await.text(), route, "target {target}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_path_that_two_readers_could_match_differently_is_refused() {
    let proxy = Settings::new(PATHS).start().await;
    for target in [
        "/orders%2f1",
        "/orders%5c1",
        "/orders%00/1",
        "/orders/%zz",
        "/orders%2",
        "/../../orders/1",
    ] {
        let answer = proxy.get(target).await;
        answer.assert_failure(400, "http_request_error");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn the_target_is_forwarded_byte_for_byte() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let targets = [
        "/a//b/../c/%2e/%41%c3%a9?q=%20+&&=;x",
        "/?",
        "/x?a=b?c=d",
        "/~user/(1)'*!$,:@",
        "/%7Euser",
    ];
    for target in targets {
        assert_eq!(proxy.get(target).await.status, 200, "target {target}");
        assert_eq!(app.seen().last().unwrap().target, target);
    }
    proxy.finish().await;
}

#[tokio::test]
async fn method_headers_query_and_cookies_narrow_a_route() {
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.a_rest]
        respond = { status = 200, body = "rest" }
        [routes.b_method]
        methods = ["PUT"]
        respond = { status = 200, body = "method" }
        [routes.c_header]
        headers = { "x-tenant" = "acme" }
        respond = { status = 200, body = "header" }
        [routes.d_two]
        headers = { "x-tenant" = "acme", "x-beta" = { regex = "^(1|yes)$" } }
        respond = { status = 200, body = "two" }
        [routes.e_present]
        headers = { "x-debug" = { present = true } }
        respond = { status = 200, body = "present" }
        [routes.f_query]
        query = { lang = "de" }
        respond = { status = 200, body = "query" }
        [routes.g_cookie]
        cookies = { beta = "1" }
        respond = { status = 200, body = "cookie" }
        "#,
    )
    .start()
    .await;
    for (method, target, lines, route) in [
        ("GET", "/", "", "rest"),
        ("PUT", "/", "", "method"),
        ("GET", "/", "X-Tenant: acme", "header"),
        ("GET", "/", "x-tenant: acmes", "rest"),
        ("GET", "/", "x-tenant: acme\nx-beta: yes", "two"),
        ("GET", "/", "x-tenant: acme\nx-beta: yes!", "header"),
        ("GET", "/", "x-debug: anything", "present"),
        ("GET", "/?a=1&lang=de", "", "query"),
        ("GET", "/?lang=den", "", "rest"),
        ("GET", "/", "cookie: a=b; beta=1", "cookie"),
        ("GET", "/", "cookie: xbeta=1; beta=11", "rest"),
        ("PUT", "/", "x-tenant: acme\nx-beta: 1", "method"),
    ] {
        let answer = proxy.request(method, target, lines, b"").await;
        assert_eq!(answer.text(), route, "{method} {target} {lines}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn priority_overrides_what_is_more_specific() {
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        priority = 1
        headers = { "x-maintenance" = { present = true } }
        respond = { status = 503, body = "later" }
        [routes.exact]
        hosts = ["shop.example"]
        path = "/orders"
        respond = { status = 200, body = "exact" }
        "#,
    )
    .start()
    .await;
    assert_eq!(proxy.get("/orders").await.text(), "exact");
    let answer = proxy
        .request("GET", "/orders", "x-maintenance: 1", b"")
        .await;
    assert_eq!((answer.status, answer.text().as_str()), (503, "later"));
    proxy.finish().await;
}

#[tokio::test]
async fn a_route_serves_only_the_listeners_it_names() {
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [listeners.inner]
        address = "$inner"
        [routes.inner]
        listeners = ["inner"]
        respond = { status = 200, body = "inner" }
        "#,
    )
    .start()
    .await;
    let answer = proxy.client_of("inner").await.get("/").await;
    assert_eq!(answer.text(), "inner");
    proxy
        .get("/")
        .await
        .assert_failure(404, "destination_not_found");
    proxy.finish().await;
}

#[tokio::test]
async fn no_route_is_404_and_says_so() {
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.orders]
        path_prefix = "/orders"
        respond = { status = 200, body = "orders" }
        "#,
    )
    .start()
    .await;
    proxy
        .get("/other")
        .await
        .assert_failure(404, "destination_not_found");
    // The connection is not to blame.
    let mut client = proxy.client().await;
    client
        .get("/other")
        .await
        .assert_failure(404, "destination_not_found");
    assert_eq!(client.get("/orders").await.text(), "orders");
    proxy.finish().await;
}

#[tokio::test]
async fn redirects_are_built_from_the_request() {
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.moved]
        path_prefix = "/old"
        redirect = { to = "https://{host}{path}{query}" }
        [routes.found]
        path = "/found"
        redirect = { to = "https://other.example/", status = 302 }
        "#,
    )
    .start()
    .await;
    let location = |answer: &Answer| (answer.status, answer.field("location").to_owned());
    assert_eq!(
        location(&proxy.get("/old/a%20b?c=d").await),
        (308, "https://shop.example/old/a%20b?c=d".to_owned())
    );
    assert_eq!(
        location(&proxy.get("/old").await),
        (308, "https://shop.example/old".to_owned())
    );
    assert_eq!(
        location(&proxy.get("/found").await),
        (302, "https://other.example/".to_owned())
    );
    proxy.finish().await;
}

#[tokio::test]
async fn rewrites_change_what_the_endpoint_sees_and_nothing_else() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.strip]
        path_prefix = "/orders"
        rewrite = { strip_prefix = "/orders", host = "inner.example" }
        pool = "app"
        [routes.add]
        path_prefix = "/add"
        rewrite = { add_prefix = "/v1" }
        pool = "app"
        [routes.regex]
        path_prefix = "/user"
        rewrite = { path_regex = { match = "^/user/([0-9]+)", to = "/account/$1" } }
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
        "#,
    )
    .backend("app", &app)
    .start()
    .await;
    for (target, forwarded) in [
        ("/orders/1?a=%2f", "/1?a=%2f"),
        ("/orders", "/"),
        ("/orders?x", "/?x"),
        ("/add/x?y", "/v1/add/x?y"),
        ("/user/17/z?q", "/account/17/z?q"),
        ("//orders//1", "/1"),
        ("/%6frders/%7e1?%7e", "/%7e1?%7e"),
        ("/x/../orders/1", "/1"),
        ("/orders/../orders/secret", "/secret"),
        ("/x/..//user/17/z", "/account/17/z"),
    ] {
        assert_eq!(proxy.get(target).await.status, 200);
        assert_eq!(app.seen().last().unwrap().target, forwarded, "{target}");
    }
    assert_eq!(app.seen()[0].field("host"), "inner.example");
    assert_eq!(app.seen()[3].field("host"), "shop.example");
    let hidden = proxy.get("/orders/x/..%2f..%2forders/secret").await;
    hidden.assert_failure(400, "http_request_error");
    proxy.finish().await;
}

const ALL: &str = r#"
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
"#;
