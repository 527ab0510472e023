//! The bounds of retrying: the attempts of each request, and the budget of its pool.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::{Act, Backend, Gate, Settings, answer, eventually};

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
        eventually(format!("retry {n} has its answer"), || async {
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
    eventually("the budget is used up", || async {
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

/// Requests at once in the test of the budget: a tenth of them is two.
const REQUESTS: usize = 20;
