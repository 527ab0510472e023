//! The PROXY protocol on both sides: who a client is comes through to the endpoint, from
//! those who may say it, and from nobody else.

use std::net::{Ipv6Addr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Authority, Backend, Client, End, Port, Proxy, Settings, identity};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const FAILURES: &str = "sluicegate_proxy_protocol_failures_total";

/// A version 2 header for IPv4, with a further field behind the addresses.
fn version_2(source: [u8; 4]) -> Vec<u8> {
    let field: &[u8] = &[0x04, 0, 2, 0, 0];
    let mut bytes = SIGNATURE.to_vec();
    bytes.extend([0x21, 0x11, 0, 17]);
    bytes.extend(source);
    bytes.extend([198, 51, 100, 1]);
    bytes.extend([0xc8, 0x22, 0x01, 0xbb]);
    bytes.extend(field);
    bytes
}

async fn behind_a_balancer(app: &Backend, from: &str) -> Proxy {
    Settings::new(&format!(
        r#"
        [listeners.web]
        address = "$web"
        proxy_protocol = {{ from = ["{from}"] }}
        timeouts = {{ handshake = "300ms" }}
        [routes.office]
        source = ["192.0.2.0/24"]
        respond = {{ status = 200, body = "office" }}
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
        "#
    ))
    .backend("app", app)
    .start()
    .await
}

#[tokio::test]
async fn the_address_in_a_header_is_the_client_everywhere() {
    let app = Backend::start(identity("app")).await;
    let proxy = behind_a_balancer(&app, "127.0.0.0/8").await;
    let v1 = b"PROXY TCP4 203.0.113.7 198.51.100.1 51234 443\r\n".to_vec();
    let v6 = b"PROXY TCP6 2001:db8::7 2001:db8::1 51234 443\r\n".to_vec();
    for (header, client, element) in [
        (v1, "203.0.113.7", "for=203.0.113.7;"),
        (
            version_2([203, 0, 113, 9]),
            "203.0.113.9",
            "for=203.0.113.9;",
        ),
        (v6, "2001:db8::7", "for=\"[2001:db8::7]\";"),
    ] {
        let mut connection = proxy.client().await;
        connection.send(&header).await;
        // The header speaks for the connection, not for one request.
        for target in ["/first", "/second"] {
            let answer = connection.get(target).await;
            assert_eq!((answer.status, answer.text().as_str()), (200, "app"));
        }
        let seen = app.seen();
        for seen in &seen[seen.len() - 2..] {
            assert_eq!(seen.field("x-forwarded-for"), client);
            let forwarded = seen.field("forwarded");
            assert!(forwarded.contains(element), "{forwarded}");
        }
        proxy.logged(client, |line| line["client"] == client).await;
    }
    // Routes see the same client.
    let mut connection = proxy.client().await;
    connection.send(version_2([192, 0, 2, 77])).await;
    assert_eq!(connection.get("/").await.text(), "office");
    proxy.finish().await;
}

