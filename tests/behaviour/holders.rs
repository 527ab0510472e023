//! `/connections` names what each request under way holds: generation, route and endpoint.

use serde_json::{Value, json};

use crate::harness::{Act, Backend, Gate, Proxy, Settings, answer, eventually};

const ALL: &str = r#"
    [proxy]
    workers = 1
    drain = { timeout = "30s" }
    [listeners.web]
    address = "$web"
    [routes.first]
    path_prefix = "/one"
    pool = "one"
    [routes.second]
    path_prefix = "/two"
    pool = "two"
    timeouts = { total = "30s" }
    [pools.one]
    endpoints = [{ address = "$one", version = "1.4.2" }]
    [pools.two]
    endpoints = ["$two"]
"#;

/// A backend whose answers wait at the gate.
async fn gated(gate: &Gate) -> Backend {
    let gate = gate.clone();
    Backend::start(move |seen| {
        let switch = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        match seen.target.as_str() {
            "/one/chat" => vec![Act::Send(switch.into()), Act::Echo],
            _ => [vec![Act::Read, Act::Wait(gate.clone())], answer("late")].concat(),
        }
    })
    .await
}

/// Holdings of the requests under way, without their times.
async fn held(proxy: &Proxy, query: &str) -> Option<Vec<Value>> {
    let path = format!("/connections{query}");
    let answer = proxy.admin("GET", &path, "").await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let connections: Vec<Value> = serde_json::from_slice(&answer.body).unwrap();
    let mut all = Vec::new();
    for connection in connections {
        for exchange in connection["exchanges"].as_array().unwrap() {
            assert!(exchange["age_ms"].as_u64().unwrap() <= 60_000);
            let mut exchange = exchange.clone();
            exchange.as_object_mut().unwrap().remove("age_ms");
            exchange["protocol"] = connection["protocol"].clone();
            all.push(exchange);
        }
    }
    all.sort_by_key(Value::to_string);
    Some(all)
}

async fn becomes(proxy: &Proxy, query: &str, expected: &[Value]) {
    let mut expected = expected.to_vec();
    expected.sort_by_key(Value::to_string);
    eventually(format!("{query} shows {expected:?}"), || async {
        (held(proxy, query).await? == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn each_request_under_way_names_its_generation_route_and_endpoint() {
    let gate = Gate::new();
    let (one, two) = (gated(&gate).await, gated(&gate).await);
    let settings = Settings::new(ALL).backend("one", &one).backend("two", &two);
    let mut proxy = settings.start().await;
    let (first, second) = (one.address().to_string(), two.address().to_string());
    let at_one = |protocol: &str| {
        json!({ "protocol": protocol, "generation": 1, "route": "first", "pool": "one",
                "endpoint": first, "version": "1.4.2" })
    };
    let at_two = |generation: u64| {
        json!({ "protocol": "HTTP/2.0", "generation": generation, "route": "second",
                "pool": "two", "endpoint": second })
    };
    let mut slow = proxy.client().await;
    slow.send("GET /one HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut streams = proxy.h2_client().await;
    let (early, _early) = streams.open("GET", "/one", &[], true).await.unwrap();
    let (other, _other) = streams.open("GET", "/two", &[], true).await.unwrap();
    one.has_seen(2).await;
    two.has_seen(1).await;
    let all = [at_one("HTTP/1.1"), at_one("HTTP/2.0"), at_two(1)];
    becomes(&proxy, "", &all).await;

    // One that begins after a reload holds the new generation; the others what they began with.
    let text = ALL.replace("total = \"30s\"", "total = \"29s\"");
    proxy.reload(&text).await;
    let (late, _late) = streams.open("GET", "/two", &[], true).await.unwrap();
    two.has_seen(2).await;
    let all = [at_one("HTTP/1.1"), at_one("HTTP/2.0"), at_two(1), at_two(2)];
    becomes(&proxy, "", &all).await;
    becomes(&proxy, "?generation=2", &[at_two(2)]).await;
    becomes(&proxy, "?route=second", &[at_two(1), at_two(2)]).await;
    let of_one = format!("?pool=one&endpoint={}", first.replace(':', "%3A"));
    becomes(&proxy, &of_one, &all[..2]).await;
    becomes(&proxy, "?pool=none", &[]).await;
    for (query, message) in [
        ("?generation=new", "generation must be a number"),
        ("?route=%ff", "route is malformed"),
    ] {
        let path = format!("/connections{query}");
        let answer = proxy.admin("GET", &path, "").await.unwrap();
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains(message), "{}", answer.text());
    }

    gate.open();
    assert_eq!(slow.answer().await.text(), "late");
    for response in [early, other, late] {
        let answer = crate::harness::h2_read(response).await.unwrap();
        assert_eq!(answer.text(), "late");
    }
    becomes(&proxy, "", &[]).await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_tunnel_is_named_to_its_end_and_a_request_that_leaves_is_not() {
    let gate = Gate::new();
    let (one, two) = (gated(&gate).await, gated(&gate).await);
    let settings = Settings::new(ALL).backend("one", &one).backend("two", &two);
    let mut proxy = settings.start().await;
    let mut chat = proxy.client().await;
    chat.send(
        "GET /one/chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    )
    .await;
    assert_eq!(chat.head().await.0, 101);
    let mut gone = proxy.client().await;
    gone.send("GET /two HTTP/1.1\r\nhost: a\r\n\r\n").await;
    two.has_seen(1).await;
    let tunnel = json!({ "protocol": "tunnel", "generation": 1, "route": "first", "pool": "one",
            "endpoint": one.address().to_string(), "version": "1.4.2" });
    let other = json!({ "protocol": "HTTP/1.1", "generation": 1, "route": "second", "pool": "two",
            "endpoint": two.address().to_string() });
    becomes(&proxy, "", &[tunnel.clone(), other]).await;
    gone.abort();
    becomes(&proxy, "", std::slice::from_ref(&tunnel)).await;
    // It lets go of the rest of its configuration, and still knows its own part.
    let text = ALL.replace("total = \"30s\"", "total = \"29s\"");
    proxy.reload(&text).await;
    becomes(&proxy, "", &[tunnel]).await;
    drop(chat);
    becomes(&proxy, "", &[]).await;
    gate.open();
    proxy.finish().await;
}

#[tokio::test]
async fn the_endpoint_of_the_attempt_under_way_is_named() {
    let gate = Gate::new();
    let held_open = gate.clone();
    let one = Backend::start(|_| vec![Act::Read, Act::Close]).await;
    let two = Backend::start(move |_| {
        [
            vec![Act::Read, Act::Wait(held_open.clone())],
            answer("late"),
        ]
        .concat()
    })
    .await;
    let text = r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = [{ address = "$one", priority = 0 }, { address = "$two", priority = 1 }]
        ejection = false
    "#;
    let settings = Settings::new(text)
        .backend("one", &one)
        .backend("two", &two);
    let proxy = settings.start().await;
    let mut client = proxy.client().await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    two.has_seen(1).await;
    assert!(one.count() > 0);
    let second = json!({ "protocol": "HTTP/1.1", "generation": 1, "route": "all", "pool": "app",
            "endpoint": two.address().to_string() });
    becomes(&proxy, "", &[second]).await;
    gate.open();
    assert_eq!(client.answer().await.text(), "late");
    proxy.finish().await;
}
