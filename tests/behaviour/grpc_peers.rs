//! gRPC and gRPC-Web as others speak them, the proxy in between.

use std::ffi::OsString;

use crate::harness::{
    Peer, Port, Proxy, Settings, WebCall, message, node_packages, packages, run_node_peer,
    run_peer, to_base64,
};

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

/// A real server of gRPC, and the proxy that bridges gRPC-Web to it.
async fn bridged(packages: &OsString) -> (Peer, Proxy) {
    let app = Port::take();
    let port = app.address().port().to_string();
    let server = Peer::start(packages, "grpc_server.py", &[port]).await;
    let text = r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        grpc_web = true
        [pools.app]
        endpoints = ["$app"]
        protocol = "h2"
    "#;
    let settings = Settings::new(text).address("app", app.address());
    (server, settings.start().await)
}

#[tokio::test]
async fn the_client_of_the_grpc_project_calls_over_grpc_web() {
    let (Some(packages), Some(node)) = (packages(), node_packages()) else {
        return;
    };
    let (_server, proxy) = bridged(&packages).await;
    let web = proxy.address("web").to_string();
    run_node_peer(&node, "grpc_web_google.cjs", &[web]).await;
    proxy.finish().await;
}

#[tokio::test]
async fn the_client_of_the_connect_project_calls_over_grpc_web() {
    let (Some(packages), Some(node)) = (packages(), node_packages()) else {
        return;
    };
    let (_server, proxy) = bridged(&packages).await;
    let web = proxy.address("web").to_string();
    run_node_peer(&node, "grpc_web_connect.cjs", &[web]).await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_real_server_answers_calls_in_either_form() {
    let Some(packages) = packages() else { return };
    let (_server, proxy) = bridged(&packages).await;
    let call = async |name: &str, kind: &str, request: &[u8]| {
        let body = match kind {
            "application/grpc-web-text" => to_base64(&message(request)).into_bytes(),
            _ => message(request),
        };
        let lines = format!("content-type: {kind}");
        let path = format!("/peer.Echo/{name}");
        let over_http1 = proxy.request("POST", &path, &lines, &body).await;
        let mut client = proxy.h2_client().await;
        let fields = [("content-type", kind)];
        let over_http2 = client.request("POST", &path, &fields, &body).await.unwrap();
        [over_http1, over_http2].map(|answer| WebCall::read(&answer))
    };
    let hundred: Vec<Vec<u8>> = (0..100).map(|n| n.to_string().into_bytes()).collect();
    for kind in ["application/grpc-web", "application/grpc-web-text"] {
        for web in call("Unary", kind, b"hello").await {
            assert_eq!(
                (web.messages, web.trailers.get("grpc-status")),
                (vec![b"hello".to_vec()], Some("0"))
            );
            assert_eq!(web.trailers.get("x-tail-bin"), Some("AAH/"));
        }
        for web in call("ServerStream", kind, b"100").await {
            assert_eq!((web.status(), &web.messages), ("0", &hundred));
        }
        for web in call("ServerStream", kind, b"0").await {
            assert_eq!((web.status(), web.messages.len()), ("0", 0));
        }
        for web in call("Fail", kind, b"").await {
            assert_eq!(
                (web.status(), web.trailers.get("x-why")),
                ("5", Some("gone"))
            );
            let said = web.trailers.get("grpc-message");
            assert_eq!(said, Some("no such thing: %C3%BC 100%25"));
        }
    }
    proxy.finish().await;
}
