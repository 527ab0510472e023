//! Fields that several steps read or give: who sees them, and which reach the endpoint.

use std::fs;

use serde_json::json;

use super::jwt::{Issuer, claims, with};
use super::{basic, write_files};
use crate::harness::{Backend, Proxy, Settings, answer, answer_bytes};

const ROUTES: &str = r#"
    [listeners.web]
    address = "$web"
    [routes.either]
    path_prefix = "/either"
    pool = "app"
    auth = { any = [{ basic = { file = "users" } }, { jwt = { jwks = { file = "jwks.json" } } }] }
    [routes.both]
    path_prefix = "/both"
    pool = "app"
    auth = [
        { any = [{ basic = { file = "users" } }, { api_key = { header = "x-api-key", file = "keys" } }] },
        { jwt = { jwks = { file = "jwks.json" } } },
    ]
    [routes.unkept]
    path_prefix = "/unkept"
    pool = "app"
    auth = { any = [{ basic = { file = "users" } }, { jwt = { jwks = { file = "jwks.json" }, keep = false } }] }
    [routes.cookie]
    path_prefix = "/cookie"
    pool = "app"
    auth = { any = [{ basic = { file = "users", keep = true } }, { jwt = { jwks = { file = "jwks.json" }, cookie = "token" } }] }
    [routes.two]
    path_prefix = "/two"
    pool = "app"
    auth = [
        { jwt = { jwks = { file = "jwks.json" }, forward = { x-user = "sub", x-name = "sub" } } },
        { jwt = { jwks = { file = "jwks.json" }, header = "x-device", forward = { x-device-id = "sub", x-name = "sub" } } },
    ]
    [routes.swap]
    path_prefix = "/swap"
    pool = "app"
    auth = { forward = { pool = "leave", headers = ["authorization", "x-user"] } }
    [routes.chain]
    path_prefix = "/chain"
    pool = "app"
    auth = [
        { basic = { file = "users" } },
        { jwt = { jwks = { file = "jwks.json" }, cookie = "token", forward = { x-tenant = "sub" } } },
        { forward = { pool = "leave", headers = ["authorization", "x-user"] } },
    ]
    [pools.app]
    endpoints = ["$app"]
    [pools.leave]
    endpoints = ["$leave"]
"#;

async fn start(issuer: &Issuer, app: &Backend, leave: &Backend) -> Proxy {
    let settings = Settings::new(ROUTES).backend("app", app);
    let settings = settings.backend("leave", leave);
    write_files(settings.folder());
    let keys = issuer.jwks().to_string();
    fs::write(settings.folder().join("jwks.json"), keys).unwrap();
    settings.start().await
}

async fn leave() -> Backend {
    Backend::start(|_| {
        answer_bytes(
            "HTTP/1.1 204 No Content\r\nauthorization: Bearer inner\r\nx-user: anna\r\n\r\n",
        )
    })
    .await
}

#[tokio::test]
async fn credentials_that_let_a_client_in_stay_if_that_step_keeps_them() {
    let (app, leave) = (Backend::start(|_| answer("fine")).await, leave().await);
    let issuer = Issuer::new();
    let proxy = start(&issuer, &app, &leave).await;
    let token = issuer.good(&claims());
    let bearer = format!("authorization: Bearer {token}\n");
    let (cookie, key) = (
        format!("cookie: token={token}; a=1\n"),
        "x-api-key: mobile-key\n",
    );
    let user = basic("anna", "hunter2");
    for (target, lines, authorization, cookies) in [
        ("/either", bearer.clone(), true, ""),
        ("/either", user.clone(), false, ""),
        ("/both", format!("{key}{bearer}"), true, ""),
        ("/unkept", bearer.clone(), false, ""),
        // What nobody has checked does not pass.
        ("/cookie", format!("{user}{cookie}"), true, "a=1"),
        (
            "/cookie",
            format!("{}{cookie}", basic("anna", "wrong")),
            false,
            &*format!("token={token}; a=1"),
        ),
    ] {
        let got = proxy.request("GET", target, &lines, b"").await;
        assert_eq!(got.status, 200, "{target}");
        let seen = app.seen().pop().unwrap();
        assert_eq!(seen.fields.has("authorization"), authorization, "{target}");
        assert_eq!(seen.fields.all("cookie").join(""), cookies, "{target}");
        assert!(!seen.fields.has("x-api-key"));
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_service_sees_the_credentials_that_it_replaces() {
    let (app, leave) = (Backend::start(|_| answer("fine")).await, leave().await);
    let issuer = Issuer::new();
    let proxy = start(&issuer, &app, &leave).await;
    let lines = "authorization: Bearer outer\nx-user: root\n";
    assert_eq!(proxy.request("GET", "/swap", lines, b"").await.status, 200);
    assert_eq!(
        leave.seen().pop().unwrap().fields.all("authorization"),
        ["Bearer outer"]
    );
    let seen = app.seen().pop().unwrap();
    assert_eq!(seen.fields.all("authorization"), ["Bearer inner"]);
    assert_eq!(seen.fields.all("x-user"), ["anna"]);
    // It sees what steps before it give, not what the client wrote there.
    let (token, user) = (issuer.good(&claims()), basic("anna", "hunter2"));
    let lines = format!("{user}cookie: token={token}\nx-tenant: root\n");
    assert_eq!(
        proxy.request("GET", "/chain", &lines, b"").await.status,
        200
    );
    let asked = leave.seen().pop().unwrap();
    assert_eq!(asked.fields.all("x-tenant"), ["anna"]);
    assert!(user.contains(asked.field("authorization")));
    let seen = app.seen().pop().unwrap();
    assert_eq!(seen.fields.all("authorization"), ["Bearer inner"]);
    assert_eq!(seen.fields.all("x-tenant"), ["anna"]);
    proxy.finish().await;
}

#[tokio::test]
async fn each_token_fills_the_fields_of_its_own_step() {
    let (app, leave) = (Backend::start(|_| answer("fine")).await, leave().await);
    let issuer = Issuer::new();
    let proxy = start(&issuer, &app, &leave).await;
    let (anna, device) = (
        issuer.good(&claims()),
        issuer.good(&with("sub", json!("phone"))),
    );
    let lines = format!("authorization: Bearer {anna}\nx-device: {device}\nx-name: root\n");
    assert_eq!(proxy.request("GET", "/two", &lines, b"").await.status, 200);
    let seen = app.seen().pop().unwrap();
    for (name, value) in [
        ("x-user", "anna"),
        ("x-device-id", "phone"),
        ("x-name", "phone"),
    ] {
        assert_eq!(seen.fields.all(name), [value], "{name}");
    }
    proxy.finish().await;
}
