//! gRPC passes as it is, and the proxy's own failures are told in its words.

use crate::harness::{H2Act, H2Backend, Port, Settings};

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
