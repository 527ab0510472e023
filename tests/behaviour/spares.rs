//! While one endpoint can serve no client notices the others: not those that are dead and known
//! to be, nor those that nobody asked yet.

use crate::harness::{Act, Backend, Gate, Port, Proxy, Settings, answer, answer_bytes, identity};

const HEAD: &str = r#"
    [proxy]
    workers = 1
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
"#;

/// Pools whose endpoints are dead but for `$good`; all the rest is at its default.
const POOLS: [(&str, &str); 4] = [
    (
        "two of three",
        r#"
        [pools.app]
        endpoints = ["$deada", "$good", "$deadb"]
        "#,
    ),
    (
        "all of the first priority",
        r#"
        [pools.app]
        endpoints = ["$deada", "$deadb", { address = "$good", priority = 1 }]
        "#,
    ),
    (
        "all of the preferred zone",
        r#"
        [pools.app]
        zone = { prefer = "near" }
        endpoints = [{ address = "$deada", zone = "near" }, { address = "$deadb", zone = "near" }, { address = "$good", zone = "far" }]
        "#,
    ),
    (
        "all of the pool",
        r#"
        [pools.app]
        endpoints = ["$deada", "$deadb"]
        failover = ["empty", "spare"]
        [pools.empty]
        endpoints = ["$deada"]
        [pools.spare]
        endpoints = ["$good"]
        "#,
    ),
];

/// Starts the proxy with `$good` alone alive; with health checks, waits until they know it.
async fn start(text: &str, good: &Backend, checked: bool) -> Proxy {
    let (a, b) = (Port::take(), Port::take());
    let mut text = format!("{HEAD}{text}");
    if checked {
        text = text.replace("[pools.app]", "[pools.app]\nhealth = { tcp = {} }");
        text = text.replace("[pools.empty]", "[pools.empty]\nhealth = { tcp = {} }");
    }
    let proxy = Settings::new(&text)
        .address("deada", a.address())
        .address("deadb", b.address())
        .backend("good", good)
        .start()
        .await;
    if checked {
        for dead in [a.address(), b.address()] {
            let dead = dead.to_string();
            let labels = [("pool", "app"), ("endpoint", dead.as_str())];
            proxy
                .metric_becomes("sluicegate_endpoint_healthy", &labels, 0.0)
                .await;
        }
    }
    proxy
}

