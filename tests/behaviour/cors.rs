//! `cors` of a route: preflights are answered by the proxy, and answers say who may read them.

use std::fs;

use crate::harness::{Answer, Backend, Chromium, Proxy, Screen, Settings, answer_bytes};

const TABLES: &str = r#"
    [listeners.web]
    address = "$web"
    [routes.api]
    path_prefix = "/api"
    methods = ["GET", "PUT"]
    pool = "app"
    cors = { origins = ["https://shop.example", "https://*.shop.example", { regex = "http://localhost:[0-9]+" }], methods = ["PUT", "DELETE"], headers = ["X-Token", "content-type"], expose = ["X-Total"], credentials = true, max_age = "10m" }
    [routes.open]
    path_prefix = "/open"
    pool = "dead"
    cors = { origins = ["*"] }
    [routes.rest]
    respond = { status = 404 }
    [pools.app]
    endpoints = ["$app"]
    [pools.dead]
    endpoints = ["$nobody"]
"#;

async fn started() -> (Proxy, Backend) {
    let app = Backend::start(|_| {
        answer_bytes(
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nvary: accept\r\n\
             access-control-allow-origin: *\r\naccess-control-allow-origin: https://old\r\n\r\n",
        )
    })
    .await;
    let settings = Settings::new(TABLES).backend("app", &app);
    (settings.start().await, app)
}

async fn preflight(proxy: &Proxy, target: &str, lines: &str) -> Answer {
    proxy.request("OPTIONS", target, lines, b"").await
}

#[tokio::test]
async fn a_preflight_is_answered_by_the_proxy() {
    let (proxy, app) = started().await;
    let lines = "origin: https://de.shop.example\naccess-control-request-method: PUT\n\
                 access-control-request-headers: x-token,Content-Type\n";
    let answer = preflight(&proxy, "/api/a", lines).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    for (name, value) in [
        ("access-control-allow-origin", "https://de.shop.example"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "PUT, DELETE"),
        ("access-control-allow-headers", "x-token, content-type"),
        ("access-control-max-age", "600"),
    ] {
        assert_eq!(answer.fields.all(name), [value], "{answer:?}");
    }
    assert!(answer.field("vary").contains("Origin"), "{answer:?}");
    // A route for any origin takes what is asked for, and needs no endpoint.
    let lines = "origin: https://any.example\naccess-control-request-method: PATCH\n\
                 access-control-request-headers: x-one, x-two\n";
    let answer = preflight(&proxy, "/open", lines).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    for (name, value) in [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-methods", "PATCH"),
        ("access-control-allow-headers", "x-one, x-two"),
        ("access-control-max-age", "3600"),
    ] {
        assert_eq!(answer.fields.all(name), [value], "{answer:?}");
    }
    assert_eq!(app.count(), 0);
    proxy.finish().await;
}

#[tokio::test]
async fn a_preflight_that_asks_for_more_is_refused() {
    let (proxy, app) = started().await;
    let origin = "origin: https://shop.example\n";
    for lines in [
        "origin: https://shop.example.evil\naccess-control-request-method: GET\n".to_owned(),
        "origin: null\naccess-control-request-method: GET\n".to_owned(),
        format!(
            "{origin}access-control-request-method: PUT\naccess-control-request-headers: x-other\n"
        ),
    ] {
        let answer = preflight(&proxy, "/api", &lines).await;
        answer.assert_failure(403, "http_request_denied");
        assert!(
            !answer.fields.has("access-control-allow-origin"),
            "{answer:?}"
        );
    }
    // DELETE is none of the methods of the route, whatever `cors` allows.
    let lines = format!("{origin}access-control-request-method: DELETE\n");
    assert_eq!(preflight(&proxy, "/api", &lines).await.status, 404);
    // An OPTIONS request that is no preflight is not for this route either.
    assert_eq!(preflight(&proxy, "/api", origin).await.status, 404);
    assert_eq!(app.count(), 0);
    proxy.finish().await;
}

#[tokio::test]
async fn answers_say_who_may_read_them_in_the_words_of_the_proxy_alone() {
    let (proxy, _app) = started().await;
    let get = async |target: &str, origin: &str| {
        let lines = format!("origin: {origin}\n");
        let one = proxy.request("GET", target, &lines, b"").await;
        let fields = [("origin", origin)];
        let mut client = proxy.h2_client().await;
        let two = client.request("GET", target, &fields, b"").await.unwrap();
        [one, two]
    };
    for answer in get("/api", "http://localhost:3000").await {
        assert_eq!(answer.status, 200);
        let allowed = answer.fields.all("access-control-allow-origin");
        assert_eq!(allowed, ["http://localhost:3000"]);
        assert_eq!(answer.field("access-control-allow-credentials"), "true");
        assert_eq!(answer.field("access-control-expose-headers"), "x-total");
        assert_eq!(answer.fields.all("vary"), ["accept", "Origin"]);
    }
    for answer in get("/api", "https://evil.example").await {
        assert_eq!(answer.status, 200);
        assert!(
            !answer.fields.has("access-control-allow-origin"),
            "{answer:?}"
        );
        assert_eq!(answer.fields.all("vary"), ["accept", "Origin"]);
    }
    // Caches must know it of answers to requests without an origin, too.
    let answer = proxy.get("/api").await;
    assert_eq!(answer.fields.all("vary"), ["accept", "Origin"]);
    // A page may read failures of the proxy, too.
    for answer in get("/open", "https://any.example").await {
        assert_eq!(answer.status, 502);
        let allowed = answer.fields.all("access-control-allow-origin");
        assert_eq!(allowed, ["*"]);
    }
    proxy.finish().await;
}

