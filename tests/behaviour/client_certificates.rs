//! Routes, logs and headers know who the client is, by the certificate that it showed.

use rcgen::SanType;
use rustls::ClientConfig;
use serde_json::{Value, json};

use crate::harness::{
    Authority, Backend, Client, Proxy, Settings, Tunnel, command, eventually, identity,
};

const BY_CERTIFICATE: &str = r#"
    [listeners.web]
    address = "$web"
    [listeners.web.tls]
    certificates = [{ chain = "a.pem", key = "a.key" }]
    client_ca = "clients.pem"
    client_auth = "optional"
    [routes.billing]
    client_certificate = { subject = "CN=billing" }
    pool = "billing"
    [routes.cluster]
    client_certificate = { uri = { regex = "^spiffe://cluster/" } }
    pool = "cluster"
    [routes.narrow]
    client_certificate = { uri = { regex = "^spiffe://cluster/" }, dns = "B.example" }
    pool = "narrow"
    [routes.stranger]
    client_certificate = { subject = { present = false } }
    pool = "stranger"
    [routes.others]
    pool = "others"
    [pools.billing]
    endpoints = ["$billing"]
    [pools.cluster]
    endpoints = ["$cluster"]
    [pools.narrow]
    endpoints = ["$narrow"]
    [pools.stranger]
    endpoints = ["$stranger"]
    [pools.others]
    endpoints = ["$others"]

    [tests.billing_is_known_by_its_subject]
    request = { url = "https://shop.example/", client_certificate = { subject = "CN=billing" } }
    expect = { route = "billing" }
    [tests.names_count_more_together]
    request = { url = "https://shop.example/", client_certificate = { uri = ["spiffe://cluster/a"], dns = ["b.example"] } }
    expect = { route = "narrow" }
    [tests.nobody_is_a_stranger]
    request = { url = "https://shop.example/" }
    expect = { route = "stranger" }
"#;

async fn start() -> (Proxy, Authority, Vec<Backend>) {
    let mut settings = Settings::new(BY_CERTIFICATE);
    let mut backends = Vec::new();
    for name in ["billing", "cluster", "narrow", "stranger", "others"] {
        let backend = Backend::start(identity(name)).await;
        settings = settings.backend(name, &backend);
        backends.push(backend);
    }
    let authority = Authority::new("test authority");
    let issued = authority.issue("shop", &["shop.example"]);
    issued.write(settings.folder(), "a");
    authority.write(settings.folder(), "clients.pem");
    (settings.start().await, authority, backends)
}

