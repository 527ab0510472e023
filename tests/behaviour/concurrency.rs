//! `concurrency`: how many requests are under way at once, and who waits for a place.

use crate::harness::{Act, Backend, Client, Gate, Proxy, Seen, Settings, answer, eventually};

pub(crate) fn tables(workers: u8, limit: &str) -> String {
    format!(
        r#"
        [proxy]
        workers = {workers}
        trusted_proxies = ["127.0.0.0/8"]
        [access_log]
        path = "access.log"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        concurrency = {limit}
        [pools.app]
        endpoints = ["$app"]
        "#
    )
}

pub(crate) async fn started(workers: u8, limit: &str, app: &Backend) -> Proxy {
    let settings = Settings::new(&tables(workers, limit)).backend("app", app);
    settings.start().await
}

/// A backend that answers once the gate is open.
async fn held(gate: &Gate) -> Backend {
    let gate = gate.clone();
    let script = move |_: &Seen| [vec![Act::Read, Act::Wait(gate.clone())], answer("app")].concat();
    Backend::start(script).await
}

/// A client that has sent a request.
async fn asks(proxy: &Proxy, target: &str, line: &str) -> Client {
    let mut client = proxy.client().await;
    let line = if line.is_empty() { "x-a: b" } else { line };
    let head = format!("GET {target} HTTP/1.1\r\nhost: a\r\n{line}\r\n\r\n");
    client.send(head).await;
    client
}

async fn in_use(proxy: &Proxy, count: f64) {
    let labels = [("route", "all")];
    let gauge = "sluicegate_concurrency_in_use";
    proxy.metric_becomes(gauge, &labels, count).await;
}

async fn waiting(proxy: &Proxy, count: f64) {
    let labels = [("route", "all")];
    let gauge = "sluicegate_concurrency_waiting";
    proxy.metric_becomes(gauge, &labels, count).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_are_under_way_than_the_limit_over_all_workers() {
    let gate = Gate::new();
    let app = held(&gate).await;
    let proxy = started(4, "{ max = 5 }", &app).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = asks(&proxy, "/", "").await;
        clients.push(tokio::spawn(async move { client.answer().await }));
    }
    let labels = [("route", "all")];
    let refused = "sluicegate_concurrency_refused_total";
    proxy.metric_becomes(refused, &labels, 15.0).await;
    in_use(&proxy, 5.0).await;
    let routes = proxy.admin("GET", "/routes", "").await.unwrap();
    let routes: serde_json::Value = serde_json::from_slice(&routes.body).unwrap();
    let shown = &routes[0]["concurrency"][0];
    let wanted =
        serde_json::json!({ "per": "route", "limit": 5, "in_use": 5, "waiting": 0, "refused": 15 });
    assert_eq!(*shown, wanted, "{routes}");
    assert_eq!(app.count(), 5);
    gate.open();
    let mut served = 0;
    for client in clients {
        let answer = client.await.unwrap();
        if answer.status == 200 {
            served += 1;
            continue;
        }
        answer.assert_failure(503, "connection_limit_reached");
        assert_eq!(answer.field("retry-after"), "1");
    }
    assert_eq!((served, app.count()), (5, 5));
    in_use(&proxy, 0.0).await;
    proxy.finish().await;
}

#[tokio::test]
async fn one_client_gets_its_place_back_with_each_answer() {
    let app = Backend::start(|_| answer("app")).await;
    let proxy = started(2, "{ max = 1 }", &app).await;
    let mut one = proxy.client().await;
    for _ in 0..50 {
        assert_eq!(one.get("/").await.status, 200);
    }
    let mut two = proxy.h2_client().await;
    for _ in 0..50 {
        assert_eq!(two.get("/").await.unwrap().status, 200);
    }
    proxy.finish().await;
}

#[tokio::test]
async fn requests_wait_in_their_order_and_the_log_has_the_wait() {
    let gate = Gate::new();
    let app = held(&gate).await;
    let limit = r#"{ max = 1, queue = 10, queue_timeout = "20s" }"#;
    let proxy = started(2, limit, &app).await;
    let mut clients = vec![asks(&proxy, "/0", "").await];
    app.has_seen(1).await;
    for (place, count) in [(1, 1.0), (2, 2.0), (3, 3.0)] {
        clients.push(asks(&proxy, &format!("/{place}"), "").await);
        waiting(&proxy, count).await;
    }
    assert_eq!(app.count(), 1);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.answer().await.status, 200);
    }
    let targets: Vec<_> = app.seen().into_iter().map(|it| it.target).collect();
    assert_eq!(targets, ["/0", "/1", "/2", "/3"]);
    let line = proxy.logged("of a wait", |it| it["path"] == "/3").await;
    assert!(line["queue_ms"].as_f64().unwrap() > 0.0, "{line}");
    proxy.finish().await;
}

