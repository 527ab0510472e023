//! Active checks take endpoints out and bring them back; nobody else does.

use crate::harness::{Act, Backend, Proxy, Seen, Settings, answer, answer_bytes, identity};

const CHECKED: &str = r#"
    [proxy]
    workers = 1
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    [pools.app]
    endpoints = ["$a", "$b"]
    health = { http = { path = "/healthz" }, interval = "300ms", interval_down = "300ms", timeout = "300ms", rise = 2, fall = 2 }
    ejection = false
    panic_threshold = "0%"
"#;

fn ill(seen: &Seen) -> Vec<Act> {
    match seen.target.as_str() {
        "/healthz" => answer_bytes("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"),
        _ => answer("ill"),
    }
}

async fn healthy_is(proxy: &Proxy, backend: &Backend, value: f64) {
    let address = backend.address().to_string();
    let labels = [("pool", "app"), ("endpoint", address.as_str())];
    proxy
        .metric_becomes("sluicegate_endpoint_healthy", &labels, value)
        .await;
}

#[tokio::test]
async fn an_endpoint_that_fails_its_checks_gets_no_requests_until_it_passes_them() {
    let a = Backend::start(identity("a")).await;
    let b = Backend::start(identity("b")).await;
    let proxy = Settings::new(CHECKED)
        .backend("a", &a)
        .backend("b", &b)
        .start()
        .await;
    healthy_is(&proxy, &a, 1.0).await;
    healthy_is(&proxy, &b, 1.0).await;

    b.now(ill);
    healthy_is(&proxy, &b, 0.0).await;
    let before = b.count();
    for _ in 0..10 {
        assert_eq!(proxy.get("/").await.text(), "a");
    }
    assert_eq!(b.count(), before);

    b.now(identity("b"));
    healthy_is(&proxy, &b, 1.0).await;
    let mut names = Vec::new();
    for _ in 0..4 {
        names.push(proxy.get("/").await.text());
    }
    assert!(names.contains(&"b".to_owned()), "{names:?}");
    proxy.finish().await;
}

#[tokio::test]
async fn one_failed_check_is_not_enough() {
    let a = Backend::start(identity("a")).await;
    let b = Backend::start(identity("b")).await;
    let text = CHECKED.replace("fall = 2", "fall = 1000");
    let proxy = Settings::new(&text)
        .backend("a", &a)
        .backend("b", &b)
        .start()
        .await;
    healthy_is(&proxy, &b, 1.0).await;
    b.now(ill);
    let checks = b.count_of("GET", "/healthz");
    crate::harness::eventually("some failed checks", || async {
        (b.count_of("GET", "/healthz") >= checks + 3).then_some(())
    })
    .await;
    healthy_is(&proxy, &b, 1.0).await;
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_that_is_down_from_the_start_never_gets_a_request() {
    let a = Backend::start(identity("a")).await;
    let b = Backend::start(ill).await;
    let proxy = Settings::new(CHECKED)
        .backend("a", &a)
        .backend("b", &b)
        .start()
        .await;
    for _ in 0..10 {
        assert_eq!(proxy.get("/").await.text(), "a");
    }
    assert_eq!(b.count(), 0);
    proxy.finish().await;
}

#[tokio::test]
async fn when_all_fail_their_checks_the_answer_is_503_and_says_so() {
    let a = Backend::start(ill).await;
    let b = Backend::start(ill).await;
    let proxy = Settings::new(CHECKED)
        .backend("a", &a)
        .backend("b", &b)
        .start()
        .await;
    healthy_is(&proxy, &a, 0.0).await;
    healthy_is(&proxy, &b, 0.0).await;
    let answer = proxy.get("/").await;
    answer.assert_failure(503, "destination_unavailable");
    assert!(answer.fields.has("retry-after"), "{answer:?}");
    assert_eq!(a.count() + b.count(), 0);
    proxy.finish().await;
}

#[tokio::test]
async fn below_the_panic_threshold_health_is_ignored() {
    let a = Backend::start(ill).await;
    let b = Backend::start(ill).await;
    let text = CHECKED.replace("panic_threshold = \"0%\"", "panic_threshold = \"50%\"");
    let proxy = Settings::new(&text)
        .backend("a", &a)
        .backend("b", &b)
        .start()
        .await;
    healthy_is(&proxy, &a, 0.0).await;
    healthy_is(&proxy, &b, 0.0).await;
    for _ in 0..4 {
        assert_eq!(proxy.get("/").await.text(), "ill");
    }
    assert_eq!((a.count(), b.count()), (2, 2));
    proxy.finish().await;
}

#[tokio::test]
async fn a_tcp_check_asks_only_for_the_connection() {
    let a = Backend::start(identity("a")).await;
    let mut b = Backend::start(identity("b")).await;
    let text = CHECKED.replace("http = { path = \"/healthz\" }", "tcp = {}");
    let proxy = Settings::new(&text)
        .backend("a", &a)
        .backend("b", &b)
        .start()
        .await;
    healthy_is(&proxy, &b, 1.0).await;
    b.kill().await;
    healthy_is(&proxy, &b, 0.0).await;
    b.up().await;
    healthy_is(&proxy, &b, 1.0).await;
    assert_eq!(a.count() + b.count(), 0);
    proxy.finish().await;
}
