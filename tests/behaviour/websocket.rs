//! WebSockets over HTTP/1.1 and HTTP/2 (RFC 6455, RFC 8441), with peers that others wrote.

use bytes::Bytes;

use crate::harness::websocket::{ask, bytes, h2_client, text};
use crate::harness::{Backend, Peer, Port, Proxy, Seen, Settings};
use crate::harness::{answer, answer_bytes, packages, run_peer};

const ALL: &str = r#"
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
    ejection = { consecutive = 1 }
"#;

async fn with_real_server() -> Option<(Peer, Proxy)> {
    let packages = packages()?;
    let app = Port::take();
    let port = app.address().port().to_string();
    let server = Peer::start(&packages, "websocket_server.py", &[port]).await;
    let settings = Settings::new(ALL).address("app", app.address());
    Some((server, settings.start().await))
}

#[tokio::test]
async fn real_peers_talk_through_a_tunnel() {
    let Some((_server, proxy)) = with_real_server().await else {
        return;
    };
    let web = proxy.address("web").to_string();
    run_peer(&packages().unwrap(), "websocket_client.py", &[web]).await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_stream_of_http2_becomes_a_websocket_of_a_real_server() {
    let Some((_server, proxy)) = with_real_server().await else {
        return;
    };
    let sender = h2_client(&proxy).await;
    let (response, mut stream) = ask(&sender, "websocket").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
    for name in ["upgrade", "connection", "sec-websocket-accept"] {
        assert!(!response.headers().contains_key(name), "{name}");
    }
    let mut body = response.into_body();
    for message in ["hello", "again"] {
        stream.send_data(text(message), false).unwrap();
        let frame = [&[0x81, 5], message.as_bytes()].concat();
        assert_eq!(bytes(&mut body, 7).await, frame);
    }
    let answer = proxy.admin("GET", "/connections", "").await.unwrap();
    assert!(answer.text().contains("HTTP/2.0"), "{}", answer.text());
    // A close of the client with 1000 is answered with one, then the stream ends.
    let close = Bytes::from_static(&[0x88, 0x82, 0, 0, 0, 0, 3, 0xe8]);
    stream.send_data(close, false).unwrap();
    assert_eq!(bytes(&mut body, 4).await, [0x88, 2, 3, 0xe8]);
    while let Some(Ok(rest)) = body.data().await {
        assert!(rest.is_empty(), "{rest:?}");
    }
    drop((stream, body));
    let line = proxy
        .logged("the WebSocket", |line| line["status"] == 101)
        .await;
    assert_eq!(line["path"], "/chat?room=1");
    proxy.finish().await;
}

#[tokio::test]
async fn only_a_proven_switch_becomes_a_websocket_over_http2() {
    let app = Backend::start(|seen: &Seen| match seen.fields.get("x-case") {
        Some("forged") => answer_bytes(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        ),
        Some("no") => answer_bytes("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno"),
        _ => answer("plain"),
    })
    .await;
    for (case, status) in [("plain", 502), ("forged", 502), ("no", 403)] {
        let text = ALL.replace(
            "pool = \"app\"",
            &format!("pool = \"app\"\nheaders_request = {{ set = {{ x-case = \"{case}\" }} }}"),
        );
        let proxy = Settings::new(&text).backend("app", &app).start().await;
        let sender = h2_client(&proxy).await;
        let (response, _stream) = ask(&sender, "websocket").await;
        assert_eq!(response.status(), status, "{case}");
        if case == "plain" {
            let ejections = proxy.metric("sluicegate_ejections_total", &[]).await;
            assert!(ejections < 0.5, "a plain answer is no fault");
        }
        let seen = app.seen().pop().unwrap();
        assert_eq!(
            (seen.method.as_str(), seen.target.as_str()),
            ("GET", "/chat?room=1")
        );
        assert_eq!(seen.field("upgrade"), "websocket");
        assert_eq!(seen.field("sec-websocket-key").len(), 24);
    }
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let before = app.count();
    let (response, _stream) = ask(&h2_client(&proxy).await, "connect-udp").await;
    assert_eq!(response.status(), 405);
    assert_eq!(app.count(), before);
}
