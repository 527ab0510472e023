//! After too many failed calls a pool is left alone for a while; one trial at a time brings it back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use crate::harness::{
    Act, Backend, Client, Gate, Port, Proxy, Seen, Settings, answer, answer_bytes, eventually,
};

/// A pool with a breaker, and one that may stand in for it.
pub(crate) fn file(breaker: &str, more: &str) -> String {
    format!(
        r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        retry = {{ attempts = 1 }}
        [pools.app]
        endpoints = ["$app"]
        ejection = false
        breaker = {{ {breaker} }}
        {more}
        "#
    )
}

pub(crate) fn failing(_: &Seen) -> Vec<Act> {
    answer_bytes("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n")
}

async fn start(breaker: &str, more: &str, app: &Backend) -> Proxy {
    let text = file(breaker, more);
    Settings::new(&text).backend("app", app).start().await
}

async fn state_becomes(proxy: &Proxy, value: f64) {
    let labels = [("pool", "app")];
    proxy
        .metric_becomes("sluicegate_breaker_state", &labels, value)
        .await;
}

async fn shown(proxy: &Proxy) -> serde_json::Value {
    let answer = proxy.admin("GET", "/pools/app", "").await.unwrap();
    serde_json::from_str::<serde_json::Value>(&answer.text()).unwrap()["breaker"].clone()
}

const CLOSED: f64 = 0.0;
const HALF_OPEN: f64 = 1.0;
const OPEN: f64 = 2.0;

