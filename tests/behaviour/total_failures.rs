//! Requests that fail although the proxy is well: `status`, `/ready` and the overview say so first.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::harness::{
    Act, Backend, Gate, Proxy, Seen, Settings, answer, answer_bytes, command, eventually,
};

fn text(pool: &str, route: &str) -> String {
    format!(
        r#"
        [proxy]
        workers = 2
        [listeners.web]
        address = "$web"
        [admin]
        address = "$admin"
        token = "0123456789"
        [routes.all]
        pool = "app"
        {route}
        [pools.app]
        {pool}
        "#
    )
}

/// The lines about what is wrong.
fn wrong(folder: &Path) -> Vec<String> {
    let (_, status) = command(folder, &["status"]);
    let lines = status.lines().take_while(|line| line.starts_with("! "));
    lines.map(str::to_owned).collect()
}

/// Sends requests until the lines have all of these.
async fn is_told(proxy: &Proxy, expected: &[&str]) {
    let folder = proxy.folder().to_owned();
    let before = std::cell::RefCell::new(Vec::new());
    eventually(format!("{expected:?}"), async || {
        for _ in 0..12 {
            proxy.get("/").await;
        }
        let lines = wrong(&folder);
        let told = |part: &&str| lines.iter().any(|line| line.contains(part));
        let all = expected.iter().all(told);
        *before.borrow_mut() = lines;
        all.then_some(())
    })
    .await;
    let ready = proxy.admin("GET", "/ready", "").await.unwrap();
    assert_eq!(ready.status, 200, "it takes no fleet out of rotation");
    let ready: Value = serde_json::from_str(&ready.text()).unwrap();
    assert!(!ready["failing"].as_array().unwrap().is_empty(), "{ready}");
}

