//! Everything has a limit, and its answer names it.

use crate::harness::{
    Act, Backend, End, Gate, H2Backend, Seen, Settings, answer, answer_bytes, eventually,
    h2_answer, identity,
};

/// Small limits of every kind.
const SMALL: &str = r#"
    [listeners.web]
    address = "$web"
    limits = { head = "4KiB", headers = 20, target = "1KiB" }
    [routes.all]
    pool = "app"
    body_max = "1KiB"
    [pools.app]
    endpoints = ["$app"]
"#;

#[tokio::test]
async fn what_is_too_large_is_refused_with_its_own_status_and_the_name_of_the_limit() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(SMALL).backend("app", &app).start().await;
    let long = format!("/{}", "a".repeat(1100));
    let wide = format!("x-wide: {}", "b".repeat(5000));
    let many = (0..30).map(|n| format!("x-{n}: y\n")).collect::<String>();
    for (target, lines, length, status, limit) in [
        (long.as_str(), "", 0, 414, "limits.target"),
        ("/", wide.as_str(), 0, 431, "limits.head"),
        ("/", many.as_str(), 0, 431, "limits.headers"),
        ("/", "", 1025, 413, "body_max"),
    ] {
        let mut client = proxy.client().await;
        let method = if length == 0 { "GET" } else { "POST" };
        let body = vec![b'x'; length];
        let answer = client.request(method, target, lines, &body).await;
        answer.assert_failure(status, "http_request_error");
        assert!(answer.text().contains(limit), "{limit}: {}", answer.text());
    }
    assert_eq!(app.count(), 0);
    let answer = proxy.request("POST", "/", "", &[b'x'; 1024]).await;
    assert_eq!(answer.status, 200, "the limit itself is allowed");
    proxy.finish().await;
}

#[tokio::test]
async fn a_target_without_end_is_refused_before_its_end() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(SMALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    client.send(format!("GET /{}", "a".repeat(2000))).await;
    client
        .answer()
        .await
        .assert_failure(414, "http_request_error");
    assert_ne!(client.ended().await, End::Complete);
    proxy.finish().await;
}

#[tokio::test]
async fn a_chunked_body_past_the_limit_never_reaches_its_end() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(SMALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    for _ in 0..5 {
        client.send(format!("100\r\n{}\r\n", "x".repeat(256))).await;
    }
    client.send("0\r\n\r\n").await;
    client
        .answer()
        .await
        .assert_failure(413, "http_request_error");
    assert!(app.seen().iter().all(|seen| !seen.complete));

    let mut client = proxy.h2_client().await;
    let answer = client
        .request("POST", "/", &[], &[b'x'; 2000])
        .await
        .unwrap();
    assert_eq!(answer.status, 413);
    assert!(client.is_open());
    assert!(app.seen().iter().all(|seen| !seen.complete));
    proxy.finish().await;
}

#[tokio::test]
async fn a_connection_serves_its_number_of_requests_and_is_told_to_close() {
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        limits = { requests_per_connection = 2 }
        [routes.all]
        respond = { status = 200, body = "ok" }
        "#,
    )
    .start()
    .await;
    let mut client = proxy.client().await;
    assert_ne!(client.get("/").await.field("connection"), "close");
    assert_eq!(client.get("/").await.field("connection"), "close");
    assert_eq!(client.ended().await, End::Closed);
    proxy.finish().await;
}

