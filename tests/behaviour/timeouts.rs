//! Nobody holds anything for ever: each wait has its limit and its own word.

use std::time::Duration;

use tokio::time::Instant;

use crate::harness::{Act, Backend, Client, End, Settings, answer, identity};

#[tokio::test]
async fn a_slow_head_is_408_and_the_connection_is_closed() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        timeouts = { head = "300ms" }
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
        "#,
    )
    .backend("app", &app)
    .start()
    .await;
    let mut client = proxy.client().await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\nx-slow: ").await;
    client
        .answer()
        .await
        .assert_failure(408, "http_request_error");
    assert_ne!(client.ended().await, End::Complete);
    // A drip of bytes does not help.
    let mut client = proxy.client().await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n").await;
    let drip = async {
        for n in 0.. {
            client.send(format!("x-{n}: y\r\n")).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            if n == 100 {
                break;
            }
        }
    };
    // Five seconds of drip are far past the limit; the log tells when it struck.
    tokio::select! {
        () = drip => {}
        line = proxy.logged("of the second slow head", |l| l["status"] == 408) => {
            assert_eq!(line["reason"], "http_request_error");
        }
    }
    assert_ne!(client.ended().await, End::Complete);
    assert_eq!(app.count(), 0);
    proxy.finish().await;
}

#[tokio::test]
async fn a_drip_does_not_hold_a_connection_whose_head_was_too_slow() {
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        timeouts = { head = "300ms" }
        [routes.all]
        respond = { status = 200, body = "ok" }
        "#,
    )
    .start()
    .await;
    let mut client = proxy.client().await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\nx: ").await;
    let told = client.answer().await;
    told.assert_failure(408, "http_request_error");
    let drip = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        loop {
            ticks.tick().await;
            client.send("x").await;
        }
    };
    // Far sooner than an upload would be borne with, whose answer came early.
    let web = [("listener", "web")];
    tokio::select! {
        () = drip => {}
        () = proxy.metric_becomes("sluicegate_connections", &web, 0.0) => {}
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_peer_that_says_nothing_is_closed() {
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        timeouts = { handshake = "300ms", head = "300ms", idle = "300ms" }
        [routes.all]
        respond = { status = 200, body = "ok" }
        "#,
    )
    .start()
    .await;
    let mut silent = proxy.raw_client().await;
    silent.ended().await;
    // Half of the HTTP/2 preface is as silent.
    let mut half = proxy.raw_client().await;
    half.send("PRI * HTTP/2.0\r\n").await;
    half.ended().await;
    // And a connection that was used once.
    let mut used = proxy.client().await;
    assert_eq!(used.get("/").await.text(), "ok");
    assert_eq!(used.ended().await, End::Closed);
    proxy.finish().await;
}

#[tokio::test]
async fn an_http2_connection_is_idle_from_the_end_of_its_last_answer_on() {
    let late = Act::Pause(Duration::from_millis(1800));
    let app = Backend::start(move |_| [vec![late.clone()], answer("late")].concat()).await;
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        timeouts = { idle = "1s" }
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
        "#,
    )
    .backend("app", &app)
    .start()
    .await;
    let mut client = proxy.h2_client().await;
    assert_eq!(client.get("/").await.unwrap().text(), "late");
    let answered = Instant::now();
    let web = [("listener", "web")];
    proxy
        .metric_becomes("sluicegate_connections", &web, 0.0)
        .await;
    let idle = answered.elapsed();
    assert!(idle >= Duration::from_millis(900), "{idle:?}");
    proxy.finish().await;
}

#[tokio::test]
async fn a_slow_body_is_408_and_the_connection_is_closed() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        timeouts = { body_idle = "300ms" }
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
        "#,
    )
    .backend("app", &app)
    .start()
    .await;
    let mut client = proxy.client().await;
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf")
        .await;
    client
        .answer()
        .await
        .assert_failure(408, "http_request_error");
    assert_ne!(client.ended().await, End::Complete);
    assert!(app.seen().iter().all(|seen| !seen.complete));
    proxy.finish().await;
}

/// A pool whose only endpoint never answers in time.
const IMPATIENT: &str = r#"
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    timeouts = { attempt = "300ms", total = "2s", idle = "300ms" }
    [pools.app]
    endpoints = ["$app"]