#[tokio::test]
async fn the_urgent_go_first_and_a_bad_priority_fails_nobody() {
    let gate = Gate::new();
    let app = held(&gate).await;
    let limit = r#"{ max = 1, queue = 10, queue_timeout = "20s", priority = "header:x-priority" }"#;
    let proxy = started(1, limit, &app).await;
    let mut clients = vec![asks(&proxy, "/0", "x-priority: 7").await];
    app.has_seen(1).await;
    for (target, line, count) in [
        ("/late", "x-priority: 7", 1.0),
        ("/bad", "x-priority: \u{fc}ber", 2.0),
        ("/none", "", 3.0),
        ("/soon", "x-priority: u=0, i", 4.0),
    ] {
        clients.push(asks(&proxy, target, line).await);
        waiting(&proxy, count).await;
    }
    gate.open();
    for client in &mut clients {
        assert_eq!(client.answer().await.status, 200);
    }
    let targets: Vec<_> = app.seen().into_iter().map(|it| it.target).collect();
    assert_eq!(targets, ["/0", "/soon", "/bad", "/none", "/late"]);
    proxy.finish().await;
}

#[tokio::test]
async fn a_wait_has_an_end_and_leaves_the_queue() {
    let gate = Gate::new();
    let app = held(&gate).await;
    let limit = r#"{ max = 1, queue = 5, queue_timeout = "100ms" }"#;
    let proxy = started(1, limit, &app).await;
    let mut first = asks(&proxy, "/", "").await;
    app.has_seen(1).await;
    for answer in [
        proxy.get("/").await,
        proxy.h2_client().await.get("/").await.unwrap(),
    ] {
        answer.assert_failure(503, "connection_limit_reached");
        assert_eq!(answer.field("retry-after"), "1");
    }
    waiting(&proxy, 0.0).await;
    gate.open();
    assert_eq!(first.answer().await.status, 200);
    assert_eq!(app.count(), 1);
    proxy.finish().await;
}

#[tokio::test]
async fn a_client_that_leaves_gives_up_its_place_or_its_turn() {
    let gate = Gate::new();
    let app = held(&gate).await;
    let limit = r#"{ max = 1, queue = 5, queue_timeout = "20s" }"#;
    let proxy = started(2, limit, &app).await;
    let first = asks(&proxy, "/first", "").await;
    app.has_seen(1).await;
    let second = asks(&proxy, "/second", "").await;
    waiting(&proxy, 1.0).await;
    let mut third = asks(&proxy, "/third", "").await;
    waiting(&proxy, 2.0).await;
    second.abort();
    waiting(&proxy, 1.0).await;
    first.abort();
    app.has_seen(2).await;
    gate.open();
    assert_eq!(third.answer().await.status, 200);
    assert_eq!(app.count_of("GET", "/second"), 0);
    in_use(&proxy, 0.0).await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_place_is_held_to_the_end_of_the_body_and_of_the_tunnel() {
    let gate = Gate::new();
    let open = gate.clone();
    let app = Backend::start(move |seen| match &*seen.target {
        "/body" => vec![
            Act::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabc".into()),
            Act::Wait(open.clone()),
            Act::Send(b"def".into()),
        ],
        "/chat" => vec![
            Act::Send(
                b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
                    .into(),
            ),
            Act::Echo,
        ],
        _ => answer("app"),
    })
    .await;
    let proxy = started(2, "{ max = 2 }", &app).await;
    let mut one = asks(&proxy, "/body", "").await;
    assert_eq!(one.head().await.0, 200);
    let mut two = proxy.h2_client().await;
    let (response, _) = two.open("GET", "/body", &[], true).await.unwrap();
    let mut body = response.await.unwrap().into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), "abc");
    proxy
        .get("/")
        .await
        .assert_failure(503, "connection_limit_reached");
    // The gauge follows within a tick: seen at 2 first, its 0 is a new one.
    in_use(&proxy, 2.0).await;
    gate.open();
    assert_eq!(one.bytes(6).await.unwrap(), b"abcdef");
    assert_eq!(body.data().await.unwrap().unwrap(), "def");
    in_use(&proxy, 0.0).await;

    let chat = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==";
    let mut tunnels = Vec::new();
    for _ in 0..2 {
        let mut tunnel = asks(&proxy, "/chat", chat).await;
        assert_eq!(tunnel.head().await.0, 101);
        tunnels.push(tunnel);
    }
    proxy
        .get("/")
        .await
        .assert_failure(503, "connection_limit_reached");
    in_use(&proxy, 2.0).await;
    drop(tunnels);
    in_use(&proxy, 0.0).await;
    assert_eq!(proxy.get("/").await.status, 200);
    proxy.finish().await;
}