/// The share of the pool's attempts that failed, as the overview has it.
async fn all_attempts_fail(proxy: &Proxy) {
    eventually("the overview has the failures", async || {
        for _ in 0..12 {
            proxy.get("/").await;
        }
        let overview = proxy.admin("GET", "/overview", "").await.unwrap();
        let overview: Value = serde_json::from_str(&overview.text()).unwrap();
        let [all, failed] = ["pool_per_second", "pool_failed_per_second"]
            .map(|key| overview["attempts"][0][key].as_f64().unwrap_or_default());
        (all > 0.0 && (all - failed).abs() < all * 0.2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_refuses_everything_is_told_although_it_is_the_last_one() {
    let app = Backend::down(|_| answer("fine"));
    let settings = Settings::new(&text(r#"endpoints = ["$app"]"#, ""));
    let proxy = settings.address("app", app.address()).start().await;
    is_told(
        &proxy,
        &[
            "! pool app: all of its attempts fail since 20",
            "! route all: all of its requests fail since 20",
            "most with connection_refused",
        ],
    )
    .await;
    all_attempts_fail(&proxy).await;
    proxy.log_says("requests fail").await;
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_that_always_answers_500_is_told_and_counts_as_failed() {
    let five = |_: &Seen| answer_bytes("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n");
    let app = Backend::start(five).await;
    let settings = Settings::new(&text(r#"endpoints = ["$app"]"#, ""));
    let proxy = settings.backend("app", &app).start().await;
    is_told(
        &proxy,
        &[
            "! pool app: all of its attempts",
            "! route all: all of its requests",
            "most with 5xx answers",
        ],
    )
    .await;
    all_attempts_fail(&proxy).await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_pool_of_endpoints_without_weight_cannot_serve_and_says_so() {
    let app = Backend::start(|_| answer("fine")).await;
    let pool = r#"endpoints = [{ address = "$app", weight = 0 }]"#;
    let proxy = Settings::new(&text(pool, ""))
        .backend("app", &app)
        .start()
        .await;
    is_told(&proxy, &["! pool app: no endpoint can serve since 20"]).await;
    let (_, status) = command(proxy.folder(), &["status"]);
    assert!(status.contains("1 weight 0"), "{status}");
    let row = status.lines().last().unwrap();
    assert!(
        row.contains("weight 0") && !row.contains("healthy"),
        "{row}"
    );
    let (_, told) = command(proxy.folder(), &["explain", "GET", "http://a/", "--live"]);
    assert!(told.contains("skipped: weight 0"), "{told}");
    proxy.log_says("no endpoint can serve").await;
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_drained_by_hand_is_told_with_the_way_back() {
    let app = Backend::start(|_| answer("fine")).await;
    let settings = Settings::new(&text(r#"endpoints = ["$app"]"#, ""));
    let proxy = settings.backend("app", &app).start().await;
    let name = format!("app/{}", app.address());
    let (code, said) = command(proxy.folder(), &["endpoint", "drain", &name]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("warning: no endpoint of pool \"app\" can serve now: 1 draining"),
        "{said}"
    );
    let line = format!("1 draining; `sluicegate endpoint enable {name}` brings it back");
    is_told(&proxy, &[&line]).await;
    let (_, said) = command(proxy.folder(), &["endpoint", "enable", &name]);
    assert!(!said.is_empty());
    eventually("the pool can serve again", async || {
        let lines = wrong(proxy.folder());
        (!lines
            .iter()
            .any(|line| line.contains("no endpoint can serve")))
        .then_some(())
    })
    .await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_full_limit_on_requests_at_once_is_told_while_it_refuses() {
    let gate = Gate::new();
    let waiting = gate.clone();
    let script =
        move |_: &Seen| [vec![Act::Read, Act::Wait(waiting.clone())], answer("app")].concat();
    let app = Backend::start(script).await;
    let route = "concurrency = { max = 1 }";
    let settings = Settings::new(&text(r#"endpoints = ["$app"]"#, route));
    let proxy = settings.backend("app", &app).start().await;
    let mut first = proxy.client().await;
    first
        .send("GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_owned())
        .await;
    app.has_seen(1).await;
    is_told(
        &proxy,
        &[
            "! route all: its `concurrency` is full at 1 and refuses requests since 20",
            "most with connection_limit_reached",
        ],
    )
    .await;
    gate.open();
    assert_eq!(first.answer().await.status, 200);
    proxy.finish().await;
}

/// Holds requests until the gate is open.
fn held(gate: &Gate) -> impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static {
    let gate = gate.clone();
    move |_: &Seen| [vec![Act::Read, Act::Wait(gate.clone())], answer("app")].concat()
}

#[tokio::test]
async fn limits_of_a_pool_are_told_while_they_refuse() {
    for (key, max) in [("requests", 1), ("per_endpoint", 1), ("connections", 1)] {
        let gate = Gate::new();
        let app = Backend::start(held(&gate)).await;
        let pool = format!("endpoints = [\"$app\"]\nlimits = {{ {key} = {max} }}");
        let settings = Settings::new(&text(&pool, ""));
        let proxy = settings.backend("app", &app).start().await;
        let mut first = proxy.client().await;
        first.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        app.has_seen(1).await;
        let line =
            format!("! pool app: its `limits.{key}` is full at 1 and refuses requests since 20");
        is_told(&proxy, &[&line, "most with connection_limit_reached"]).await;
        let labels = [("pool", "app"), ("limit", key)];
        assert!(proxy.metric("sluicegate_pool_refused_total", &labels).await >= 12.0);
        gate.open();
        assert_eq!(first.answer().await.status, 200);
        proxy.finish().await;
    }
}

#[tokio::test]
async fn a_retry_budget_that_is_used_up_is_told() {
    let gate = Gate::new();
    let seen = Arc::new(AtomicUsize::new(0));
    // The second attempt, which is the first retry, stays under way: the budget has no room for more.
    let script = || {
        let (seen, gate) = (Arc::clone(&seen), gate.clone());
        move |_: &Seen| {
            let five = answer_bytes("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n");
            match seen.fetch_add(1, Ordering::SeqCst) {
                1 => [vec![Act::Read, Act::Wait(gate.clone())], five].concat(),
                _ => five,
            }
        }
    };
    let (a, b) = (
        Backend::start(script()).await,
        Backend::start(script()).await,
    );
    let pool = "endpoints = [\"$a\", \"$b\"]\nejection = false\nretry_budget = { ratio = \"0%\", minimum = 1 }";
    let settings = Settings::new(&text(pool, "")).backend("a", &a);
    let proxy = settings.backend("b", &b).start().await;
    let mut first = proxy.client().await;
    first.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    eventually("the retry is under way", || async {
        (a.count() + b.count() == 2).then_some(())
    })
    .await;
    let line =
        "! pool app: its `retry_budget` is used up: failed requests are not tried again since 20";
    is_told(&proxy, &[line]).await;
    gate.open();
    assert_eq!(first.answer().await.status, 503);
    proxy.finish().await;
}

#[tokio::test]
async fn failures_on_purpose_are_no_trouble_and_hide_none() {
    let app = Backend::start(|seen| {
        let status = if seen.target == "/broken" {
            "500 No"
        } else {
            "200 OK"
        };
        answer_bytes(&format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n"))
    })
    .await;
    let route = "fault = { abort = 503, headers = { \"x-test\" = \"yes\" } }";
    let faults =
        text(r#"endpoints = ["$app"]"#, route).replace("workers = 2", "workers = 2\nfaults = true");
    let proxy = Settings::new(&faults).backend("app", &app).start().await;
    let ready = async || {
        let ready = proxy.admin("GET", "/ready", "").await.unwrap();
        let ready: Value = serde_json::from_str(&ready.text()).unwrap();
        ready["failing"].clone()
    };
    // Nine of ten are answered with 503 on purpose, for longer than a look takes.
    let labels = [("route", "all"), ("kind", "abort"), ("status_class", "5xx")];
    let begun = Instant::now();
    let mut aborted = 0.0;
    while begun.elapsed() < Duration::from_secs(5) {
        for at in 0..10 {
            let lines = if at == 0 {
                "host: a"
            } else {
                "host: a\nx-test: yes"
            };
            let answer = proxy.request("GET", "/", lines, b"").await;
            assert_eq!(answer.status, if at == 0 { 200 } else { 503 });
        }
        aborted += 9.0;
        assert_eq!(ready().await, serde_json::json!([]), "after {aborted}");
    }
    proxy
        .metric_becomes("sluicegate_faults_injected_total", &labels, aborted)
        .await;
    // Among as many on purpose, those that fail by themselves are told.
    eventually("the route is told", async || {
        for at in 0..10 {
            let (target, lines) = match at {
                0..5 => ("/broken", "host: a"),
                _ => ("/", "host: a\nx-test: yes"),
            };
            proxy.request("GET", target, lines, b"").await;
        }
        let failing = ready().await.to_string();
        failing.contains("route all: ").then_some(())
    })
    .await;
    proxy.finish().await;
}

/// A pool of two endpoints, one of which does what the script says.
async fn beside_a_good_one(script: fn(&Seen) -> Vec<Act>, expected: &str) {
    let odd = Backend::start(script).await;
    let good = Backend::start(|_| answer("fine")).await;
    let pool = "endpoints = [\"$odd\", \"$good\"]\nejection = false";
    let settings = Settings::new(&text(pool, "")).backend("odd", &odd);
    let proxy = settings.backend("good", &good).start().await;
    let expected = expected.replace("ODD", &odd.address().to_string());
    let name = format!("app/{}", odd.address());
    eventually(expected.clone(), async || {
        for _ in 0..12 {
            proxy.get("/").await;
        }
        let lines = wrong(proxy.folder());
        lines
            .iter()
            .any(|line| line.contains(&expected))
            .then_some(())
    })
    .await;
    // What the line advises helps.
    let advice = format!("`sluicegate endpoint drain {name}` takes it out");
    let lines = wrong(proxy.folder()).join("\n");
    assert!(lines.contains(&advice), "{lines}");
    let (code, said) = command(proxy.folder(), &["endpoint", "drain", &name]);
    assert_eq!(code, Some(0), "{said}");
    let log = proxy.log();
    assert!(
        log.contains("an endpoint does much worse than its pool"),
        "{log}"
    );
    let before = odd.count();
    for _ in 0..12 {
        assert_eq!(proxy.get("/").await.text(), "fine");
    }
    assert_eq!(odd.count(), before);
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_that_alone_answers_404_is_told() {
    let script = |_: &Seen| answer_bytes("HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n");
    let told = "! degraded: pool app: all of the answers of ODD are 4xx since 20";
    beside_a_good_one(script, told).await;
}

#[tokio::test]
async fn an_endpoint_that_alone_is_slow_is_told() {
    let script = |_: &Seen| [vec![Act::Pause(Duration::from_millis(110))], answer("late")].concat();
    let told = "! degraded: pool app: attempts at ODD take ";
    beside_a_good_one(script, told).await;
}

#[tokio::test]
async fn an_endpoint_that_alone_fails_is_told() {
    let script = |_: &Seen| answer_bytes("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n");
    let told = "! degraded: pool app: all of the attempts at ODD fail since 20";
    beside_a_good_one(script, told).await;
}
