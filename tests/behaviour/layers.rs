//! Retries of several proxies in a row do not multiply.

use crate::{
    harness::{Act, Backend, Proxy, Settings, answer_bytes},
    why::record,
};

const LAYER: &str = r#"
    [proxy]
    workers = 1
    trusted_proxies = [$trusted]
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "next"
    retry = { attempts = $attempts, backoff = { base = "1ms", max = "1ms" } }
    [pools.next]
    endpoints = ["$next"]
    ejection = false
    retry_budget = { ratio = "100%", minimum = 100 }
"#;

fn layer(trusted: &str, attempts: usize) -> Settings {
    let text = LAYER.replace("$trusted", trusted);
    Settings::new(&text.replace("$attempts", &attempts.to_string()))
}

async fn two(app: &Backend, outer: usize, inner: usize) -> (Proxy, Proxy) {
    let inner = layer("\"127.0.0.0/8\"", inner).backend("next", app);
    let inner = inner.start().await;
    let outer = layer("", outer).address("next", inner.address("web"));
    (outer.start().await, inner)
}

fn numbers(app: &Backend) -> Vec<Option<String>> {
    let number = |seen: &crate::harness::Seen| {
        let number = seen.fields.get("x-sluicegate-attempt");
        number.map(str::to_owned)
    };
    app.seen().iter().map(number).collect()
}

#[tokio::test]
async fn an_endpoint_gets_no_more_attempts_than_one_of_two_proxies_allows() {
    for (outer, inner) in [(3, 3), (4, 2), (2, 4), (3, 1)] {
        let dead = Backend::start(|_| vec![Act::Read, Act::Reset]).await;
        let (front, back) = two(&dead, outer, inner).await;
        let answer = front.get("/").await;
        assert_eq!(answer.status, 502);
        assert_eq!(answer.fields.get("x-sluicegate-attempt"), None);
        let most = outer.max(inner);
        let expected = (1..=most).map(|number| (number > 1).then(|| number.to_string()));
        assert_eq!(
            numbers(&dead),
            expected.collect::<Vec<_>>(),
            "{outer} {inner}"
        );
        front.finish().await;
        back.finish().await;
    }
}

#[tokio::test]
async fn an_answer_of_the_endpoint_is_counted_like_a_failure() {
    let bad =
        Backend::start(|_| answer_bytes("HTTP/1.1 503 No\r\ncontent-length: 2\r\n\r\nno")).await;
    let (front, back) = two(&bad, 3, 3).await;
    assert_eq!(front.get("/").await.status, 503);
    assert_eq!(bad.count(), 3);
    front.finish().await;
    back.finish().await;
}

#[tokio::test]
async fn a_trusted_caller_that_retries_gets_one_attempt_and_others_are_not_believed() {
    let dead = Backend::start(|_| vec![Act::Read, Act::Reset]).await;
    let trusting = layer("\"127.0.0.0/8\"", 3).backend("next", &dead);
    let trusting = trusting.start().await;
    let ask = async |proxy: &Proxy, number: &str| {
        let field = format!("x-sluicegate-attempt: {number}");
        proxy.request("GET", "/", &field, b"").await
    };
    let refused = ask(&trusting, "2").await;
    assert_eq!(refused.status, 502);
    assert_eq!(numbers(&dead), [Some("2".to_owned())]);
    let record = record(&trusting, &refused).await;
    assert_eq!(record["not_retried"], "caller_retries", "{record}");
    // No number at all: as from any client.
    let answer = ask(&trusting, "many").await;
    assert_eq!(answer.fields.get("x-sluicegate-attempt"), Some("3"));
    assert_eq!(dead.count(), 4);
    trusting.finish().await;

    let dead = Backend::start(|_| vec![Act::Read, Act::Reset]).await;
    let wary = layer("", 3).backend("next", &dead).start().await;
    let answer = ask(&wary, "2").await;
    assert_eq!(answer.fields.get("x-sluicegate-attempt"), None);
    let expected = [None, Some("2".to_owned()), Some("3".to_owned())];
    assert_eq!(numbers(&dead), expected);
    wary.finish().await;
}
