//! `rate_limit`: how many requests pass, whoever serves them, and what the others are told.

use crate::harness::{Backend, Client, Proxy, Settings, answer, answer_bytes, command, eventually};

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

#[tokio::test]
async fn answers_that_pass_tell_what_is_left() {
    let app = app().await;
    let rules = r#"[
            { name = "quiet", key = "route", rate = "1/h", burst = 9, announce = false },
            { name = "planned", key = "route", rate = "1/h", dry_run = true },
            { key = "client_ip", rate = "6/m", burst = 2 },
            { key = "header:x-user", rate = "1/h", burst = 5 },
        ]"#;
    let proxy = started(1, rules, &app).await;
    let one = proxy.get("/").await;
    assert_eq!(one.field("ratelimit"), "\"client_ip\";r=1");
    assert_eq!(one.field("ratelimit-policy"), "\"client_ip\";q=2;w=20");
    let two = proxy.request("GET", "/", "x-user: a", b"").await;
    let left = two.fields.all("ratelimit");
    assert_eq!(left, ["\"client_ip\";r=0;t=10", "\"header:x-user\";r=4"]);
    proxy.finish().await;
}

#[tokio::test]
async fn an_answer_is_charged_with_the_cost_that_it_tells() {
    let app = Backend::start(|seen| {
        let cost = seen.target.trim_start_matches('/');
        answer_bytes(&format!(
            "HTTP/1.1 200 Ok\r\nx-cost: {cost}\r\ncontent-length: 2\r\n\r\nok"
        ))
    })
    .await;
    let rule = r#"{ key = "route", rate = "1/h", burst = 10, cost = "x-cost" }"#;
    let proxy = started(1, rule, &app).await;
    for (cost, left) in [("0", 10), ("1", 9), ("many", 8), ("5", 3)] {
        let answer = proxy.get(&format!("/{cost}")).await;
        assert_eq!(answer.field("ratelimit"), format!("\"route\";r={left}"));
        assert!(
            !answer.fields.has("x-cost"),
            "the cost is no business of clients"
        );
    }
    // It costs more than is left, and is served; the next one is not.
    let client = &mut proxy.h2_client().await;
    let answer = client.get("/7").await.unwrap();
    assert!(answer.field("ratelimit").starts_with("\"route\";r=0;t="));
    let refused = client.get("/0").await.unwrap();
    assert_eq!(refused.status, 429);
    let wait: u64 = refused.field("retry-after").parse().unwrap();
    assert!(wait > 4 * 3600, "four are owed: {wait}");
    proxy.finish().await;
}

const LISTENER: &str = r#"
    [proxy]
    workers = 1
    [listeners.web]
    address = "$web"
    rate_limit = { rate = "1/h", burst = 3 }
    [listeners.other]
    address = "$other"
    [routes.all]
    pool = "app"
    [routes.one]
    path = "/one"
    listeners = ["web"]
    respond = { body = "one" }
    [pools.app]
    endpoints = ["$app"]
"#;

#[tokio::test]
async fn a_listener_limits_clients_before_routing() {
    let app = app().await;
    let settings = Settings::new(LISTENER).backend("app", &app);
    let mut proxy = settings.start().await;
    assert_eq!(statuses(&proxy, 1, "/", "").await, [200]);
    assert_eq!(statuses(&proxy, 1, "/one", "").await, [200]);
    assert_eq!(proxy.h2_client().await.get("/").await.unwrap().status, 200);
    for _ in 0..2 {
        let refused = proxy.get("/one").await;
        refused.assert_failure(429, "http_request_denied");
        assert_eq!(
            refused.field("ratelimit-policy"),
            "\"client_ip\";q=3;w=10800"
        );
    }
    let line = proxy.logged("of a 429", |line| line["status"] == 429).await;
    assert_eq!(line["reason_detail"], "rate limit web/client_ip");
    let mut client = proxy.client_of("other").await;
    assert_eq!(client.get("/").await.status, 200, "another listener");
    let labels = [("route", ""), ("rule", "web/client_ip")];
    let name = "sluicegate_rate_limited_total";
    proxy.metric_becomes(name, &labels, 2.0).await;
    let shown = proxy.admin("GET", "/listeners", "").await.unwrap().text();
    assert!(shown.contains("\"rate\": \"1/h\""), "{shown}");
    let folder = proxy.folder().to_owned();
    let explain = ["explain", "GET", "http://a/one", "--listener", "web"];
    let told = tokio::task::spawn_blocking(move || command(&folder, &explain)).await;
    let (_, told) = told.unwrap();
    let rule = "  rate limit of the listener, client_ip: 1/h for each client_ip, burst 3";
    assert!(told.contains(rule), "{told}");
    // What is used stays over a reload, and the series goes with its rule.
    proxy
        .reload(&LISTENER.replace("burst = 3", "burst = 4"))
        .await;
    assert_eq!(statuses(&proxy, 2, "/", "").await, [200, 429]);
    let without = LISTENER.replace("rate_limit =", "# rate_limit =");
    proxy.reload(&without).await;
    assert_eq!(statuses(&proxy, 2, "/", "").await, [200, 200]);
    series_goes(&proxy, "web/client_ip").await;
    proxy.finish().await;
}

async fn series_goes(proxy: &Proxy, rule: &str) {
    let label = format!("rule=\"{rule}\"");
    eventually("the series of the rule is gone", async || {
        let text = proxy.admin("GET", "/metrics", "").await?.text();
        (!text.contains(&label)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn rules_are_shown_and_their_series_go_with_them() {
    let app = app().await;
    let rules = r#"[
            { name = "soon", key = "route", rate = "1/h", dry_run = true },
            { rate = "2/h" },
        ]"#;
    let mut proxy = started(1, rules, &app).await;
    assert_eq!(statuses(&proxy, 3, "/", "").await, [200, 200, 429]);
    let labels = [("route", "all"), ("rule", "soon")];
    let name = "sluicegate_rate_limit_dry_run_total";
    proxy.metric_becomes(name, &labels, 2.0).await;
    let routes = proxy.admin("GET", "/routes", "").await.unwrap().text();
    let routes: serde_json::Value = serde_json::from_str(&routes).unwrap();
    let shown = &routes[0]["rate_limits"];
    assert_eq!(shown[0]["name"], "soon", "{routes}");
    assert_eq!(shown[0]["dry_run"], true);
    assert_eq!(
        (&shown[1]["rate"], &shown[1]["burst"]),
        (&"2/h".into(), &2.into())
    );
    proxy.reload(&tables(1, r#"{ rate = "2/h" }"#)).await;
    series_goes(&proxy, "soon").await;
    let labels = [("route", "all"), ("rule", "client_ip")];
    let kept = proxy.metric("sluicegate_rate_limited_total", &labels).await;
    assert!((kept - 1.0).abs() < 0.1, "{kept}");
    proxy.finish().await;
}
