//! An endpoint that comes back gets a growing part of its share of requests, whatever the picker.

use crate::harness::{Backend, Proxy, Settings, identity};

fn file(picker: &str) -> String {
    format!(
        r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [pools.app]
        picker = {picker}
        endpoints = ["$old", "$new"]
        slow_start = "10m"
        health = {{ tcp = {{}}, interval = "300ms", interval_down = "300ms", timeout = "300ms", rise = 1, fall = 1 }}
        "#
    )
}

async fn gets(proxy: &Proxy, count: usize) {
    let mut client = proxy.client().await;
    for n in 0..count {
        let answer = client
            .request("GET", "/", &format!("x-key: {n}"), b"")
            .await;
        assert_eq!(answer.status, 200);
    }
}

async fn healthy(proxy: &Proxy, backend: &Backend, value: f64) {
    let address = backend.address().to_string();
    let labels = [("endpoint", address.as_str())];
    proxy
        .metric_becomes("sluicegate_endpoint_healthy", &labels, value)
        .await;
}

#[tokio::test]
async fn an_endpoint_that_comes_back_starts_slowly_with_every_picker() {
    for picker in [
        r#""weighted_round_robin""#,
        r#""round_robin""#,
        r#""random""#,
        r#""least_requests""#,
        r#""power_of_two""#,
        r#""peak_ewma""#,
        r#"{ ring_hash = { key = "header:x-key" } }"#,
        r#"{ maglev = { key = "header:x-key" } }"#,
    ] {
        let old = Backend::start(identity("old")).await;
        let mut new = Backend::start(identity("new")).await;
        let proxy = Settings::new(&file(picker))
            .backend("old", &old)
            .backend("new", &new)
            .start()
            .await;
        // All that are there at the start have their whole share.
        gets(&proxy, 100).await;
        // Peak EWMA goes by measured times, however small.
        let measures = picker.contains("peak_ewma");
        assert!(measures || new.count_of("GET", "/") > 20, "{picker}");
        healthy(&proxy, &new, 1.0).await;
        new.kill().await;
        healthy(&proxy, &new, 0.0).await;
        new.up().await;
        healthy(&proxy, &new, 1.0).await;
        let before = new.count_of("GET", "/");
        gets(&proxy, 200).await;
        // 10 % of a half, and one that it may begin with.
        let got = new.count_of("GET", "/") - before;
        let view = proxy.admin("GET", "/pools/app", "").await.unwrap().text();
        assert!(
            (usize::from(!measures)..=13).contains(&got),
            "{picker}: {got} of 200: {view}"
        );
        assert!(view.contains("\"starts_for_ms\": 5"), "{view}");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn where_all_start_slowly_none_does() {
    let mut old = Backend::start(identity("old")).await;
    let mut new = Backend::start(identity("new")).await;
    let proxy = Settings::new(&file(r#""weighted_round_robin""#))
        .backend("old", &old)
        .backend("new", &new)
        .start()
        .await;
    for backend in [&mut old, &mut new] {
        healthy(&proxy, backend, 1.0).await;
        backend.kill().await;
        healthy(&proxy, backend, 0.0).await;
        backend.up().await;
        healthy(&proxy, backend, 1.0).await;
    }
    let before = [&old, &new].map(|backend| backend.count_of("GET", "/"));
    gets(&proxy, 40).await;
    let got = [&old, &new].map(|backend| backend.count_of("GET", "/"));
    let view = proxy.admin("GET", "/pools/app", "").await.unwrap().text();
    assert_eq!([got[0] - before[0], got[1] - before[1]], [20, 20], "{view}");
    proxy.finish().await;
}
