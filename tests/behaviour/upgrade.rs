//! A connection becomes a tunnel after the endpoint said 101, and not before.

use crate::harness::{Act, Backend, End, Seen, Settings, answer, answer_bytes, eventually};

const ALL: &str = r#"
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    timeouts = { total = "1s", attempt = "1s" }
    [pools.app]
    endpoints = ["$app"]
"#;

const ASK: &str = "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, Upgrade\r\n\
                   upgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   sec-websocket-version: 13\r\n\r\n";

/// Switches, greets in the same segment, then echoes.
fn switch(_: &Seen) -> Vec<Act> {
    let head = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nwelcome";
    vec![Act::Send(head.into()), Act::Echo]
}

#[tokio::test]
async fn a_websocket_becomes_a_tunnel_both_ways() {
    let app = Backend::start(switch).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    client.send(ASK).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 101);
    assert_eq!(answer.field("upgrade"), "websocket");
    assert_eq!(
        answer.field("sec-websocket-accept"),
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
    assert_eq!(client.bytes(7).await.unwrap(), b"welcome");
    let large: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    for chunk in large.chunks(50_000) {
        client.send(chunk).await;
        assert!(client.bytes(chunk.len()).await.unwrap() == chunk);
    }
    let seen = app.only();
    assert_eq!(seen.field("connection").to_ascii_lowercase(), "upgrade");
    assert_eq!(seen.field("upgrade"), "websocket");
    assert_eq!(seen.field("sec-websocket-key"), "dGhlIHNhbXBsZSBub25jZQ==");
    // The end of the client is the end of the tunnel, and of its log line.
    drop(client);
    eventually("the tunnel to the endpoint is closed", || async {
        (app.open() == 0).then_some(())
    })
    .await;
    let line = proxy
        .logged("of the tunnel", |l| l["path"] == "/chat")
        .await;
    assert_eq!(line["status"], 101);
    proxy.finish().await;
}

