//! The numbers are true, bounded, and in the format that Prometheus reads.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::harness::{Act, Backend, Exposition, Port, Settings, answer, answer_bytes, identity};

const ALL: &str = r#"
    [proxy]
    workers = 2
    [listeners.web]
    address = "$web"
    [routes.shop]
    path_prefix = "/shop"
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
"#;

#[tokio::test]
async fn requests_are_counted_by_route_status_and_reason() {
    let app = Backend::start(|seen| match seen.target.as_str() {
        "/shop/418" => answer_bytes("HTTP/1.1 418 No\r\ncontent-length: 0\r\n\r\n"),
        "/shop/die" => vec![Act::Read, Act::Reset],
        _ => answer("app"),
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    for _ in 0..5 {
        proxy.get("/shop").await;
    }
    proxy.get("/shop/418").await;
    proxy.get("/none").await;
    proxy.request("POST", "/shop/die", "", b"").await;
    let name = "sluicegate_requests_total";
    for (labels, value) in [
        (&[("route", "shop"), ("status_class", "2xx")][..], 5.0),
        (&[("route", "shop"), ("status_class", "4xx")], 1.0),
        (&[("reason", "destination_not_found")], 1.0),
        (
            &[("route", "shop"), ("reason", "connection_terminated")],
            1.0,
        ),
        (&[("listener", "web")], 8.0),
    ] {
        proxy.metric_becomes(name, labels, value).await;
    }
    let count = "sluicegate_request_duration_seconds_count";
    proxy.metric_becomes(count, &[("route", "shop")], 7.0).await;
    let picks = "sluicegate_picks_total";
    proxy.metric_becomes(picks, &[("pool", "app")], 7.0).await;
    proxy.finish().await;
}

#[tokio::test]
async fn gauges_follow_what_is_under_way() {
    let gate = crate::harness::Gate::new();
    let held = gate.clone();
    let app =
        Backend::start(move |_| [vec![Act::Read, Act::Wait(held.clone())], answer("app")].concat())
            .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut clients = Vec::new();
    for n in 1..=3 {
        let mut client = proxy.client().await;
        client.send("GET /shop HTTP/1.1\r\nhost: a\r\n\r\n").await;
        app.has_seen(n).await;
        clients.push(client);
    }
    let labels = [("listener", "web")];
    proxy
        .metric_becomes("sluicegate_requests_in_flight", &labels, 3.0)
        .await;
    proxy
        .metric_becomes("sluicegate_connections", &labels, 3.0)
        .await;
    gate.open();
    for client in &mut clients {
        client.answer().await;
    }
    proxy
        .metric_becomes("sluicegate_requests_in_flight", &labels, 0.0)
        .await;
    proxy
        .metric_becomes("sluicegate_idle_connections", &[("pool", "app")], 3.0)
        .await;
    drop(clients);
    proxy
        .metric_becomes("sluicegate_connections", &labels, 0.0)
        .await;
    proxy.finish().await;
}

#[tokio::test]
async fn clients_cannot_make_series() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    for n in 0..30 {
        let lines = format!("host: h{n}.example\nx-request-id: {n}\nuser-agent: {n}");
        let method = format!("M{n}");
        proxy
            .request(&method, &format!("/shop/{n}"), &lines, b"")
            .await;
    }
    proxy
        .metric_becomes("sluicegate_requests_total", &[], 30.0)
        .await;
    let series = proxy.metrics().await;
    let routes = series.values("sluicegate_requests_total", "route");
    assert!(routes.len() <= 2, "{routes:?}");
    proxy.finish().await;
}

#[tokio::test]
async fn the_series_of_what_left_the_file_leave_too_and_counters_stay() {
    let app = Backend::start(identity("app")).await;
    let more = format!("{ALL}\n[routes.more]\npath_prefix = \"/more\"\npool = \"app\"\n");
    let mut proxy = Settings::new(&more).backend("app", &app).start().await;
    proxy.get("/more").await;
    proxy.get("/shop").await;
    let name = "sluicegate_requests_total";
    proxy.metric_becomes(name, &[("route", "more")], 1.0).await;
    proxy.reload(ALL).await;
    crate::harness::eventually("the series of the removed route are gone", || async {
        let scrape: Exposition = proxy.metrics().await;
        scrape
            .sum(name, &[("route", "more")])
            .is_none()
            .then_some(())
    })
    .await;
    proxy.metric_becomes(name, &[("route", "shop")], 1.0).await;
    proxy.finish().await;
}

#[tokio::test]
async fn retries_and_failed_attempts_are_counted() {
    let good = Backend::start(identity("good")).await;
    let bad = Port::take();
    let text = ALL
        .replace("workers = 2", "workers = 1")
        .replace("\"$app\"", "\"$bad\", \"$good\"");
    let settings = Settings::new(&text).address("bad", bad.address());
    let proxy = settings.backend("good", &good).start().await;
    for _ in 0..4 {
        assert_eq!(proxy.get("/shop").await.status, 200);
    }
    let refused = [("pool", "app"), ("reason", "connection_refused")];
    proxy
        .metric_becomes("sluicegate_attempts_total", &refused, 2.0)
        .await;
    proxy
        .metric_becomes("sluicegate_retries_total", &[("pool", "app")], 2.0)
        .await;
    proxy.finish().await;
}

#[tokio::test]
async fn promtool_finds_no_fault() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    proxy.get("/shop").await;
    let scrape = proxy.admin("GET", "/metrics", "").await.expect("metrics");
    assert!(
        scrape
            .field("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    let child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("promtool is not installed; tests/run installs it");
        return;
    };
    let input = child.stdin.take().expect("a pipe").write_all(&scrape.body);
    input.expect("promtool reads");
    let output = child.wait_with_output().expect("promtool ends");
    let faults = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{faults}");
    proxy.finish().await;
}
