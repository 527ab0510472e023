//! A real Prometheus scrapes the proxy, and its queries have the right answers.

use std::{fs, path::Path};

use serde_json::Value;

use crate::harness::{
    Backend, Prometheus, Seen, Settings, answer, answer_bytes, encode, eventually,
};

const ALL: &str = r#"
    [proxy]
    workers = 2
    [metrics]
    address = "$metrics"
    [tracing]
    otlp = "http://127.0.0.1:9"
    sample = "100%"
    [listeners.web]
    address = "$web"
    [routes.shop]
    path_prefix = "/shop"
    pool = "app"
    [pools.app]
    endpoints = ["$one", "$two"]
"#;

#[tokio::test]
async fn prometheus_scrapes_and_answers_queries_about_requests_endpoints_and_traces() {
    let one = Backend::start(|_| answer("one")).await;
    let two =
        Backend::start(|_| answer_bytes("HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n")).await;
    let settings = Settings::new(ALL).backend("one", &one).backend("two", &two);
    let proxy = settings.start().await;
    let prometheus = Prometheus::scraping(proxy.address("metrics")).await;
    prometheus.becomes("up{job=\"sluicegate\"}", 1.0).await;
    for _ in 0..10 {
        proxy.get("/shop").await;
    }
    proxy.get("/none").await;
    let (good, bad) = (one.count() as f64, two.count() as f64);
    for (query, value) in [
        ("sum(sluicegate_requests_total)", 11.0),
        (
            "sum(sluicegate_requests_total{route=\"shop\",status_class=\"2xx\"})",
            good,
        ),
        (
            "sum(sluicegate_requests_total{route=\"shop\",status_class=\"4xx\"})",
            bad,
        ),
        (
            "sum(sluicegate_requests_total{reason=\"destination_not_found\"})",
            1.0,
        ),
        (
            "sum(sluicegate_request_duration_seconds_count{route=\"shop\"})",
            10.0,
        ),
        (
            "max(sluicegate_request_duration_seconds_bucket{route=\"shop\",le=\"60.0\"})",
            10.0,
        ),
        ("count(sluicegate_endpoint_healthy == 1)", 2.0),
        (
            "sum(sluicegate_endpoint_requests_total{status_class=\"2xx\"})",
            good,
        ),
        ("count(sluicegate_build_info{version!=\"\"})", 1.0),
        ("count(process_max_fds > process_open_fds)", 1.0),
        ("sum(sluicegate_pool_in_panic)", 0.0),
    ] {
        prometheus.becomes(query, value).await;
    }
    an_exemplar_is_stored(&prometheus, &[one.seen(), two.seen()].concat()).await;
    // It knows every family, with its kind.
    let known = prometheus.ask("/api/v1/targets/metadata").await;
    let known = known.as_array().unwrap();
    let kind = |name: &str| {
        let mut found = known.iter().filter(|it| it["metric"] == name);
        found
            .next()
            .map(|it| it["type"].as_str().unwrap_or_default())
    };
    assert_eq!(kind("sluicegate_requests"), Some("counter"), "{known:?}");
    assert_eq!(
        kind("sluicegate_request_duration_seconds"),
        Some("histogram")
    );
    assert_eq!(kind("sluicegate_connections"), Some("gauge"));
    every_query_of_the_dashboard_is_answered(&prometheus).await;
    proxy.finish().await;
}

/// Each of those requests has a trace, and so an exemplar.
async fn an_exemplar_is_stored(prometheus: &Prometheus, sent: &[Seen]) {
    let query = encode("sluicegate_request_duration_seconds_bucket{route=\"shop\"}");
    let traces: Vec<String> = sent
        .iter()
        .map(|seen| seen.field("traceparent")[3..35].to_owned())
        .collect();
    let target = format!("/api/v1/query_exemplars?query={query}&start=0&end=9999999999");
    eventually("an exemplar is stored", || async {
        let found = prometheus.ask(&target).await;
        let mut found = found.as_array()?.iter().flat_map(|series| {
            let exemplars = series["exemplars"].as_array();
            exemplars.into_iter().flatten()
        });
        found
            .any(|it| {
                let trace = it["labels"]["trace_id"].as_str();
                trace.is_some_and(|trace| traces.iter().any(|sent| sent == trace))
            })
            .then_some(())
    })
    .await;
}

/// Each query of the dashboard is one for Prometheus; those about what is there have a value.
async fn every_query_of_the_dashboard_is_answered(prometheus: &Prometheus) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/observability/dashboard.json");
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let (mut asked, mut filled) = (0, 0);
    for target in targets {
        let query = target["expr"].as_str().unwrap();
        let query = query
            .replace("$__rate_interval", "1m")
            .replace("$instance", ".*")
            .replace("$route", ".*")
            .replace("$pool", ".*");
        let answers = prometheus.query(&query).await;
        asked += 1;
        filled += usize::from(!answers.is_empty());
    }
    assert!(asked > 30 && filled > asked / 2, "{filled} of {asked}");
}
