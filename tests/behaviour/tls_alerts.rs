//! Alerts of endpoints behind the handshake: with TLS 1.3 that is where they refuse a client's
//! certificate, or the want of one (RFC 8446 section 4.4.2.4).

use std::process::{Child, Command, Stdio};

use rustls::version::{TLS12, TLS13};

use crate::harness::websocket::ASK;
use crate::harness::{
    Act, Authority, Backend, Gate, H2Act, H2Backend, Port, Proxy, Seen, Settings, Tunnel, answer,
    eventually, h2_answer,
};

/// A pool at `$app` with these lines that trusts `ca.pem`.
fn pool(authority: &Authority, lines: &str) -> Settings {
    let settings = Settings::new(&format!(
        r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
        ejection = false
        tls = {{ ca = "ca.pem" }}
        {lines}
        "#
    ));
    authority.write(settings.folder(), "ca.pem");
    settings
}

/// An endpoint that demands a certificate.
async fn demanding(
    authority: &Authority,
    version: &'static rustls::SupportedProtocolVersion,
    alpn: &[&str],
) -> Tunnel {
    let app = Backend::start(|seen: &Seen| answer(&seen.target)).await;
    let issued = authority.issue("app", &["127.0.0.1"]);
    let config = issued.demanding(authority, version, alpn);
    Tunnel::from_tls(app.address(), config).await.keeping(app)
}