async fn all_are_served(checked: bool) {
    for (dead, text) in POOLS {
        let good = Backend::start(identity("good")).await;
        let proxy = start(text, &good, checked).await;
        for n in 0..30 {
            for method in ["GET", "POST"] {
                let answer = proxy.request(method, "/", "", b"body").await;
                assert_eq!(answer.text(), "good", "{method} {n}, {dead} dead");
            }
        }
        assert_eq!(good.count(), 60, "{dead} dead");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn with_checks_no_request_fails_while_one_endpoint_can_serve() {
    all_are_served(true).await;
}

#[tokio::test]
async fn without_checks_no_request_fails_while_one_endpoint_can_serve() {
    all_are_served(false).await;
}

#[tokio::test]
async fn no_try_is_spent_on_an_endpoint_that_got_nothing() {
    let good = Backend::start(identity("good")).await;
    let dead: Vec<Port> = (0..8).map(|_| Port::take()).collect();
    let list: Vec<String> = (0..8).map(|n| format!("\"$dead{n}\"")).collect();
    let text = format!(
        r#"{HEAD}
        retry = {{ attempts = 1 }}
        [pools.app]
        endpoints = [{}, "$good"]
        ejection = false
        "#,
        list.join(", ")
    );
    let mut settings = Settings::new(&text).backend("good", &good);
    for (n, port) in dead.iter().enumerate() {
        settings = settings.address(&format!("dead{n}"), port.address());
    }
    let proxy = settings.start().await;
    for n in 1..=18 {
        let answer = proxy.request("POST", "/", "", b"pay").await;
        assert_eq!(answer.text(), "good");
        assert_eq!(good.count(), n);
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_request_for_nobody_tries_so_many_endpoints_and_no_more() {
    const ENDPOINTS: usize = 50;
    let dead: Vec<Port> = (0..ENDPOINTS).map(|_| Port::take()).collect();
    let list: Vec<String> = (0..ENDPOINTS).map(|n| format!("\"$dead{n}\"")).collect();
    let text = format!(
        "{HEAD}\nretry = {{ attempts = 2 }}\n[pools.app]\nendpoints = [{}]\nejection = false\n",
        list.join(", ")
    );
    let mut settings = Settings::new(&text);
    for (n, port) in dead.iter().enumerate() {
        settings = settings.address(&format!("dead{n}"), port.address());
    }
    let proxy = settings.start().await;
    let answer = proxy.request("POST", "/", "", b"pay").await;
    answer.assert_failure(502, "connection_refused");
    let line = proxy
        .logged("its line", |line| line["method"] == "POST")
        .await;
    let attempts = line["attempts"].as_array().map_or(0, Vec::len);
    // 32 that cost nothing, and the two that may be made anyway.
    assert_eq!(attempts, 34);
    proxy.finish().await;
}

#[tokio::test]
async fn in_panic_a_request_that_was_refused_goes_to_the_healthy() {
    let good = Backend::start(identity("good")).await;
    let text = POOLS[0].1.replace(
        "[pools.app]",
        "[pools.app]\npanic_threshold = \"50%\"\nejection = false",
    );
    let proxy = start(&text, &good, true).await;
    for _ in 0..30 {
        let answer = proxy.request("POST", "/", "", b"pay").await;
        assert_eq!(answer.text(), "good");
    }
    // Health is ignored where a request begins.
    let retries = proxy.metric("sluicegate_retries_total", &[]).await;
    assert!((19.5..20.5).contains(&retries), "{retries}");
    proxy.finish().await;
}

#[tokio::test]
async fn a_tier_with_too_few_healthy_is_passed_over_while_another_has_enough() {
    let near = Backend::start(identity("near")).await;
    let good = Backend::start(identity("far")).await;
    let text = r#"
        [pools.app]
        panic_threshold = "50%"
        endpoints = ["$deada", "$deadb", "$near", { address = "$good", priority = 1 }]
    "#;
    let (a, b) = (Port::take(), Port::take());
    let text = format!("{HEAD}{text}health = {{ tcp = {{}} }}\n");
    let proxy = Settings::new(&text)
        .address("deada", a.address())
        .address("deadb", b.address())
        .backend("near", &near)
        .backend("good", &good)
        .start()
        .await;
    for dead in [a.address(), b.address()] {
        let dead = dead.to_string();
        let labels = [("pool", "app"), ("endpoint", dead.as_str())];
        proxy
            .metric_becomes("sluicegate_endpoint_healthy", &labels, 0.0)
            .await;
    }
    for _ in 0..10 {
        assert_eq!(proxy.get("/").await.text(), "far");
    }
    // What fails there falls back on the healthy one that is left.
    good.now(|_| answer_bytes("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"));
    assert_eq!(proxy.get("/").await.text(), "near");
    good.now(|_| vec![Act::Read, Act::Reset]);
    assert_eq!(proxy.get("/").await.text(), "near");
    let status = proxy.request("POST", "/", "", b"pay").await.status;
    assert_eq!(status, 502, "what was written is not sent twice");
    proxy.finish().await;
}

#[tokio::test]
async fn what_a_full_tier_has_no_room_for_goes_to_the_next() {
    let gate = Gate::new();
    let held = gate.clone();
    let near = Backend::start(move |_| {
        let mut script = vec![Act::Read, Act::Wait(held.clone())];
        script.extend(answer("near"));
        script
    })
    .await;
    let far = Backend::start(identity("far")).await;
    let text = format!(
        r#"{HEAD}
        [pools.app]
        endpoints = ["$near", {{ address = "$far", priority = 1 }}]
        limits = {{ per_endpoint = 1 }}
        "#
    );
    let settings = Settings::new(&text).backend("near", &near);
    let proxy = settings.backend("far", &far).start().await;
    let mut first = proxy.client().await;
    first.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    near.has_seen(1).await;
    for method in ["GET", "POST"] {
        let answer = proxy.request(method, "/", "", b"").await;
        assert_eq!(answer.text(), "far", "{method}");
    }
    gate.open();
    assert_eq!(first.answer().await.text(), "near");
    assert_eq!(proxy.get("/").await.text(), "near");
    proxy.finish().await;
}
