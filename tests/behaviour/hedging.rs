//! A slow request of a safe method gets a second attempt at another endpoint, within the retry
//! budget; the better answer counts, and the attempt that loses is cancelled.

use crate::harness::{
    Act, Backend, Gate, H2Act, H2Backend, Proxy, Settings, answer, answer_bytes, eventually,
    h2_answer, identity,
};

/// Two endpoints in turn on one worker; a request that begins at `slow` is hedged at `good`.
const TWO: &str = r#"
    [proxy]
    workers = 1
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    hedge = { after = "50ms" }
    [pools.app]
    endpoints = ["$slow", "$good"]
    protocol = "$protocol"
    ejection = false
    retry_budget = { ratio = "100%", minimum = $minimum }
"#;

fn settings(protocol: &str, minimum: u32) -> Settings {
    let text = TWO.replace("$protocol", protocol);
    Settings::new(text.replace("$minimum", &minimum.to_string()).as_str())
}

async fn hedges(proxy: &Proxy, outcome: &str) -> f64 {
    let labels = [("pool", "app"), ("outcome", outcome)];
    proxy.metric("sluicegate_hedges_total", &labels).await
}

#[tokio::test]
async fn a_slow_get_is_answered_by_another_endpoint_and_cancelled_at_the_first() {
    let good = Backend::start(identity("good")).await;
    let slow = Backend::start(|_| vec![Act::Read, Act::Stall]).await;
    let settings = settings("http/1.1", 10).backend("slow", &slow);
    let proxy = settings.backend("good", &good).start().await;
    for _ in 0..4 {
        assert_eq!(proxy.get("/").await.text(), "good");
    }
    assert_eq!(slow.count(), 2, "each second request began there");
    assert_eq!(good.count(), 4);
    eventually("the attempts that lost are cancelled", async || {
        (slow.open() == 0).then_some(())
    })
    .await;
    assert!((hedges(&proxy, "won").await - 2.0).abs() < 0.1);
    proxy.finish().await;
}

#[tokio::test]
async fn a_slow_get_over_http2_is_answered_by_another_endpoint_and_its_stream_reset() {
    let good = H2Backend::start(|_| h2_answer("good")).await;
    let slow = H2Backend::start(|_| vec![H2Act::Read, H2Act::AwaitReset]).await;
    let settings = settings("h2", 10).address("slow", slow.address());
    let proxy = settings.address("good", good.address()).start().await;
    for _ in 0..4 {
        assert_eq!(proxy.get("/").await.text(), "good");
    }
    assert!((hedges(&proxy, "won").await - 2.0).abs() < 0.1);
    eventually("the attempts that lost are reset", async || {
        (slow.resets() == 2).then_some(())
    })
    .await;
    assert_eq!(slow.connections(), 1, "their connection stays");
    proxy.finish().await;
}

#[tokio::test]
async fn a_hedge_that_fails_leaves_the_answer_to_the_first_attempt() {
    let gate = Gate::new();
    let open = gate.clone();
    let bad = Backend::start(move |_| {
        open.open();
        answer_bytes("HTTP/1.1 503 No\r\ncontent-length: 2\r\n\r\nno")
    })
    .await;
    let slow = Backend::start(move |_| {
        let mut acts = vec![Act::Read, Act::Wait(gate.clone())];
        acts.extend(answer("slow"));
        acts
    })
    .await;
    let settings = settings("http/1.1", 10).backend("slow", &slow);
    let proxy = settings.backend("good", &bad).start().await;
    let first = proxy.get("/").await;
    assert_eq!((first.status, first.text().as_str()), (200, "slow"));
    proxy.finish().await;
}