#[tokio::test]
async fn the_end_of_the_endpoint_is_the_end_of_the_tunnel() {
    let mut app = Backend::start(switch).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    client.send(ASK).await;
    assert_eq!(client.answer().await.status, 101);
    client.bytes(7).await.unwrap();
    app.kill().await;
    client.ended().await;
    drop(client);
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_that_does_not_switch_is_a_plain_answer() {
    let app = Backend::start(|seen| match seen.target.as_str() {
        "/chat" => answer_bytes("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno"),
        _ => answer("plain"),
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    // What follows at once is a request, not bytes of a tunnel (CVE-2026-2833).
    client
        .send(format!("{ASK}GET /next HTTP/1.1\r\nhost: a\r\n\r\n"))
        .await;
    let refused = client.answer().await;
    assert_eq!((refused.status, refused.text().as_str()), (403, "no"));
    match client.try_answer_to("GET").await {
        Ok(next) => assert_eq!(next.text(), "plain"),
        Err(end) => assert_ne!(end, End::Garbled),
    }
    for seen in app.seen() {
        assert!(
            seen.fields.has("via"),
            "every request went through the proxy: {seen:?}"
        );
    }
    proxy.finish().await;
}

#[tokio::test]
async fn bytes_behind_the_request_wait_for_the_101() {
    let app = Backend::start(switch).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    client.send(format!("{ASK}early")).await;
    assert_eq!(client.answer().await.status, 101);
    assert_eq!(client.bytes(12).await.unwrap(), b"welcomeearly");
    assert_eq!(app.count(), 1);
    drop(client);
    proxy.finish().await;
}

#[tokio::test]
async fn an_upgrade_to_http2_is_not_passed_on() {
    let app = Backend::start(|_| answer("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let lines = "connection: upgrade, http2-settings\nupgrade: h2c\nhttp2-settings: AAMAAABk";
    let answer = proxy.request("GET", "/", lines, b"").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "app"));
    let seen = app.only();
    assert!(
        !seen.fields.has("upgrade") && !seen.fields.has("http2-settings"),
        "{seen:?}"
    );
    proxy.finish().await;
}

#[tokio::test]
async fn a_tunnel_outlives_its_timeouts_and_a_reload() {
    let app = Backend::start(switch).await;
    let mut proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    client.send(ASK).await;
    assert_eq!(client.answer().await.status, 101);
    client.bytes(7).await.unwrap();
    let more = format!("{ALL}\n[routes.more]\npath = \"/more\"\nrespond = {{ status = 204 }}\n");
    proxy.reload(&more).await;
    // Longer than `total` and `attempt`, which do not count for tunnels.
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
    client.send("still there").await;
    assert_eq!(client.bytes(11).await.unwrap(), b"still there");
    drop(client);
    proxy.finish().await;
}

/// Docker's API switches to `tcp` for attached streams, with a POST.
#[tokio::test]
async fn another_protocol_becomes_a_tunnel_only_by_a_101_that_names_it() {
    let app = Backend::start(|seen| {
        let taken = match seen.target.as_str() {
            "/named" => "upgrade: tcp\r\n",
            "/other" => "upgrade: websocket\r\n",
            _ => "",
        };
        let head =
            format!("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n{taken}\r\n");
        vec![Act::Send(head.into_bytes()), Act::Echo]
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    for (target, status) in [("/named", 101), ("/other", 502), ("/none", 502)] {
        let mut client = proxy.client().await;
        let fields = "host: a\r\nconnection: Upgrade\r\nupgrade: tcp\r\n";
        client
            .send(format!("POST {target} HTTP/1.1\r\n{fields}\r\n"))
            .await;
        let answer = client.answer_to("POST").await;
        assert_eq!(answer.status, status, "{target}");
        if status == 101 {
            client.send("hello").await;
            assert_eq!(client.bytes(5).await.unwrap(), b"hello");
        } else {
            assert!(answer.field("proxy-status").contains("http_upgrade_failed"));
        }
    }
    proxy.finish().await;
}

/// `Upgrade` as sent by `curl --http2 -d`, the HTTP client of the JDK and others.
#[tokio::test]
async fn an_offer_that_cannot_be_taken_is_ignored() {
    let app = Backend::start(|_| answer("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let offers = [
        "connection: Upgrade, HTTP2-Settings\nupgrade: h2c\nhttp2-settings: AAMAAABk",
        "connection: upgrade\nupgrade: TLS/1.2",
        "connection: upgrade\nupgrade:",
        "connection: upgrade\nupgrade: websocket",
    ];
    for offer in offers {
        let answer = proxy.request("POST", "/", offer, b"hello").await;
        assert_eq!(answer.status, 200, "{offer}");
        let seen = app.seen().pop().unwrap();
        assert_eq!(seen.body, b"hello");
        assert!(!seen.fields.has("upgrade"), "{seen:?}");
        assert!(!seen.fields.has("http2-settings"), "{seen:?}");
    }
    let answer = proxy.request("GET", "/", offers[1], b"").await;
    assert_eq!(answer.status, 200);
    assert!(!app.seen().pop().unwrap().fields.has("upgrade"));
    proxy.finish().await;
}

#[tokio::test]
async fn a_coding_in_a_101_or_204_means_nothing() {
    let app = Backend::start(|seen| match seen.target.as_str() {
        "/chat" => vec![
            Act::Send(
                b"HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                  transfer-encoding: chunked\r\n\r\nwelcome"
                    .to_vec(),
            ),
            Act::Echo,
        ],
        _ => answer_bytes("HTTP/1.1 204 X\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    for _ in 0..3 {
        let answer = proxy.get("/none").await;
        assert_eq!(answer.status, 204);
        assert!(!answer.fields.has("transfer-encoding"), "{answer:?}");
    }
    let mut client = proxy.client().await;
    client.send(ASK).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 101);
    assert!(!answer.fields.has("transfer-encoding"), "{answer:?}");
    assert_eq!(client.bytes(7).await.unwrap(), b"welcome");
    drop(client);
    proxy.finish().await;
}

/// RFC 9110 section 15.5.22: a 426 names the protocols, in a field that is for one connection.
#[tokio::test]
async fn a_426_keeps_the_protocols_that_it_asks_for() {
    let app = Backend::start(|_| {
        answer_bytes(
            "HTTP/1.1 426 Upgrade Required\r\nconnection: Upgrade, x-hop\r\nx-hop: 1\r\n\
             upgrade: websocket, foo/2\r\ncontent-length: 2\r\n\r\nno",
        )
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    for _ in 0..2 {
        let answer = client.get("/").await;
        assert_eq!((answer.status, answer.text()), (426, "no".to_owned()));
        assert_eq!(answer.field("upgrade"), "websocket, foo/2");
        assert_eq!(answer.fields.all("connection"), ["upgrade"]);
        assert!(!answer.fields.has("x-hop"));
    }
    let last = client
        .request("GET", "/", "host: a\nconnection: close", b"")
        .await;
    assert_eq!(last.fields.all("connection"), ["close", "upgrade"]);
    // HTTP/2 has no such fields (RFC 9113 section 8.2.2).
    let answer = proxy.h2_client().await.get("/").await.unwrap();
    assert_eq!(answer.status, 426);
    assert!(!answer.fields.has("upgrade") && !answer.fields.has("connection"));
    proxy.finish().await;
}
