//! `auth` of a route: who may pass, what others learn of it, and what reaches the endpoint.

mod basic;
mod claims;
mod fields;
mod forward;
mod jwt;
mod oidc;
mod password_campaign;
mod programs;
mod token_keys;

use std::fs;
use std::path::Path;

use crate::harness::{Backend, Proxy, Settings, answer, answer_bytes, command, to_base64};

/// `hunter2`, by bcrypt, SHA-crypt and `$apr1$`.
const USERS: &str = "anna:$2y$05$cglV4G/31VZcCzxGtr7ajO1ipP8qzjjrtxMuXwD08mJ6wLcto3nLW
ben:$6$CJneEiQrEmJdl4gx$5Qe1PBLfrO3DTYGAIvq.xCIaEFA3yC6DUYTzf2zvSjcuo9CJBa54/c7IpdoiurPalJwjiCtc.CqbDsHTtESgI.
cleo:$apr1$cKMct.IP$3LociPIjGJotkfCukh/tx0
";
/// The keys `mobile-key` and `partner-key`.
const KEYS: &str = "mobile sha256:@mobile
partner sha256:@partner
";

const ROUTES: &str = r#"
    [access_log]
    path = "access.log"
    [listeners.web]
    address = "$web"
    [routes.open]
    path_prefix = "/open"
    pool = "app"
    [routes.basic]
    path_prefix = "/basic"
    pool = "app"
    auth = { basic = { file = "users", realm = "the shop" } }
    cors = { origins = ["https://shop.example"] }
    headers_request = { set = { x-user = "{auth.user}" } }
    headers_response = { set = { x-seen = "yes" } }
    [routes.kept]
    path_prefix = "/kept"
    pool = "app"
    auth = { basic = { file = "users", keep = true } }
    [routes.header]
    path_prefix = "/header"
    pool = "app"
    auth = { api_key = { header = "x-api-key", file = "keys" } }
    [routes.bearer]
    path_prefix = "/bearer"
    pool = "app"
    auth = { api_key = { header = "authorization", file = "keys" } }
    [routes.query]
    path_prefix = "/query"
    pool = "app"
    auth = { api_key = { query = "key", file = "keys" } }
    [routes.cookie]
    path_prefix = "/cookie"
    pool = "app"
    auth = { api_key = { cookie = "key", file = "keys" } }
    [routes.all]
    path_prefix = "/all"
    pool = "app"
    auth = [{ api_key = { header = "x-api-key", file = "keys" } }, { basic = { file = "users" } }]
    [routes.any]
    path_prefix = "/any"
    pool = "app"
    auth = { any = [{ api_key = { header = "x-api-key", file = "keys" } }, { basic = { file = "users", keep = true } }] }
    [pools.app]
    endpoints = ["$app"]
"#;

async fn start(text: &str, app: &Backend) -> Proxy {
    let settings = Settings::new(text).backend("app", app);
    write_files(settings.folder());
    settings.start().await
}

fn write_files(folder: &Path) {
    let hex = |key: &str| {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.as_bytes());
        let hex = hash.as_ref().iter().map(|byte| format!("{byte:02x}"));
        hex.collect::<String>()
    };
    let keys = KEYS
        .replace("@mobile", &hex("mobile-key"))
        .replace("@partner", &hex("partner-key"));
    fs::write(folder.join("users"), USERS).unwrap();
    fs::write(folder.join("keys"), keys).unwrap();
}

/// A field with a name and a password.
fn basic(name: &str, password: &str) -> String {
    format!(
        "authorization: Basic {}\n",
        to_base64(format!("{name}:{password}").as_bytes())
    )
}

#[tokio::test]
async fn what_a_client_says_of_itself_does_not_reach_the_endpoint() {
    let app = Backend::start(|_| answer("fine")).await;
    let proxy = start(ROUTES, &app).await;
    let lines = format!("{}x-user: root\n", basic("anna", "hunter2"));
    assert_eq!(
        proxy.request("GET", "/basic/1", &lines, b"").await.status,
        200
    );
    let seen = app.seen().pop().unwrap();
    assert_eq!(seen.fields.all("x-user"), ["anna"]);
    assert!(!seen.fields.has("authorization"));
    // Nor in trailers.
    let chunked = format!(
        "POST /basic/1 HTTP/1.1\r\nhost: a\r\n{}te: trailers\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-user: root\r\nx-other: 1\r\n\r\n",
        basic("anna", "hunter2").replace('\n', "\r\n")
    );
    let mut client = proxy.client().await;
    client.send(chunked).await;
    assert_eq!(client.answer().await.status, 200);
    let seen = app.seen().pop().unwrap();
    assert!(!format!("{seen:?}").contains("root"), "{seen:?}");
    // Unless the route says so.
    let good = basic("anna", "hunter2");
    assert_eq!(
        proxy.request("GET", "/kept/1", &good, b"").await.status,
        200
    );
    let seen = app.seen().pop().unwrap();
    assert!(good.contains(seen.field("authorization")));
    proxy.finish().await;
}