#[tokio::test]
async fn what_may_have_had_an_effect_is_not_hedged() {
    let good = Backend::start(identity("good")).await;
    let slow = Backend::start(|_| {
        let mut acts = vec![Act::Read, Act::Pause(std::time::Duration::from_millis(150))];
        acts.extend(answer("slow"));
        acts
    })
    .await;
    let settings = settings("http/1.1", 10).backend("slow", &slow);
    let proxy = settings.backend("good", &good).start().await;
    for method in ["POST", "PUT", "DELETE"] {
        for _ in 0..2 {
            assert_eq!(proxy.request(method, "/", "", b"").await.status, 200);
        }
        let sent = |backend: &Backend| backend.count_of(method, "/");
        assert_eq!((sent(&slow), sent(&good)), (1, 1), "{method}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn hedges_stay_within_the_retry_budget() {
    let gate = Gate::new();
    let script = |gate: Gate| {
        move |_: &crate::harness::Seen| {
            let mut acts = vec![Act::Read, Act::Wait(gate.clone())];
            acts.extend(answer("late"));
            acts
        }
    };
    let one = Backend::start(script(gate.clone())).await;
    let two = Backend::start(script(gate.clone())).await;
    let text = TWO
        .replace("$protocol", "http/1.1")
        .replace("$minimum", "1");
    let text = text.replace("100%", "1%");
    let settings = Settings::new(text.as_str()).backend("slow", &one);
    let proxy = settings.backend("good", &two).start().await;
    let ask = async || assert_eq!(proxy.get("/").await.text(), "late");
    let asking = async { tokio::join!(ask(), ask(), ask(), ask(), ask(), ask()) };
    let watching = async {
        eventually("five hedges are refused", async || {
            (hedges(&proxy, "no_budget").await >= 5.0).then_some(())
        })
        .await;
        // The endpoints may read them later than the proxy decides.
        eventually("six requests and one hedge", async || {
            (one.count() + two.count() >= 7).then_some(())
        })
        .await;
        gate.open();
    };
    tokio::join!(asking, watching);
    proxy.finish().await;
    assert_eq!(one.count() + two.count(), 7, "six requests and one hedge");
}

#[tokio::test]
async fn as_many_hedges_as_allowed_are_made_each_at_another_endpoint() {
    let good = Backend::start(identity("good")).await;
    let stuck = |_: &crate::harness::Seen| vec![Act::Read, Act::Stall];
    let (one, two) = (Backend::start(stuck).await, Backend::start(stuck).await);
    let text = TWO
        .replace("$protocol", "http/1.1")
        .replace("$minimum", "10")
        .replace("\"50ms\"", "\"20ms\", max = 2")
        .replace("\"$slow\"", "\"$slow\", \"$two\"");
    let settings = Settings::new(&text).backend("slow", &one);
    let settings = settings.backend("two", &two).backend("good", &good);
    let proxy = settings.start().await;
    // The first attempt of some is at `good`.
    eventually("two hedges of one request", async || {
        assert_eq!(proxy.get("/").await.text(), "good");
        let log = proxy.access_log();
        let mut lines = log.iter();
        let found = lines.any(|line| {
            let attempts = line["attempts"].as_array().unwrap();
            let hedges = attempts.iter().filter(|it| it["hedge"] == true);
            attempts.len() == 3 && hedges.count() == 2
        });
        found.then_some(())
    })
    .await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_hedge_is_told_also_when_the_client_leaves_before_an_answer() {
    let stuck = |_: &crate::harness::Seen| vec![Act::Read, Act::Stall];
    let (one, two) = (Backend::start(stuck).await, Backend::start(stuck).await);
    let settings = settings("http/1.1", 10).backend("slow", &one);
    let proxy = settings.backend("good", &two).start().await;
    let mut client = proxy.client().await;
    client.send("GET /left HTTP/1.1\r\nhost: a\r\n\r\n").await;
    eventually("both have the request", async || {
        (one.count() + two.count() == 2).then_some(())
    })
    .await;
    drop(client);
    let left = |line: &serde_json::Value| line["path"] == "/left";
    let line = proxy.logged("the request", left).await;
    let attempts = line["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2, "{line}");
    assert_eq!(attempts[1]["hedge"], true, "{line}");
    let labels = [("pool", "app"), ("outcome", "cancelled")];
    let name = "sluicegate_hedges_total";
    proxy.metric_becomes(name, &labels, 1.0).await;
    proxy.finish().await;
}

#[tokio::test]
async fn with_a_quantile_a_request_is_hedged_once_enough_samples_are_known() {
    let good = Backend::start(identity("good")).await;
    let slow = Backend::start(|seen| match seen.target.as_str() {
        "/slow" => {
            let mut acts = vec![Act::Read, Act::Pause(std::time::Duration::from_secs(1))];
            acts.extend(answer("slow"));
            acts
        }
        _ => answer("slow"),
    })
    .await;
    let text = TWO
        .replace("$protocol", "http/1.1")
        .replace("$minimum", "10")
        .replace("50ms", "p95");
    let settings = Settings::new(&text).backend("slow", &slow);
    let proxy = settings.backend("good", &good).start().await;
    let turn = async |target: &str| {
        [
            proxy.get(target).await.text(),
            proxy.get(target).await.text(),
        ]
    };
    let mut first = turn("/slow").await;
    first.sort();
    assert_eq!(first, ["good", "slow"], "nothing is known yet");
    let mut client = proxy.client().await;
    for _ in 0..220 {
        assert_eq!(client.get("/").await.status, 200);
    }
    let fast = async || (turn("/slow").await == ["good", "good"]).then_some(());
    eventually("a slow request is hedged", fast).await;
    assert!(hedges(&proxy, "won").await >= 1.0);
    proxy.finish().await;
}
