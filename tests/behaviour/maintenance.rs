//! `maintenance`: a route is closed and opened again, by a command or by its table.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Backend, Proxy, Settings, answer, command, eventually};

const TABLES: &str = r#"
        [proxy]
        state_dir = "state"
        trusted_proxies = ["127.0.0.1/32"]
        [admin]
        address = "$admin"
        token = "correct-horse"
        [listeners.web]
        address = "$web"
        [routes.shop]
        path_prefix = "/shop"
        pool = "app"
        maintenance = { on = false, file = "soon.html", allow = ["10.1.0.0/16"], retry_after = "2m" }
        [routes.api]
        path_prefix = "/api"
        pool = "app"
        error_pages = { "503" = {} }
        [routes.closed]
        path = "/closed"
        pool = "app"
        maintenance = {}
        [pools.app]
        endpoints = ["$app"]
"#;

async fn started(app: &Backend) -> Proxy {
    let settings = Settings::new(TABLES).backend("app", app);
    fs::write(settings.folder().join("soon.html"), "<b>soon {status}</b>").unwrap();
    settings.start().await
}

/// Runs the command; returns what it says.
async fn switch(proxy: &Proxy, arguments: &str, code: i32) -> String {
    switch_by("proxy.toml", proxy, arguments, code).await
}

async fn switch_by(config: &str, proxy: &Proxy, arguments: &str, code: i32) -> String {
    let folder = proxy.folder().to_owned();
    let arguments = format!("--config {config} maintenance {arguments}");
    let ran = tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        command(&folder, &arguments)
    });
    let (status, text) = ran.await.unwrap();
    assert_eq!(status, Some(code), "{text}");
    text
}

async fn status(proxy: &Proxy, target: &str, lines: &str) -> u16 {
    proxy.request("GET", target, lines, b"").await.status
}

async fn told(proxy: &Proxy, target: &str) -> Value {
    let answer = proxy.admin("GET", target, TOKEN).await.unwrap();
    serde_json::from_slice(&answer.body).unwrap()
}

const TOKEN: &str = "authorization: Bearer correct-horse\naccept: application/json\n";
const GAUGE: &str = "sluicegate_routes_in_maintenance";

