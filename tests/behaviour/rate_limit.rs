//! `rate_limit`: how many requests pass, whoever serves them, and what the others are told.

use crate::harness::{Backend, Client, Proxy, Settings, answer};

async fn app() -> Backend {
    Backend::start(|_| answer("fine")).await
}

fn tables(workers: u8, rules: &str) -> String {
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
        rate_limit = {rules}
        headers_response = {{ set = {{ x-late = "yes" }} }}
        secure_headers = true
        [pools.app]
        endpoints = ["$app"]
        "#
    )
}

async fn started(workers: u8, rules: &str, app: &Backend) -> Proxy {
    let settings = Settings::new(&tables(workers, rules)).backend("app", app);
    settings.start().await
}

/// Statuses of so many requests with these lines, each on a connection of its own.
async fn statuses(proxy: &Proxy, count: usize, target: &str, lines: &str) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(proxy.request("GET", target, lines, b"").await.status);
    }
    statuses
}

fn passed(statuses: &[u16]) -> usize {
    assert!(
        statuses.iter().all(|it| [200, 429].contains(it)),
        "{statuses:?}"
    );
    statuses.iter().filter(|it| **it == 200).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_pass_than_the_burst_over_all_workers() {
    let app = app().await;
    let proxy = started(2, r#"{ rate = "1/h", burst = 30 }"#, &app).await;
    let mut clients = Vec::new();
    for _ in 0..16 {
        let mut client = Client::connect(proxy.address("web")).await;
        clients.push(tokio::spawn(async move {
            let mut statuses = Vec::new();
            for _ in 0..10 {
                statuses.push(client.get("/").await.status);
            }
            statuses
        }));
    }
    let mut all = Vec::new();
    for client in clients {
        all.extend(client.await.unwrap());
    }
    assert_eq!((passed(&all), all.len(), app.count()), (30, 160, 30));
    let labels = [("route", "all"), ("rule", "client_ip")];
    let limited = proxy.metric("sluicegate_rate_limited_total", &labels).await;
    assert!((limited - 130.0).abs() < 0.1, "{limited}");
    proxy.finish().await;
}

#[tokio::test]
async fn a_limited_client_is_told_when_to_come_back_through_the_filters() {
    let app = app().await;
    let rule = r#"{ name = "slow", key = "route", rate = "30/m", burst = 2 }"#;
    let proxy = started(1, rule, &app).await;
    assert_eq!(statuses(&proxy, 2, "/", "").await, [200, 200]);
    let one = proxy.get("/").await;
    let two = proxy.h2_client().await.get("/").await.unwrap();
    for answer in [one, two] {
        answer.assert_failure(429, "http_request_denied");
        assert_eq!(answer.field("retry-after"), "2");
        assert_eq!(answer.field("ratelimit-policy"), "\"slow\";q=2;w=4");
        assert_eq!(answer.field("ratelimit"), "\"slow\";r=0;t=2");
        assert_eq!(answer.field("x-frame-options"), "SAMEORIGIN");
        // Those behind it have not seen the request.
        assert!(!answer.fields.has("x-late"));
        let id = answer.field("x-request-id").to_owned();
        let line = proxy
            .logged("of a 429", |line| line["request_id"] == *id)
            .await;
        assert_eq!(line["reason_detail"], "rate limit slow");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn each_key_has_a_bucket_of_its_own() {
    let app = app().await;
    let with = |key: &str| format!(r#"{{ key = "{key}", rate = "1/h", burst = 2 }}"#);
    for (key, [one, other, none]) in [
        (
            "client_ip",
            [
                "x-forwarded-for: 192.0.2.1",
                "x-forwarded-for: 192.0.2.2",
                "",
            ],
        ),
        (
            "client_ip",
            [
                "x-forwarded-for: 2001:db8::1",
                "x-forwarded-for: 2001:db8:0:1::1",
                "",
            ],
        ),
        ("header:x-user", ["x-user: a", "x-user: b", ""]),
        (
            "cookie:user",
            ["cookie: user=a", "cookie: user=b", "cookie: other=a"],
        ),
    ] {
        let proxy = started(2, &with(key), &app).await;
        assert_eq!(
            statuses(&proxy, 3, "/", one).await,
            [200, 200, 429],
            "{key}"
        );
        assert_eq!(
            statuses(&proxy, 3, "/", other).await,
            [200, 200, 429],
            "{key}"
        );
        if key != "client_ip" {
            assert_eq!(statuses(&proxy, 3, "/", none).await, [200; 3], "{key}");
        } else if one.contains("2001") {
            let same = "x-forwarded-for: 2001:db8::ffff:2";
            assert_eq!(
                statuses(&proxy, 1, "/", same).await,
                [429],
                "of one network"
            );
        }
        proxy.finish().await;
    }
    let proxy = started(1, &with("query:user"), &app).await;
    for target in ["/?user=a", "/?x=1&user=b"] {
        assert_eq!(statuses(&proxy, 3, target, "").await, [200, 200, 429]);
    }
    assert_eq!(statuses(&proxy, 1, "/?user=%61", "").await, [429]);
    assert_eq!(statuses(&proxy, 3, "/", "").await, [200; 3]);
    proxy.finish().await;
}

#[tokio::test]
async fn a_reload_keeps_what_is_used_also_with_another_rate() {
    let app = app().await;
    let mut proxy = started(2, r#"{ rate = "1/h", burst = 5 }"#, &app).await;
    assert_eq!(passed(&statuses(&proxy, 4, "/", "").await), 4);
    let edited = tables(2, r#"{ rate = "2/h", burst = 5 }"#).replace("yes", "no");
    proxy.reload(&edited).await;
    assert_eq!(passed(&statuses(&proxy, 4, "/", "").await), 1);
    proxy
        .reload(&tables(2, r#"{ rate = "2/h", burst = 8 }"#))
        .await;
    assert_eq!(passed(&statuses(&proxy, 6, "/", "").await), 3);
    proxy.finish().await;
}

#[tokio::test]
async fn a_dry_run_only_counts_and_the_other_rules_go_on() {
    let app = app().await;
    let rules = r#"[
            { name = "planned", key = "route", rate = "1/h", dry_run = true },
            { key = "route", rate = "1/h", burst = 4 },
        ]"#;
    let proxy = started(1, rules, &app).await;
    assert_eq!(passed(&statuses(&proxy, 6, "/", "").await), 4);
    for (name, rule, count) in [
        ("sluicegate_rate_limit_dry_run_total", "planned", 5.0),
        ("sluicegate_rate_limited_total", "route", 2.0),
    ] {
        let labels = [("route", "all"), ("rule", rule)];
        proxy.metric_becomes(name, &labels, count).await;
    }
    proxy.finish().await;
}
