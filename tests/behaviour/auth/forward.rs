//! Leave of a service.

use std::time::Duration;

use crate::harness::{Act, Backend, Proxy, Settings, answer, answer_bytes};

const ROUTES: &str = r#"
    [access_log]
    path = "access.log"
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    auth = { forward = { pool = "leave", path = "/verify?for=app", headers = ["x-user", "x-groups"], user = "x-user", timeout = "500ms" } }
    retry = false
    [pools.app]
    endpoints = ["$app"]
    [pools.leave]
    endpoints = ["$leave"]
"#;

async fn start(app: &Backend, leave: &Backend) -> Proxy {
    let settings = Settings::new(ROUTES).backend("app", app);
    settings.backend("leave", leave).start().await
}

#[tokio::test]
async fn leave_lets_pass_with_what_the_service_says() {
    let app = Backend::start(|_| {
        answer_bytes("HTTP/1.1 200 OK\r\ncontent-length: 4\r\nset-cookie: app=1\r\n\r\nfine")
    })
    .await;
    let leave = Backend::start(|_| {
        answer_bytes(
            "HTTP/1.1 204 No Content\r\nx-user: anna\r\nx-groups: a\r\nx-groups: b\r\n\
             x-other: 1\r\nset-cookie: s=1\r\nset-cookie: t=2\r\n\r\n",
        )
    })
    .await;
    let proxy = start(&app, &leave).await;
    let lines = "x-user: root\nx-forwarded-uri: /evil\nx-original-url: http://evil/\nx-forwarded-method: DELETE\n\
                 authorization: Bearer t\ncookie: c=1\nif-none-match: \"x\"\ncontent-type: text/x\n";
    let got = proxy
        .request("POST", "/orders/1?a=%20b", lines, b"body")
        .await;
    assert_eq!(got.status, 200);
    assert_eq!(got.fields.all("set-cookie"), ["app=1", "s=1", "t=2"]);
    let asked = leave.only();
    assert_eq!((&*asked.method, &*asked.target), ("GET", "/verify?for=app"));
    assert!(asked.body.is_empty() && !asked.fields.has("content-length"));
    for (name, value) in [
        ("x-forwarded-method", "POST"),
        ("x-forwarded-uri", "/orders/1?a=%20b"),
        ("x-original-method", "POST"),
        ("x-original-uri", "/orders/1?a=%20b"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-for", "127.0.0.1"),
        ("authorization", "Bearer t"),
        ("cookie", "c=1"),
    ] {
        assert_eq!(asked.fields.all(name), [value], "{name}");
    }
    let host = asked.field("x-forwarded-host").to_owned();
    let url = format!("http://{host}/orders/1?a=%20b");
    assert_eq!(asked.fields.all("x-original-url"), [&*url]);
    for name in ["if-none-match", "content-type", "x-user"] {
        assert!(!asked.fields.has(name), "{name}");
    }
    let seen = app.only();
    assert_eq!(seen.body, b"body");
    assert_eq!(seen.fields.all("x-user"), ["anna"]);
    assert_eq!(seen.fields.all("x-groups"), ["a", "b"]);
    assert!(!seen.fields.has("x-other"));
    proxy
        .logged("of the user", |line| line["user"] == "anna")
        .await;
    proxy.finish().await;
}

#[tokio::test]
async fn refusals_and_redirects_of_the_service_go_to_the_client() {
    let app = Backend::start(|_| answer("fine")).await;
    let leave = Backend::start(|seen| {
        answer_bytes(match seen.field("x-forwarded-uri") {
            "/401" => "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic realm=\"x\"\r\ncontent-length: 5\r\n\r\nlogin",
            "/403" => "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno",
            _ => "HTTP/1.1 302 Found\r\nlocation: https://login.example/?to=x\r\nset-cookie: state=1\r\ntransfer-encoding: chunked\r\n\r\n2\r\ngo\r\n0\r\n\r\n",
        })
    })
    .await;
    let proxy = start(&app, &leave).await;
    let got = proxy.get("/401").await;
    assert_eq!((got.status, &*got.text()), (401, "login"));
    assert_eq!(got.field("www-authenticate"), "Basic realm=\"x\"");
    let got = proxy.get("/403").await;
    assert_eq!((got.status, &*got.text()), (403, "no"));
    let mut two = proxy.h2_client().await;
    for got in [
        proxy.get("/302").await,
        two.request("GET", "/302", &[], b"").await.unwrap(),
    ] {
        assert_eq!((got.status, &*got.text()), (302, "go"));
        assert_eq!(got.field("location"), "https://login.example/?to=x");
        assert_eq!(got.field("set-cookie"), "state=1");
    }
    assert_eq!(app.count(), 0);
    proxy.finish().await;
}

#[tokio::test]
async fn a_service_that_fails_keeps_everybody_out() {
    let app = Backend::start(|_| answer("fine")).await;
    let leave = Backend::start(|seen| match seen.field("x-forwarded-uri") {
        "/500" => answer_bytes("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n"),
        "/404" => answer_bytes("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"),
        "/304" => answer_bytes("HTTP/1.1 304 Not Modified\r\n\r\n"),
        "/reset" => vec![Act::Reset],
        "/garbage" => answer_bytes("SSH-2.0\r\n\r\n"),
        "/long" => answer_bytes(&format!(
            "HTTP/1.1 403 Forbidden\r\ncontent-length: 70000\r\n\r\n{}",
            "x".repeat(70_000)
        )),
        _ => vec![Act::Pause(Duration::from_secs(3))],
    })
    .await;
    let proxy = start(&app, &leave).await;
    for (target, statuses) in [
        ("/500", [503, 503]),
        ("/404", [503, 503]),
        ("/304", [503, 503]),
        ("/reset", [502, 503]),
        ("/garbage", [502, 503]),
        ("/long", [502, 503]),
        ("/slow", [504, 503]),
    ] {
        let got = proxy.get(target).await;
        assert!(statuses.contains(&got.status), "{target}: {got:?}");
        assert!(got.field("proxy-status").starts_with("sluicegate; error="));
        let id = got.field("x-request-id").to_owned();
        let line = proxy
            .logged("of it", |line| line["request_id"] == *id)
            .await;
        let detail = line["reason_detail"].as_str().unwrap();
        assert!(detail.starts_with("forward: "), "{detail}");
    }
    assert_eq!(app.count(), 0);
    proxy.finish().await;
}
