//! `fault` of a route: delays and failures on purpose, told as such.

use std::time::Duration;

use tokio::time::Instant;

use crate::harness::{Backend, Proxy, Settings, answer, command};

async fn app() -> Backend {
    Backend::start(|_| answer("fine")).await
}

fn tables(faults: bool, fault: &str) -> String {
    format!(
        r#"
        [proxy]
        workers = 1
        faults = {faults}
        [access_log]
        path = "access.log"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        fault = {fault}
        headers_response = {{ set = {{ x-late = "yes" }} }}
        [routes.other]
        path = "/other"
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
        limits = {{ requests = 1 }}
        "#
    )
}

async fn started(fault: &str, app: &Backend) -> Proxy {
    Settings::new(&tables(true, fault))
        .backend("app", app)
        .start()
        .await
}

async fn injected(proxy: &Proxy, kind: &str, count: f64) {
    let labels = [("route", "all"), ("kind", kind)];
    proxy
        .metric_becomes("sluicegate_faults_injected_total", &labels, count)
        .await;
}

#[tokio::test]
async fn an_aborted_request_is_answered_with_the_word_that_fits_and_reaches_no_endpoint() {
    let app = app().await;
    for (status, word) in [
        (503, "destination_unavailable"),
        (504, "http_response_timeout"),
        (502, "connection_terminated"),
        (429, "http_request_denied"),
        (500, "proxy_internal_error"),
    ] {
        let proxy = started(&format!("{{ abort = {status} }}"), &app).await;
        let one = proxy.get("/").await;
        let two = proxy.h2_client().await.get("/").await.unwrap();
        for answer in [one, two] {
            answer.assert_failure(status, word);
            let id = answer.field("x-request-id").to_owned();
            let line = proxy
                .logged("of an abort", |line| line["request_id"] == *id)
                .await;
            assert_eq!(line["reason_detail"], "fault injected");
            assert_eq!(line["reason"], word);
        }
        injected(&proxy, "abort", 2.0).await;
        assert_eq!(app.count(), 0);
        proxy.finish().await;
    }
}

#[tokio::test]
async fn a_delayed_request_is_served_later_and_holds_no_place_at_the_pool() {
    let app = app().await;
    let delay = Duration::from_millis(600);
    let proxy = started(r#"{ delay = "600ms" }"#, &app).await;
    let start = Instant::now();
    let (mut h1, mut h2) = (proxy.client().await, proxy.h2_client().await);
    let other = async {
        // The pool has one place, and no queue.
        let mut client = proxy.client().await;
        let mut count = 0;
        while start.elapsed() < delay / 2 {
            assert_eq!(client.get("/other").await.status, 200);
            count += 1;
        }
        count
    };
    let delayed = async {
        let first = h1.get("/").await;
        assert!(start.elapsed() >= delay);
        first
    };
    let (first, count) = tokio::join!(delayed, other);
    assert_eq!(first.status, 200);
    assert!(count > 0);
    let start = Instant::now();
    assert_eq!(h2.get("/").await.unwrap().status, 200);
    assert!(start.elapsed() >= delay);
    injected(&proxy, "delay", 2.0).await;
    injected(&proxy, "abort", 0.0).await;
    proxy.finish().await;
}

#[tokio::test]
async fn only_requests_with_these_headers_and_a_share_of_them_get_the_fault() {
    let app = app().await;
    let fault = r#"{ abort = 503, share = "50%", headers = { x-test = "yes" } }"#;
    let proxy = started(fault, &app).await;
    let mut client = proxy.client().await;
    let mut aborted = 0;
    for _ in 0..200 {
        assert_eq!(client.get("/").await.status, 200);
        let answer = client.request("GET", "/", "x-test: yes", b"").await;
        aborted += usize::from(answer.status == 503);
    }
    // 7 standard deviations.
    assert!((50..=150).contains(&aborted), "{aborted}");
    proxy.finish().await;
}

#[tokio::test]
async fn a_client_asks_for_a_fault_only_where_the_route_says_so() {
    let app = app().await;
    let open = started(r#"{ ask = "x-fault" }"#, &app).await;
    let ask = async |proxy: &Proxy, value: &str| {
        let line = format!("x-fault: {value}");
        proxy.request("GET", "/", &line, b"").await
    };
    ask(&open, "abort=502")
        .await
        .assert_failure(502, "connection_terminated");
    let start = Instant::now();
    ask(&open, "delay=100ms, abort=503")
        .await
        .assert_failure(503, "destination_unavailable");
    assert!(start.elapsed() >= Duration::from_millis(100));
    for wrong in ["abort=200", "delay=2h", "abort=503; delay=1s"] {
        assert_eq!(ask(&open, wrong).await.status, 200, "{wrong}");
    }
    assert_eq!(open.get("/").await.status, 200);
    open.finish().await;
    let closed = started(r#"{ abort = 503, headers = { x-test = "yes" } }"#, &app).await;
    assert_eq!(ask(&closed, "abort=502").await.status, 200);
    closed.finish().await;
}

#[tokio::test]
async fn a_grpc_call_gets_a_grpc_status() {
    let app = app().await;
    let proxy = started("{ abort = 503 }", &app).await;
    let kind = [("content-type", "application/grpc"), ("te", "trailers")];
    let answer = proxy
        .h2_client()
        .await
        .request("POST", "/a.B/C", &kind, b"")
        .await
        .unwrap();
    assert_eq!(answer.status, 200);
    let told = answer.fields.get("grpc-status");
    assert_eq!(
        told.or_else(|| answer.trailers.get("grpc-status")),
        Some("14")
    );
    proxy.finish().await;
}

#[tokio::test]
async fn faults_are_a_configuration_error_unless_the_proxy_allows_them() {
    let folder = tempfile::tempdir().unwrap();
    let text = tables(false, "{ abort = 503 }").replace("$web", "127.0.0.1:8080");
    let text = text.replace("$app", "127.0.0.1:9001");
    std::fs::write(folder.path().join("proxy.toml"), text).unwrap();
    let (code, said) = command(folder.path(), &["check", "proxy.toml"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("faults = true"), "{said}");
}
