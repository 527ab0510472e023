//! gRPC passes as it is, and the proxy's own failures are told in its words.

use crate::harness::{Answer, End, Gate, H2Act, H2Backend, Port, Proxy, Settings};

const ALL: &str = r#"
    [listeners.web]
    address = "$web"
    [routes.greeter]
    path_prefix = "/hello.Greeter"
    pool = "app"
    [routes.dead]
    path_prefix = "/dead.Service"
    pool = "dead"
    [pools.app]
    endpoints = ["$app"]
    protocol = "h2"
    [pools.dead]
    endpoints = ["$dead"]
    protocol = "h2"
"#;

const GRPC: [(&str, &str); 2] = [("content-type", "application/grpc"), ("te", "trailers")];

#[tokio::test]
async fn a_call_passes_with_its_trailers() {
    let app = H2Backend::start(|_| {
        let kind = ("content-type", "application/grpc".to_owned());
        vec![
            H2Act::Read,
            H2Act::Head(200, vec![kind]),
            H2Act::Data(b"\0\0\0\0\x02ok".to_vec()),
            H2Act::Trailers(vec![("grpc-status", "0"), ("grpc-message", "")]),
        ]
    })
    .await;
    let dead = Port::take();
    let settings = Settings::new(ALL).address("app", app.address());
    let proxy = settings.address("dead", dead.address()).start().await;
    let mut client = proxy.h2_client().await;
    let path = "/hello.Greeter/SayHello";
    let answer = client
        .request("POST", path, &GRPC, b"\0\0\0\0\x02hi")
        .await
        .unwrap();
    assert_eq!(answer.body, b"\0\0\0\0\x02ok");
    assert_eq!(answer.trailers.get("grpc-status"), Some("0"));
    let seen = app.seen().remove(0);
    assert_eq!((seen.target.as_str(), seen.field("te")), (path, "trailers"));
    assert_eq!(seen.body, b"\0\0\0\0\x02hi");
    proxy.finish().await;
}

#[tokio::test]
async fn failures_of_the_proxy_are_a_grpc_status() {
    let dead = Port::take();
    let settings = Settings::new(ALL).address("app", dead.address());
    let proxy = settings.address("dead", dead.address()).start().await;
    let mut client = proxy.h2_client().await;
    for (path, status) in [("/none.Service/Call", "12"), ("/dead.Service/Call", "14")] {
        let answer = client.request("POST", path, &GRPC, b"").await.unwrap();
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let told = answer
            .fields
            .get("grpc-status")
            .or_else(|| answer.trailers.get("grpc-status"));
        assert_eq!(told, Some(status), "{path}: {answer:?}");
        assert!(answer.field("content-type").starts_with("application/grpc"));
    }
    proxy.finish().await;
}

