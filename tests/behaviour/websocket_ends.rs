//! WebSockets and the end of things: a drain tells both sides, a reload that leaves the route
//! alone tells nobody.

use bytes::Bytes;
use rustix::process::Signal;
use sluicegate::semantics::websocket::proof_of;

use crate::harness::websocket::{ASK, GOING_AWAY, ask, bytes, h2_client, text, unmasked_close};
use crate::harness::{Act, Backend, H2Act, H2Backend, Proxy, Seen, Settings, eventually};

fn config(protocol: &str) -> String {
    format!(
        r#"
        [proxy]
        drain = {{ timeout = "500ms" }}
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
        protocol = "{protocol}"
        "#
    )
}

/// Takes a WebSocket, says hello, and reads what may be a close frame of eight bytes.
async fn http1_endpoint(hello: &'static [u8]) -> Backend {
    Backend::start(move |seen: &Seen| {
        let key = seen.field("sec-websocket-key");
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-accept: {}\r\n\r\n",
            proof_of(key.as_bytes()).unwrap().to_str().unwrap()
        );
        let hello = [head.as_bytes(), hello].concat();
        vec![Act::Send(hello), Act::ReadSome(8), Act::Stall]
    })
    .await
}

async fn http2_endpoint(hello: &'static [u8]) -> H2Backend {
    H2Backend::start_with_websockets(100, move |_: &Seen| {
        let hello = H2Act::Data(hello.to_vec());
        vec![
            H2Act::Head(200, vec![]),
            hello,
            H2Act::Take(8),
            H2Act::Echo,
            H2Act::End,
        ]
    })
    .await
}

/// Waits until the endpoint has been told that the other side goes away.
async fn is_told(seen: impl Fn() -> Vec<Seen>) {
    eventually("the endpoint is told with 1001", || async {
        (unmasked_close(&seen().first()?.body)? == 1001).then_some(())
    })
    .await;
}

async fn drained(mut proxy: Proxy) {
    proxy.exited().await;
    let line = proxy
        .logged("the WebSocket", |line| line["status"] == 101)
        .await;
    assert_eq!(line["reason"], "proxy_shutdown", "{line}");
}

