//! On routes that accept it, a client sets a deadline of its own; what is left of it is counted down
//! to the endpoint.

use crate::harness::{
    Act, Answer, Backend, Gate, H2Act, H2Backend, Proxy, Settings, answer, answer_bytes, identity,
};

const ROUTE: &str = r#"
    [proxy]
    workers = 1
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    timeouts = { total = "20s", from_client = true }
    [pools.app]
    endpoints = [$endpoints]
    protocol = "$protocol"
    ejection = { consecutive = 1 }
"#;

fn text(protocol: &str, endpoints: &str) -> String {
    let text = ROUTE.replace("$protocol", protocol);
    text.replace("$endpoints", endpoints)
}

fn settings(protocol: &str, endpoints: &str) -> Settings {
    Settings::new(text(protocol, endpoints).as_str())
}

async fn ask(proxy: &Proxy, timeout: &str) -> Answer {
    let field = format!("x-request-timeout-ms: {timeout}\r\n");
    proxy.request("GET", "/", &field, b"").await
}

async fn assert_blameless(proxy: &Proxy) {
    let ejections = proxy.metric("sluicegate_ejections_total", &[]).await;
    assert!(ejections < 0.5, "{ejections} ejections");
}

#[tokio::test]
async fn a_clients_deadline_ends_a_request_and_is_no_fault_of_the_endpoint() {
    let slow = Backend::start(|_| vec![Act::Read, Act::Stall]).await;
    let settings = settings("http/1.1", r#""$one""#).backend("one", &slow);
    let proxy = settings.start().await;
    let late = ask(&proxy, "300").await;
    late.assert_failure(504, "http_response_timeout");
    let told = slow.only();
    let told: u64 = told
        .fields
        .get("x-request-timeout-ms")
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=300).contains(&told), "{told} ms of 300 ms are left");
    assert_blameless(&proxy).await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_clients_deadline_over_http2_upstream_is_no_fault_of_the_endpoint() {
    let slow = H2Backend::start(|_| vec![H2Act::Read, H2Act::Wait(Gate::new())]).await;
    let settings = settings("h2", r#""$one""#).address("one", slow.address());
    let proxy = settings.start().await;
    let late = ask(&proxy, "300").await;
    late.assert_failure(504, "http_response_timeout");
    let told: u64 = slow.seen()[0]
        .field("x-request-timeout-ms")
        .parse()
        .unwrap();
    assert!((1..=300).contains(&told), "{told} ms of 300 ms are left");
    assert_blameless(&proxy).await;
    proxy.finish().await;
}

#[tokio::test]
async fn each_attempt_is_told_the_time_that_is_left() {
    let bad = Backend::start(|_| {
        let mut acts = vec![Act::Read, Act::Pause(std::time::Duration::from_millis(200))];
        acts.extend(answer_bytes("HTTP/1.1 503 No\r\ncontent-length: 2\r\n\r\nno").split_off(1));
        acts
    })
    .await;
    let good = Backend::start(identity("good")).await;
    let settings = settings("http/1.1", r#""$one", "$two""#).backend("one", &bad);
    let proxy = settings.backend("two", &good).start().await;
    for _ in 0..2 {
        assert_eq!(ask(&proxy, "5000").await.text(), "good");
    }
    let told = |backend: &Backend| -> Vec<u64> {
        let seen = backend.seen();
        let fields = seen
            .iter()
            .map(|seen| seen.fields.get("x-request-timeout-ms"));
        fields.map(|told| told.unwrap().parse().unwrap()).collect()
    };
    let first = told(&bad);
    assert!((4000..=5000).contains(&first[0]), "{first:?}");
    let second = *told(&good).iter().min().unwrap();
    assert!(second + 200 <= first[0], "{second} after {first:?}");
    proxy.finish().await;
}

#[tokio::test]
async fn a_client_cannot_lengthen_the_time_and_a_malformed_value_fails_nothing() {
    let app = Backend::start(|_| answer("ok")).await;
    let settings = settings("http/1.1", r#""$one""#).backend("one", &app);
    let proxy = settings.start().await;
    let values = [
        "9999999999",
        "99999999999999999999999",
        "-1",
        "1s",
        "",
        "1, 2",
        "\u{e4}",
    ];
    for value in values {
        assert_eq!(ask(&proxy, value).await.status, 200, "{value:?}");
    }
    assert_eq!(proxy.get("/").await.status, 200);
    for seen in app.seen() {
        let told = seen.fields.all("x-request-timeout-ms");
        let told: Vec<u64> = told.iter().map(|told| told.parse().unwrap()).collect();
        assert_eq!(told.len(), 1);
        assert!((15_000..=20_000).contains(&told[0]), "{told:?}");
    }
    assert_eq!(app.seen().len(), values.len() + 1);
    // Over before it began: nothing is sent.
    ask(&proxy, "0")
        .await
        .assert_failure(504, "http_response_timeout");
    assert_eq!(app.seen().len(), values.len() + 1);
    proxy.finish().await;
}

#[tokio::test]
async fn a_route_that_does_not_say_so_passes_the_field_on_as_any_other() {
    let app = Backend::start(|_| answer("ok")).await;
    let text = text("http/1.1", r#""$one""#).replace(", from_client = true", "");
    let settings = Settings::new(text.as_str()).backend("one", &app);
    let proxy = settings.start().await;
    assert_eq!(ask(&proxy, "0").await.status, 200);
    assert_eq!(app.only().fields.get("x-request-timeout-ms"), Some("0"));
    proxy.finish().await;
}
