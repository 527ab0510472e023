//! WebSockets at endpoints that speak HTTP/2 (RFC 8441): streams of shared connections.

use bytes::Bytes;

use crate::harness::websocket::{ASK, PROOF, ask, bytes, h2_client};
use crate::harness::{Act, Authority, Backend, H2Act, H2Backend, Seen, Settings, Tunnel};
use crate::harness::{eventually, h2_answer};

const ALL: &str = r#"
    [proxy]
    workers = 1
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    timeouts = { total = "5s", attempt = "5s" }
    [pools.app]
    endpoints = ["$app"]
    protocol = "h2"
    ejection = { consecutive = 1 }
"#;

/// Takes every WebSocket and echoes; answers all else.
fn echo(seen: &Seen) -> Vec<H2Act> {
    if !seen.fields.has(":protocol") {
        return h2_answer("plain");
    }
    let fields = vec![
        ("sec-websocket-protocol", "chat".to_owned()),
        ("sec-websocket-extensions", "permessage-deflate".to_owned()),
    ];
    vec![H2Act::Head(200, fields), H2Act::Echo, H2Act::End]
}

fn noise(length: u32) -> Vec<u8> {
    (0..length)
        .map(|n| n.wrapping_mul(31).to_le_bytes()[1])
        .collect()
}

#[tokio::test]
async fn a_client_of_http1_gets_a_websocket_of_an_endpoint_of_http2() {
    let app = H2Backend::start_with_websockets(100, echo).await;
    let proxy = Settings::new(ALL)
        .address("app", app.address())
        .start()
        .await;
    let mut client = proxy.client().await;
    client.send(ASK).await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 101);
    for (name, value) in [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-accept", PROOF),
        ("sec-websocket-protocol", "chat"),
        ("sec-websocket-extensions", "permessage-deflate"),
    ] {
        assert_eq!(answer.field(name), value, "{name}");
    }
    for chunk in noise(300_000).chunks(60_000) {
        client.send(chunk).await;
        assert!(client.bytes(chunk.len()).await.unwrap() == chunk);
    }
    let seen = app.seen().pop().unwrap();
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("CONNECT", "/chat?room=1")
    );
    for (name, value) in [
        (":protocol", "websocket"),
        (":authority", "shop.example"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "chat"),
        ("sec-websocket-extensions", "permessage-deflate"),
    ] {
        assert_eq!(seen.field(name), value, "{name}");
    }
    for name in ["connection", "upgrade", "sec-websocket-key", "host"] {
        assert!(!seen.fields.has(name), "{name}: {seen:?}");
    }
    let shown = proxy.admin("GET", "/connections", "").await.unwrap().text();
    assert!(shown.contains("\"tunnel\""), "{shown}");
    drop(client);
    let line = proxy
        .logged("the WebSocket", |line| line["path"] == "/chat?room=1")
        .await;
    assert_eq!(line["status"], 101);
    assert_eq!(line["bytes_in"], 300_000);
    // Its connection lives on, for others.
    assert_eq!(proxy.get("/").await.text(), "plain");
    assert_eq!(app.connections(), 1);
    proxy.finish().await;
}

