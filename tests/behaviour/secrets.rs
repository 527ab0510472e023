//! Values kept outside the configuration file are masked in all output, and changes to them are
//! followed.

use std::fs;

use crate::harness::{Backend, Proxy, Settings, eventually, identity};

/// A configuration with values from elsewhere in many kinds of places.
const KEPT: &str = r#"
    [admin]
    address = "$admin"
    token = { file = "token" }
    [access_log]
    path = "access.log"
    [listeners.web]
    address = "$web"
    limits = { head = { env = "HEAD_MAX", default = "32KiB" } }
    [routes.all]
    pool = { env = "POOL_NAME" }
    timeouts = { total = { env = "TOTAL" } }
    headers = { x-tenant = { env = "TENANT" } }
    headers_request = { set = { x-key = { file = "key" }, x-plain = "seen" }, add = { authorization = "Basic cGxhaW4" } }
    [pools.app]
    picker = { env = "PICKER" }
    endpoints = [{ env = "ENDPOINT" }]
"#;

async fn start(app: &Backend) -> Proxy {
    let settings = Settings::new(KEPT)
        .backend("app", app)
        .variable("POOL_NAME", "app")
        .variable("TOTAL", "17s")
        .variable("TENANT", "acme-tenant")
        .variable("PICKER", "random")
        .variable("ENDPOINT", &app.address().to_string());
    fs::write(settings.folder().join("key"), "first-key\n").unwrap();
    fs::write(settings.folder().join("token"), "first-token\n").unwrap();
    settings.start().await
}

async fn status(proxy: &Proxy, token: &str) -> u16 {
    let lines = format!("authorization: Bearer {token}");
    let answer = proxy.admin("POST", "/reload", &lines).await;
    answer.expect("an answer").status
}

#[tokio::test]
async fn strings_from_elsewhere_are_used_and_shown_nowhere() {
    let app = Backend::start(identity("app")).await;
    let mut proxy = start(&app).await;
    let mut client = proxy.client().await;
    let answer = client
        .request("GET", "/", "x-tenant: acme-tenant", b"")
        .await;
    assert_eq!(answer.text(), "app");
    let seen = app.only();
    assert_eq!(seen.field("x-key"), "first-key");
    assert_eq!(seen.field("authorization"), "Basic cGxhaW4");
    // A change elsewhere in the file is reported.
    let changed = KEPT
        .replace("\"seen\"", "\"new\"")
        .replace("Basic cGxhaW4", "Basic b3RoZXI");
    proxy.reload(&changed).await;
    let token = "authorization: Bearer first-token";
    let mut shown = proxy.log();
    for target in ["/config", "/routes", "/status", "/requests"] {
        if let Some(answer) = proxy.admin("GET", target, token).await {
            shown.push_str(&answer.text());
        }
    }
    let config = proxy.admin("GET", "/config", token).await.unwrap().text();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    let all = &config["routes"]["all"];
    assert_eq!(all["timeouts"]["total"], "***");
    assert_eq!(all["headers_request"]["set"]["x-key"], "***");
    assert_eq!(all["headers_request"]["set"]["x-plain"], "new");
    assert_eq!(config["pools"]["app"]["endpoints"][0]["address"], "***");
    assert_eq!(config["listeners"]["web"]["limits"]["head"], "***");
    for secret in [
        "first-key",
        "first-token",
        "acme-tenant",
        "17s",
        "cGxhaW4",
        "b3RoZXI",
    ] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert!(
        shown.contains("headers_request.add.authorization changed"),
        "{shown}"
    );
    assert!(shown.contains("x-plain seen -> new"), "{shown}");
    proxy.finish().await;
}

#[tokio::test]
async fn values_are_followed_when_their_files_change() {
    let app = Backend::start(identity("app")).await;
    let proxy = start(&app).await;
    assert_eq!(status(&proxy, "first-token").await, 200);
    let key = proxy.folder().join("key");
    let token = proxy.folder().join("token");
    fs::write(&key, "second-key").unwrap();
    eventually("the new key is sent", || async {
        let mut client = proxy.client().await;
        client
            .request("GET", "/", "x-tenant: acme-tenant", b"")
            .await;
        (app.seen().last()?.field("x-key") == "second-key").then_some(())
    })
    .await;
    // As a mounted secret is replaced: another file by the same name.
    fs::write(token.with_extension("new"), "second-token").unwrap();
    fs::rename(token.with_extension("new"), &token).unwrap();
    eventually("the new token is good", || async {
        (status(&proxy, "second-token").await == 200).then_some(())
    })
    .await;
    assert_eq!(status(&proxy, "first-token").await, 401);
    proxy.log_says("token changed").await;
    let log = proxy.log();
    assert!(!log.contains("second-"), "{log}");
    proxy.finish().await;
}

#[tokio::test]
async fn a_missing_file_refuses_the_reload_until_it_comes() {
    let respond = |body: &str| {
        format!(
            "[listeners.web]\naddress = \"$web\"\n[routes.all]\nrespond = {{ body = {body} }}\n"
        )
    };
    let mut proxy = Settings::new(&respond("\"one\"")).start().await;
    proxy.replace(&respond("{ file = \"body\" }"));
    proxy.reload_fails().await;
    assert_eq!(proxy.get("/").await.text(), "one");
    proxy.log_says("routes.all.respond.body: the file").await;
    fs::write(proxy.folder().join("body"), "two\n").unwrap();
    eventually("the body is served", || async {
        (proxy.get("/").await.text() == "two").then_some(())
    })
    .await;
    // A file that goes changes nothing but the report.
    fs::remove_file(proxy.folder().join("body")).unwrap();
    proxy.reload_fails().await;
    assert_eq!(proxy.get("/").await.text(), "two");
    proxy.finish().await;
}

#[tokio::test]
async fn what_the_access_log_masks_is_masked_in_recent_requests() {
    let text = r#"
        [access_log]
        path = "access.log"
        fields = { redact = ["key"] }
        [listeners.web]
        address = "$web"
        [routes.all]
        respond = { status = 200 }
    "#;
    let proxy = Settings::new(text).start().await;
    assert_eq!(proxy.get("/a?x=1&key=hunter2&y=2").await.status, 200);
    let line = proxy.logged("it", |line| line["status"] == 200).await;
    let one = format!("/requests/{}", line["request_id"].as_str().unwrap());
    for target in ["/requests", &one] {
        let shown = proxy.admin("GET", target, "").await.unwrap().text();
        assert!(shown.contains("/a?x=1&key=***&y=2"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn an_admin_api_that_leaves_the_file_answers_no_more() {
    let text = |admin: &str| {
        format!("{admin}[listeners.web]\naddress = \"$web\"\n[routes.all]\nrespond = {{}}\n")
    };
    let mut proxy = Settings::new(&text("[admin]\naddress = \"$admin\"\n"))
        .start()
        .await;
    // The harness adds an admin API where the text names none.
    proxy.replace(&text("# no [admin]\n"));
    eventually("nobody listens there", || async {
        proxy
            .admin("GET", "/live", "")
            .await
            .is_none()
            .then_some(())
    })
    .await;
    assert_eq!(proxy.get("/").await.status, 200);
    assert!(!proxy.log().contains("restart"), "{}", proxy.log());
    proxy.signal(rustix::process::Signal::TERM);
    assert!(proxy.exited().await.success());
}