#[tokio::test]
async fn connections_past_the_limit_are_not_served_until_one_leaves() {
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        limits = { connections = 2 }
        [routes.all]
        respond = { status = 200, body = "ok" }
        "#,
    )
    .start()
    .await;
    let mut first = proxy.client().await;
    let mut second = proxy.client().await;
    assert_eq!(first.get("/").await.status, 200);
    assert_eq!(second.get("/").await.status, 200);
    let mut third = proxy.raw_client().await;
    third.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    if let Ok(answer) = third.try_answer_to("GET").await {
        // Nothing of a request was read: there is no exchange that an id could name.
        assert_eq!(answer.status, 503);
        let told = answer
            .field("proxy-status")
            .contains("error=connection_limit_reached");
        assert!(told, "{answer:?}");
    }
    // Those that were there are not touched.
    assert_eq!(first.get("/").await.status, 200);
    drop(second);
    eventually("there is room again", || async {
        let mut client = proxy.raw_client().await;
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let answer = client.try_answer_to("GET").await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await;
    proxy.finish().await;
}

#[tokio::test]
async fn requests_past_the_limit_of_a_pool_wait_in_its_queue_or_are_refused() {
    for (queue, refused) in [(0, true), (5, false)] {
        let gate = Gate::new();
        let held = gate.clone();
        let app = Backend::start(move |_| {
            [vec![Act::Read, Act::Wait(held.clone())], answer("app")].concat()
        })
        .await;
        let proxy = Settings::new(&format!(
            r#"
            [proxy]
            workers = 1
            [listeners.web]
            address = "$web"
            [routes.all]
            pool = "app"
            [pools.app]
            endpoints = ["$app"]
            limits = {{ requests = 1, queue = {queue}, queue_timeout = "10s" }}
            "#
        ))
        .backend("app", &app)
        .start()
        .await;
        let mut first = proxy.client().await;
        first.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        app.has_seen(1).await;
        let mut second = proxy.client().await;
        second.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        if refused {
            let answer = second.answer().await;
            answer.assert_failure(503, "connection_limit_reached");
        } else {
            let gauge = "sluicegate_requests_in_flight";
            proxy.metric_becomes(gauge, &[], 2.0).await;
            assert_eq!(app.count(), 1, "the second waits");
        }
        gate.open();
        assert_eq!(first.answer().await.text(), "app");
        if !refused {
            assert_eq!(second.answer().await.text(), "app");
        }
        proxy.finish().await;
    }
}

#[tokio::test]
async fn a_wait_in_the_queue_has_its_own_limit() {
    let app = Backend::start(|_| vec![Act::Read, Act::Stall]).await;
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
        limits = { requests = 1, queue = 5, queue_timeout = "200ms" }
        "#,
    )
    .backend("app", &app)
    .start()
    .await;
    let mut first = proxy.client().await;
    first.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    app.has_seen(1).await;
    proxy
        .get("/")
        .await
        .assert_failure(503, "connection_limit_reached");
    first.abort();
    proxy.finish().await;
}

#[tokio::test]
async fn an_idle_connection_of_another_worker_makes_room_at_the_limit() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(
        r#"
        [proxy]
        workers = 4
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
        limits = { connections = 1 }
        "#,
    )
    .backend("app", &app)
    .start()
    .await;
    // Strictly one after the other, by connections that any of the workers may get.
    for _ in 0..60 {
        assert_eq!(proxy.get("/").await.status, 200);
    }
    assert!(app.connections() > 1, "several workers served");
    let open = proxy.settled_metric("sluicegate_upstream_connections", &[]);
    assert!(open.await <= 1.0, "and never more than the limit");
    proxy.finish().await;
}

/// Four workers with room for one connection in all.
const ONE: &str = r#"
    [proxy]
    workers = 4
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
    limits = { connections = 1 }
"#;

#[tokio::test]
async fn an_idle_http2_connection_of_another_worker_makes_room_at_the_limit() {
    let app = H2Backend::start(|_| h2_answer("app")).await;
    let proxy = Settings::new(&format!("{ONE}    protocol = \"h2\"\n"))
        .address("app", app.address())
        .start()
        .await;
    // Strictly one after the other, by connections that any of the workers may get.
    for _ in 0..60 {
        assert_eq!(proxy.get("/").await.status, 200);
    }
    assert!(app.connections() > 1, "several workers served");
    let open = proxy.settled_metric("sluicegate_upstream_connections", &[]);
    assert!(open.await <= 1.0, "and never more than the limit");
    proxy
        .metric_becomes("sluicegate_idle_connections", &[("pool", "app")], 1.0)
        .await;
    proxy.finish().await;
}

