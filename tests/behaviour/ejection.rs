//! Endpoints that fail real requests are left alone for a while; never all of them.

use crate::harness::{
    Act, Backend, Proxy, Seen, Settings, answer, answer_bytes, eventually, identity,
};

/// A pool that ejects after three failures in a row, and never retries.
fn pool(endpoints: &str, ejection: &str) -> String {
    format!(
        r#"
        [proxy]
        workers = 1
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        retry = {{ attempts = 1 }}
        [pools.app]
        endpoints = [{endpoints}]
        ejection = {{ consecutive = 3, {ejection} }}
        panic_threshold = "0%"
        "#
    )
}

fn dying(_: &Seen) -> Vec<Act> {
    vec![Act::Read, Act::Reset]
}

async fn gets(proxy: &Proxy, count: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(proxy.get("/").await.status);
    }
    statuses
}

#[tokio::test]
async fn failures_in_a_row_eject_an_endpoint() {
    let bad = Backend::start(dying).await;
    let good = Backend::start(identity("good")).await;
    let text = pool(r#""$bad", "$good""#, r#"base = "60s""#);
    let proxy = Settings::new(&text)
        .backend("bad", &bad)
        .backend("good", &good)
        .start()
        .await;
    let statuses = gets(&proxy, 30).await;
    assert_eq!(bad.count(), 3, "three failures and no more: {statuses:?}");
    assert_eq!(statuses.iter().filter(|s| **s == 200).count(), 27);
    proxy
        .metric_becomes("sluicegate_ejections_total", &[("pool", "app")], 1.0)
        .await;
    proxy.finish().await;
}

#[tokio::test]
async fn answers_with_a_5xx_count_as_failures() {
    let bad =
        Backend::start(|_| answer_bytes("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n")).await;
    let good = Backend::start(identity("good")).await;
    let text = pool(r#""$bad", "$good""#, r#"base = "60s""#);
    let proxy = Settings::new(&text)
        .backend("bad", &bad)
        .backend("good", &good)
        .start()
        .await;
    gets(&proxy, 30).await;
    assert_eq!(bad.count(), 3);
    proxy.finish().await;
}

#[tokio::test]
async fn answers_that_break_off_count_once_and_as_failures() {
    for status in ["200 OK", "500 No"] {
        let cut = format!("HTTP/1.1 {status}\r\ncontent-length: 100\r\n\r\nhalf of it");
        let bad = Backend::start(move |_| {
            vec![Act::Read, Act::Send(cut.clone().into_bytes()), Act::Close]
        })
        .await;
        let good = Backend::start(identity("good")).await;
        let text = pool(r#""$bad", "$good""#, r#"base = "60s""#);
        let proxy = Settings::new(&text)
            .backend("bad", &bad)
            .backend("good", &good)
            .start()
            .await;
        for _ in 0..30 {
            let mut client = proxy.client().await;
            client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
            let _ = client.try_answer_to("GET").await;
            // The end of the exchange is what counts, and it comes before this.
            proxy
                .metric_becomes("sluicegate_requests_in_flight", &[], 0.0)
                .await;
        }
        assert_eq!((bad.count(), good.count()), (3, 27), "{status}");
        let attempts = |reason: &'static str| {
            let labels = [("pool", "app"), ("reason", reason)];
            let proxy = &proxy;
            async move { proxy.metric("sluicegate_attempts_total", &labels).await }
        };
        if status == "200 OK" {
            assert!((attempts("").await - 27.0).abs() < 0.5);
            assert!((attempts("http_response_incomplete").await - 3.0).abs() < 0.5);
        }
        proxy.finish().await;
    }
}

#[tokio::test]
async fn a_client_that_goes_away_is_no_failure_of_the_endpoint() {
    let a = Backend::start(|seen| match seen.target.as_str() {
        "/stall" => vec![Act::Read, Act::Stall],
        _ => answer("a"),
    })
    .await;
    let b = Backend::start(|seen| match seen.target.as_str() {
        "/stall" => vec![Act::Read, Act::Stall],
        _ => answer("b"),
    })
    .await;
    let text = pool(r#""$a", "$b""#, r#"base = "60s""#);
    let proxy = Settings::new(&text)
        .backend("a", &a)
        .backend("b", &b)
        .start()
        .await;
    for n in 1..=10 {
        let mut client = proxy.client().await;
        client.send("GET /stall HTTP/1.1\r\nhost: a\r\n\r\n").await;
        eventually("the request is at an endpoint", || async {
            (a.count() + b.count() >= n).then_some(())
        })
        .await;
        client.abort();
    }
    eventually("the connections are closed", || async {
        (a.open() + b.open() == 0).then_some(())
    })
    .await;
    let ejections = proxy.metric("sluicegate_ejections_total", &[]).await;
    assert!(ejections < 0.5, "{ejections} ejections");
    proxy.finish().await;
}

#[tokio::test]
async fn the_last_endpoint_is_never_ejected() {
    let only = Backend::start(dying).await;
    let text = pool(r#""$only""#, r#"base = "60s", share_max = "100%""#);
    let proxy = Settings::new(&text).backend("only", &only).start().await;
    gets(&proxy, 20).await;
    assert_eq!(only.count(), 20);
    proxy.log_says("an ejection was refused pool=app").await;
    proxy
        .log_says("cause=3 failures in a row reason=no other endpoint can serve")
        .await;
    assert!(!proxy.log().contains("to=healthy"));
    proxy.finish().await;
}

#[tokio::test]
async fn no_more_than_the_share_is_ejected() {
    let bad = [
        Backend::start(dying).await,
        Backend::start(dying).await,
        Backend::start(dying).await,
        Backend::start(dying).await,
    ];
    let text = pool(
        r#""$a", "$b", "$c", "$d""#,
        r#"base = "60s", share_max = "50%""#,
    );
    let proxy = Settings::new(&text)
        .backend("a", &bad[0])
        .backend("b", &bad[1])
        .backend("c", &bad[2])
        .backend("d", &bad[3])
        .start()
        .await;
    gets(&proxy, 60).await;
    let ejected = bad.iter().filter(|backend| backend.count() == 3).count();
    assert_eq!(
        ejected,
        2,
        "{:?}",
        bad.iter().map(Backend::count).collect::<Vec<_>>()
    );
    proxy
        .metric_becomes("sluicegate_ejections_total", &[("pool", "app")], 2.0)
        .await;
    proxy
        .log_says("reason=more than ejection.share_max of the endpoints would be out")
        .await;
    proxy.finish().await;
}

#[tokio::test]
async fn after_its_time_one_request_decides() {
    let bad = Backend::start(dying).await;
    let good = Backend::start(identity("good")).await;
    let text = pool(r#""$bad", "$good""#, r#"base = "500ms", max = "60s""#);
    let proxy = Settings::new(&text)
        .backend("bad", &bad)
        .backend("good", &good)
        .start()
        .await;
    gets(&proxy, 10).await;
    assert_eq!(bad.count(), 3);
    // Still bad on its return: one request, not three, until the next time.
    eventually("one request to the endpoint on probation", || async {
        gets(&proxy, 4).await;
        (bad.count() >= 4).then_some(())
    })
    .await;
    assert_eq!(bad.count(), 4);
    bad.now(identity("mended"));
    eventually("the endpoint is back", || async {
        gets(&proxy, 4).await;
        (bad.count() >= 10).then_some(())
    })
    .await;
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_returns_under_posts_alone() {
    let bad = Backend::start(dying).await;
    let good = Backend::start(identity("good")).await;
    let text = pool(r#""$bad", "$good""#, r#"base = "300ms", max = "300ms""#);
    let proxy = Settings::new(&text)
        .backend("bad", &bad)
        .backend("good", &good)
        .start()
        .await;
    let post = async || proxy.request("POST", "/", "", b"pay").await.status;
    eventually("the endpoint is ejected", || async {
        post().await;
        (bad.count() >= 3).then_some(())
    })
    .await;
    bad.now(identity("mended"));
    eventually("the endpoint is back", || async {
        assert_eq!(post().await, 200);
        (bad.count() >= 10).then_some(())
    })
    .await;
    proxy.finish().await;
}

#[tokio::test]
async fn checks_that_pass_bring_an_endpoint_back_without_a_request() {
    let bad = Backend::start(|seen| match seen.target.as_str() {
        "/healthz" => answer("well"),
        _ => dying(seen),
    })
    .await;
    let good = Backend::start(identity("good")).await;
    let text = pool(r#""$bad", "$good""#, r#"base = "60s""#);
    let text = format!(
        "{text}health = {{ http = {{ path = \"/healthz\" }}, interval = \"300ms\", interval_down = \"300ms\", timeout = \"300ms\" }}\n"
    );
    let proxy = Settings::new(&text)
        .backend("bad", &bad)
        .backend("good", &good)
        .start()
        .await;
    eventually("the endpoint is ejected", || async {
        gets(&proxy, 2).await;
        let ejections = proxy.metric("sluicegate_ejections_total", &[]).await;
        (ejections > 0.5).then_some(())
    })
    .await;
    let address = bad.address().to_string();
    let labels = [("pool", "app"), ("endpoint", address.as_str())];
    proxy
        .metric_becomes("sluicegate_endpoint_healthy", &labels, 1.0)
        .await;
    proxy.finish().await;
}

/// Answers checks and all targets but `/broken`, which is 500.
fn broken_at_one_place(seen: &Seen) -> Vec<Act> {
    match seen.target.as_str() {
        "/broken" => answer_bytes("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"),
        _ => answer("fine"),
    }
}

#[tokio::test]
async fn one_url_that_answers_500_everywhere_ejects_nobody() {
    let health = "health = { http = { path = \"/healthz\" } }\n";
    for checks in ["", health] {
        let (a, b) = (
            Backend::start(broken_at_one_place).await,
            Backend::start(broken_at_one_place).await,
        );
        let text = format!("{}{checks}", pool(r#""$a", "$b""#, r#"base = "60s""#));
        let proxy = Settings::new(&text)
            .backend("a", &a)
            .backend("b", &b)
            .start()
            .await;
        for _ in 0..40 {
            assert_eq!(proxy.get("/broken").await.status, 500);
        }
        gets(&proxy, 10).await;
        let ejections = proxy.metric("sluicegate_ejections_total", &[]).await;
        assert!(ejections < 0.5, "{ejections} ejections, {checks}");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn an_endpoint_whose_checks_pass_is_ejected_when_most_of_its_answers_are_bad() {
    let bad = Backend::start(|seen| match seen.target.as_str() {
        "/healthz" => answer("well"),
        _ => answer_bytes("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"),
    })
    .await;
    let good = Backend::start(identity("good")).await;
    let text = pool(r#""$bad", "$good""#, r#"base = "60s""#);
    let text =
        format!("{text}health = {{ http = {{ path = \"/healthz\" }}, interval = \"60s\" }}\n");
    let proxy = Settings::new(&text)
        .backend("bad", &bad)
        .backend("good", &good)
        .start()
        .await;
    gets(&proxy, 20).await;
    // Ten of ten are too few where a check says otherwise.
    assert!(bad.count() >= 10, "{}", bad.count());
    eventually("the endpoint is ejected", || async {
        gets(&proxy, 2).await;
        let ejections = proxy.metric("sluicegate_ejections_total", &[]).await;
        (ejections > 0.5).then_some(())
    })
    .await;
    assert!(bad.count() >= 20, "{}", bad.count());
    proxy.finish().await;
}