#[tokio::test(flavor = "multi_thread")]
async fn one_command_closes_a_route_and_another_opens_it() {
    let app = Backend::start(|_| answer("open")).await;
    let proxy = started(&app).await;
    assert_eq!(status(&proxy, "/shop", "").await, 200);
    let said = switch(&proxy, "on shop --allow 10.2.0.0/16", 0).await;
    assert_eq!(said.trim(), "closed for maintenance: closed, shop");
    let shut = proxy.get("/shop").await;
    assert_eq!(
        (shut.status, shut.text()),
        (503, "<b>soon 503</b>".to_owned())
    );
    assert_eq!(shut.field("retry-after"), "120");
    assert!(
        shut.field("proxy-status").contains("error=maintenance"),
        "{shut:?}"
    );
    let mut two = proxy.h2_client().await;
    assert_eq!(two.get("/shop").await.unwrap().status, 503);
    let fields = [("content-type", "application/grpc"), ("te", "trailers")];
    let call = two.request("POST", "/shop", &fields, b"").await.unwrap();
    assert_eq!(call.fields.get("grpc-status"), Some("14"), "{call:?}");
    // Those of the table and those of the command are let in.
    for client in ["10.1.9.9", "10.2.9.9"] {
        let lines = format!("x-forwarded-for: {client}\n");
        assert_eq!(status(&proxy, "/shop", &lines).await, 200, "{client}");
    }
    assert_eq!(status(&proxy, "/api", "").await, 200);
    let routes = told(&proxy, "/routes").await;
    let closed = |name: &str| {
        let mut routes = routes.as_array().unwrap().iter();
        let route = routes.find(|route| route["name"] == name).unwrap();
        route["maintenance"] == true
    };
    assert!(
        closed("shop") && closed("closed") && !closed("api"),
        "{routes}"
    );
    let both = serde_json::json!(["closed", "shop"]);
    assert_eq!(told(&proxy, "/status").await["maintenance"], both);
    let gauge = proxy.admin("GET", "/metrics", TOKEN).await.unwrap().text();
    assert!(gauge.contains(&format!("{GAUGE} 2\n")), "{gauge}");
    let events = told(&proxy, "/events?last=100").await.to_string();
    assert!(events.contains(r#""action":"maintenance""#), "{events}");
    switch(&proxy, "off shop", 0).await;
    assert_eq!(status(&proxy, "/shop", "").await, 200);
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_routes_can_be_closed_and_a_broken_file_is_no_obstacle() {
    let app = Backend::start(|_| answer("open")).await;
    let mut proxy = started(&app).await;
    proxy.replace("[listeners");
    proxy.log_says("reload refused").await;
    fs::write(proxy.folder().join("ask.toml"), ask_text(&proxy)).unwrap();
    switch_by("ask.toml", &proxy, "on --all --retry-after 1h", 0).await;
    let json = "accept: application/json\n";
    let shut = proxy.request("GET", "/api", json, b"").await;
    assert_eq!((shut.status, shut.field("retry-after")), (503, "3600"));
    let problem: Value = serde_json::from_slice(&shut.body).unwrap();
    assert_eq!(problem["reason"], "maintenance");
    let said = switch_by("ask.toml", &proxy, "off api", 1).await;
    assert!(
        said.contains("still closed: api; `maintenance off --all` opens"),
        "{said}"
    );
    let said = switch_by("ask.toml", &proxy, "off --all", 1).await;
    assert!(said.contains("still closed: closed"), "{said}");
    assert_eq!(status(&proxy, "/api", "").await, 200);
    proxy.finish().await;
}

/// A configuration that says only where the admin API is.
fn ask_text(proxy: &Proxy) -> String {
    let (admin, web) = (proxy.address("admin"), proxy.address("web"));
    format!(
        "[admin]\naddress = \"{admin}\"\ntoken = \"correct-horse\"\n\
         [listeners.web]\naddress = \"{web}\"\n[routes.all]\nrespond = {{}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_route_stays_closed_over_reloads_and_restarts() {
    let app = Backend::start(|_| answer("open")).await;
    let mut proxy = started(&app).await;
    switch(&proxy, "on api", 0).await;
    proxy.replace(&format!(
        "{TABLES}\n[routes.more]\npath = \"/more\"\npool = \"app\"\n"
    ));
    eventually("the reload", || async {
        (status(&proxy, "/more", "").await == 200).then_some(())
    })
    .await;
    assert_eq!(status(&proxy, "/api", "").await, 503);
    // What the table says is not for the command to undo.
    let said = switch(&proxy, "off closed", 1).await;
    assert!(said.contains("still closed: closed;"), "{said}");
    let said = switch(&proxy, "on nothing", 1).await;
    assert!(said.contains("no route \"nothing\""), "{said}");
    let said = switch(&proxy, "on api --allow ten", 1).await;
    assert!(said.contains("ten"), "{said}");
    assert!(switch(&proxy, "on", 2).await.contains("name the route"));
    let kept = || {
        let files = fs::read_dir(proxy.folder().join("state")).unwrap();
        let names = files.map(|it| it.unwrap().file_name().into_string().unwrap());
        names.filter(|it| it.starts_with("maintenance-")).count()
    };
    eventually("the record", || async { (kept() == 1).then_some(()) }).await;
    proxy.signal(Signal::TERM);
    proxy.exited().await;
    proxy.start_again().await;
    assert_eq!(status(&proxy, "/api", "").await, 503);
    assert_eq!(status(&proxy, "/more", "").await, 200);
    switch(&proxy, "off api", 0).await;
    assert_eq!(status(&proxy, "/api", "").await, 200);
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_state_dir_the_command_says_that_a_restart_opens_the_route() {
    let app = Backend::start(|_| answer("open")).await;
    let text = TABLES.replace("state_dir = \"state\"", "");
    let settings = Settings::new(&text).backend("app", &app);
    fs::write(settings.folder().join("soon.html"), "soon").unwrap();
    let proxy = settings.start().await;
    let said = switch(&proxy, "on shop", 0).await;
    assert!(
        said.contains("closed for maintenance: closed, shop"),
        "{said}"
    );
    assert!(
        said.contains("a restart or an upgrade of the proxy opens it again"),
        "{said}"
    );
    let said = switch(&proxy, "off shop", 0).await;
    assert!(!said.contains("restart"), "{said}");
    proxy.finish().await;
}
