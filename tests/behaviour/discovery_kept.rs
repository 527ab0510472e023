//! Lists of endpoints that are kept on disk: a start while the registry is away has them.

use std::fs;

use rustix::process::Signal;
use serde_json::json;

use crate::discovery::{at, becomes, pool};
use crate::harness::{Act, Backend, Settings, eventually, identity};

const TEXT: &str = r#"
    [proxy]
    workers = 2
    state_dir = "state"
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    [pools.app]
    discover = { http = { url = "http://$list/orders", interval = "100ms" } }
    "#;

fn list(backend: &Backend) -> Vec<Act> {
    let body = json!([{ "address": at(backend), "weight": 3, "version": "1.4.2" }]).to_string();
    let length = body.len();
    vec![Act::Send(
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes(),
    )]
}

#[tokio::test]
async fn a_start_while_the_registry_is_away_uses_the_list_that_was_kept() {
    let app = Backend::start(identity("app")).await;
    let answer = list(&app);
    let mut registry = Backend::start(move |_| answer.clone()).await;
    let settings = Settings::new(TEXT)
        .backend("app", &app)
        .address("list", registry.address());
    let state = settings.folder().join("state");
    let mut proxy = settings.start().await;
    becomes(&proxy, &[&app]).await;
    let kept = || {
        let files = fs::read_dir(&state).ok()?;
        let mut files = files.filter_map(|it| it.ok()?.file_name().into_string().ok());
        files.find(|name| name.starts_with("endpoints-") && name.ends_with(".json"))
    };
    let name = eventually("the list is kept", || async { kept() }).await;
    registry.kill().await;
    proxy.signal(Signal::TERM);
    proxy.exited().await;
    proxy.start_again().await;
    assert_eq!(proxy.get("/").await.text(), "app");
    let shown = pool(&proxy).await;
    assert_eq!(shown["endpoints"][0]["weight"], 3);
    assert_eq!(shown["endpoints"][0]["version"], "1.4.2");
    assert!(shown["discovery"]["restored"].is_string(), "{shown}");
    proxy
        .log_says("the list that was kept on disk is used")
        .await;
    registry.up().await;
    eventually("the source is reached again", || async {
        pool(&proxy).await["discovery"]["restored"]
            .is_null()
            .then_some(())
    })
    .await;
    // What is torn is told and not used.
    registry.kill().await;
    fs::write(state.join(name), "{").unwrap();
    proxy.signal(Signal::TERM);
    proxy.exited().await;
    proxy.start_again().await;
    assert_eq!(proxy.get("/").await.status, 503);
    proxy
        .log_says("the kept list of endpoints cannot be read")
        .await;
    registry.up().await;
    becomes(&proxy, &[&app]).await;
    proxy.finish().await;
}