#[tokio::test]
async fn failures_in_a_row_open_it_and_requests_are_refused_with_the_time_left() {
    let app = Backend::start(failing).await;
    let proxy = start(r#"consecutive = 3, open = "60s""#, "", &app).await;
    for _ in 0..3 {
        assert_eq!(proxy.get("/").await.status, 500);
    }
    for _ in 0..5 {
        let refused = proxy.get("/").await;
        refused.assert_failure(503, "destination_unavailable");
        let wait: u64 = refused.field("retry-after").parse().unwrap();
        assert!((30..=60).contains(&wait), "{wait}");
    }
    let refused = proxy.h2_client().await.get("/").await.unwrap();
    assert_eq!(refused.status, 503);
    assert!(!refused.field("retry-after").is_empty());
    assert_eq!(app.count(), 3, "no call was made");
    state_becomes(&proxy, OPEN).await;
    let view = shown(&proxy).await;
    assert_eq!(view["state"], "open");
    assert_eq!(view["cause"], "3 calls in a row failed");
    assert!(view["refuses_for_ms"].as_u64().unwrap() > 30_000);
    let met = proxy.metric("sluicegate_breaker_refused_total", &[]).await;
    assert!((met - 6.0).abs() < 0.5, "{met}");
    proxy
        .log_says("breaker pool=app from=closed to=open cause=3 calls in a row failed")
        .await;
    let line = proxy
        .logged("a refused one", |line| line["status"] == 503)
        .await;
    assert_eq!(line["attempts"].as_array().map(Vec::len), Some(0));
    proxy.finish().await;
}

#[tokio::test]
async fn the_share_of_failures_opens_it_from_the_volume_on() {
    let count = Arc::new(AtomicUsize::new(0));
    let app = Backend::start(move |_| match count.fetch_add(1, SeqCst) % 2 {
        0 => answer("fine"),
        _ => answer_bytes("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"),
    })
    .await;
    let breaker = r#"failure_ratio = 0.5, volume_min = 20, window = "60s", open = "60s""#;
    let proxy = start(breaker, "", &app).await;
    let mut statuses = Vec::new();
    for _ in 0..40 {
        statuses.push(proxy.get("/").await.status);
    }
    assert_eq!(app.count(), 20, "{statuses:?}");
    let cause = &shown(&proxy).await["cause"];
    assert_eq!(cause, "10 of 20 calls failed");
    proxy.finish().await;
}

#[tokio::test]
async fn answers_that_break_off_and_calls_that_reach_nobody_count() {
    for dead in [false, true] {
        let app = Backend::start(|_| {
            let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec();
            vec![Act::Read, Act::Send(cut), Act::Close]
        })
        .await;
        let nobody = Port::take();
        let mut settings = Settings::new(&file(r#"consecutive = 2, open = "60s""#, ""));
        settings = match dead {
            true => settings.address("app", nobody.address()),
            false => settings.backend("app", &app),
        };
        let proxy = settings.start().await;
        for _ in 0..2 {
            let mut client = proxy.client().await;
            client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
            let _ = client.try_answer_to("GET").await;
            proxy
                .metric_becomes("sluicegate_requests_in_flight", &[], 0.0)
                .await;
        }
        let refused = proxy.get("/").await;
        refused.assert_failure(503, "destination_unavailable");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn after_its_time_one_trial_at_a_time_decides() {
    let gate = Gate::new();
    let held = gate.clone();
    let app = Backend::start(failing).await;
    let proxy = start(r#"consecutive = 1, open = "1s""#, "", &app).await;
    assert_eq!(proxy.get("/").await.status, 500);
    state_becomes(&proxy, HALF_OPEN).await;
    // A trial that fails opens it again.
    assert_eq!(proxy.get("/").await.status, 500);
    assert_eq!(proxy.get("/").await.status, 503);
    assert_eq!(app.count(), 2);
    app.now(move |_| [vec![Act::Read, Act::Wait(held.clone())], answer("fine")].concat());
    eventually("it is half-open again", || async {
        let labels = [("pool", "app"), ("state", "half_open")];
        let times = proxy
            .metric("sluicegate_breaker_transitions_total", &labels)
            .await;
        (times > 1.5).then_some(())
    })
    .await;
    let mut trial = proxy.client().await;
    trial.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    app.has_seen(3).await;
    let mut refused = 0;
    for _ in 0..4 {
        let mut other = proxy.client().await;
        refused += usize::from(other.get("/").await.status == 503);
    }
    assert_eq!(
        (refused, app.count()),
        (4, 3),
        "the others wait for its answer"
    );
    gate.open();
    assert_eq!(trial.answer().await.text(), "fine");
    for _ in 0..4 {
        assert_eq!(proxy.get("/").await.text(), "fine");
    }
    state_becomes(&proxy, CLOSED).await;
    proxy
        .log_says("from=half_open to=closed cause=trial passed")
        .await;
    for (state, times) in [("open", 2.0), ("half_open", 2.0), ("closed", 1.0)] {
        let labels = [("pool", "app"), ("state", state)];
        let told = proxy
            .metric("sluicegate_breaker_transitions_total", &labels)
            .await;
        assert!((told - times).abs() < 0.5, "{state}: {told}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_trial_whose_client_leaves_does_not_wedge_it() {
    let app = Backend::start(failing).await;
    let proxy = start(r#"consecutive = 1, open = "1s""#, "", &app).await;
    assert_eq!(proxy.get("/").await.status, 500);
    app.now(|seen| match seen.target.as_str() {
        "/stall" => vec![Act::Read, Act::Stall],
        _ => answer("fine"),
    });
    state_becomes(&proxy, HALF_OPEN).await;
    for n in 0..3 {
        let mut client = proxy.client().await;
        client.send("GET /stall HTTP/1.1\r\nhost: a\r\n\r\n").await;
        app.has_seen(2 + n).await;
        client.abort();
        proxy
            .metric_becomes("sluicegate_requests_in_flight", &[], 0.0)
            .await;
    }
    assert_eq!(shown(&proxy).await["state"], "half_open", "no verdict");
    assert_eq!(proxy.get("/").await.text(), "fine");
    proxy.finish().await;
}

#[tokio::test]
async fn clients_that_go_away_open_nothing() {
    let app = Backend::start(|seen| match seen.target.as_str() {
        "/stall" => vec![Act::Read, Act::Stall],
        _ => answer("fine"),
    })
    .await;
    let proxy = start(r#"consecutive = 2, volume_min = 2, open = "60s""#, "", &app).await;
    for n in 1..=6 {
        let mut client = proxy.client().await;
        client.send("GET /stall HTTP/1.1\r\nhost: a\r\n\r\n").await;
        app.has_seen(n).await;
        client.abort();
    }
    eventually("they are gone", || async {
        (app.open() == 0).then_some(())
    })
    .await;
    assert_eq!(proxy.get("/").await.text(), "fine");
    let view = shown(&proxy).await;
    assert_eq!(
        (&view["state"], &view["failed"]),
        (&"closed".into(), &0.into())
    );
    proxy.finish().await;
}

#[tokio::test]
async fn slow_calls_count_and_slow_uploads_do_not() {
    let slow = Duration::from_millis(300);
    let app = Backend::start(move |seen| match seen.target.as_str() {
        "/slow" => [vec![Act::Read, Act::Pause(slow)], answer("late")].concat(),
        _ => answer("fine"),
    })
    .await;
    let breaker = r#"consecutive = 2, open = "60s", slow = "200ms""#;
    let proxy = start(breaker, "", &app).await;
    for _ in 0..3 {
        let mut client = proxy.client().await;
        let head = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n";
        client.send(format!("{head}hello")).await;
        // As slow as the client likes to be.
        tokio::time::sleep(slow).await;
        client.send("world").await;
        assert_eq!(client.answer().await.text(), "fine");
    }
    proxy
        .metric_becomes("sluicegate_requests_in_flight", &[], 0.0)
        .await;
    assert_eq!(shown(&proxy).await["failed"], 0);
    for _ in 0..2 {
        assert_eq!(proxy.get("/slow").await.text(), "late");
        // What has a body counts at its end.
        proxy
            .metric_becomes("sluicegate_requests_in_flight", &[], 0.0)
            .await;
    }
    let refused = proxy.get("/").await;
    refused.assert_failure(503, "destination_unavailable");
    proxy.finish().await;
}

#[tokio::test]
async fn an_open_breaker_outlives_a_reload() {
    let app = Backend::start(failing).await;
    let mut proxy = start(r#"consecutive = 2, open = "60s""#, "", &app).await;
    for _ in 0..2 {
        assert_eq!(proxy.get("/").await.status, 500);
    }
    let other = file(r#"consecutive = 2, open = "59s", volume_min = 7"#, "");
    proxy.reload(&other).await;
    assert_eq!(proxy.get("/").await.status, 503);
    assert_eq!(app.count(), 2);
    // Turned off it lets everything through.
    let without = other.replace(
        r#"breaker = { consecutive = 2, open = "59s", volume_min = 7 }"#,
        "",
    );
    assert!(!without.contains("breaker"));
    proxy.reload(&without).await;
    assert_eq!(proxy.get("/").await.status, 500);
    assert_eq!(shown(&proxy).await, serde_json::Value::Null);
    proxy.finish().await;
}

#[tokio::test]
async fn explain_says_that_the_breaker_is_open() {
    let app = Backend::start(failing).await;
    let proxy = start(r#"consecutive = 1, open = "60s""#, "", &app).await;
    assert_eq!(proxy.get("/").await.status, 500);
    state_becomes(&proxy, OPEN).await;
    let mut client = Client::connect(proxy.address("admin")).await;
    let question = br#"{"method":"GET","url":"http://a/"}"#;
    let lines = "host: localhost\r\ncontent-type: application/json";
    let told = client.request("POST", "/explain", lines, question).await;
    assert!(
        told.text().contains("open: 1 calls in a row failed"),
        "{}",
        told.text()
    );
    proxy.finish().await;
}
