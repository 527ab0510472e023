//! Rate limits in Redis: shared by several proxies, and never a reason for a request to fail or to
//! wait for long.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use crate::harness::{
    Authority, Backend, Client, Load, Port, Proxy, Redis, Settings, answer, eventually,
};

async fn app() -> Backend {
    Backend::start(|_| answer("fine")).await
}

fn tables(rule: &str, store: &str) -> String {
    format!(
        r#"
        [proxy]
        workers = 2
        trusted_proxies = ["127.0.0.0/8"]
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        rate_limit = {{ {rule}, store = {{ redis = {{ {store} }} }} }}
        [pools.app]
        endpoints = ["$app"]
        "#
    )
}

/// The proxy with this rule and its store.
async fn started(rule: &str, store: &str, app: &Backend) -> Proxy {
    let settings = Settings::new(&tables(rule, store)).backend("app", app);
    settings
        .variable("REDIS_PASSWORD", "open sesame")
        .start()
        .await
}

/// A store that may be late on a busy machine.
fn patient(redis: &Redis) -> String {
    format!(r#"url = "redis://{}", timeout = "1s""#, redis.place())
}

/// Number of so many requests that passed; the others were refused.
async fn passed(proxy: &Proxy, count: usize, lines: &str) -> usize {
    let mut passed = 0;
    for _ in 0..count {
        match proxy.request("GET", "/", lines, b"").await.status {
            200 => passed += 1,
            status => assert_eq!(status, 429),
        }
    }
    passed
}

async fn asked(proxy: &Proxy, result: &str) -> f64 {
    let labels = [("route", "all"), ("result", result)];
    proxy
        .metric("sluicegate_rate_limit_store_total", &labels)
        .await
}

#[tokio::test]
async fn two_proxies_share_one_limit() {
    let (app, redis) = (app().await, Redis::start().await);
    let rule = r#"rate = "1/h", burst = 20"#;
    let one = started(rule, &patient(&redis), &app).await;
    let two = started(rule, &patient(&redis), &app).await;
    assert_eq!(passed(&one, 12, "").await, 12);
    assert_eq!(passed(&two, 12, "").await, 8);
    let late = one.get("/").await;
    late.assert_failure(429, "http_request_denied");
    let wait: u64 = late.field("retry-after").parse().unwrap();
    assert!((3500..=3600).contains(&wait), "{wait}");
    // Another client has a bucket of its own, also of another family.
    for client in ["x-forwarded-for: 192.0.2.7", "x-forwarded-for: 2001:db8::7"] {
        assert_eq!(passed(&one, 12, client).await, 12);
        assert_eq!(passed(&two, 12, client).await, 8);
    }
    let keys = redis.ask("KEYS sluicegate:all/client_ip/*").await;
    for key in ["1/h:127.0.0.1\r", "1/h:192.0.2.7\r", "1/h:2001:db8::/64\r"] {
        assert!(keys.contains(key), "{keys}");
    }
    one.finish().await;
    two.finish().await;
}

#[tokio::test]
async fn all_workers_and_connections_share_one_limit_and_full_buckets_are_forgotten() {
    let (app, redis) = (app().await, Redis::start().await);
    let rule = r#"key = "route", rate = "1000/s", burst = 30"#;
    let proxy = started(rule, &patient(&redis), &app).await;
    let mut clients = Vec::new();
    let start = Instant::now();
    for _ in 0..8 {
        let mut client = Client::connect(proxy.address("web")).await;
        clients.push(tokio::spawn(async move {
            let mut passed = 0;
            for _ in 0..20 {
                passed += usize::from(client.get("/").await.status == 200);
            }
            passed
        }));
    }
    let mut all = 0;
    for client in clients {
        all += client.await.unwrap();
    }
    let due = 30 + usize::try_from(start.elapsed().as_millis()).unwrap();
    assert!((30..=due + 1).contains(&all), "{all} of {due}");
    eventually("a full bucket is no longer stored", || async {
        redis.ask("DBSIZE").await.starts_with(":0").then_some(())
    })
    .await;
    proxy.finish().await;
}

#[tokio::test]
async fn values_of_requests_are_not_stored_in_the_clear() {
    let (app, redis) = (app().await, Redis::start().await);
    let rule = r#"key = "header:x-key", rate = "1/h", burst = 3"#;
    let proxy = started(rule, &patient(&redis), &app).await;
    assert_eq!(passed(&proxy, 5, "x-key: hunter2").await, 3);
    assert_eq!(passed(&proxy, 5, "x-key: other").await, 3);
    let keys = redis.ask("KEYS *").await;
    assert!(
        keys.starts_with("*2\r") && !keys.contains("hunter2"),
        "{keys}"
    );
    proxy.finish().await;
}

#[tokio::test]
async fn a_server_that_forgot_the_script_is_told_it_again() {
    let (app, redis) = (app().await, Redis::start().await);
    let proxy = started(r#"rate = "1/h", burst = 9"#, &patient(&redis), &app).await;
    assert_eq!(passed(&proxy, 4, "").await, 4);
    redis.ask("SCRIPT FLUSH").await;
    assert_eq!(passed(&proxy, 9, "").await, 5);
    // One that is refused by what is known here is not asked about.
    assert!((asked(&proxy, "answered").await - 9.0).abs() < 1.1);
    assert!(asked(&proxy, "failed").await < 0.1);
    proxy.finish().await;
}

#[tokio::test]
async fn without_the_server_the_process_decides_and_the_server_is_used_again_when_it_is_back() {
    let (app, mut redis) = (app().await, Redis::start().await);
    redis.kill();
    let rule = r#"rate = "1/h", burst = 10"#;
    let proxy = started(rule, &patient(&redis), &app).await;
    assert_eq!(passed(&proxy, 15, "").await, 10);
    proxy.log_says("rate limits: the store fails").await;
    let labels = [("store", &*format!("redis://{}", redis.place()))];
    proxy
        .metric_becomes("sluicegate_rate_limit_store_up", &labels, 0.0)
        .await;
    assert!(asked(&proxy, "skipped").await >= 1.0);
    redis.run().await;
    eventually("the server is asked again", || async {
        // What this process refuses by itself is not asked, so another client each time.
        let client = format!("x-forwarded-for: 198.51.100.{}", rand::random::<u8>());
        passed(&proxy, 1, &client).await;
        (asked(&proxy, "answered").await >= 1.0).then_some(())
    })
    .await;
    proxy.log_says("the store answers again").await;
    proxy
        .metric_becomes("sluicegate_rate_limit_store_up", &labels, 1.0)
        .await;
    let changes = proxy.log().matches("rate limits: the store").count();
    assert!(changes <= 6, "one line per change: {}", proxy.log());
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_or_waits_for_a_server_that_hangs_dies_and_returns() {
    let (app, mut redis) = (app().await, Redis::start().await);
    let store = format!(r#"url = "redis://{}", timeout = "20ms""#, redis.place());
    let rule = r#"key = "route", rate = "1000000/s", burst = 1000000"#;
    let proxy = started(rule, &store, &app).await;
    let load = Load::start(proxy.address("web"), 4, 2, |number| {
        ("GET", format!("/{number}"), &b""[..])
    });
    load.goes_on(100).await;
    let slowest = async |load: &Load| {
        // Each of these may meet the one trial at a time.
        let mut slowest = Duration::ZERO;
        let mut client = proxy.client().await;
        for _ in 0..100 {
            let start = Instant::now();
            assert_eq!(client.get("/").await.status, 200);
            slowest = slowest.max(start.elapsed());
        }
        load.goes_on(100).await;
        slowest
    };
    let quiet = slowest(&load).await;
    let before = asked(&proxy, "late").await;
    redis.signal(Signal::STOP);
    let hanging = slowest(&load).await;
    let late = asked(&proxy, "late").await - before;
    redis.signal(Signal::CONT);
    load.goes_on(200).await;
    redis.kill();
    let dead = slowest(&load).await;
    redis.run().await;
    let answered = asked(&proxy, "answered").await;
    eventually("the server is asked again", || async {
        (asked(&proxy, "answered").await > answered).then_some(())
    })
    .await;
    let verdict = load.stop().await;
    assert!(
        verdict.statuses.is_empty() && verdict.closed == 0,
        "{verdict:?}"
    );
    let bound = Duration::from_millis(20) + quiet * 3 + Duration::from_millis(50);
    assert!(
        hanging <= bound && dead <= bound,
        "{quiet:?} {hanging:?} {dead:?}"
    );
    // Those under way when it stopped, and the trials.
    assert!(late <= 40.0, "{late} requests waited");
    proxy.finish().await;
}

#[tokio::test]
async fn a_password_a_user_and_a_database_are_used() {
    let app = app().await;
    let redis = Redis::start_with(&[
        "--user",
        "gate",
        "on",
        ">opensesame",
        "~gate:*",
        "+@all",
        "--requirepass",
        "opensesame",
    ])
    .await;
    let url = format!(
        r#"url = "redis://{}/3", prefix = "gate", timeout = "1s""#,
        redis.place()
    );
    let rule = r#"rate = "1/h", burst = 4"#;
    let secret = r#"password = { env = "REDIS_PASSWORD" }"#;
    let settings = |store: &str| {
        let settings = Settings::new(&tables(rule, store)).backend("app", &app);
        settings.variable("REDIS_PASSWORD", "opensesame")
    };
    for login in [secret.to_owned(), format!(r#"username = "gate", {secret}"#)] {
        let proxy = settings(&format!("{url}, {login}")).start().await;
        passed(&proxy, 2, "").await;
        assert!(asked(&proxy, "answered").await >= 1.0, "{login}");
        proxy.finish().await;
    }
    let wrong = settings(&format!("{url}, {secret}")).variable("REDIS_PASSWORD", "wrong");
    let proxy = wrong.start().await;
    assert_eq!(passed(&proxy, 6, "").await, 4);
    proxy.log_says("AuthenticationFailed").await;
    assert!(!proxy.log().contains("opensesame"));
    proxy.finish().await;
}

#[tokio::test]
async fn a_server_is_asked_over_tls_if_its_certificate_is_right() {
    let app = app().await;
    let authority = Authority::new("tests");
    let folder = tempfile::tempdir().unwrap();
    authority.write(folder.path(), "ca.pem");
    Authority::new("other").write(folder.path(), "other.pem");
    let issued = authority.issue("redis", &["127.0.0.1"]);
    issued.write(folder.path(), "redis");
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let [ca, other, chain, key] = ["ca.pem", "other.pem", "redis.pem", "redis.key"].map(file);
    let port = Port::take();
    let tls = port.address().port().to_string();
    let redis = Redis::start_with(&[
        "--tls-port",
        &tls,
        "--tls-cert-file",
        &chain,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
        "--tls-auth-clients",
        "no",
    ])
    .await;
    let url = format!(r#"url = "rediss://127.0.0.1:{tls}", timeout = "1s""#);
    let rule = r#"rate = "1/h", burst = 4"#;
    let proxy = started(rule, &format!(r#"{url}, ca = "{ca}""#), &app).await;
    assert_eq!(passed(&proxy, 6, "").await, 4);
    assert!(asked(&proxy, "answered").await >= 4.0);
    proxy.finish().await;
    let proxy = started(rule, &format!(r#"{url}, ca = "{other}""#), &app).await;
    assert_eq!(passed(&proxy, 6, "").await, 4);
    assert!(asked(&proxy, "answered").await < 0.1);
    proxy.log_says("TLS: ").await;
    drop(redis);
    proxy.finish().await;
}
