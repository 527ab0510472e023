//! TLS towards clients: the protocol agreed on, sessions that are resumed, passed on and ended with
//! a word, and clients that do not speak it as they should.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustls::HandshakeKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{
    Act, Authority, Backend, Client, End, H2Client, Seen, Settings, Tunnel, answer, shake,
};

/// A listener with these lines in its table `tls`, in front of `$app`.
pub(super) fn secured(tls: &str) -> String {
    format!(
        r#"
        [listeners.web]
        address = "$web"
        [listeners.web.tls]
        {tls}
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
        "#
    )
}

/// The lines of one certificate.
pub(super) const ONE: &str = r#"certificates = [{ chain = "a.pem", key = "a.key" }]"#;

/// An authority, and a certificate of its for `shop.example` in the folder as `a`.
pub(super) fn shop(settings: &Settings) -> Authority {
    let authority = Authority::new("test authority");
    let issued = authority.issue("shop", &["shop.example"]);
    issued.write(settings.folder(), "a");
    authority
}

/// An endpoint that answers with the target of the request.
pub(super) async fn echo() -> Backend {
    Backend::start(|seen: &Seen| answer(&seen.target)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn http1_and_http2_are_agreed_on_and_the_endpoint_learns_of_https() {
    let app = echo().await;
    let settings = Settings::new(&secured(ONE));
    let authority = shop(&settings);
    let proxy = settings.backend("app", &app).start().await;
    let web = proxy.address("web");
    let config = authority.client(None, &["http/1.1"]);
    let tunnel = Tunnel::to_tls(web, config, "shop.example").await;
    let mut client = Client::connect(tunnel.address()).await;
    for turn in 0..3 {
        let reply = client.get(&format!("/h1/{turn}")).await;
        assert_eq!((reply.status, reply.text()), (200, format!("/h1/{turn}")));
    }
    assert_eq!(tunnel.sessions(), 1, "the session is kept");
    let config = authority.client(None, &["h2", "http/1.1"]);
    let tunnel = Tunnel::to_tls(web, config, "shop.example").await;
    let mut client = H2Client::connect(tunnel.address()).await;
    assert_eq!(client.get("/h2").await.unwrap().text(), "/h2");
    for seen in app.seen() {
        assert_eq!(seen.field("x-forwarded-proto"), "https");
    }
    let line = proxy.logged("of /h2", |line| line["path"] == "/h2").await;
    let tls = line["tls"].as_str().unwrap();
    assert!(tls.starts_with("TLSv1.3/"), "{line}");
    let done = proxy.metric(
        "sluicegate_tls_handshakes_total",
        &[("listener", "web"), ("result", "full")],
    );
    assert!((done.await - 2.0).abs() < 0.1);
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_passes_whole_both_ways() {
    let app = Backend::start(|seen: &Seen| {
        let length = seen.fields.get("content-length").unwrap_or("0").to_owned();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        let body = vec![b'y'; length.parse().unwrap()];
        vec![Act::Read, Act::Send(head.into_bytes()), Act::Send(body)]
    })
    .await;
    let settings = Settings::new(&secured(ONE));
    let authority = shop(&settings);
    let proxy = settings.backend("app", &app).start().await;
    let config = authority.client(None, &["http/1.1"]);
    let tunnel = Tunnel::to_tls(proxy.address("web"), config, "shop.example").await;
    let mut client = Client::connect(tunnel.address()).await;
    let body = vec![b'x'; 5_000_000];
    let reply = client.request("POST", "/", "", &body).await;
    assert_eq!((reply.status, reply.body.len()), (200, body.len()));
    assert_eq!(app.seen()[0].body.len(), body.len());
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_on_a_port_for_tls_is_told_so_in_the_clear() {
    let app = echo().await;
    let settings = Settings::new(&secured(ONE));
    shop(&settings);
    let proxy = settings.backend("app", &app).start().await;
    let mut client = proxy.raw_client().await;
    let reply = client.get("/").await;
    assert_eq!(reply.status, 400);
    assert!(reply.text().contains("plain HTTP"), "{}", reply.text());
    assert!(app.seen().is_empty());
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_on_a_plain_port_is_closed_without_an_answer() {
    let app = echo().await;
    let text = secured("").replace("[listeners.web.tls]", "");
    let proxy = Settings::new(&text).backend("app", &app).start().await;
    let mut stream = TcpStream::connect(proxy.address("web")).await.unwrap();
    stream
        .write_all(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00")
        .await
        .unwrap();
    let mut got = Vec::new();
    let _ = stream.read_to_end(&mut got).await;
    assert!(got.is_empty(), "{got:?}");
    let labels = [("listener", "web"), ("result", "not_served")];
    proxy
        .metric_becomes("sluicegate_tls_handshakes_total", &labels, 1.0)
        .await;
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_shake_hands_in_time_is_closed() {
    let app = echo().await;
    let text = secured(ONE).replace(
        "[listeners.web.tls]",
        "timeouts = { handshake = \"200ms\" }\n[listeners.web.tls]",
    );
    let settings = Settings::new(&text);
    shop(&settings);
    let proxy = settings.backend("app", &app).start().await;
    let mut silent = proxy.raw_client().await;
    assert!(matches!(silent.ended().await, End::Closed | End::Reset));
    let labels = [("listener", "web"), ("result", "late")];
    proxy
        .metric_becomes("sluicegate_tls_handshakes_total", &labels, 1.0)
        .await;
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_resumed_whichever_worker_takes_the_connection() {
    let app = echo().await;
    let text = format!("[proxy]\nworkers = 4\n{}", secured(ONE));
    let settings = Settings::new(&text);
    let authority = shop(&settings);
    let proxy = settings.backend("app", &app).start().await;
    let config = Arc::new(authority.client(None, &["http/1.1"]));
    let mut kinds = Vec::new();
    for _ in 0..12 {
        let mut session = shake(proxy.address("web"), Arc::clone(&config), "shop.example")
            .await
            .unwrap();
        let head = "GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n";
        session.write_all(head.as_bytes()).await.unwrap();
        session.read_to_end(&mut Vec::new()).await.unwrap();
        kinds.push(session.get_ref().1.handshake_kind().unwrap());
    }
    let resumed = |kind: &HandshakeKind| *kind == HandshakeKind::Resumed;
    assert!(kinds[1..].iter().all(resumed), "{kinds:?}");
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_and_openssl_agree_on_versions_and_protocols() {
    let app = echo().await;
    let settings = Settings::new(&secured(&format!("{ONE}\nminimum_version = \"1.3\"")));
    let authority = shop(&settings);
    authority.write(settings.folder(), "ca.pem");
    let proxy = settings.backend("app", &app).start().await;
    let web = proxy.address("web");
    let curl = |version: &str| {
        let resolve = format!("shop.example:{}:127.0.0.1", web.port());
        let url = format!("https://shop.example:{}/curl", web.port());
        let arguments = [
            "-sS",
            "--max-time",
            "10",
            "--cacert",
            "ca.pem",
            "-w",
            " %{http_version}",
        ];
        let mut all: Vec<String> = arguments.map(str::to_owned).to_vec();
        all.extend([version.to_owned(), "--resolve".to_owned(), resolve, url]);
        run("curl", &all, proxy.folder())
    };
    if let Some((ok, text)) = curl("--http1.1") {
        assert!(ok && text.starts_with("/curl 1.1"), "{text}");
        let (ok, text) = curl("--http2").unwrap();
        assert!(ok && text.starts_with("/curl 2"), "{text}");
    }
    let openssl = |version: &str| {
        let connect = web.to_string();
        let arguments = [
            "s_client",
            "-connect",
            &connect,
            "-servername",
            "shop.example",
            version,
            "-CAfile",
            "ca.pem",
            "-verify_return_error",
        ];
        run("openssl", &arguments.map(str::to_owned), proxy.folder())
    };
    if let Some((ok, text)) = openssl("-tls1_3") {
        assert!(ok && text.contains("Verify return code: 0"), "{text}");
        let (ok, text) = openssl("-tls1_2").unwrap();
        assert!(!ok && text.contains("alert protocol version"), "{text}");
    }
    proxy.finish().await;
}

/// Runs a program to its end: whether it succeeded, and all that it wrote; `None` when
/// it is not installed.
fn run(program: &str, arguments: &[String], folder: &Path) -> Option<(bool, String)> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder);
    let output = match command.stdin(std::process::Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("{program}: {error}; tests/run installs it");
            return None;
        }
    };
    let text = [output.stdout, output.stderr].concat();
    Some((
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_is_a_tunnel_through_sessions_on_both_sides() {
    let app = Backend::start(|_: &Seen| {
        let head =
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n";
        vec![Act::Send(head.into()), Act::Echo]
    })
    .await;
    let authority = Authority::new("test authority");
    let inner = authority.issue("app", &["127.0.0.1"]);
    let front = Tunnel::from_tls(app.address(), inner.server(&["http/1.1"])).await;
    let text = secured(ONE) + "tls = { ca = \"ca.pem\" }";
    let settings = Settings::new(&text).address("app", front.address());
    authority
        .issue("shop", &["shop.example"])
        .write(settings.folder(), "a");
    authority.write(settings.folder(), "ca.pem");
    let proxy = settings.start().await;
    let config = Arc::new(authority.client(None, &["http/1.1"]));
    let mut session = shake(proxy.address("web"), config, "shop.example")
        .await
        .unwrap();
    let head =
        "GET / HTTP/1.1\r\nhost: shop.example\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n";
    session.write_all(head.as_bytes()).await.unwrap();
    let mut got = Vec::new();
    while !got.ends_with(b"\r\n\r\n") {
        got.push(session.read_u8().await.unwrap());
    }
    assert!(got.starts_with(b"HTTP/1.1 101 "));
    let sent = vec![b'z'; 300_000];
    let (mut read, mut write) = tokio::io::split(session);
    let writer = tokio::spawn({
        let sent = sent.clone();
        async move {
            write.write_all(&sent).await.unwrap();
            write.flush().await.unwrap();
            write.shutdown().await.unwrap();
        }
    });
    let mut back = Vec::new();
    read.read_to_end(&mut back).await.unwrap();
    writer.await.unwrap();
    assert!(back == sent, "{} of {} bytes", back.len(), sent.len());
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_left_idle_ends_with_a_word_and_not_cut_off() {
    let app = echo().await;
    let text = secured(ONE).replace(
        "[listeners.web.tls]",
        "timeouts = { idle = \"200ms\" }\n[listeners.web.tls]",
    );
    let settings = Settings::new(&text);
    let authority = shop(&settings);
    let proxy = settings.backend("app", &app).start().await;
    let config = Arc::new(authority.client(None, &["http/1.1"]));
    let mut session = shake(proxy.address("web"), config, "shop.example")
        .await
        .unwrap();
    let head = "GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n";
    session.write_all(head.as_bytes()).await.unwrap();
    // Without a close_notify this fails as a truncation.
    let mut text = Vec::new();
    session.read_to_end(&mut text).await.unwrap();
    assert!(text.starts_with(b"HTTP/1.1 200 "));
    proxy.finish().await;
}
