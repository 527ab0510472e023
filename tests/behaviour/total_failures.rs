//! Requests that fail although the proxy is well: `status`, `/ready` and the overview say so first.

use std::path::Path;

use serde_json::Value;

use crate::harness::{
    Act, Backend, Gate, Proxy, Seen, Settings, answer, answer_bytes, command, eventually,
};

fn text(pool: &str, route: &str) -> String {
    format!(
        r#"
        [proxy]
        workers = 2
        [listeners.web]
        address = "$web"
        [admin]
        address = "$admin"
        token = "0123456789"
        [routes.all]
        pool = "app"
        {route}
        [pools.app]
        {pool}
        "#
    )
}

/// The lines about what is wrong.
fn wrong(folder: &Path) -> Vec<String> {
    let (_, status) = command(folder, &["status"]);
    let lines = status.lines().take_while(|line| line.starts_with("! "));
    lines.map(str::to_owned).collect()
}

/// Sends requests until the lines have all of these.
async fn is_told(proxy: &Proxy, expected: &[&str]) {
    let folder = proxy.folder().to_owned();
    let before = std::cell::RefCell::new(Vec::new());
    eventually(format!("{expected:?}"), async || {
        for _ in 0..12 {
            proxy.get("/").await;
        }
        let lines = wrong(&folder);
        let told = |part: &&str| lines.iter().any(|line| line.contains(part));
        let all = expected.iter().all(told);
        *before.borrow_mut() = lines;
        all.then_some(())
    })
    .await;
    let ready = proxy.admin("GET", "/ready", "").await.unwrap();
    assert_eq!(ready.status, 200, "it takes no fleet out of rotation");
    let ready: Value = serde_json::from_str(&ready.text()).unwrap();
    assert!(!ready["failing"].as_array().unwrap().is_empty(), "{ready}");
}

/// The share of the pool's attempts that failed, as the overview has it.
async fn all_attempts_fail(proxy: &Proxy) {
    eventually("the overview has the failures", async || {
        for _ in 0..12 {
            proxy.get("/").await;
        }
        let overview = proxy.admin("GET", "/overview", "").await.unwrap();
        let overview: Value = serde_json::from_str(&overview.text()).unwrap();
        let [all, failed] = ["pool_per_second", "pool_failed_per_second"]
            .map(|key| overview["attempts"][0][key].as_f64().unwrap_or_default());
        (all > 0.0 && (all - failed).abs() < all * 0.2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_refuses_everything_is_told_although_it_is_the_last_one() {
    let app = Backend::down(|_| answer("fine"));
    let settings = Settings::new(&text(r#"endpoints = ["$app"]"#, ""));
    let proxy = settings.address("app", app.address()).start().await;
    is_told(
        &proxy,
        &[
            "! pool app: all of its attempts fail since 20",
            "! route all: all of its requests fail since 20",
            "most with connection_refused",
        ],
    )
    .await;
    all_attempts_fail(&proxy).await;
    proxy.log_says("requests fail").await;
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_that_always_answers_500_is_told_and_counts_as_failed() {
    let five = |_: &Seen| answer_bytes("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n");
    let app = Backend::start(five).await;
    let settings = Settings::new(&text(r#"endpoints = ["$app"]"#, ""));
    let proxy = settings.backend("app", &app).start().await;
    is_told(
        &proxy,
        &[
            "! pool app: all of its attempts",
            "! route all: all of its requests",
            "most with 5xx answers",
        ],
    )
    .await;
    all_attempts_fail(&proxy).await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_pool_of_endpoints_without_weight_cannot_serve_and_says_so() {
    let app = Backend::start(|_| answer("fine")).await;
    let pool = r#"endpoints = [{ address = "$app", weight = 0 }]"#;
    let proxy = Settings::new(&text(pool, ""))
        .backend("app", &app)
        .start()
        .await;
    is_told(&proxy, &["! pool app: no endpoint can serve since 20"]).await;
    let (_, status) = command(proxy.folder(), &["status"]);
    assert!(status.contains("1 weight 0"), "{status}");
    let row = status.lines().last().unwrap();
    assert!(
        row.contains("weight 0") && !row.contains("healthy"),
        "{row}"
    );
    let (_, told) = command(proxy.folder(), &["explain", "GET", "http://a/", "--live"]);
    assert!(told.contains("skipped: weight 0"), "{told}");
    proxy.log_says("no endpoint can serve").await;
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_drained_by_hand_is_told_with_the_way_back() {
    let app = Backend::start(|_| answer("fine")).await;
    let settings = Settings::new(&text(r#"endpoints = ["$app"]"#, ""));
    let proxy = settings.backend("app", &app).start().await;
    let name = format!("app/{}", app.address());
    let (code, said) = command(proxy.folder(), &["endpoint", "drain", &name]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("warning: no endpoint of pool \"app\" can serve now: 1 draining"),
        "{said}"
    );
    let line = format!("1 draining; `sluicegate endpoint enable {name}` brings it back");
    is_told(&proxy, &[&line]).await;
    let (_, said) = command(proxy.folder(), &["endpoint", "enable", &name]);
    assert!(!said.is_empty());
    eventually("the pool can serve again", async || {
        let lines = wrong(proxy.folder());
        (!lines
            .iter()
            .any(|line| line.contains("no endpoint can serve")))
        .then_some(())
    })
    .await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_full_limit_on_requests_at_once_is_told_while_it_refuses() {
    let gate = Gate::new();
    let waiting = gate.clone();
    let script =
        move |_: &Seen| [vec![Act::Read, Act::Wait(waiting.clone())], answer("app")].concat();
    let app = Backend::start(script).await;
    let route = "concurrency = { max = 1 }";
    let settings = Settings::new(&text(r#"endpoints = ["$app"]"#, route));
    let proxy = settings.backend("app", &app).start().await;
    let mut first = proxy.client().await;
    first
        .send("GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_owned())
        .await;
    app.has_seen(1).await;
    is_told(
        &proxy,
        &[
            "! route all: its `concurrency` is full at 1 and refuses requests since 20",
            "most with connection_limit_reached",
        ],
    )
    .await;
    gate.open();
    assert_eq!(first.answer().await.status, 200);
    proxy.finish().await;
}