/// Returns the endpoint that answers a client with these settings.
async fn served_by(proxy: &Proxy, config: ClientConfig) -> String {
    let tunnel = Tunnel::to_tls(proxy.address("web"), config, "shop.example").await;
    let mut client = Client::connect(tunnel.address()).await;
    let reply = client
        .request("GET", "/", "host: shop.example\n", b"")
        .await;
    assert_eq!(reply.status, 200);
    reply.text()
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_goes_where_the_certificate_of_its_client_says() {
    let (proxy, authority, _backends) = start().await;
    let cases = [
        ("billing", vec![], "billing"),
        ("Billing", vec![], "others"),
        ("a", vec![uri("spiffe://cluster/a")], "cluster"),
        ("a", vec![uri("spiffe://other/a")], "others"),
        // A name of another kind is another name.
        ("a", vec![dns("spiffe.cluster")], "others"),
        (
            "a",
            vec![
                uri("spiffe://other/a"),
                uri("spiffe://cluster/a"),
                dns("b.Example"),
            ],
            "narrow",
        ),
    ];
    for (subject, names, expected) in cases {
        let shown = authority.issue_named(subject, names.clone());
        let config = authority.client(Some(&shown), &["http/1.1"]);
        assert_eq!(
            served_by(&proxy, config.clone()).await,
            expected,
            "{subject} {names:?}"
        );
        // The second session is resumed, and no certificate is shown in it.
        assert_eq!(
            served_by(&proxy, config).await,
            expected,
            "{subject} {names:?}, resumed"
        );
    }
    let nobody = authority.client(None, &["http/1.1"]);
    assert_eq!(served_by(&proxy, nobody).await, "stranger");
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_client_certificate_is_told_once_in_a_while_and_counted() {
    let (proxy, authority, _backends) = start().await;
    let stranger = Authority::new("test authority").issue("stranger", &[]);
    let refused = authority.client(Some(&stranger), &["http/1.1"]);
    for _ in 0..5 {
        let tunnel = Tunnel::to_tls(proxy.address("web"), refused.clone(), "shop.example").await;
        let mut client = Client::connect(tunnel.address()).await;
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        client.ended().await;
    }
    let failed = [("listener", "web"), ("result", "failed")];
    proxy
        .metric_becomes("sluicegate_tls_handshakes_total", &failed, 5.0)
        .await;
    proxy.log_says("TLS handshake with a client failed").await;
    let log = proxy.log();
    let lines: Vec<_> = log
        .lines()
        .filter(|line| line.contains("TLS handshake with a client failed"))
        .collect();
    assert_eq!(lines.len(), 1, "{log}");
    for part in [
        "WARN",
        "listener=web",
        "client=127.0.0.1",
        "invalid peer certificate",
    ] {
        assert!(lines[0].contains(part), "{part}: {}", lines[0]);
    }
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_subject_is_in_the_access_log_and_among_the_connections() {
    let (proxy, authority, _backends) = start().await;
    let shown = authority.issue("billing", &[]);
    let config = authority.client(Some(&shown), &["http/1.1"]);
    let tunnel = Tunnel::to_tls(proxy.address("web"), config, "shop.example").await;
    let mut client = Client::connect(tunnel.address()).await;
    let lines = "host: shop.example\n";
    assert_eq!(
        client.request("GET", "/known", lines, b"").await.status,
        200
    );
    let line = proxy
        .logged("/known", |line| line["path"] == "/known")
        .await;
    assert_eq!(line["tls_subject"], "CN=billing", "{line}");
    let connections = proxy.admin("GET", "/connections", "").await.unwrap();
    let open: Value = serde_json::from_str(&connections.text()).unwrap();
    assert_eq!(open[0]["tls_subject"], "CN=billing", "{open}");
    drop((client, tunnel));
    let nobody = authority.client(None, &["http/1.1"]);
    let tunnel = Tunnel::to_tls(proxy.address("web"), nobody, "shop.example").await;
    let mut client = Client::connect(tunnel.address()).await;
    assert_eq!(
        client.request("GET", "/unknown", lines, b"").await.status,
        200
    );
    let line = proxy
        .logged("/unknown", |line| line["path"] == "/unknown")
        .await;
    assert_eq!(line.get("tls_subject"), None, "{line}");
    eventually("only the second connection is open", || async {
        let connections = proxy.admin("GET", "/connections", "").await?;
        let open: Value = serde_json::from_str(&connections.text()).unwrap();
        let only = open.as_array()?.len() == 1;
        (only && open[0].get("tls_subject").is_none()).then_some(())
    })
    .await;
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_answers_for_a_certificate_as_the_proxy_does() {
    let (proxy, authority, _backends) = start().await;
    let shown = authority.issue_named("a", vec![uri("spiffe://cluster/a")]);
    shown.write(proxy.folder(), "client");
    let explain = |more: &[&str]| {
        let words = [
            "explain",
            "--config",
            "proxy.toml",
            "GET",
            "https://shop.example/",
        ];
        let all: Vec<&str> = words.iter().chain(more).copied().collect();
        let (code, text) = command(proxy.folder(), &all);
        assert_eq!(code, Some(0), "{text}");
        text
    };
    for live in [&[][..], &["--live"]] {
        let text = explain(live);
        assert!(text.contains("route \"stranger\" sends"), "{text}");
        assert!(
            text.contains("the client has shown no certificate"),
            "{text}"
        );
        let text = explain(&[live, &["--certificate", "client.pem"]].concat());
        assert!(text.contains("route \"cluster\" sends"), "{text}");
        assert!(
            text.contains("certificate subject is \"CN=a\", not \"CN=billing\""),
            "{text}"
        );
        assert!(text.contains("certificate dns is missing"), "{text}");
    }
    let body = json!({
        "url": "https://shop.example/",
        "client_certificate": { "uri": ["spiffe://cluster/a"], "dns": ["b.example"] },
    });
    let body = body.to_string();
    let mut client = Client::connect(proxy.address("admin")).await;
    let lines = format!("host: {}\n", proxy.address("admin"));
    let answer = client
        .request("POST", "/explain", &lines, body.as_bytes())
        .await;
    let told: Value = serde_json::from_str(&answer.text()).unwrap();
    assert_eq!(told["route"], "narrow", "{told}");
    proxy.finish().await;
}
