//! Each endpoint has figures of its own, and thousands of them do not make a scrape large.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use serde_json::Value;

use crate::harness::{
    Act, Backend, Client, Exposition, Gate, Port, Settings, answer, answer_bytes, eventually,
    identity, within,
};

const ALL: &str = r#"
    [proxy]
    workers = 2
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    retry = { attempts = 1 }
    [pools.app]
    endpoints = ["$app"]
    ejection = false
"#;

#[tokio::test]
async fn an_endpoint_has_its_answers_failures_durations_and_connections() {
    let gate = Gate::new();
    let held = gate.clone();
    let app = Backend::start(move |seen| match seen.target.as_str() {
        "/418" => answer_bytes("HTTP/1.1 418 No\r\ncontent-length: 0\r\n\r\n"),
        "/die" => vec![Act::Read, Act::Reset],
        "/held" => [vec![Act::Read, Act::Wait(held.clone())], answer("app")].concat(),
        _ => answer("app"),
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    for _ in 0..5 {
        proxy.get("/").await;
    }
    proxy.get("/418").await;
    proxy.request("POST", "/die", "", b"").await;
    let address = app.address().to_string();
    let own = [("pool", "app"), ("endpoint", &*address)];
    let with = |name, value| [own[0], own[1], (name, value)];
    let answered = "sluicegate_endpoint_requests_total";
    for (class, count) in [("2xx", 5.0), ("4xx", 1.0)] {
        let labels = with("status_class", class);
        proxy.metric_becomes(answered, &labels, count).await;
    }
    let failed = "sluicegate_endpoint_failures_total";
    let labels = with("reason", "connection_terminated");
    proxy.metric_becomes(failed, &labels, 1.0).await;
    let durations = "sluicegate_endpoint_attempt_duration_seconds_count";
    proxy.metric_becomes(durations, &own, 7.0).await;
    let longest = "sluicegate_endpoint_attempt_duration_seconds_bucket";
    proxy
        .metric_becomes(longest, &with("le", "+Inf"), 7.0)
        .await;
    let in_flight = "sluicegate_endpoint_requests_in_flight";
    proxy.metric_becomes(in_flight, &own, 0.0).await;
    let mut client = proxy.client().await;
    client.send("GET /held HTTP/1.1\r\nhost: a\r\n\r\n").await;
    proxy.metric_becomes(in_flight, &own, 1.0).await;
    gate.open();
    client.answer().await;
    proxy.metric_becomes(in_flight, &own, 0.0).await;
    let connections = "sluicegate_endpoint_connections";
    let (own_ones, all) = (
        proxy.metric(connections, &own).await,
        proxy
            .metric("sluicegate_upstream_connections", &[("pool", "app")])
            .await,
    );
    assert!(own_ones > 0.0 && (own_ones - all).abs() < 0.5, "{own_ones}");
    proxy.finish().await;
}

#[tokio::test]
async fn bytes_of_bodies_are_counted_for_the_route_and_the_pool() {
    let app = Backend::start(|_| answer("0123456789")).await;
    let text = ALL.replace(
        "[routes.all]",
        "[routes.own]\npath = \"/own\"\nrespond = { status = 200, body = \"abc\" }\n[routes.all]",
    );
    let proxy = Settings::new(&text).backend("app", &app).start().await;
    proxy.request("POST", "/", "", b"12345").await;
    proxy.get("/").await;
    proxy.get("/own").await;
    for (name, labels, bytes) in [
        ("request", [("listener", "web"), ("route", "all")], 5.0),
        ("response", [("listener", "web"), ("route", "all")], 20.0),
        ("response", [("listener", "web"), ("route", "own")], 3.0),
    ] {
        let name = format!("sluicegate_{name}_body_bytes_total");
        proxy.metric_becomes(&name, &labels, bytes).await;
    }
    for (name, bytes) in [("request", 5.0), ("response", 20.0)] {
        let name = format!("sluicegate_pool_{name}_body_bytes_total");
        proxy.metric_becomes(&name, &[("pool", "app")], bytes).await;
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_pool_that_ignores_health_is_shown() {
    let dead = Port::take();
    let text = ALL.replace(
        "ejection = false",
        "health = { tcp = {}, interval = \"20ms\", interval_down = \"20ms\", timeout = \"20ms\", fall = 1 }",
    );
    let settings = Settings::new(&text).address("app", dead.address());
    let mut proxy = settings.start().await;
    let panic = "sluicegate_pool_in_panic";
    proxy.metric_becomes(panic, &[("pool", "app")], 1.0).await;
    let calm = text.replace("health =", "panic_threshold = \"0%\"\nhealth =");
    proxy.reload(&calm).await;
    proxy.metric_becomes(panic, &[("pool", "app")], 0.0).await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_late_failure_does_not_bring_the_series_of_a_removed_endpoint_back() {
    let gate = Gate::new();
    let held = gate.clone();
    let leaves =
        Backend::start(move |_| vec![Act::Read, Act::Wait(held.clone()), Act::Reset]).await;
    let stays = Backend::start(identity("stays")).await;
    let mut proxy = Settings::new(ALL)
        .backend("app", &leaves)
        .backend("stays", &stays)
        .start()
        .await;
    let mut client = proxy.client().await;
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n")
        .await;
    leaves.has_seen(1).await;
    proxy.reload(&ALL.replace("$app", "$stays")).await;
    gate.open();
    assert_eq!(client.answer().await.status, 502);
    let failed = "sluicegate_endpoint_failures_total";
    let late = [("pool", "app"), ("reason", "connection_terminated")];
    proxy.metric_becomes(failed, &late, 1.0).await;
    let address = leaves.address().to_string();
    eventually("its series are gone", || async {
        let scrape = proxy.admin("GET", "/metrics", "").await?.text();
        let left = scrape.lines().any(|line| {
            line.contains(&format!("endpoint=\"{address}\"")) && line.starts_with("sluicegate_")
        });
        (!left).then_some(())
    })
    .await;
    proxy.finish().await;
}

/// A pool of so many endpoints that refuse connections.
fn many(endpoints: usize, more: &str) -> String {
    let mut text = ALL.replace("endpoints = [\"$app\"]", "endpoints = [");
    text.truncate(text.find("ejection").unwrap_or(text.len()));
    for endpoint in 0..endpoints {
        let (high, low) = (endpoint / 250, endpoint % 250 + 1);
        let _ = writeln!(text, "\"127.7.{high}.{low}:9\",");
    }
    text.push_str("]\nejection = false\n");
    text.push_str(more);
    text
}

#[tokio::test]
async fn ten_thousand_endpoints_make_a_scrape_of_a_few_megabytes() {
    let proxy = Settings::new(&many(10_000, "")).start().await;
    for _ in 0..20 {
        assert_eq!(proxy.get("/").await.status, 502);
    }
    proxy
        .metric_becomes("sluicegate_folded_endpoints", &[], 9_000.0)
        .await;
    let labels = [("pool", "app"), ("reason", "connection_refused")];
    eventually(
        "all attempts are counted for an endpoint or for the others",
        || async {
            let scrape = proxy.metrics().await;
            let requests = scrape.sum("sluicegate_requests_total", &[])?;
            let attempts = scrape.sum("sluicegate_attempts_total", &labels)?;
            let failures = scrape.sum("sluicegate_endpoint_failures_total", &labels)?;
            (requests > 19.5 && (attempts - failures).abs() < 0.5).then_some(())
        },
    )
    .await;
    let healthy = [("pool", "app"), ("endpoint", "other")];
    proxy
        .metric_becomes("sluicegate_endpoint_healthy", &healthy, 9_000.0)
        .await;
    let scrape = proxy.admin("GET", "/metrics", "").await.unwrap();
    let length = scrape.body.len();
    assert!(length < 4 << 20, "{length} bytes");
    // The others have their series all the same.
    let scrape = Exposition::parse(&scrape.text());
    assert_eq!(
        scrape.sum("sluicegate_dropped_series_total", &[]),
        Some(0.0)
    );
    let requests = [("route", "all"), ("status_class", "5xx")];
    assert_eq!(
        scrape.sum("sluicegate_requests_total", &requests),
        Some(20.0)
    );
    // The API does not call what is unknown a zero.
    let pool = proxy.admin("GET", "/pools/app", "").await.unwrap().text();
    let pool: Value = serde_json::from_str(&pool).unwrap();
    let endpoints = pool["endpoints"].as_array().unwrap();
    let unknown = endpoints.iter().filter(|it| it["picks"].is_null());
    assert_eq!(unknown.count(), 9_000);
    proxy.finish().await;
}

#[tokio::test]
async fn without_a_place_endpoints_are_counted_together() {
    let [one, two] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
    ];
    let text = ALL.replace("\"$app\"", "\"$one\", \"$two\"") + "[metrics]\nper_endpoint = 0\n";
    let settings = Settings::new(&text);
    let settings = settings.backend("one", &one).backend("two", &two);
    let proxy = settings.start().await;
    for _ in 0..6 {
        proxy.get("/").await;
    }
    let other = [("pool", "app"), ("endpoint", "other")];
    let answered = "sluicegate_endpoint_requests_total";
    proxy.metric_becomes(answered, &other, 6.0).await;
    proxy
        .metric_becomes("sluicegate_picks_total", &other, 6.0)
        .await;
    let scrape = proxy.metrics().await;
    assert_eq!(scrape.values(answered, "endpoint"), ["other"]);
    proxy.finish().await;
}

#[tokio::test]
async fn requests_are_answered_while_large_scrapes_are_made_without_a_pause() {
    let app = Backend::start(identity("app")).await;
    let mut text = many(
        1_500,
        "[metrics]\naddress = \"$metrics\"\nper_endpoint = 1500\n",
    );
    text.push_str("[pools.small]\nendpoints = [\"$app\"]\n");
    let text = text.replace("pool = \"app\"", "pool = \"small\"");
    let proxy = Settings::new(&text).backend("app", &app).start().await;
    let (stop, scrapes) = (AtomicBool::new(false), AtomicUsize::new(0));
    let scrape = async || {
        let mut client = Client::connect(proxy.address("metrics")).await;
        while !stop.load(Ordering::Relaxed) {
            let scrape = client.get("/metrics").await;
            assert_eq!(scrape.status, 200);
            if scrape.body.len() > 500_000 {
                scrapes.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    let requests = async {
        let mut client = proxy.client().await;
        let mut answered = 0;
        while answered < 100 || scrapes.load(Ordering::Relaxed) < 4 {
            assert_eq!(client.get("/").await.status, 200);
            answered += 1;
        }
        stop.store(true, Ordering::Relaxed);
    };
    let all = async { tokio::join!(scrape(), scrape(), requests) };
    within("the requests and some scrapes", all).await;
    proxy.finish().await;
}

#[tokio::test]
async fn open_metrics_is_served_to_who_asks_for_it_with_the_traces_of_slow_requests() {
    let app = Backend::start(identity("app")).await;
    let text = format!("[tracing]\notlp = \"http://127.0.0.1:9\"\nsample = \"100%\"\n{ALL}");
    let proxy = Settings::new(&text).backend("app", &app).start().await;
    proxy.get("/").await;
    let accept = "accept: application/openmetrics-text; version=1.0.0, text/plain; q=0.5";
    let scrape = eventually("an exemplar is there", || async {
        let scrape = proxy.admin("GET", "/metrics", accept).await?;
        let kind = scrape.field("content-type").to_owned();
        assert_eq!(
            kind,
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        );
        let text = scrape.text();
        text.contains(" # {trace_id=\"").then_some(text)
    })
    .await;
    assert!(scrape.ends_with("\n# EOF\n"), "{scrape}");
    let traced = scrape
        .lines()
        .find(|line| line.contains(" # {"))
        .unwrap()
        .to_owned();
    assert!(
        traced.starts_with("sluicegate_request_duration_seconds_bucket{route=\"all\",le="),
        "{traced}"
    );
    let (_, exemplar) = traced.split_once("trace_id=\"").unwrap();
    let sent = app.only().field("traceparent").to_owned();
    assert_eq!(&exemplar[..32], &sent[3..35]);
    assert!(scrape.contains("# TYPE sluicegate_requests counter\n"));
    // Each family has a name of its own, and an upper bound is a number with a point.
    let families = scrape
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "));
    let mut families: Vec<&str> = families.filter_map(|line| line.split(' ').next()).collect();
    let all = families.len();
    families.sort_unstable();
    families.dedup();
    assert_eq!(families.len(), all);
    assert!(scrape.contains("le=\"1.0\"") && !scrape.contains("le=\"1\""));
    // Others get the text that everybody reads, without exemplars.
    let scrape = proxy.admin("GET", "/metrics", "accept: */*").await.unwrap();
    assert!(
        scrape
            .field("content-type")
            .starts_with("text/plain; version=0.0.4")
    );
    assert!(!scrape.text().contains(" # {") && !scrape.text().contains("EOF"));
    proxy.finish().await;
}