/// The log tells of the alert, with the endpoint, once in a while.
async fn told_once(proxy: &Proxy, front: &Tunnel, why: &str) {
    proxy.log_says(ALERT).await;
    let log = proxy.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(ALERT)).collect();
    assert_eq!(lines.len(), 1, "{why}: {log}");
    let endpoint = format!("endpoint={}", front.address());
    assert!(lines[0].contains(&endpoint), "{why}: {}", lines[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_wants_a_certificate_is_a_tls_error_over_every_protocol() {
    let authority = Authority::new("test authority");
    for version in [&TLS12, &TLS13] {
        for (protocol, alpn) in PROTOCOLS {
            let why = format!("{protocol}, {alpn:?}, {version:?}");
            let front = demanding(&authority, version, alpn).await;
            let settings = pool(&authority, &format!("protocol = \"{protocol}\""));
            let proxy = settings.address("app", front.address()).start().await;
            for _ in 0..3 {
                let reply = proxy.get("/").await;
                eprintln!("{why}: GET");
                reply.assert_failure(502, "tls_protocol_error");
                eprintln!("{why}: POST");
                let reply = proxy.request("POST", "/", "", &[b'x'; 3000]).await;
                reply.assert_failure(502, "tls_protocol_error");
                eprintln!("{why}: large POST");
                let reply = proxy.request("POST", "/", "", &[b'x'; 300_000]).await;
                reply.assert_failure(502, "tls_protocol_error");
                eprintln!("{why}: WebSocket");
                let mut client = proxy.client().await;
                client.send(ASK).await;
                let reply = client.answer().await;
                reply.assert_failure(502, "tls_protocol_error");
            }
            told_once(&proxy, &front, &why).await;
            proxy.finish().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_moves_on_from_an_endpoint_that_refuses_the_certificate() {
    let authority = Authority::new("test authority");
    for (protocol, alpn) in PROTOCOLS {
        let bad = demanding(&authority, &TLS13, alpn).await;
        let issued = authority.issue("app", &["127.0.0.1"]);
        let (http1, http2) = (
            Backend::start(|seen: &Seen| answer(&seen.target)).await,
            H2Backend::start(|seen: &Seen| h2_answer(&seen.target)).await,
        );
        let config = issued.server(alpn);
        let good = Tunnel::from_tls_by_protocol(http1.address(), http2.address(), config).await;
        let settings = Settings::new(&format!(
            r#"
            [listeners.web]
            address = "$web"
            [routes.all]
            pool = "app"
            [pools.app]
            picker = "round_robin"
            endpoints = ["$bad", "$good"]
            protocol = "{protocol}"
            tls = {{ ca = "ca.pem" }}
            "#
        ));
        authority.write(settings.folder(), "ca.pem");
        let settings = settings.address("bad", bad.address());
        let proxy = settings.address("good", good.address()).start().await;
        for _ in 0..8 {
            let reply = proxy.request("POST", "/", "", b"once").await;
            assert_eq!(reply.status, 200, "{protocol}, {alpn:?}");
        }
        assert_eq!(http1.seen().len() + http2.seen().len(), 8);
        proxy.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_over_http_and_grpc_name_the_alert() {
    let authority = Authority::new("test authority");
    for version in [&TLS12, &TLS13] {
        for (protocol, check) in [
            ("http/1.1", "http = { path = \"/\" }"),
            ("h2", "http = { path = \"/\" }"),
            ("h2", "grpc = { service = \"\" }"),
        ] {
            let front = demanding(&authority, version, &[protocol]).await;
            let lines = format!(
                "protocol = \"{protocol}\"\n\
                 health = {{ {check}, interval = \"1s\", timeout = \"500ms\" }}"
            );
            let settings = pool(&authority, &lines);
            let proxy = settings.address("app", front.address()).start().await;
            proxy.log_says(&format!("TLS: {ALERT}")).await;
            proxy.finish().await;
        }
    }
}

/// An endpoint that begins to answer, or agrees to a WebSocket, and a proxy in front of it; the
/// endpoint sends an alert when the gate opens.
async fn alarmed(protocol: &str) -> (Proxy, Tunnel, Gate) {
    let authority = Authority::new("test authority");
    let issued = authority.issue("app", &["127.0.0.1"]);
    let (alarm, never) = (Gate::new(), Gate::new());
    let wait = never.clone();
    let http1 = Backend::start(move |seen: &Seen| {
        let head = if seen.target.starts_with("/chat") {
            SWITCHED
        } else {
            BEGUN
        };
        vec![Act::Send(head.to_vec()), Act::Wait(wait.clone())]
    })
    .await;
    let http2 = H2Backend::start_with_websockets(100, move |_: &Seen| {
        vec![
            H2Act::Head(200, vec![]),
            H2Act::Data(b"part".to_vec()),
            H2Act::Wait(never.clone()),
        ]
    })
    .await;
    let to = if protocol == "h2" {
        http2.address()
    } else {
        http1.address()
    };
    let front = Tunnel::from_tls_until(to, issued.server(&[protocol]), &alarm).await;
    let settings = pool(&authority, &format!("protocol = \"{protocol}\""));
    let proxy = settings.address("app", front.address()).start().await;
    (proxy, front.keeping((http1, http2)), alarm)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_in_the_middle_of_an_answer_is_a_tls_error() {
    for protocol in ["http/1.1", "h2"] {
        let (proxy, _front, alarm) = alarmed(protocol).await;
        let mut client = proxy.client().await;
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert_eq!(client.head().await.0, 200, "{protocol}");
        alarm.open();
        client.ended().await;
        let line = proxy.logged("the answer", |line| line["path"] == "/").await;
        assert_eq!(line["reason"], "tls_protocol_error", "{protocol}: {line}");
        proxy.log_says("received fatal alert").await;
        proxy.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_in_a_tunnel_is_a_tls_error() {
    for protocol in ["http/1.1", "h2"] {
        let (proxy, _front, alarm) = alarmed(protocol).await;
        let mut client = proxy.client().await;
        client.send(ASK).await;
        assert_eq!(client.head().await.0, 101, "{protocol}");
        assert_eq!(client.bytes(4).await.unwrap(), b"part", "{protocol}");
        alarm.open();
        client.ended().await;
        let chat = |line: &serde_json::Value| line["status"] == 101;
        let line = proxy.logged("the tunnel", chat).await;
        assert_eq!(line["reason"], "tls_protocol_error", "{protocol}: {line}");
        proxy.log_says("received fatal alert").await;
        proxy.finish().await;
    }
}

/// A server of others, killed when dropped.
struct Openssl {
    child: Child,
    port: Port,
}

impl Openssl {
    /// Demands a certificate; none where openssl is not installed.
    async fn demanding(settings: &Settings, options: &str) -> Option<Self> {
        let port = Port::take();
        let arguments = format!(
            "s_server -accept {} -www -Verify 1 -verify_return_error -cert app.pem -key app.key \
             -CAfile ca.pem {options}",
            port.address()
        );
        let child = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(settings.folder())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = child
            .inspect_err(|error| eprintln!("openssl: {error}; tests/run installs it"))
            .ok()?;
        let server = Self { child, port };
        eventually("openssl listens", || async {
            let address = server.port.address();
            tokio::net::TcpStream::connect(address).await.ok()
        })
        .await;
        Some(server)
    }
}

impl Drop for Openssl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_alert_of_openssl_is_told_too() {
    let authority = Authority::new("test authority");
    for version in ["-tls1_2", "-tls1_3"] {
        let settings = pool(&authority, "");
        let issued = authority.issue("app", &["127.0.0.1"]);
        issued.write(settings.folder(), "app");
        let Some(server) = Openssl::demanding(&settings, version).await else {
            return;
        };
        let address = server.port.address();
        let proxy = settings.address("app", address).start().await;
        for _ in 0..5 {
            let reply = proxy.get("/").await;
            reply.assert_failure(502, "tls_protocol_error");
            let reply = proxy.request("POST", "/", "", &[b'x'; 100_000]).await;
            reply.assert_failure(502, "tls_protocol_error");
        }
        proxy.log_says("received fatal alert").await;
        proxy.finish().await;
    }
}

const ALERT: &str = "received fatal alert";
const BEGUN: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\npart";
const SWITCHED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\
    upgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
    sec-websocket-protocol: chat\r\n\r\npart";
/// Protocol of a pool, and protocols offered by its endpoint.
const PROTOCOLS: [(&str, &[&str]); 4] = [
    ("http/1.1", &["http/1.1"]),
    ("h2", &["h2"]),
    ("auto", &["h2", "http/1.1"]),
    ("auto", &["http/1.1"]),
];
