//! Access by what a token says of its owner.

use std::fs;

use serde_json::{Value, json};

use super::jwt::{Issuer, ask, with};
use super::{basic, write_files};
use crate::harness::{Backend, Settings, answer};

const ROUTES: &str = r#"
    [access_log]
    path = "access.log"
    [listeners.web]
    address = "$web"
    [routes.staff]
    path_prefix = "/staff"
    pool = "app"
    auth = { any = [{ jwt = { jwks = { file = "jwks.json" } } }, { basic = { file = "users" } }] }
    access = { groups = ["staff", "admins"], groups_claim = "realm.roles", claims = { role = "admin" } }
    [pools.app]
    endpoints = ["$app"]
"#;

#[tokio::test]
async fn only_users_of_the_groups_pass_and_their_claims_are_verified_first() {
    let app = Backend::start(|_| answer("fine")).await;
    let (issuer, other) = (Issuer::new(), Issuer::new());
    let settings = Settings::new(ROUTES).backend("app", &app);
    write_files(settings.folder());
    let keys = issuer.jwks().to_string();
    fs::write(settings.folder().join("jwks.json"), keys).unwrap();
    let proxy = settings.start().await;
    let realm = |roles: Value| with("realm", json!({ "roles": roles }));
    let mut no_admin = realm(json!(["staff"]));
    no_admin["role"] = json!("user");
    for (claims, status) in [
        (realm(json!(["guests", "staff"])), 200),
        (realm(json!("admins")), 200),
        (realm(json!(["guests"])), 403),
        (realm(json!([])), 403),
        (realm(json!("staff admins")), 403),
        (with("realm", Value::Null), 403),
        (no_admin, 403),
    ] {
        let got = ask(&proxy, "/staff", &issuer.good(&claims)).await;
        assert_eq!(got.status, status, "{claims}");
        if status == 403 {
            got.assert_failure(403, "http_request_denied");
            let id = got.field("x-request-id").to_owned();
            let line = proxy
                .logged("of it", |line| line["request_id"] == *id)
                .await;
            assert!(
                line["reason_detail"]
                    .as_str()
                    .unwrap()
                    .starts_with("access: ")
            );
        }
    }
    let forged = other.good(&realm(json!(["staff"])));
    assert_eq!(ask(&proxy, "/staff", &forged).await.status, 401);
    // Who comes in without claims is in no group.
    let lines = basic("anna", "hunter2");
    let got = proxy.request("GET", "/staff", &lines, b"").await;
    got.assert_failure(403, "http_request_denied");
    assert_eq!(app.count(), 2);
    proxy.finish().await;
}