#[tokio::test]
async fn a_drain_tells_a_client_of_http1_and_its_endpoint_between_frames() {
    // A whole frame, or the beginning of one.
    let cases: [(&'static [u8], bool); 2] = [
        (&[0x81, 2, b'h', b'i'], true),
        (&[0x81, 9, b'h', b'i'], false),
    ];
    for (hello, whole) in cases {
        let app = http1_endpoint(hello).await;
        let proxy = Settings::new(&config("http/1.1"))
            .backend("app", &app)
            .start()
            .await;
        let mut client = proxy.client().await;
        client.send(ASK).await;
        assert_eq!(client.answer().await.status, 101);
        client.bytes(4).await.unwrap();
        proxy.signal(Signal::TERM);
        let goodbye = client.bytes(4).await;
        assert_eq!(
            goodbye.ok(),
            whole.then(|| GOING_AWAY.to_vec()),
            "{hello:?}"
        );
        is_told(|| app.seen()).await;
        drained(proxy).await;
    }
}

#[tokio::test]
async fn an_endpoint_is_not_told_in_the_middle_of_a_frame() {
    let app = http1_endpoint(&[0x81, 2, b'h', b'i']).await;
    let proxy = Settings::new(&config("http/1.1"))
        .backend("app", &app)
        .start()
        .await;
    let mut client = proxy.client().await;
    client.send(ASK).await;
    assert_eq!(client.answer().await.status, 101);
    client.bytes(4).await.unwrap();
    // Half of a masked frame.
    client.send(&text("hello")[..7]).await;
    proxy.signal(Signal::TERM);
    assert_eq!(client.bytes(4).await.unwrap(), GOING_AWAY);
    drained(proxy).await;
    eventually("the endpoint sees the end", || async {
        (app.open() == 0).then_some(())
    })
    .await;
    assert_eq!(app.seen()[0].body, text("hello")[..7]);
}

#[tokio::test]
async fn a_drain_tells_clients_of_http2_and_endpoints_of_both() {
    let hello: &'static [u8] = &[0x81, 2, b'h', b'i'];
    for protocol in ["http/1.1", "h2"] {
        let (old, new) = (http1_endpoint(hello).await, http2_endpoint(hello).await);
        let address = if protocol == "h2" {
            new.address()
        } else {
            old.address()
        };
        let settings = Settings::new(&config(protocol)).address("app", address);
        let proxy = settings.start().await;
        let sender = h2_client(&proxy).await;
        let (response, stream) = ask(&sender, "websocket").await;
        assert_eq!(response.status(), 200);
        let mut body = response.into_body();
        assert_eq!(bytes(&mut body, 4).await, hello);
        proxy.signal(Signal::TERM);
        assert_eq!(bytes(&mut body, 4).await, GOING_AWAY, "{protocol}");
        // Then the stream ends as a connection would.
        while let Some(Ok(rest)) = body.data().await {
            assert!(rest.is_empty(), "{rest:?}");
        }
        is_told(|| {
            if protocol == "h2" {
                new.seen()
            } else {
                old.seen()
            }
        })
        .await;
        drop(stream);
        drained(proxy).await;
    }
}

#[tokio::test]
async fn a_drain_tells_a_client_of_http1_and_its_endpoint_of_http2() {
    let hello: &'static [u8] = &[0x81, 2, b'h', b'i'];
    let app = http2_endpoint(hello).await;
    let settings = Settings::new(&config("h2")).address("app", app.address());
    let proxy = settings.start().await;
    let mut client = proxy.client().await;
    client.send(ASK).await;
    assert_eq!(client.answer().await.status, 101);
    assert_eq!(client.bytes(4).await.unwrap(), hello);
    proxy.signal(Signal::TERM);
    assert_eq!(client.bytes(4).await.unwrap(), GOING_AWAY);
    is_told(|| app.seen()).await;
    drained(proxy).await;
}

async fn echoing() -> H2Backend {
    H2Backend::start_with_websockets(100, |_: &Seen| {
        vec![H2Act::Head(200, vec![]), H2Act::Echo, H2Act::End]
    })
    .await
}

#[tokio::test]
async fn a_websocket_over_http2_lives_through_a_reload_that_leaves_its_route_alone() {
    let app = echoing().await;
    let text = config("h2");
    let mut proxy = Settings::new(&text)
        .address("app", app.address())
        .start()
        .await;
    let sender = h2_client(&proxy).await;
    let (response, mut stream) = ask(&sender, "websocket").await;
    let mut body = response.into_body();
    stream.send_data(Bytes::from("before"), false).unwrap();
    assert_eq!(bytes(&mut body, 6).await, b"before");
    // Another route, another pool, and other settings of its own pool.
    let more = format!(
        "{text}\nlimits = {{ queue = 7 }}\n[routes.more]\npath = \"/more\"\npool = \"more\"\n\
         [pools.more]\nendpoints = [\"$app\"]\nprotocol = \"h2\"\n"
    );
    proxy.reload(&more).await;
    stream.send_data(Bytes::from("after"), false).unwrap();
    assert_eq!(bytes(&mut body, 5).await, b"after");
    let (second, _stream) = ask(&sender, "websocket").await;
    assert_eq!(second.status(), 200, "the same connection takes another");
    drop((stream, body, second, _stream));
    proxy.finish().await;
}

#[tokio::test]
async fn a_websocket_whose_route_and_pool_are_gone_is_let_finish() {
    let app = echoing().await;
    let text = config("h2");
    let mut proxy = Settings::new(&text)
        .address("app", app.address())
        .start()
        .await;
    let sender = h2_client(&proxy).await;
    let (response, mut stream) = ask(&sender, "websocket").await;
    let mut body = response.into_body();
    stream.send_data(Bytes::from("before"), false).unwrap();
    assert_eq!(bytes(&mut body, 6).await, b"before");
    let without = text[..text.find("[routes.all]").unwrap()].to_owned()
        + "[routes.other]\npath = \"/other\"\nrespond = { status = 204 }\n";
    proxy.reload(&without).await;
    let (refused, _) = ask(&sender, "websocket").await;
    assert_eq!(refused.status(), 404, "no new one");
    stream.send_data(Bytes::from("after"), false).unwrap();
    assert_eq!(bytes(&mut body, 5).await, b"after");
    stream.send_data(Bytes::new(), true).unwrap();
    while let Some(Ok(rest)) = body.data().await {
        assert!(rest.is_empty(), "{rest:?}");
    }
    let line = proxy
        .logged("the WebSocket", |line| line["status"] == 101)
        .await;
    assert!(line["reason"].is_null(), "{line}");
    assert_eq!(
        (&line["route"], &line["pool"]),
        (&"all".into(), &"app".into())
    );
    // With it goes the connection that nobody else would use.
    eventually("the connection to the endpoint is closed", || async {
        (app.open() == 0).then_some(())
    })
    .await;
    drop((stream, body, refused));
    proxy.finish().await;
}