const PAGES: &str = r#"
    [listeners.web]
    address = "$web"
    [listeners.shop]
    address = "$shop"
    [listeners.other]
    address = "$other"
    [routes.pages]
    listeners = ["shop", "other"]
    respond = { status = 200, body = "<p>page</p>", headers = { content-type = "text/html" } }
    [policies.shop]
    cors = { origins = ["http://$shop"], methods = ["PUT"], headers = ["x-token"], expose = ["x-total"], credentials = true }
    [routes.api]
    path_prefix = "/api"
    pool = "app"
    use = ["shop"]
    [routes.broken]
    path_prefix = "/broken"
    pool = "dead"
    use = ["shop"]
    [routes.full]
    path_prefix = "/full"
    pool = "app"
    use = ["shop"]
    rate_limit = { rate = "1/h" }
    [routes.closed]
    path_prefix = "/closed"
    pool = "app"
    use = ["shop"]
    auth = { api_key = { header = "x-api-key", file = "keys" } }
    [routes.open]
    path_prefix = "/open"
    pool = "app"
    cors = { origins = ["*"] }
    [pools.app]
    endpoints = ["$app"]
    [pools.dead]
    endpoints = ["$nobody"]
"#;

/// A function for pages: fetches, and tells what the page could read.
const READ: &str = r"
    window.read = async (path, options) => {
        try {
            const answer = await fetch(window.api + path, options);
            return [answer.status, answer.headers.get('x-total'), answer.headers.get('x-secret')].join(' ');
        } catch {
            return 'closed to the page';
        }
    };
";

#[tokio::test]
async fn a_page_in_a_real_browser_reads_what_cors_allows_and_nothing_else() {
    let Some(mut browser) = Chromium::start("en", Screen::Desk).await else {
        return;
    };
    let app = Backend::start(|_| {
        answer_bytes(
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: text/plain\r\nx-total: 7\r\nx-secret: no\r\n\
             set-cookie: seen=1; Path=/\r\n\r\nok",
        )
    })
    .await;
    let settings = Settings::new(PAGES).backend("app", &app);
    let key = format!("mobile sha256:{}\n", "0".repeat(64));
    fs::write(settings.folder().join("keys"), key).unwrap();
    let proxy = settings.start().await;
    let put = "{ method: 'PUT', headers: { 'x-token': 'a' }, body: 'b' }";
    let foreign = "{ method: 'PUT', headers: { 'x-other': 'a' } }";
    let cases = [
        // Path, options, read by a page of the shop, read by another page.
        ("/api/a", "{}", "200 7 ", ""),
        ("/api/a", "{ credentials: 'include' }", "200 7 ", ""),
        ("/api/a", put, "200 7 ", ""),
        ("/api/a", foreign, "", ""),
        ("/api/a", "{ method: 'DELETE' }", "", ""),
        ("/broken", "{}", "502  ", ""),
        ("/full", "{}", "200 7 ", ""),
        ("/full", "{}", "429  ", ""),
        ("/closed", "{}", "401  ", ""),
        ("/missing", "{}", "", ""),
        ("/open", "{}", "200  ", "200  "),
        ("/open", "{ credentials: 'include' }", "", ""),
        ("/open", foreign, "200  ", "200  "),
    ];
    for (is_shop, listener) in [(true, "shop"), (false, "other")] {
        browser
            .open(&format!("http://{}/", proxy.address(listener)))
            .await;
        let api = format!("window.api = 'http://{}';{READ}", proxy.address("web"));
        browser.evaluate(&api).await;
        for (path, options, shop, other) in cases {
            let expected = if is_shop { shop } else { other };
            let expected = if expected.is_empty() {
                "closed to the page"
            } else {
                expected
            };
            let read = browser
                .evaluate(&format!("read('{path}', {options})"))
                .await;
            assert_eq!(read, expected, "{listener} {path} {options}");
        }
    }
    let with_cookie = app.seen().into_iter().any(|it| it.fields.has("cookie"));
    assert!(with_cookie, "a page that may, sends cookies");
    proxy.finish().await;
}
