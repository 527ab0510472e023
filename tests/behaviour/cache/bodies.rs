//! Bodies of stored answers: whole or not at all, within the limit, with their trailers.

use super::start;
use crate::harness::{Act, Backend, End, Settings, answer_bytes, identity};

#[tokio::test]
async fn a_body_that_is_cut_short_is_never_stored() {
    for bad in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\ncache-control: max-age=60\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncache-control: max-age=60\r\n\r\n3\r\nabc\r\n",
    ] {
        let app = Backend::start(|_| vec![Act::Read, Act::Send(bad.into()), Act::Close]).await;
        let proxy = start("cache = {}", &app).await;
        for number in 1..3 {
            let mut client = proxy.client().await;
            client
                .send("GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n")
                .await;
            // If nothing has left yet, it is told; else cut.
            if let Ok(answer) = client.try_answer_to("GET").await
                && answer.end == End::Complete
            {
                answer.assert_failure(502, "http_response_incomplete");
            }
            app.has_seen(number).await;
        }
        proxy
            .metric_becomes("sluicegate_cache_entries", &[("route", "all")], 0.0)
            .await;
        proxy.finish().await;
    }
}

#[tokio::test]
async fn a_body_over_the_limit_passes_and_is_not_stored() {
    let body = "x".repeat(300_000);
    let known = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\ncache-control: max-age=60\r\n\r\n{body}",
        body.len()
    );
    let unknown = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncache-control: max-age=60\r\n\r\n{:x}\r\n{body}\r\n0\r\nx-sum: 1\r\n\r\n",
        body.len()
    );
    let written = "cache = { max_size = \"1MiB\", entry_max = \"100KiB\" }";
    let default = "cache = { max_size = \"1MiB\" }";
    for (answer, cache) in [
        (known.clone(), default),
        (known, written),
        (unknown, written),
    ] {
        let app = Backend::start(move |_| answer_bytes(&answer)).await;
        let proxy = start(cache, &app).await;
        for number in 1..3 {
            let answer = proxy.get("/").await;
            assert!(answer.body == body.as_bytes());
            assert_eq!(app.count(), number);
        }
        let mut client = proxy.h2_client().await;
        assert!(client.get("/").await.unwrap().body == body.as_bytes());
        proxy.finish().await;
    }
}

#[tokio::test]
async fn trailers_are_kept_with_the_answer() {
    let app = Backend::start(|_| {
        answer_bytes("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\ncache-control: max-age=60\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n")
    })
    .await;
    let proxy = start("cache = {}", &app).await;
    for _ in 0..2 {
        let answer = proxy.request("GET", "/", "te: trailers\n", b"").await;
        assert_eq!(answer.text(), "abc");
        assert_eq!(answer.trailers.get("x-sum"), Some("1"), "{answer:?}");
    }
    assert_eq!(app.count(), 1);
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_answers_for_the_rest_of_a_body_over_the_limit() {
    let body = "x".repeat(150_000);
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncache-control: max-age=60\r\n\r\n";
    let cut = format!("{head}{:x}\r\n{body}\r\n", body.len());
    let bad =
        Backend::start(move |_| vec![Act::Read, Act::Send(cut.clone().into()), Act::Close]).await;
    let good = Backend::start(identity("good")).await;
    let config = r#"
        [proxy]
        workers = 1
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        retry = false
        cache = { max_size = "1MiB", entry_max = "100KiB" }
        [pools.app]
        endpoints = ["$bad", "$good"]
        ejection = { consecutive = 3, base = "60s" }
        panic_threshold = "0%"
    "#;
    let proxy = Settings::new(config)
        .backend("bad", &bad)
        .backend("good", &good)
        .start()
        .await;
    for number in 0..12 {
        let mut client = proxy.client().await;
        let request = format!("GET /{number} HTTP/1.1\r\nhost: shop.example\r\n\r\n");
        client.send(request).await;
        let _ = client.try_answer_to("GET").await;
    }
    assert_eq!(bad.count(), 3, "three failures and no more");
    proxy
        .metric_becomes("sluicegate_ejections_total", &[("pool", "app")], 1.0)
        .await;
    // Who left early says nothing of the endpoint, and keeps no load on it.
    proxy
        .metric_becomes("sluicegate_requests_in_flight", &[], 0.0)
        .await;
    proxy.finish().await;
}