/// A call at the greeter that ends at once with this status and these further fields.
fn trailers_only(status: &str, more: &[(&'static str, &str)]) -> Vec<H2Act> {
    let mut fields = vec![
        ("content-type", "application/grpc".to_owned()),
        ("grpc-status", status.to_owned()),
    ];
    fields.extend(
        more.iter()
            .map(|(name, value)| (*name, (*value).to_owned())),
    );
    vec![H2Act::Read, H2Act::Head(200, fields), H2Act::End]
}

/// A call that answers and ends with this status in its trailers.
fn trailers(status: &'static str) -> Vec<H2Act> {
    let kind = ("content-type", "application/grpc".to_owned());
    vec![
        H2Act::Read,
        H2Act::Head(200, vec![kind]),
        H2Act::Data(b"\0\0\0\0\x02ok".to_vec()),
        H2Act::Trailers(vec![("grpc-status", status)]),
    ]
}

async fn greeter(app: &H2Backend, route: &str, pool: &str) -> Proxy {
    let text = format!(
        "[listeners.web]\naddress = \"$web\"\n[routes.all]\npool = \"app\"\n{route}\n\
         [pools.app]\nendpoints = [\"$app\"]\nprotocol = \"h2\"\n{pool}\n"
    );
    let settings = Settings::new(&text).address("app", app.address());
    settings.start().await
}

async fn call(proxy: &Proxy, more: &[(&str, &str)]) -> Answer {
    let mut client = proxy.h2_client().await;
    let fields = [&GRPC, more].concat();
    let path = "/hello.Greeter/SayHello";
    client.request("POST", path, &fields, b"hi").await.unwrap()
}

/// The status of a call, wherever it stands.
fn status(answer: &Answer) -> Option<&str> {
    let told = answer.fields.get("grpc-status");
    told.or_else(|| answer.trailers.get("grpc-status"))
}

fn millis(timeout: &str) -> u64 {
    let (digits, unit) = timeout.split_at(timeout.len() - 1);
    let count: u64 = digits.parse().unwrap();
    match unit {
        "m" => count,
        "u" => count / 1000,
        "n" => count / 1_000_000,
        other => panic!("{other} in {timeout}"),
    }
}

#[tokio::test]
async fn a_deadline_is_counted_down_and_told_as_its_status() {
    let app = H2Backend::start(|_| vec![H2Act::Read, H2Act::Wait(Gate::new())]).await;
    let proxy = greeter(&app, "", "ejection = { consecutive = 1 }").await;
    let answer = call(&proxy, &[("grpc-timeout", "400m")]).await;
    assert_eq!(status(&answer), Some("4"), "{answer:?}");
    let told = millis(app.seen()[0].field("grpc-timeout"));
    assert!((1..400).contains(&told), "{told}ms of 400ms are left");
    // A client in a hurry must not have the endpoint removed for everyone.
    let ejections = proxy.metric("sluicegate_ejections_total", &[]).await;
    assert!(ejections < 0.5, "{ejections} ejections");
    let line = proxy.logged("the call", |line| line["status"] == 200).await;
    assert_eq!(line["grpc_status"], "4");
    assert_eq!(line["reason"], "http_response_timeout");
    proxy.finish().await;
}

#[tokio::test]
async fn a_deadline_in_the_middle_of_an_answer_is_told_in_the_trailers() {
    let app = H2Backend::start(|_| {
        let kind = ("content-type", "application/grpc".to_owned());
        let part = H2Act::Data(b"\0\0\0\0\x02ok".to_vec());
        vec![
            H2Act::Read,
            H2Act::Head(200, vec![kind]),
            part,
            H2Act::Wait(Gate::new()),
        ]
    })
    .await;
    let proxy = greeter(&app, "", "").await;
    let answer = call(&proxy, &[("grpc-timeout", "300m")]).await;
    assert_eq!(answer.end, End::Complete);
    assert_eq!(answer.body, b"\0\0\0\0\x02ok");
    assert_eq!(answer.trailers.get("grpc-status"), Some("4"));
    proxy.finish().await;
}

#[tokio::test]
async fn the_status_in_the_trailers_counts_for_health_metrics_and_log() {
    let app = H2Backend::start(|_| trailers("14")).await;
    let proxy = greeter(
        &app,
        "",
        "ejection = { consecutive = 3 }\npanic_threshold = \"0%\"",
    )
    .await;
    for _ in 0..3 {
        assert_eq!(status(&call(&proxy, &[]).await), Some("14"));
    }
    let pool = ("pool", "app");
    let labels = [pool, ("reason", "grpc:unavailable")];
    proxy
        .metric_becomes("sluicegate_attempts_total", &labels, 3.0)
        .await;
    let line = proxy.logged("the call", |line| line["status"] == 200).await;
    assert_eq!(line["grpc_status"], "14");
    proxy.finish().await;
}

#[tokio::test]
async fn endpoints_that_fail_in_their_trailers_are_ejected_and_those_that_say_no_are_not() {
    let bad =
        H2Backend::start(|seen| trailers(if seen.target == "/no" { "5" } else { "13" })).await;
    let good = H2Backend::start(|_| trailers("0")).await;
    let text = r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = ["$bad", "$good"]
        protocol = "h2"
        ejection = { consecutive = 3, share_max = "50%" }
    "#;
    let settings = Settings::new(text).address("bad", bad.address());
    let proxy = settings.address("good", good.address()).start().await;
    let mut client = proxy.h2_client().await;
    for _ in 0..20 {
        client.request("POST", "/no", &GRPC, b"").await.unwrap();
    }
    let ejected = "sluicegate_ejections_total";
    assert!(
        proxy.metric(ejected, &[]).await < 0.5,
        "NOT_FOUND is an answer"
    );
    for _ in 0..20 {
        client.request("POST", "/yes", &GRPC, b"").await.unwrap();
    }
    proxy.metric_becomes(ejected, &[], 1.0).await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_listed_status_is_tried_again_as_the_endpoint_asks() {
    let app = H2Backend::start(|seen| {
        match (
            seen.target.as_str(),
            seen.fields.get("grpc-previous-rpc-attempts"),
        ) {
            (_, Some("1")) => trailers("0"),
            ("/never", _) => trailers_only("14", &[("grpc-retry-pushback-ms", "-1")]),
            ("/later", _) => trailers_only("14", &[("grpc-retry-pushback-ms", "200")]),
            ("/other", _) => trailers_only("9", &[]),
            ("/late", _) => trailers("14"),
            _ => trailers_only("14", &[]),
        }
    })
    .await;
    let retry = "retry = { attempts = 3, on = [\"grpc:unavailable\"] }";
    let proxy = greeter(&app, retry, "ejection = false").await;
    let mut client = proxy.h2_client().await;
    for (path, expected, attempts) in [
        ("/now", "0", 2),
        ("/never", "14", 1),
        ("/later", "0", 2),
        ("/other", "9", 1),
        ("/late", "14", 1),
    ] {
        let begun = tokio::time::Instant::now();
        let answer = client.request("POST", path, &GRPC, b"hi").await.unwrap();
        assert_eq!(status(&answer), Some(expected), "{path}: {answer:?}");
        let seen = app.seen();
        let tries = seen.iter().filter(|seen| seen.target == path);
        assert_eq!(tries.count(), attempts, "{path}");
        if path == "/later" {
            assert!(begun.elapsed().as_millis() >= 200, "{:?}", begun.elapsed());
        }
    }
    proxy.finish().await;
}