#[tokio::test]
async fn each_client_has_places_of_its_own() {
    let gate = Gate::new();
    let app = held(&gate).await;
    let proxy = started(2, r#"{ max = 1, per = "client_ip" }"#, &app).await;
    let mut clients = Vec::new();
    for (count, address) in (1..).zip(["192.0.2.1", "2001:db8::1", "2001:db8:0:1::1"]) {
        let line = format!("x-forwarded-for: {address}");
        clients.push(asks(&proxy, "/", &line).await);
        app.has_seen(count).await;
    }
    for address in ["192.0.2.1", "2001:db8::2"] {
        let line = format!("x-forwarded-for: {address}");
        let answer = asks(&proxy, "/", &line).await.answer().await;
        answer.assert_failure(503, "connection_limit_reached");
    }
    in_use(&proxy, 3.0).await;
    gate.open();
    for client in &mut clients {
        assert_eq!(client.answer().await.status, 200);
    }
    in_use(&proxy, 0.0).await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_reload_keeps_the_places_and_more_of_them_are_used() {
    let gate = Gate::new();
    let app = held(&gate).await;
    let limit = r#"{ max = 1, queue = 5, queue_timeout = "20s" }"#;
    let mut proxy = started(2, limit, &app).await;
    let mut first = asks(&proxy, "/", "").await;
    app.has_seen(1).await;
    let mut second = asks(&proxy, "/", "").await;
    waiting(&proxy, 1.0).await;
    let more = r#"{ max = 3, queue = 5, queue_timeout = "20s" }"#;
    proxy.reload(&tables(2, more)).await;
    let mut third = asks(&proxy, "/", "").await;
    app.has_seen(3).await;
    proxy.reload(&tables(2, "{ max = 3 }")).await;
    let mut fourth = asks(&proxy, "/", "").await;
    let answer = fourth.answer().await;
    answer.assert_failure(503, "connection_limit_reached");
    gate.open();
    for client in [&mut first, &mut second, &mut third] {
        assert_eq!(client.answer().await.status, 200);
    }
    in_use(&proxy, 0.0).await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_limit_per_client_and_one_of_the_route_stand_at_once() {
    let gate = Gate::new();
    let app = held(&gate).await;
    let both = r#"[
        { max = 3, queue = 5, queue_timeout = "20s" },
        { max = 2, per = "client_ip" },
    ]"#;
    let mut proxy = started(1, both, &app).await;
    let from = |last: u8| format!("x-forwarded-for: 192.0.2.{last}");
    let mut one = [
        asks(&proxy, "/", &from(1)).await,
        asks(&proxy, "/", &from(1)).await,
    ];
    app.has_seen(2).await;
    // His third request takes no place of the route, and waits for none.
    let mut third = asks(&proxy, "/", &from(1)).await;
    let refused = third.answer().await;
    refused.assert_failure(503, "connection_limit_reached");
    let mut two = [
        asks(&proxy, "/", &from(2)).await,
        asks(&proxy, "/", &from(2)).await,
    ];
    app.has_seen(3).await;
    waiting(&proxy, 1.0).await;
    let by = |per| [("route", "all"), ("per", per)];
    let name = "sluicegate_concurrency_refused_total";
    proxy.metric_becomes(name, &by("client_ip"), 1.0).await;
    let name = "sluicegate_concurrency_limit";
    proxy.metric_becomes(name, &by("route"), 3.0).await;
    proxy.metric_becomes(name, &by("client_ip"), 2.0).await;
    for per in ["route", "client_ip"] {
        let said = format!(
            "the limit is reached, requests wait or are refused route=\"all\" per=\"{per}\""
        );
        proxy.log_says(&said).await;
    }
    let reached = proxy.log().matches("the limit is reached").count();
    assert_eq!(reached, 2, "one line for each limit");
    let events = proxy.admin("GET", "/events?last=100", "accept: application/json\n");
    let events: Vec<serde_json::Value> =
        serde_json::from_slice(&events.await.unwrap().body).unwrap();
    let full = |per: &str, limit: u32| {
        let what = serde_json::json!({ "route": "all", "per": per, "limit": limit, "to": "full" });
        events
            .iter()
            .filter(|it| it["kind"] == "concurrency" && it["what"] == what)
            .count()
    };
    assert_eq!(
        [full("route", 3), full("client_ip", 2)],
        [1, 1],
        "{events:?}"
    );
    gate.open();
    for client in one.iter_mut().chain(&mut two) {
        assert_eq!(client.answer().await.status, 200);
    }
    proxy.reload(&tables(1, "{ max = 3 }")).await;
    eventually("the series of the limit that left are gone", async || {
        let text = proxy.admin("GET", "/metrics", "").await?.text();
        (!text.contains("per=\"client_ip\"")).then_some(())
    })
    .await;
    proxy.finish().await;
}