#[tokio::test]
async fn preflights_need_no_credentials_and_pages_can_read_a_refusal() {
    let app = Backend::start(|_| answer("fine")).await;
    let proxy = start(ROUTES, &app).await;
    let origin = "origin: https://shop.example\n";
    let lines = format!("{origin}access-control-request-method: PUT\n");
    let preflight = proxy.request("OPTIONS", "/basic/1", &lines, b"").await;
    assert_eq!(preflight.status, 204);
    let refused = proxy.request("GET", "/basic/1", origin, b"").await;
    refused.assert_failure(401, "http_request_denied");
    assert_eq!(
        refused.field("access-control-allow-origin"),
        "https://shop.example"
    );
    // Another OPTIONS is a request like any.
    let other = proxy.request("OPTIONS", "/basic/1", "", b"").await;
    other.assert_failure(401, "http_request_denied");
    assert_eq!(app.count(), 0);
    proxy.finish().await;
}

#[tokio::test]
async fn of_a_list_all_must_pass_and_of_any_one() {
    let app = Backend::start(|_| answer("fine")).await;
    let proxy = start(ROUTES, &app).await;
    let (key, user) = ("x-api-key: mobile-key\n", basic("anna", "hunter2"));
    let wrong = basic("anna", "wrong");
    for (target, lines, status) in [
        ("/all/1", key.to_owned(), 401),
        ("/all/1", user.clone(), 401),
        ("/all/1", format!("{key}{user}"), 200),
        ("/all/1", format!("{key}{wrong}"), 401),
        ("/any/1", String::new(), 401),
        ("/any/1", key.to_owned(), 200),
        ("/any/1", user.clone(), 200),
        ("/any/1", wrong.clone(), 401),
    ] {
        let got = proxy.request("GET", target, &lines, b"").await;
        assert_eq!(got.status, status, "{target} {lines}");
    }
    // Who comes in by one way cannot forge the other.
    let forged = format!("{key}{wrong}");
    assert_eq!(
        proxy.request("GET", "/any/1", &forged, b"").await.status,
        200
    );
    assert!(!app.seen().pop().unwrap().fields.has("authorization"));
    // All ways are told.
    let refused = proxy.request("GET", "/any/1", "", b"").await;
    let challenges = refused.fields.all("www-authenticate");
    assert_eq!(
        challenges,
        [
            "ApiKey realm=\"any\"",
            "Basic realm=\"any\", charset=\"UTF-8\""
        ]
    );
    // It is told where a request would go, too.
    let (_, told) = command(proxy.folder(), &["explain", "GET", "http://a/any/1"]);
    assert!(told.contains("auth: api_key | basic"), "{told}");
    let routes = proxy.admin("GET", "/routes", "").await.unwrap().text();
    let routes: serde_json::Value = serde_json::from_str(&routes).unwrap();
    let all = routes
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["name"] == "all");
    assert_eq!(
        all.unwrap()["auth"],
        serde_json::json!(["api_key", "basic"])
    );
    proxy.finish().await;
}

#[tokio::test]
async fn nobody_has_no_name_whatever_he_says() {
    let app = Backend::start(|_| answer("fine")).await;
    let text = r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        headers_request = { set = { x-user = "{auth.user}" } }
        [pools.app]
        endpoints = ["$app"]
    "#;
    let proxy = start(text, &app).await;
    let got = proxy.request("GET", "/", "x-user: root\n", b"").await;
    assert_eq!(got.status, 200);
    assert_eq!(app.only().fields.all("x-user"), [""]);
    proxy.finish().await;
}

#[tokio::test]
async fn what_one_user_gets_is_not_stored_for_another() {
    let app = Backend::start(|seen| {
        let fields = "cache-control: max-age=60\r\n";
        answer_bytes(&format!(
            "HTTP/1.1 200 OK\r\n{fields}content-length: 4\r\n\r\n{}",
            seen.field("x-user")
        ))
    })
    .await;
    let text = ROUTES.replace("cors =", "cache = {}\n    cors =");
    let proxy = start(&text, &app).await;
    for name in ["anna", "cleo", "anna"] {
        let got = proxy
            .request("GET", "/basic/1", &basic(name, "hunter2"), b"")
            .await;
        assert_eq!(got.text(), name);
    }
    proxy.finish().await;
}
