//! Unix sockets and IPv6 serve where IPv4 ports do.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::harness::{Act, Backend, Client, Gate, Port, Settings, answer, eventually, identity};

/// A proxy that answers everything at these addresses itself.
fn respond(listeners: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("[routes.all]\nrespond = {{ status = 200, body = \"{body}\" }}\n");
    for (name, keys) in listeners {
        text.push_str(&format!("[listeners.{name}]\n{keys}\n"));
    }
    text
}

/// The answer to one request over a unix socket, head and all.
async fn ask(socket: &Path) -> String {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn mode(file: &Path) -> u32 {
    std::fs::metadata(file).unwrap().permissions().mode() & 0o777
}

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
    second.signal(Signal::TERM);
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

#[tokio::test]
async fn a_reload_moves_a_listener_from_one_address_to_all_and_back() {
    let narrow = "address = \"$web\"";
    let mut proxy = Settings::new(&respond(&[("web", narrow)], "0"))
        .start()
        .await;
    let port = proxy.address("web").port();
    let wide = format!("address = \"0.0.0.0:{port}\"");
    let dual = format!("address = \"[::]:{port}\"");
    let steps = [&wide, narrow, &dual, &wide, &dual, narrow];
    for (step, keys) in (1..).zip(steps) {
        let body = step.to_string();
        proxy.reload(&respond(&[("web", keys)], &body)).await;
        assert_eq!(proxy.get("/").await.text(), body, "{keys}");
    }
    assert!(!proxy.log().contains("in use"), "{}", proxy.log());
    proxy.finish().await;
}

#[tokio::test]
async fn a_refused_reload_leaves_no_socket_file() {
    let web = ("web", "address = \"$web\"");
    let mut proxy = Settings::new(&respond(&[web], "one")).start().await;
    let socket = proxy.folder().join("a.sock");
    // Bound by name: the socket first, then what cannot be had.
    let file = ("a", "address = \"unix:a.sock\"");
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let busy_keys = format!("address = \"{}\"", busy.local_addr().unwrap());
    proxy.replace(&respond(&[web, file, ("b", &busy_keys)], "two"));
    proxy.reload_fails().await;
    proxy.log_says("is in use").await;
    assert!(!socket.exists());
    drop(busy);
    proxy.reload(&respond(&[web, file], "three")).await;
    assert!(ask(&socket).await.ends_with("three"));
    proxy.reload(&respond(&[web], "four")).await;
    eventually("the file of the socket is gone", || async {
        (!socket.exists()).then_some(())
    })
    .await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_draining_process_leaves_its_successors_socket_alone() {
    let gate = Gate::new();
    let held = gate.clone();
    let app = Backend::start(move |_| {
        [vec![Act::Read, Act::Wait(held.clone())], answer("late")].concat()
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let listener = format!("address = \"unix:{}\"", socket.display());
    let first = format!(
        "[listeners.unix]\n{listener}\n[listeners.web]\naddress = \"$web\"\n\
         [routes.all]\npool = \"app\"\n[pools.app]\nendpoints = [\"$app\"]\n"
    );
    let mut first = Settings::new(&first).backend("app", &app).start().await;
    let mut client = first.client().await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    app.has_seen(1).await;
    // Two at once: the second is told, and takes nothing away.
    let text = respond(&[("unix", &listener)], "second");
    let mut refused = Settings::new(&text).launch();
    assert!(!refused.exited().await.success());
    refused.log_says("is in use").await;
    assert!(socket.exists());
    first.signal(Signal::TERM);
    eventually("the first listens no more", || async {
        UnixStream::connect(&socket).await.err().map(drop)
    })
    .await;
    let second = Settings::new(&text).start().await;
    assert!(ask(&socket).await.ends_with("second"));
    gate.open();
    assert_eq!(client.answer().await.text(), "late");
    first.exited().await;
    assert!(ask(&socket).await.ends_with("second"));
    second.finish().await;
}

#[tokio::test]
async fn the_wildcard_of_ipv6_takes_both_families_unless_it_is_told_otherwise() {
    let (both, six) = (Port::take(), Port::take());
    let (both, six) = (both.address().port(), six.address().port());
    let text = format!(
        r#"
        [listeners.both]
        address = "[::]:{both}"
        [listeners.four]
        address = "127.0.0.1:{six}"
        [listeners.six]
        address = "[::]:{six}"
        ipv6_only = true
        [listeners.web]
        address = "$web"
        [routes.both]
        listeners = ["both"]
        respond = {{ status = 200, body = "both" }}
        [routes.four]
        listeners = ["four"]
        respond = {{ status = 200, body = "four" }}
        [routes.six]
        listeners = ["six"]
        respond = {{ status = 200, body = "six" }}
        "#
    );
    let mut proxy = Settings::new(&text).start().await;
    let ask = async |ip: std::net::IpAddr, port: u16| {
        let mut client = Client::connect(SocketAddr::new(ip, port)).await;
        client.get("/").await.text()
    };
    assert_eq!(ask(Ipv4Addr::LOCALHOST.into(), both).await, "both");
    assert_eq!(ask(Ipv6Addr::LOCALHOST.into(), both).await, "both");
    assert_eq!(ask(Ipv4Addr::LOCALHOST.into(), six).await, "four");
    assert_eq!(ask(Ipv6Addr::LOCALHOST.into(), six).await, "six");
    let alone = text.replace("[listeners.four]", "[listeners.fore]");
    let alone = alone.replace(&format!("127.0.0.1:{six}"), "127.0.0.1:0");
    proxy
        .reload(&alone.replace("[\"four\"]", "[\"fore\"]"))
        .await;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, six));
    eventually("nobody listens for IPv4", || async {
        Client::try_connect(address).await.err().map(drop)
    })
    .await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_unix_socket_has_the_mode_that_is_written() {
    let web = ("web", "address = \"$web\"");
    let keys = |mode: &str| format!("address = \"unix:s\"\nmode = \"{mode}\"");
    let folder = tempfile::tempdir().unwrap();
    let admin = folder.path().join("admin");
    let mut proxy = Settings::new(&respond(&[web, ("unix", &keys("0666"))], "one"))
        .start()
        .await;
    let socket = proxy.folder().join("s");
    assert_eq!(mode(&socket), 0o666);
    proxy
        .reload(&respond(&[web, ("unix", &keys("0600"))], "two"))
        .await;
    eventually("the new mode", || async {
        (mode(&socket) == 0o600).then_some(())
    })
    .await;
    assert!(ask(&socket).await.ends_with("two"));
    let text = format!(
        "[admin]\naddress = \"unix:{}\"\nmode = \"0660\"\n{}",
        admin.display(),
        respond(&[("unix", "address = \"unix:s\"")], "three")
    );
    let mut with_admin = Settings::new(&text).launch();
    eventually("the admin API is there", || async {
        admin.exists().then_some(())
    })
    .await;
    assert_eq!(mode(&admin), 0o660);
    with_admin.signal(Signal::TERM);
    with_admin.exited().await;
    assert!(!admin.exists());
    proxy.finish().await;
}

#[tokio::test]
async fn port_0_is_one_port_for_all_workers() {
    let text = respond(&[("any", "address = \"127.0.0.1:0\"")], "here");
    let proxy = Settings::new(&format!("[proxy]\nworkers = 4\n{text}"))
        .start()
        .await;
    let listeners = proxy.admin("GET", "/listeners", "").await.unwrap().text();
    let listeners: serde_json::Value = serde_json::from_str(&listeners).unwrap();
    let address: SocketAddr = listeners[0]["address"].as_str().unwrap().parse().unwrap();
    assert_ne!(address.port(), 0);
    for _ in 0..20 {
        assert_eq!(Client::connect(address).await.get("/").await.text(), "here");
    }
    // Each worker has a socket of that port, and none of another.
    assert_eq!(
        proxy.listening_ports(),
        [proxy.address("admin").port(), address.port()].into()
    );
    proxy.finish().await;
}