#[tokio::test]
async fn a_header_in_pieces_is_read_and_what_follows_it_stays() {
    let app = Backend::start(identity("app")).await;
    let proxy = behind_a_balancer(&app, "127.0.0.1").await;
    let mut connection = proxy.client().await;
    let header = version_2([203, 0, 113, 7]);
    let (last, before) = header.split_last().unwrap();
    for byte in before {
        connection.send([*byte]).await;
    }
    // The end of the header and a whole request arrive at once.
    let mut rest = vec![*last];
    rest.extend(b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n");
    connection.send(rest).await;
    assert_eq!(connection.answer().await.text(), "app");
    assert_eq!(app.only().field("x-forwarded-for"), "203.0.113.7");
    // HTTP/2 by prior knowledge is found behind a header as well.
    let mut connection = proxy.client().await;
    connection.send(version_2([203, 0, 113, 8])).await;
    connection.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    connection.send([0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
    let settings = connection.bytes(9).await.unwrap();
    assert_eq!(settings[3], 4, "a SETTINGS frame: {settings:?}");
    drop(connection);
    proxy.finish().await;
}

#[tokio::test]
async fn a_connection_of_the_balancer_itself_keeps_its_address() {
    let app = Backend::start(identity("app")).await;
    let proxy = behind_a_balancer(&app, "127.0.0.1").await;
    let local = [SIGNATURE, &[0x20, 0, 0, 0]].concat();
    let unspecified = [SIGNATURE, &[0x21, 0, 0, 3, 1, 2, 3]].concat();
    let unknown = b"PROXY UNKNOWN\r\n".to_vec();
    for (index, header) in [local, unspecified, unknown].into_iter().enumerate() {
        let mut connection = proxy.client().await;
        connection.send(header).await;
        assert_eq!(connection.get("/").await.status, 200);
        assert_eq!(app.seen()[index].field("x-forwarded-for"), "127.0.0.1");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn who_must_send_a_header_and_does_not_is_closed_and_counted() {
    let app = Backend::start(identity("app")).await;
    let proxy = behind_a_balancer(&app, "127.0.0.1").await;
    let mut without = proxy.raw_client().await;
    without.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(matches!(without.ended().await, End::Closed | End::Reset));
    proxy
        .metric_becomes(FAILURES, &[("reason", "malformed")], 1.0)
        .await;
    let mut late = proxy.raw_client().await;
    late.send("PROXY TCP4 203.0.113.7 ").await;
    late.ended().await;
    proxy
        .metric_becomes(FAILURES, &[("reason", "late")], 1.0)
        .await;
    let mut cut = proxy.raw_client().await;
    cut.send("PROXY TCP4 203.0.113.7 ").await;
    cut.half_close().await;
    cut.ended().await;
    proxy
        .metric_becomes(FAILURES, &[("reason", "cut_short")], 1.0)
        .await;
    // A look at the port is no failure.
    let mut look = proxy.raw_client().await;
    look.half_close().await;
    look.ended().await;
    let all = proxy.metric(FAILURES, &[]).await;
    assert!((all - 3.0).abs() < 0.5, "{all}");
    assert_eq!(app.count(), 0);
    proxy.finish().await;
}

#[tokio::test]
async fn a_header_from_anybody_else_is_a_malformed_request() {
    let app = Backend::start(identity("app")).await;
    let proxy = behind_a_balancer(&app, "192.0.2.0/24").await;
    for header in [
        b"PROXY TCP4 203.0.113.7 198.51.100.1 51234 443\r\n".to_vec(),
        version_2([203, 0, 113, 7]),
    ] {
        let mut connection = proxy.raw_client().await;
        connection.send(header).await;
        connection.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let answer = connection.answer().await;
        answer.assert_failure(400, "http_request_error");
        connection.ended().await;
    }
    assert_eq!(proxy.get("/").await.status, 200, "without one all is well");
    assert_eq!(app.only().field("x-forwarded-for"), "127.0.0.1");
    proxy.finish().await;
}

/// Accepts a connection, reads the header in front of it and answers one request.
async fn announced(listener: &TcpListener) -> (Vec<u8>, TcpStream) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut header = vec![0; 6];
        stream.read_exact(&mut header).await.unwrap();
        if header == b"PROXY " {
            while !header.ends_with(b"\r\n") {
                header.push(stream.read_u8().await.unwrap());
            }
        } else {
            header.resize(16, 0);
            stream.read_exact(&mut header[6..]).await.unwrap();
            let length = usize::from(header[15]);
            header.resize(16 + length, 0);
            stream.read_exact(&mut header[16..]).await.unwrap();
        }
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        stream.write_all(answer).await.unwrap();
        if head.starts_with(b"GET /healthz") {
            let says = if header.starts_with(b"PROXY ") {
                header == b"PROXY UNKNOWN\r\n"
            } else {
                header == [SIGNATURE, &[0x20, 0, 0, 0]].concat()
            };
            assert!(says, "a check speaks for itself: {header:?}");
            continue;
        }
        return (header, stream);
    }
}

#[tokio::test]
async fn each_connection_to_an_endpoint_begins_with_the_address_of_its_client() {
    for version in ["v1", "v2"] {
        let endpoint = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = endpoint.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let mut headers = Vec::new();
            while headers.len() < 3 {
                let (header, mut stream) = announced(&endpoint).await;
                // Nothing of another client ever comes this way.
                assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
                headers.push(header);
            }
            headers
        });
        let proxy = Settings::new(&format!(
            r#"
            [proxy]
            trusted_proxies = ["127.0.0.1"]
            [listeners.web]
            address = "$web"
            [routes.all]
            pool = "app"
            [pools.app]
            endpoints = ["$app"]
            proxy_protocol = "{version}"
            health = {{ http = {{ path = "/healthz" }}, interval = "500ms", timeout = "500ms" }}
            "#
        ))
        .address("app", address)
        .start()
        .await;
        let mut client = proxy.client().await;
        for line in ["", "", "x-forwarded-for: 203.0.113.7\n"] {
            let answer = client.request("GET", "/", line, b"").await;
            assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
        }
        let headers = serving.await.unwrap();
        let port = proxy.address("web").port();
        if version == "v1" {
            let texts: Vec<_> = headers
                .iter()
                .map(|header| String::from_utf8_lossy(header).into_owned())
                .collect();
            assert!(texts[0].starts_with("PROXY TCP4 127.0.0.1 127.0.0.1 "));
            assert!(texts[0].ends_with(&format!(" {port}\r\n")), "{texts:?}");
            assert_eq!(texts[1], texts[0]);
            let other = format!("PROXY TCP4 203.0.113.7 127.0.0.1 0 {port}\r\n");
            assert_eq!(texts[2], other);
        } else {
            let front = [SIGNATURE, &[0x21, 0x11, 0, 12, 127, 0, 0, 1, 127, 0, 0, 1]].concat();
            assert!(headers[0].starts_with(&front), "{headers:?}");
            assert_eq!(headers[0][26..], port.to_be_bytes());
            assert_eq!(headers[1], headers[0]);
            assert_eq!(headers[2][16..20], [203, 0, 113, 7]);
        }
        proxy.finish().await;
    }
}

#[tokio::test]
async fn a_client_is_known_behind_two_proxies() {
    let app = Backend::start(identity("app")).await;
    let inner = behind_a_balancer(&app, "127.0.0.1").await;
    for version in ["v1", "v2"] {
        let port = Port::take();
        let address = SocketAddr::from((Ipv6Addr::LOCALHOST, port.address().port()));
        let outer = Settings::new(&format!(
            r#"
            [listeners.six]
            address = "{address}"
            [routes.all]
            pool = "inner"
            [pools.inner]
            endpoints = ["$inner"]
            proxy_protocol = "{version}"
            "#
        ))
        .address("inner", inner.address("web"))
        .start()
        .await;
        let mut client = Client::connect(address).await;
        for _ in 0..2 {
            assert_eq!(client.get("/").await.text(), "app");
            let seen = app.seen();
            let seen = seen.last().unwrap();
            assert_eq!(seen.field("x-forwarded-for"), "::1");
            let forwarded = seen.field("forwarded");
            assert!(forwarded.contains("for=\"[::1]\""), "{forwarded}");
        }
        outer.finish().await;
    }
    inner.finish().await;
}

#[tokio::test]
async fn the_header_comes_before_tls_on_both_sides() {
    let app = Backend::start(identity("app")).await;
    let authority = Authority::new("test authority");
    let inner = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        proxy_protocol = { from = ["127.0.0.1"] }
        [listeners.web.tls]
        certificates = [{ chain = "a.pem", key = "a.key" }]
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
        "#,
    )
    .backend("app", &app);
    let issued = authority.issue("inner", &["inner.example"]);
    issued.write(inner.folder(), "a");
    let inner = inner.start().await;
    let outer = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        proxy_protocol = { from = ["127.0.0.1"] }
        [routes.all]
        pool = "inner"
        [pools.inner]
        endpoints = ["$inner"]
        proxy_protocol = "v2"
        tls = { server_name = "inner.example", ca = "ca.pem" }
        health = { http = { path = "/healthz" } }
        "#,
    )
    .address("inner", inner.address("web"));
    authority.write(outer.folder(), "ca.pem");
    let outer = outer.start().await;
    for client in ["203.0.113.7", "2001:db8::7"] {
        let family = if client.contains(':') { "TCP6" } else { "TCP4" };
        let mut connection = outer.client().await;
        let header = format!("PROXY {family} {client} {client} 51234 443\r\n");
        connection.send(header).await;
        assert_eq!(connection.get("/").await.text(), "app");
        let seen = app.seen();
        let seen = seen.last().unwrap();
        assert_eq!(seen.field("x-forwarded-for"), client);
        assert_eq!(seen.field("x-forwarded-proto"), "https");
    }
    // Without its header a handshake is nothing that the listener knows.
    let mut direct = Client::connect(inner.address("web")).await;
    direct.send([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]).await;
    assert!(matches!(direct.ended().await, End::Closed | End::Reset));
    inner
        .metric_becomes(FAILURES, &[("reason", "malformed")], 1.0)
        .await;
    outer.finish().await;
    inner.finish().await;
}