#[tokio::test]
async fn a_client_of_http2_gets_a_websocket_of_an_endpoint_of_http2() {
    let app = H2Backend::start_with_websockets(100, echo).await;
    let proxy = Settings::new(ALL)
        .address("app", app.address())
        .start()
        .await;
    let sender = h2_client(&proxy).await;
    let (response, mut stream) = ask(&sender, "websocket").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
    for name in ["upgrade", "connection", "sec-websocket-accept"] {
        assert!(!response.headers().contains_key(name), "{name}");
    }
    let mut body = response.into_body();
    for message in ["hello", "again"] {
        stream.send_data(Bytes::from(message), false).unwrap();
        assert_eq!(bytes(&mut body, 5).await, message.as_bytes());
    }
    let seen = app.seen().pop().unwrap();
    assert_eq!(seen.field(":protocol"), "websocket");
    assert!(!seen.fields.has("sec-websocket-key"), "{seen:?}");
    assert_eq!(seen.field("cookie"), "a=1");
    // The client's end is the endpoint's, and the endpoint's is the client's.
    stream.send_data(Bytes::new(), true).unwrap();
    while let Some(Ok(rest)) = body.data().await {
        assert!(rest.is_empty(), "{rest:?}");
    }
    assert!(body.is_end_stream());
    let line = proxy
        .logged("the WebSocket", |line| line["status"] == 101)
        .await;
    assert!(line["reason"].is_null(), "{line}");
    drop((stream, body));
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_that_announced_no_websockets_is_not_asked_and_not_blamed() {
    let app = H2Backend::start(echo).await;
    let proxy = Settings::new(ALL)
        .address("app", app.address())
        .start()
        .await;
    let mut client = proxy.client().await;
    client.send(ASK).await;
    let answer = client.answer().await;
    answer.assert_failure(502, "http_upgrade_failed");
    let (response, _stream) = ask(&h2_client(&proxy).await, "websocket").await;
    assert_eq!(response.status(), 502);
    assert!(app.seen().is_empty(), "{:?}", app.seen());
    let ejections = proxy.metric("sluicegate_ejections_total", &[]).await;
    assert!(ejections < 0.5, "that is no fault of the endpoint");
    assert_eq!(proxy.get("/").await.text(), "plain");
    proxy.finish().await;
}

#[tokio::test]
async fn an_answer_that_is_no_agreement_is_passed_on_or_refused() {
    let app =
        H2Backend::start_with_websockets(100, |seen: &Seen| match seen.fields.get("x-case") {
            Some("no") => {
                let mut acts = h2_answer("no");
                acts.remove(0);
                acts[0] = H2Act::Head(403, vec![("content-length", "2".into())]);
                acts
            }
            _ => vec![H2Act::Head(204, vec![]), H2Act::End],
        })
        .await;
    for (case, status) in [("no", 403), ("empty", 502)] {
        let text = ALL.replace(
            "pool = \"app\"",
            &format!("pool = \"app\"\nheaders_request = {{ set = {{ x-case = \"{case}\" }} }}"),
        );
        let proxy = Settings::new(&text)
            .address("app", app.address())
            .start()
            .await;
        let mut client = proxy.client().await;
        client.send(ASK).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, status, "{case}");
        if status == 403 {
            assert_eq!(answer.text(), "no");
        }
        let (response, _stream) = ask(&h2_client(&proxy).await, "websocket").await;
        assert_eq!(response.status(), status, "{case}");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn a_client_without_a_key_is_told_so() {
    let app = H2Backend::start_with_websockets(100, echo).await;
    let proxy = Settings::new(ALL)
        .address("app", app.address())
        .start()
        .await;
    let mut client = proxy.client().await;
    let key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    client.send(ASK.replace(key, "")).await;
    let answer = client.answer().await;
    answer.assert_failure(400, "http_request_error");
    assert!(
        answer.text().contains("Sec-WebSocket-Key"),
        "{}",
        answer.text()
    );
    assert!(app.seen().is_empty());
    proxy.finish().await;
}

#[tokio::test]
async fn a_websocket_holds_its_stream_to_its_end() {
    let app = H2Backend::start_with_websockets(1, echo).await;
    let proxy = Settings::new(ALL)
        .address("app", app.address())
        .start()
        .await;
    let mut client = proxy.client().await;
    client.send(ASK).await;
    assert_eq!(client.answer().await.status, 101);
    assert_eq!(proxy.get("/").await.text(), "plain");
    assert_eq!(app.connections(), 2, "the first has no room");
    proxy
        .metric_becomes("sluicegate_upstream_connections", &[("pool", "app")], 2.0)
        .await;
    drop(client);
    proxy
        .metric_becomes("sluicegate_requests_in_flight", &[], 0.0)
        .await;
    // One of them is the stream that the WebSocket had.
    let (mut one, mut two) = (proxy.client().await, proxy.client().await);
    tokio::join!(one.get("/"), two.get("/"));
    assert_eq!((app.connections(), app.open()), (2, 2));
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auto_pool_asks_over_http1_what_http2_was_not_announced_for() {
    let authority = Authority::new("test authority");
    let text = ALL.replace(
        "protocol = \"h2\"",
        "protocol = \"auto\"\ntls = { ca = \"ca.pem\" }",
    );
    for announced in [false, true] {
        let http1 = Backend::start(|_: &Seen| {
            let head = format!(
                "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\n\
                 upgrade: websocket\r\nsec-websocket-accept: {PROOF}\r\n\r\n"
            );
            vec![Act::Send(head.into_bytes()), Act::Echo]
        })
        .await;
        let http2 = if announced {
            H2Backend::start_with_websockets(100, echo).await
        } else {
            H2Backend::start(echo).await
        };
        let config = authority
            .issue("app", &["127.0.0.1"])
            .server(&["h2", "http/1.1"]);
        let front = Tunnel::from_tls_by_protocol(http1.address(), http2.address(), config).await;
        let settings = Settings::new(&text).address("app", front.address());
        authority.write(settings.folder(), "ca.pem");
        let proxy = settings.start().await;
        let mut client = proxy.client().await;
        client.send(ASK).await;
        let answer = client.answer().await;
        assert_eq!(
            (answer.status, answer.field("sec-websocket-accept")),
            (101, PROOF)
        );
        client.send("hello").await;
        assert_eq!(client.bytes(5).await.unwrap(), b"hello");
        assert_eq!(http1.count(), usize::from(!announced));
        assert_eq!(http2.seen().len(), usize::from(announced));
        // All else goes over HTTP/2 as before.
        assert_eq!(proxy.get("/").await.text(), "plain");
        drop(client);
        proxy.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auto_endpoint_that_refuses_http1_is_not_blamed_for_a_websocket() {
    let app = H2Backend::start(echo).await;
    let authority = Authority::new("test authority");
    let text = ALL.replace(
        "protocol = \"h2\"",
        "protocol = \"auto\"\ntls = { ca = \"ca.pem\" }",
    );
    let config = authority.issue("app", &["127.0.0.1"]).server(&["h2"]);
    let front = Tunnel::from_tls(app.address(), config).await;
    let settings = Settings::new(&text).address("app", front.address());
    authority.write(settings.folder(), "ca.pem");
    let proxy = settings.start().await;
    let mut client = proxy.client().await;
    client.send(ASK).await;
    client
        .answer()
        .await
        .assert_failure(502, "http_upgrade_failed");
    let ejections = proxy.metric("sluicegate_ejections_total", &[]).await;
    assert!(ejections < 0.5, "that is no fault of the endpoint");
    assert_eq!(proxy.get("/").await.text(), "plain");
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_that_resets_the_stream_ends_the_websocket() {
    let app = H2Backend::start_with_websockets(100, |_: &Seen| {
        vec![
            H2Act::Head(200, vec![]),
            H2Act::Take(5),
            H2Act::Reset(h2::Reason::INTERNAL_ERROR),
        ]
    })
    .await;
    let proxy = Settings::new(ALL)
        .address("app", app.address())
        .start()
        .await;
    let mut client = proxy.client().await;
    client.send(ASK).await;
    assert_eq!(client.answer().await.status, 101);
    client.send("hello").await;
    client.ended().await;
    eventually("the endpoint has read it", || async {
        (app.seen().first()?.body == b"hello").then_some(())
    })
    .await;
    drop(client);
    let line = proxy
        .logged("the WebSocket", |line| line["status"] == 101)
        .await;
    assert_eq!(line["reason"], "http_response_incomplete", "{line}");
    proxy.finish().await;
}