"#;

#[tokio::test]
async fn a_late_response_head_is_504() {
    let app = Backend::start(|_| vec![Act::Read, Act::Stall]).await;
    let proxy = Settings::new(IMPATIENT).backend("app", &app).start().await;
    proxy
        .get("/")
        .await
        .assert_failure(504, "http_response_timeout");
    assert_eq!(
        app.count(),
        1,
        "a timeout is not among the default reasons to retry"
    );
    proxy.finish().await;
}

#[tokio::test]
async fn the_total_time_spans_all_attempts() {
    let app = Backend::start(|_| vec![Act::Read, Act::Stall]).await;
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        timeouts = { attempt = "400ms", total = "1s" }
        retry = { attempts = 10, on = ["timeout"] }
        [pools.app]
        endpoints = ["$app"]
        retry_budget = { ratio = "100%", minimum = 100 }
        "#,
    )
    .backend("app", &app)
    .start()
    .await;
    proxy
        .get("/")
        .await
        .assert_failure(504, "http_response_timeout");
    // Two whole attempts of 400 ms and the rest of the second fit; many more do not.
    let count = app.count();
    assert!((1..=4).contains(&count), "{count} attempts");
    proxy.finish().await;
}

#[tokio::test]
async fn a_connection_that_is_not_accepted_in_time_is_504() {
    // A listening socket with a full backlog: the kernel drops further SYNs.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut fillers = Vec::new();
    for _ in 0..3 {
        let connect = tokio::net::TcpStream::connect(address);
        let waited = tokio::time::timeout(Duration::from_millis(200), connect).await;
        fillers.push(waited);
    }
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "full"
        [pools.full]
        endpoints = ["$full"]
        timeouts = { connect = "300ms" }
        "#,
    )
    .address("full", address)
    .start()
    .await;
    proxy
        .get("/")
        .await
        .assert_failure(504, "connection_timeout");
    proxy.finish().await;
}

#[tokio::test]
async fn an_answer_that_stops_in_its_middle_is_cut() {
    let app = Backend::start(|_| {
        let start = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec();
        vec![Act::Read, Act::Send(start), Act::Stall]
    })
    .await;
    let proxy = Settings::new(IMPATIENT).backend("app", &app).start().await;
    let answer = proxy.get("/stops").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "half"));
    assert_ne!(answer.end, End::Complete);
    let line = proxy
        .logged("of the cut answer", |l| l["path"] == "/stops")
        .await;
    assert_eq!(line["reason"], "connection_read_timeout", "{line}");
}

#[tokio::test]
async fn an_answer_that_drips_longer_than_any_timeout_is_not_cut() {
    let app = Backend::start(|_| {
        let mut acts = vec![
            Act::Read,
            Act::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n".to_vec()),
        ];
        for byte in b"12345678" {
            acts.push(Act::Pause(Duration::from_millis(100)));
            acts.push(Act::Send(vec![*byte]));
        }
        acts
    })
    .await;
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        timeouts = { attempt = "400ms", total = "400ms", idle = "5s" }
        [pools.app]
        endpoints = ["$app"]
        "#,
    )
    .backend("app", &app)
    .start()
    .await;
    let answer = proxy.get("/").await;
    assert_eq!(
        (answer.text().as_str(), answer.end),
        ("12345678", End::Complete)
    );
    proxy.finish().await;
}

#[tokio::test]
async fn a_connection_to_an_endpoint_is_not_kept_past_its_idle_time() {
    let app = Backend::start(|_| answer("app")).await;
    let proxy = Settings::new(
        r#"
        [proxy]
        workers = 1
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
        timeouts = { idle = "300ms" }
        "#,
    )
    .backend("app", &app)
    .start()
    .await;
    let mut client: Client = proxy.client().await;
    client.get("/").await;
    client.get("/").await;
    assert_eq!(app.connections(), 1, "reused while it is fresh");
    crate::harness::eventually("the idle connection is closed", || async {
        (app.open() == 0).then_some(())
    })
    .await;
    assert_eq!(client.get("/").await.text(), "app");
    proxy.finish().await;
}
