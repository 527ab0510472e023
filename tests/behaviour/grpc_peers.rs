//! gRPC as others speak it: a Python client and a Python server, the proxy in between.

use crate::harness::{Peer, Port, Settings, packages, run_peer};

#[tokio::test]
async fn every_kind_of_call_passes_between_real_peers() {
    let Some(packages) = packages() else { return };
    let app = Port::take();
    let port = app.address().port().to_string();
    let _server = Peer::start(&packages, "grpc_server.py", &[port]).await;
    let text = r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
        protocol = "h2"
    "#;
    let settings = Settings::new(text).address("app", app.address());
    let proxy = settings.start().await;
    let web = proxy.address("web").to_string();
    run_peer(&packages, "grpc_client.py", &[web]).await;
    let line = proxy
        .logged("a call that found nothing", |line| {
            line["grpc_status"] == "5"
        })
        .await;
    assert_eq!(line["status"], 200);
    proxy.finish().await;
}
