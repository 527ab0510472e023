//! `error_pages`, and `respond` with a file: what people and programs see of an error.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Answer, Backend, Proxy, Settings, answer, answer_bytes, eventually};

const TABLES: &str = r#"
        [listeners.web]
        address = "$web"
        error_pages = { "4xx" = { file = "lost.txt" } }
        [defaults.routes]
        error_pages = { "502-504" = { file = "sorry.html" } }
        [routes.dead]
        path_prefix = "/dead"
        pool = "dead"
        cors = { origins = ["https://shop.example"] }
        [routes.off]
        path = "/off"
        pool = "dead"
        error_pages = false
        [routes.app]
        path_prefix = "/app"
        pool = "app"
        retry = false
        error_pages = { "404,5xx" = { file = "own.html", of = "all" }, "418" = {} }
        [routes.limited]
        path = "/limited"
        rate_limit = { key = "route", rate = "1/h", burst = 1 }
        error_pages = { "429" = {} }
        respond = { body = "in time" }
        [routes.file]
        path = "/file"
        respond = { status = 203, file = "robot.json" }
        [pools.app]
        endpoints = ["$app"]
        ejection = false
        [pools.dead]
        endpoints = ["$nobody"]
"#;

const BROWSER: &str = "accept: text/html,application/xhtml+xml,*/*;q=0.8\n";

async fn started(app: &Backend) -> Proxy {
    let settings = Settings::new(TABLES).backend("app", app);
    let write = |name: &str, text: &str| fs::write(settings.folder().join(name), text).unwrap();
    write("sorry.html", "<b>{status}</b> b{color:red} {request_id}");
    write("own.html", "<i>{title}</i>");
    write("lost.txt", "{status}: nothing here ({reason}) {request_id}");
    write("robot.json", "{\"robot\": true}");
    settings.start().await
}

fn id(answer: &Answer) -> &str {
    answer.field("x-request-id")
}