#[tokio::test]
async fn an_authenticated_connection_that_waits_at_another_worker_makes_room_at_the_limit() {
    let app = Backend::start(|seen: &Seen| {
        let challenge = match seen.field("authorization") {
            "" => "x-a: b",
            _ => "www-authenticate: NTLM two",
        };
        let head = format!("HTTP/1.1 200 OK\r\n{challenge}\r\ncontent-length: 0\r\n\r\n");
        answer_bytes(&head)
    })
    .await;
    let proxy = Settings::new(ONE).backend("app", &app).start().await;
    let mut authenticated = proxy.client().await;
    let lines = "authorization: NTLM one";
    for _ in 0..30 {
        let answer = authenticated.request("GET", "/", lines, b"").await;
        assert_eq!(answer.status, 200);
        // At another worker, mostly.
        assert_eq!(proxy.get("/").await.status, 200);
    }
    proxy.finish().await;
}

#[tokio::test]
async fn the_connection_used_least_recently_makes_room() {
    let backends = [
        Backend::start(identity("a")).await,
        Backend::start(identity("b")).await,
        Backend::start(identity("c")).await,
    ];
    let route = |name: &str, version: u32| {
        format!(
            "[routes.{name}]\npath_prefix = \"/{name}\"\npool = \"app\"\nversion = \"^{version}\"\n"
        )
    };
    let endpoint = |name: &str, version: u32| {
        format!("{{ address = \"${name}\", version = \"{version}.0.0\" }}")
    };
    let text = format!(
        "[proxy]\nworkers = 1\n[listeners.web]\naddress = \"$web\"\n{}{}{}\
         [pools.app]\nendpoints = [{}, {}, {}]\nlimits = {{ connections = 2 }}\n",
        route("a", 1),
        route("b", 2),
        route("c", 3),
        endpoint("a", 1),
        endpoint("b", 2),
        endpoint("c", 3),
    );
    let proxy = Settings::new(&text)
        .backend("a", &backends[0])
        .backend("b", &backends[1])
        .backend("c", &backends[2])
        .start()
        .await;
    let mut client = proxy.client().await;
    for target in ["/b", "/a", "/c", "/a", "/b", "/a"] {
        assert_eq!(client.get(target).await.text(), target[1..]);
    }
    let opened = backends.each_ref().map(Backend::connections);
    assert_eq!(opened, [1, 2, 1], "only b had to connect again");
    proxy.finish().await;
}

#[tokio::test]
async fn a_shortage_of_descriptors_is_told_once_in_a_while() {
    let proxy = Settings::new(
        r#"
        [proxy]
        workers = 1
        [listeners.web]
        address = "$web"
        [routes.all]
        respond = { }
        "#,
    )
    .start()
    .await;
    assert_eq!(proxy.get("/").await.status, 200);
    proxy.exhaust_descriptors();
    let (web, admin) = (proxy.address("web"), proxy.address("admin"));
    let mut waiting = Vec::new();
    // What some connections have left is taken first.
    for _ in 0..20 {
        for address in [web, admin] {
            waiting.push(tokio::net::TcpStream::connect(address).await.unwrap());
        }
    }
    // Each tries again some twenty times a second: the second line tells of those in between.
    let lines = |what: &str| -> Vec<String> {
        let log = proxy.log();
        let lines = log.lines().filter(|line| line.contains(what));
        lines.map(str::to_owned).collect()
    };
    for what in [
        "cannot accept a connection listener=web",
        "the admin API cannot accept",
    ] {
        eventually(format!("a second line: {what}"), || async {
            (lines(what).len() > 1).then_some(())
        })
        .await;
        let last = lines(what).pop().unwrap();
        let passed_over = last.split("passed_over=").nth(1).unwrap();
        let passed_over = passed_over.split(' ').next().unwrap();
        assert!(passed_over.parse::<u32>().unwrap() > 5, "{last}");
    }
    let web = lines("cannot accept a connection listener=web");
    assert!(web.len() <= 3, "{web:?}");
    drop(waiting);
    proxy.restore_descriptors();
    assert_eq!(proxy.get("/").await.status, 200);
    proxy.finish().await;
}
