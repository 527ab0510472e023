//! Requests that may be sent again are retried elsewhere; those that may have had an effect are not
//! sent twice.

use std::sync::atomic::{AtomicUsize, Ordering};

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
async fn attempts_counts_tries_in_all() {
    let app = Backend::start(|_| vec![Act::Read, Act::Reset]).await;
    for attempts in [1, 2, 4] {
        let text = format!(
            r#"
            [listeners.web]
            address = "$web"
            [routes.all]
            pool = "app"
            retry = {{ attempts = {attempts} }}
            [pools.app]
            endpoints = ["$app"]
            ejection = false
            retry_budget = {{ ratio = "100%", minimum = 100 }}
            "#
        );
        let proxy = Settings::new(&text).backend("app", &app).start().await;
        let before = app.count();
        proxy
            .get("/")
            .await
            .assert_failure(502, "connection_terminated");
        assert_eq!(app.count() - before, attempts);
        proxy.finish().await;
    }
}

#[tokio::test]
async fn a_retry_is_over_when_its_answer_begins() {
    let gate = Gate::new();
    let held = gate.clone();
    let bad = Backend::start(|_| vec![Act::Read, Act::Reset]).await;
    let good = Backend::start(move |_| {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab".to_vec();
        let rest = Act::Send(b"cd".to_vec());
        vec![Act::Read, Act::Send(head), Act::Wait(held.clone()), rest]
    })
    .await;
    let proxy = Settings::new(
        r#"
        [proxy]
        workers = 1
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = ["$bad", { address = "$good", priority = 1 }]
        ejection = false
        retry_budget = { ratio = "0%", minimum = 1 }
        "#,
    )
    .backend("bad", &bad)
    .backend("good", &good)
    .start()
    .await;
    let mut clients = Vec::new();
    for n in 1..=5 {
        let mut client = proxy.client().await;
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        clients.push(client);
        crate::harness::eventually(format!("retry {n} has its answer"), || async {
            (good.count() == n).then_some(())
        })
        .await;
    }
    gate.open();
    for client in &mut clients {
        assert_eq!(client.answer().await.text(), "abcd");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn retries_stay_within_the_budget_of_the_pool() {
    let (first, second) = (Gate::new(), Gate::new());
    let (held, held_again) = (first.clone(), second.clone());
    let arrived = AtomicUsize::new(0);
    let app = Backend::start(move |_| {
        if arrived.fetch_add(1, Ordering::SeqCst) < REQUESTS {
            vec![Act::Read, Act::Wait(held.clone()), Act::Reset]
        } else {
            [vec![Act::Wait(held_again.clone())], answer("retried")].concat()
        }
    })
    .await;
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
        ejection = false
        retry_budget = { ratio = "10%", minimum = 1 }
        "#,
    )
    .backend("app", &app)
    .start()
    .await;
    let mut clients = Vec::new();
    for _ in 0..REQUESTS {
        let mut client = proxy.client().await;
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        clients.push(client);
    }
    app.has_seen(REQUESTS).await;
    // All die at once: one in ten of those under way may be tried again.
    first.open();
    crate::harness::eventually("the budget is used up", || async {
        let name = "sluicegate_budget_exhausted_total";
        let exhausted = proxy.metric(name, &[("pool", "app")]).await;
        (exhausted >= 16.0).then_some(())
    })
    .await;
    second.open();
    let mut retried = 0;
    for client in &mut clients {
        let answer = client.answer().await;
        match answer.status {
            200 => retried += 1,
            _ => answer.assert_failure(502, "connection_terminated"),
        }
    }
    assert!((1..=4).contains(&retried), "{retried} retries");
    assert_eq!(app.count(), REQUESTS + retried);
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
    let bad = Backend::start(|_| {
        let start = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec();
        vec![Act::Read, Act::Send(start), Act::Reset]
    })
    .await;
    let text = TWO.replace("\"$bad\", \"$good\"", "\"$bad\"");
    let proxy = Settings::new(&text).backend("bad", &bad).start().await;
    let mut client = proxy.client().await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    match client.try_answer_to("GET").await {
        // Broken before any of it had left.
        Ok(answer) if answer.status == 502 => {}
        Ok(answer) => assert_ne!(answer.end, crate::harness::End::Complete),
        Err(_) => {}
    }
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

/// Requests at once in the test of the budget: a tenth of them is two.
const REQUESTS: usize = 20;
