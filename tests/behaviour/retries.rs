//! Requests that may be sent again are retried elsewhere; those that may have had an effect are not
//! sent twice.

use crate::harness::{Act, Backend, Gate, Port, Settings, answer, answer_bytes, identity};

/// Two endpoints in turn on one worker, so that each request starts at a known one.
const TWO: &str = r#"
    [proxy]
    workers = 1
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    [pools.app]
    endpoints = ["$bad", "$good"]
    ejection = false
    retry_budget = { ratio = "100%", minimum = 1000 }
"#;

#[tokio::test]
async fn a_refused_connection_is_retried_at_another_endpoint_for_every_method() {
    let good = Backend::start(identity("good")).await;
    let bad = Port::take();
    let settings = Settings::new(TWO).address("bad", bad.address());
    let proxy = settings.backend("good", &good).start().await;
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
        for _ in 0..4 {
            let answer = proxy.request(method, "/", "", b"body").await;
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (200, "good"),
                "{method}"
            );
        }
    }
    assert_eq!(good.count(), 20);
    assert!(good.seen().iter().all(|seen| seen.body == b"body"));
    let retries = proxy.metric("sluicegate_retries_total", &[]).await;
    assert!(retries >= 9.0, "{retries} retries");
    proxy.finish().await;
}

#[tokio::test]
async fn a_get_that_died_is_retried_at_another_endpoint() {
    let good = Backend::start(identity("good")).await;
    let bad = Backend::start(|seen| match seen.target.as_str() {
        "/reset" => vec![Act::Read, Act::Reset],
        "/close" => vec![Act::Read, Act::Close],
        "/503" => answer_bytes("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"),
        _ => answer("bad"),
    })
    .await;
    let settings = Settings::new(TWO).backend("bad", &bad);
    let proxy = settings.backend("good", &good).start().await;
    for target in ["/reset", "/close", "/503"] {
        for _ in 0..4 {
            assert_eq!(proxy.get(target).await.text(), "good", "{target}");
        }
        assert!(bad.count_of("GET", target) >= 1, "{target} was tried there");
        assert_eq!(good.count_of("GET", target), 4, "{target}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_post_that_reached_the_endpoint_is_not_sent_twice() {
    let script = |seen: &crate::harness::Seen| match seen.target.as_str() {
        "/reset" => vec![Act::Read, Act::Reset],
        "/close" => vec![Act::Read, Act::Close],
        "/unread" => vec![Act::Reset],
        "/503" => answer_bytes("HTTP/1.1 503 No\r\ncontent-length: 2\r\n\r\nno"),
        _ => answer("app"),
    };
    let bad = Backend::start(script).await;
    let good = Backend::start(script).await;
    let settings = Settings::new(TWO).backend("bad", &bad);
    let proxy = settings.backend("good", &good).start().await;
    for (target, status) in [
        ("/reset", 502),
        ("/close", 502),
        ("/unread", 502),
        ("/503", 503),
    ] {
        let answer = proxy.request("POST", target, "", b"pay").await;
        assert_eq!(answer.status, status, "{target}: {answer:?}");
        if status == 502 {
            answer.assert_failure(502, "connection_terminated");
        }
        let sent = bad.count_of("POST", target) + good.count_of("POST", target);
        assert_eq!(sent, 1, "{target}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_declared_idempotency_key_makes_a_post_retriable() {
    let dying = |_: &crate::harness::Seen| vec![Act::Read, Act::Reset];
    let bad = Backend::start(dying).await;
    let good = Backend::start(identity("good")).await;
    let proxy = Settings::new(
        r#"
        [proxy]
        workers = 1
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        retry = { idempotency_key = true }
        [pools.app]
        endpoints = ["$bad", "$good"]
        ejection = false
        "#,
    )
    .backend("bad", &bad)
    .backend("good", &good)
    .start()
    .await;
    for _ in 0..2 {
        let answer = proxy
            .request("POST", "/key", "idempotency-key: 1", b"pay")
            .await;
        assert_eq!(answer.text(), "good");
    }
    assert_eq!(bad.count_of("POST", "/key"), 1);
    let mut statuses = Vec::new();
    for _ in 0..2 {
        statuses.push(proxy.request("POST", "/none", "", b"pay").await.status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 502]);
    proxy.finish().await;
}

#[tokio::test]
async fn a_stale_idle_connection_costs_no_get() {
    let app = Backend::start(|_| [answer("app"), vec![Act::ResetOnNextByte]].concat()).await;
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
        "#,
    )
    .backend("app", &app)
    .start()
    .await;
    let mut client = proxy.client().await;
    for _ in 0..10 {
        assert_eq!(client.get("/").await.text(), "app");
    }
    assert_eq!(app.count(), 10);
    proxy.finish().await;
}

#[tokio::test]
async fn an_idle_connection_that_the_endpoint_closed_is_not_used() {
    let app = Backend::start(|_| [answer("app"), vec![Act::Close]].concat()).await;
    let proxy = Settings::new(TWO.replace("\"$bad\", \"$good\"", "\"$app\"").as_str())
        .backend("app", &app)
        .start()
        .await;
    let mut client = proxy.client().await;
    for _ in 0..20 {
        // Not even a POST is lost where the close was there to see.
        let answer = client.request("POST", "/", "", b"x").await;
        assert_eq!(answer.text(), "app");
        crate::harness::eventually("the endpoint has closed", || async {
            (app.open() == 0).then_some(())
        })
        .await;
    }
    assert_eq!(app.count(), 20);
    proxy.finish().await;
}

#[tokio::test]
async fn never_the_same_endpoint_while_another_is_left() {
    let dying = |_: &crate::harness::Seen| vec![Act::Read, Act::Reset];
    let (a, b, c) = (
        Backend::start(dying).await,
        Backend::start(dying).await,
        Backend::start(dying).await,
    );
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        retry = { attempts = 3 }
        [pools.app]
        picker = "random"
        endpoints = ["$a", "$b", "$c"]
        ejection = false
        retry_budget = { ratio = "100%", minimum = 1000 }
        "#,
    )
    .backend("a", &a)
    .backend("b", &b)
    .backend("c", &c)
    .start()
    .await;
    for n in 1..=10 {
        proxy
            .get("/")
            .await
            .assert_failure(502, "connection_terminated");
        assert_eq!([a.count(), b.count(), c.count()], [n, n, n]);
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_body_is_replayed_up_to_its_limit_and_still_forwarded_past_it() {
    let good = Backend::start(identity("good")).await;
    let bad = Backend::start(|_| vec![Act::Read, Act::Reset]).await;
    let text = TWO.replace(
        "pool = \"app\"",
        "pool = \"app\"\nretry = { body_max = \"1KiB\" }",
    );
    let settings = Settings::new(&text).backend("bad", &bad);
    let proxy = settings.backend("good", &good).start().await;
    let small = vec![b's'; 1000];
    for _ in 0..2 {
        let answer = proxy.request("PUT", "/small", "", &small).await;
        assert_eq!(answer.text(), "good");
    }
    assert!(good.seen().iter().all(|seen| seen.body == small));
    let large = vec![b'l'; 100_000];
    let mut statuses = Vec::new();
    for _ in 0..2 {
        statuses.push(proxy.request("PUT", "/large", "", &large).await.status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 502]);
    assert_eq!(
        good.count_of("PUT", "/large") + bad.count_of("PUT", "/large"),
        2
    );
    proxy.finish().await;
}

#[tokio::test]
async fn nothing_is_retried_once_a_byte_of_the_answer_went_to_the_client() {
    let gate = Gate::new();
    let held = gate.clone();
    let bad = Backend::start(move |_| {
        let start = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec();
        let wait = Act::Wait(held.clone());
        vec![Act::Read, Act::Send(start), wait, Act::Reset]
    })
    .await;
    let text = TWO.replace("\"$bad\", \"$good\"", "\"$bad\"");
    let proxy = Settings::new(&text).backend("bad", &bad).start().await;
    let mut client = proxy.client().await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let (status, _) = client.head().await;
    assert_eq!(status, 200);
    assert_eq!(client.bytes(4).await.unwrap(), b"half");
    gate.open();
    client.ended().await;
    assert_eq!(bad.count(), 1);
}

#[tokio::test]
async fn the_last_answer_is_relayed_when_every_try_got_one() {
    let app = Backend::start(|_| {
        answer_bytes("HTTP/1.1 503 No\r\nx-why: busy\r\ncontent-length: 4\r\n\r\nbusy")
    })
    .await;
    let text = TWO.replace("\"$bad\", \"$good\"", "\"$app\"");
    let proxy = Settings::new(&text).backend("app", &app).start().await;
    let answer = proxy.get("/").await;
    assert_eq!((answer.status, answer.field("x-why")), (503, "busy"));
    assert_eq!(answer.text(), "busy");
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_that_asks_for_more_time_than_there_is_is_not_asked_again() {
    let app = Backend::start(|_| {
        answer_bytes("HTTP/1.1 503 No\r\nretry-after: 120\r\ncontent-length: 4\r\n\r\nbusy")
    })
    .await;
    let text = TWO.replace("\"$bad\", \"$good\"", "\"$app\"");
    let proxy = Settings::new(&text).backend("app", &app).start().await;
    let answer = proxy.get("/").await;
    assert_eq!((answer.status, answer.field("retry-after")), (503, "120"));
    assert_eq!(answer.text(), "busy");
    assert_eq!(app.count(), 1);
    proxy.finish().await;
}
