//! gRPC over HTTP/3: an aioquic client, the proxy, and a server of the gRPC project.

use crate::harness::{
    Authority, Gate, H2Act, H2Backend, Peer, Port, Proxy, Settings, packages, run_peer,
};

const TEXT: &str = r#"
    [listeners.web]
    address = "$web"
    protocols = ["h2", "h3"]
    tls = { certificates = [{ chain = "a.pem", key = "a.key" }] }
    [routes.echo]
    path_prefix = "/peer.Echo"
    pool = "app"
    [routes.dead]
    path_prefix = "/dead.Service"
    pool = "dead"
    [routes.silent]
    path_prefix = "/silent.Service"
    pool = "silent"
    [pools.silent]
    endpoints = ["$silent"]
    protocol = "h2"
    [pools.app]
    endpoints = ["$app"]
    protocol = "h2"
    [pools.dead]
    endpoints = ["$dead"]
    protocol = "h2"
"#;

const CLIENT: &str = "http3_grpc.py";

/// A server of gRPC, and the proxy before it.
struct Bridge {
    proxy: Proxy,
    server: Peer,
    /// Takes calls, and never answers.
    _silent: H2Backend,
    packages: std::ffi::OsString,
    ca: String,
}

impl Bridge {
    /// Starts both; none if the packages are not installed.
    async fn start() -> Option<Self> {
        let packages = packages()?;
        let (app, dead) = (Port::take(), Port::take());
        let silent = H2Backend::start(|_| vec![H2Act::Read, H2Act::Wait(Gate::new())]).await;
        let port = app.address().port().to_string();
        let server = Peer::start(&packages, "grpc_server.py", &[port]).await;
        let settings = Settings::new(TEXT)
            .address("app", app.address())
            .address("dead", dead.address())
            .address("silent", silent.address());
        let authority = Authority::new("test authority");
        let issued = authority.issue("shop", &["shop.example"]);
        issued.write(settings.folder(), "a");
        authority.write(settings.folder(), "ca.pem");
        let ca = settings.folder().join("ca.pem").display().to_string();
        Some(Self {
            proxy: settings.start().await,
            server,
            _silent: silent,
            packages,
            ca,
        })
    }

    fn arguments(&self, scenario: &str) -> [String; 3] {
        let address = self.proxy.address("web").to_string();
        [scenario.to_owned(), address, self.ca.clone()]
    }

    async fn run(&self, scenario: &str) {
        run_peer(&self.packages, CLIENT, &self.arguments(scenario)).await;
    }
}

#[tokio::test]
async fn every_kind_of_call_passes_over_http3() {
    let Some(bridge) = Bridge::start().await else {
        return;
    };
    bridge.run("kinds").await;
    let line = bridge.proxy.logged("of a call", |line| {
        line["path"] == "/peer.Echo/ClientStream"
    });
    let line = line.await;
    assert_eq!(line["protocol"], "HTTP/3.0", "{line}");
    assert_eq!(line["grpc_status"], "0", "{line}");
    bridge.proxy.finish().await;
}

#[tokio::test]
async fn messages_are_answered_one_by_one_before_the_client_ends() {
    let Some(bridge) = Bridge::start().await else {
        return;
    };
    bridge.run("turns").await;
    bridge.proxy.finish().await;
}

#[tokio::test]
async fn statuses_pass_in_trailers_and_without_a_body() {
    let Some(bridge) = Bridge::start().await else {
        return;
    };
    bridge.run("statuses").await;
    bridge.proxy.finish().await;
}

#[tokio::test]
async fn deadlines_are_passed_on_to_the_server() {
    let Some(bridge) = Bridge::start().await else {
        return;
    };
    bridge.run("deadlines").await;
    bridge.proxy.finish().await;
}

#[tokio::test]
async fn a_cancelled_call_is_cancelled_at_the_server() {
    let Some(mut bridge) = Bridge::start().await else {
        return;
    };
    let arguments = bridge.arguments("cancels");
    let mut client = Peer::start(&bridge.packages, CLIENT, &arguments).await;
    for way in ["both", "reset", "stop"] {
        assert_eq!(client.line().await, way);
        assert_eq!(bridge.server.line().await, "cancelled", "{way}");
        client.say("seen");
    }
    client.ended().await.expect("the client is content");
    let is_cancelled =
        |line: &serde_json::Value| line["path"] == "/peer.Echo/Held" && line["status"] == 499;
    bridge
        .proxy
        .logged("of a cancelled call", is_cancelled)
        .await;
    bridge.proxy.finish().await;
}

#[tokio::test]
async fn failures_of_the_proxy_are_a_grpc_status_over_http3() {
    let Some(bridge) = Bridge::start().await else {
        return;
    };
    bridge.run("failures").await;
    let line = bridge
        .proxy
        .logged("of the late call", |line| line["grpc_status"] == "4");
    assert_eq!(line.await["reason"], "http_response_timeout");
    bridge.proxy.finish().await;
}