fn problem(answer: &Answer) -> Value {
    assert_eq!(answer.field("content-type"), "application/problem+json");
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn a_failure_is_told_in_the_form_that_the_client_likes() {
    let app = Backend::start(|_| answer("")).await;
    let proxy = started(&app).await;
    let page = proxy.request("GET", "/dead", BROWSER, b"").await;
    page.assert_failure(502, "connection_refused");
    assert_eq!(page.field("content-type"), "text/html; charset=utf-8");
    assert_eq!(
        page.text(),
        format!("<b>502</b> b{{color:red}} {}", id(&page))
    );
    assert_eq!(page.fields.all("vary"), ["Origin", "Accept"]);
    assert_eq!(page.field("cache-control"), "no-store");
    // One that takes anything gets the file.
    assert!(proxy.get("/dead").await.text().starts_with("<b>502</b>"));
    let lines = "accept: application/json\norigin: https://shop.example\n";
    let details = proxy.request("GET", "/dead", lines, b"").await;
    let told = problem(&details);
    assert_eq!(told["title"], "Bad Gateway");
    assert_eq!(told["status"], 502);
    assert_eq!(told["reason"], "connection_refused");
    assert_eq!(told["request_id"], id(&details));
    let origin = "access-control-allow-origin";
    assert_eq!(details.field(origin), "https://shop.example");
    let plain = proxy
        .request("GET", "/dead", "accept: text/plain\n", b"")
        .await;
    assert!(plain.text().starts_with("502 Bad Gateway: "), "{plain:?}");
    let off = proxy.request("GET", "/off", BROWSER, b"").await;
    assert!(off.text().starts_with("502 Bad Gateway: "), "{off:?}");
    let mut two = proxy.h2_client().await;
    let fields = [("accept", "text/html")];
    let page = two.request("GET", "/dead", &fields, b"").await.unwrap();
    assert!(page.text().starts_with("<b>502</b>"), "{page:?}");
    proxy.finish().await;
}

#[tokio::test]
async fn a_head_has_the_fields_of_the_page_and_grpc_keeps_its_status() {
    let app = Backend::start(|_| answer("")).await;
    let proxy = started(&app).await;
    let page = proxy.request("GET", "/dead", BROWSER, b"").await;
    let head = proxy.request("HEAD", "/dead", BROWSER, b"").await;
    assert_eq!((head.status, head.body.len()), (502, 0));
    for name in ["content-type", "content-length"] {
        assert_eq!(head.field(name), page.field(name), "{name}");
    }
    let mut two = proxy.h2_client().await;
    let fields = [("content-type", "application/grpc"), ("te", "trailers")];
    let call = two.request("POST", "/dead", &fields, b"").await.unwrap();
    assert_eq!(call.status, 200, "{call:?}");
    assert_eq!(call.fields.get("grpc-status"), Some("14"), "{call:?}");
    assert!(call.body.is_empty(), "{call:?}");
    proxy.finish().await;
}

#[tokio::test]
async fn answers_of_endpoints_are_replaced_only_where_the_route_says_all() {
    let app = Backend::start(|seen| {
        let status = seen.target.rsplit('/').next().unwrap_or_default();
        answer_bytes(&format!(
            "HTTP/1.1 {status} Own\r\ncontent-length: 5\r\ncontent-type: a/b\r\netag: \"1\"\r\n\
             content-encoding: gzip\r\nretry-after: 7\r\nwww-authenticate: Basic\r\n\r\nhello"
        ))
    })
    .await;
    let proxy = started(&app).await;
    for (status, expected) in [("404", "Not Found"), ("500", "Internal Server Error")] {
        let page = proxy
            .request("GET", &format!("/app/{status}"), BROWSER, b"")
            .await;
        assert_eq!(page.status.to_string(), status);
        assert_eq!(page.text(), format!("<i>{expected}</i>"));
        for gone in ["content-encoding", "etag", "proxy-status"] {
            assert!(!page.fields.has(gone), "{gone}: {page:?}");
        }
        assert_eq!(page.field("retry-after"), "7");
        assert_eq!(page.field("www-authenticate"), "Basic");
    }
    let json = "accept: application/json\n";
    let details = proxy.request("GET", "/app/503", json, b"").await;
    let told = json!({ "title": "Service Unavailable", "status": 503, "request_id": id(&details) });
    assert_eq!(problem(&details), told);
    for status in ["200", "418", "403"] {
        let own = proxy
            .request("GET", &format!("/app/{status}"), BROWSER, b"")
            .await;
        assert_eq!(own.text(), "hello", "{status}");
    }
    let head = proxy.request("HEAD", "/app/404", BROWSER, b"").await;
    assert_eq!((head.status, head.field("content-length")), (404, "16"));
    let mut two = proxy.h2_client().await;
    let page = two.get("/app/404").await.unwrap();
    assert_eq!(page.text(), "<i>Not Found</i>");
    proxy.finish().await;
}

#[tokio::test]
async fn requests_without_a_route_get_the_page_of_the_listener() {
    let app = Backend::start(|_| answer("")).await;
    let proxy = started(&app).await;
    let lost = proxy.request("GET", "/nowhere", "", b"").await;
    lost.assert_failure(404, "destination_not_found");
    let expected = format!("404: nothing here (destination_not_found) {}", id(&lost));
    assert_eq!(lost.text(), expected);
    let html = proxy
        .request("GET", "/nowhere", "accept: text/html\n", b"")
        .await;
    assert!(html.text().contains("<h1>404 Not Found</h1>"), "{html:?}");
    let mut client = proxy.raw_client().await;
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    let bad = client.answer().await;
    let expected = format!("400: nothing here (http_request_error) {}", id(&bad));
    assert_eq!(bad.text(), expected);
    let first = proxy.request("GET", "/limited", BROWSER, b"").await;
    assert_eq!((first.status, first.text()), (200, "in time".to_owned()));
    let late = proxy.request("GET", "/limited", BROWSER, b"").await;
    late.assert_failure(429, "http_request_denied");
    assert!(late.fields.has("retry-after") && late.fields.has("ratelimit"));
    assert!(late.text().contains("<h1>429 Too Many Requests</h1>"));
    proxy.finish().await;
}

#[tokio::test]
async fn files_are_sent_as_they_are_and_their_changes_are_followed() {
    let app = Backend::start(|_| answer("")).await;
    let proxy = started(&app).await;
    let file = proxy.get("/file").await;
    assert_eq!(
        (file.status, file.text()),
        (203, "{\"robot\": true}".to_owned())
    );
    assert_eq!(file.field("content-type"), "application/json");
    fs::write(proxy.folder().join("sorry.html"), "<u>later</u>").unwrap();
    eventually("the new page", || async {
        let page = proxy.request("GET", "/dead", BROWSER, b"").await;
        (page.text() == "<u>later</u>").then_some(())
    })
    .await;
    // A page that is gone refuses the reload, and the last one stays.
    fs::remove_file(proxy.folder().join("sorry.html")).unwrap();
    proxy.reload_fails().await;
    let page = proxy.request("GET", "/dead", BROWSER, b"").await;
    assert_eq!(page.text(), "<u>later</u>");
    proxy.finish().await;
}
