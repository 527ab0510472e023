//! Unix sockets and IPv6 serve where IPv4 ports do.

use std::net::{Ipv6Addr, SocketAddr};

use crate::harness::{Backend, Client, Port, Settings, eventually, identity};

#[tokio::test]
async fn two_proxies_meet_at_a_unix_socket() {
    let app = Backend::start(identity("app")).await;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("inner.sock");
    let inner = |body: &str| {
        format!(
            r#"
            [listeners.inner]
            address = "unix:{}"
            [routes.all]
            {body}
            [pools.app]
            endpoints = ["$app"]
            "#,
            socket.display()
        )
    };
    let mut second = Settings::new(&inner("pool = \"app\""))
        .backend("app", &app)
        .start()
        .await;
    let first = Settings::new(&format!(
        r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "inner"
        [pools.inner]
        endpoints = ["unix:{}"]
        "#,
        socket.display()
    ))
    .start()
    .await;
    let mut client = first.client().await;
    for _ in 0..3 {
        let answer = client.request("POST", "/x", "", b"body").await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "app"));
    }
    assert_eq!(app.seen()[0].body, b"body");
    let via = app.seen()[0].fields.all("via").join(", ");
    assert_eq!(via.matches("sluicegate").count(), 2, "{via}");
    // The socket stays when its listener stays.
    second
        .reload(&inner("respond = { status = 200, body = \"new\" }"))
        .await;
    assert_eq!(client.get("/").await.text(), "new");
    second.signal(rustix::process::Signal::TERM);
    second.exited().await;
    eventually("the file of the socket is gone", || async {
        (!socket.exists()).then_some(())
    })
    .await;
    first.finish().await;
}

#[tokio::test]
async fn ipv6_serves_on_both_sides_and_is_quoted_where_it_must_be() {
    let (outer, inner) = (Port::take(), Port::take());
    let six = |port: &Port| SocketAddr::from((Ipv6Addr::LOCALHOST, port.address().port()));
    let (outer, inner) = (six(&outer), six(&inner));
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(&format!(
        r#"
        [proxy]
        trusted_proxies = ["::1"]
        [listeners.outer]
        address = "{outer}"
        [listeners.inner]
        address = "{inner}"
        [routes.outer]
        listeners = ["outer"]
        pool = "inner"
        [routes.inner]
        listeners = ["inner"]
        hosts = ["[::1]"]
        source = ["::1"]
        pool = "app"
        [pools.inner]
        endpoints = ["{inner}"]
        [pools.app]
        endpoints = ["$app"]
        "#
    ))
    .backend("app", &app)
    .start()
    .await;
    let mut client = Client::connect(outer).await;
    client
        .send(format!("GET /a HTTP/1.1\r\nhost: {outer}\r\n\r\n"))
        .await;
    // One process would meet itself: the loop is seen before it turns.
    client
        .answer()
        .await
        .assert_failure(502, "proxy_loop_detected");
    let mut client = Client::connect(inner).await;
    client
        .send(format!("GET /b HTTP/1.1\r\nhost: {inner}\r\n\r\n"))
        .await;
    assert_eq!(client.answer().await.text(), "app");
    let seen = app.only();
    assert_eq!(seen.field("host"), inner.to_string());
    assert_eq!(seen.field("x-forwarded-for"), "::1");
    assert_eq!(seen.field("x-forwarded-host"), inner.to_string());
    let forwarded = seen.field("forwarded");
    assert!(forwarded.contains("for=\"[::1]\""), "{forwarded}");
    assert!(
        forwarded.contains(&format!("host=\"{inner}\"")),
        "{forwarded}"
    );
    let line = proxy.logged("/b", |line| line["path"] == "/b").await;
    assert_eq!(line["client"], "::1");
    proxy.finish().await;
}

#[tokio::test]
async fn an_ipv4_peer_of_an_ipv6_socket_is_an_ipv4_client() {
    let app = Backend::start(identity("app")).await;
    // Dual-stack, as a service manager opens ports by default.
    let socket = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None).unwrap();
    socket.set_only_v6(false).unwrap();
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    socket.bind(&any.into()).unwrap();
    socket.listen(16).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    let proxy = Settings::new(&format!(
        r#"
        [listeners.all]
        address = "[::]:{port}"
        [routes.all]
        source = ["127.0.0.0/8"]
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
        "#
    ))
    .backend("app", &app)
    .socket(socket)
    .start()
    .await;
    let mut client = Client::connect(SocketAddr::from(([127, 0, 0, 1], port))).await;
    assert_eq!(client.get("/").await.text(), "app");
    assert_eq!(app.only().field("x-forwarded-for"), "127.0.0.1");
    let mut client = Client::connect(SocketAddr::from((Ipv6Addr::LOCALHOST, port))).await;
    assert_eq!(client.get("/").await.status, 404, "no IPv4 client");
    proxy.finish().await;
}
