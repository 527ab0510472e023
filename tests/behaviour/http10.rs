//! Clients and endpoints of HTTP/1.0.

use bytes::Bytes;

use crate::harness::{Backend, Settings, answer_bytes, h2_read, identity};

const ALL: &str = r#"
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    [routes.named]
    path_prefix = "/named"
    rewrite = { host = "inner.example" }
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
"#;

#[tokio::test]
async fn a_request_without_host_goes_on_with_that_of_the_endpoint() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    for (target, lines, host) in [
        ("/", "", app.address().to_string()),
        ("/", "host:\r\n", app.address().to_string()),
        ("/", "host: shop.example\r\n", "shop.example".to_owned()),
        ("/named", "", "inner.example".to_owned()),
    ] {
        let mut client = proxy.raw_client().await;
        client
            .send(format!("GET {target} HTTP/1.0\r\n{lines}\r\n"))
            .await;
        let answer = client.answer().await;
        if lines == "host:\r\n" {
            assert_eq!(answer.status, 400, "an empty one is malformed");
            continue;
        }
        assert_eq!(answer.status, 200, "{target} {lines}");
        assert_eq!(app.seen().pop().unwrap().fields.all("host"), [host]);
    }
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_of_http_1_0_is_told_the_length() {
    let app = Backend::start(|_| {
        answer_bytes("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok")
    })
    .await;
    let proxy = Settings::new(&format!("{ALL}\n[proxy]\nworkers = 2\n"))
        .backend("app", &app)
        .start()
        .await;
    assert_eq!(proxy.get("/").await.status, 200);
    for (pieces, status) in [(2, 200), (70, 411)] {
        let mut client = proxy.h2_client().await;
        let (response, mut body) = client.open("POST", "/", &[], false).await.unwrap();
        let before = app.count();
        for _ in 0..pieces {
            body.send_data(Bytes::from_static(&[b'x'; 1000]), false)
                .unwrap();
        }
        body.send_data(Bytes::new(), true).unwrap();
        let answer = h2_read(response).await.unwrap();
        assert_eq!(answer.status, status, "{answer:?}");
        if status == 200 {
            let seen = app.seen().pop().unwrap();
            assert_eq!(seen.field("content-length"), "2000");
            assert!(!seen.fields.has("transfer-encoding"));
            assert_eq!(seen.body.len(), 2000);
        } else {
            assert_eq!(app.count(), before);
        }

        let mut client = proxy.client().await;
        let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
        client.send(head).await;
        let piece = format!("3e8\r\n{}\r\n", "x".repeat(1000));
        client.send(piece.repeat(pieces)).await;
        client.send("0\r\n\r\n").await;
        assert_eq!(client.answer_to("POST").await.status, status);
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_check_tells_that_an_endpoint_speaks_http_1_0_before_its_first_request() {
    let app = Backend::start(|_| {
        answer_bytes("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok")
    })
    .await;
    let text = format!(
        "{ALL}\n    health = {{ http = {{ path = \"/healthz\" }}, interval = \"1s\" }}\n\
         [proxy]\nworkers = 2\n"
    );
    let proxy = Settings::new(&text).backend("app", &app).start().await;
    // Held until the first check is answered.
    let mut client = proxy.client().await;
    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    client.send(head).await;
    client.send("5\r\nhello\r\n0\r\n\r\n").await;
    assert_eq!(client.answer_to("POST").await.status, 200);
    let seen = app.seen();
    let post = seen.iter().find(|seen| seen.method == "POST").unwrap();
    assert_eq!(post.field("content-length"), "5");
    assert!(!post.fields.has("transfer-encoding"));
    proxy.finish().await;
}
