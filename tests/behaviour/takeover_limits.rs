//! Limits hand over to the next process: learned limits, buckets, breakers, tallies of sessions.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use serde_json::Value;

use crate::{
    harness::{Act, Backend, Client, Proxy, Settings, answer, answer_bytes, eventually, identity},
    takeover::ALL,
};

async fn start(route: &str, pool: &str, app: &Backend) -> Proxy {
    let text = ALL.replace("pool = \"app\"", &format!("pool = \"app\"\n{route}"));
    let text = text.replace("[pools.app]", &format!("[pools.app]\n{pool}"));
    Settings::new(&text).backend("app", app).start().await
}

#[tokio::test]
async fn an_open_breaker_stays_open_for_what_is_left() {
    let app =
        Backend::start(|_| answer_bytes("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n")).await;
    let breaker = r#"breaker = { consecutive = 2, open = "60s" }"#;
    let proxy = start("retry = false", breaker, &app).await;
    for status in [500, 500, 503] {
        assert_eq!(proxy.get("/").await.status, status);
    }
    proxy.upgrade().await;
    proxy
        .get("/")
        .await
        .assert_failure(503, "destination_unavailable");
    assert_eq!(app.count(), 2);
    let shown = proxy.admin("GET", "/pools/app", "").await.unwrap();
    let shown: Value = serde_json::from_slice(&shown.body).unwrap();
    assert_eq!(shown["breaker"]["state"], "open", "{shown}");
    let left = shown["breaker"]["refuses_for_ms"].as_u64().unwrap();
    assert!((30_000..60_000).contains(&left), "{left}");
    proxy.all_end().await;
}

#[tokio::test]
async fn buckets_of_rate_limits_go_over() {
    let app = Backend::start(identity("app")).await;
    let rules = r#"rate_limit = [
        { key = "header:x-user", rate = "1/h", burst = 3 },
        { key = "route", rate = "1/h", burst = 100 },
    ]"#;
    let proxy = start(rules, "", &app).await;
    let ask = async |user: &str| {
        let line = format!("x-user: {user}");
        proxy.request("GET", "/", &line, b"").await
    };
    for _ in 0..3 {
        assert_eq!(ask("one").await.status, 200);
    }
    assert_eq!(ask("two").await.status, 200);
    for _ in 0..2 {
        proxy.upgrade().await;
        assert_eq!(ask("one").await.status, 429);
    }
    let second = ask("two").await;
    let left = second.fields.all("ratelimit");
    assert_eq!(left, ["\"header:x-user\";r=1", "\"route\";r=95"]);
    proxy.all_end().await;
}

#[tokio::test]
async fn tallies_of_sessions_go_over() {
    let app = Backend::start(identity("app")).await;
    let session = r#"session = { cookie = "sid", secret = "0123456789abcdef" }"#;
    let proxy = start("", session, &app).await;
    for _ in 0..3 {
        assert_eq!(proxy.get("/").await.status, 200);
    }
    proxy.upgrade().await;
    assert_eq!(proxy.get("/").await.status, 200);
    let shown = proxy.admin("GET", "/pools/app", "").await.unwrap();
    let shown: Value = serde_json::from_slice(&shown.body).unwrap();
    assert_eq!(shown["endpoints"][0]["sessions"], 4, "{shown}");
    proxy.all_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_has_adapted_goes_over() {
    let pause = Duration::from_millis(10);
    let app = Backend::start(move |_| {
        let slow = vec![Act::Read, Act::Pause(pause)];
        [slow, answer("app")].concat()
    })
    .await;
    let adaptive =
        r#"concurrency = { adaptive = true, max = 200, queue = 100, queue_timeout = "5s" }"#;
    let proxy = start(adaptive, "", &app).await;
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..64)
        .map(|_| {
            let (address, stop) = (proxy.address("web"), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut client = Client::connect(address).await;
                while !stop.load(Relaxed) {
                    assert_eq!(client.get("/").await.status, 200);
                }
            })
        })
        .collect();
    let limit = async || {
        let labels = [("route", "all")];
        let name = "sluicegate_concurrency_limit";
        proxy.metric(name, &labels).await
    };
    eventually("the limit has grown", async || {
        (limit().await >= 30.0).then_some(())
    })
    .await;
    stop.store(true, Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    proxy.upgrade().await;
    eventually("the limit is shown", async || {
        // The gauge is shown with the first tick.
        (limit().await > 0.0).then_some(())
    })
    .await;
    let after = limit().await;
    assert!(after > 20.0, "it begins at 20 without it: {after}");
    proxy.all_end().await;
}
