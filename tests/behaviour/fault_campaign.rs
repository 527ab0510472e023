//! One good endpoint among bad ones of every kind: what clients get, and what endpoints see twice.
//!
//! Each kind of fault has its turn beside an endpoint that is good. A line for each is printed:
//! requests answered, failed, retried, hedged, and seen by endpoints more than once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::harness::{
    Act, Backend, Dns, Load, Proxy, Seen, Settings, Verdict, answer, answer_bytes, apart,
    eventually, identity,
};

const POOL: &str = r#"
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    retry = { attempts = 4, on = ["connect", "reset", "refused-stream", "timeout", "502", "503", "504"], backoff = { base = "1ms", max = "5ms" } }
    hedge = { after = "150ms" }
    timeouts = { total = "20s", attempt = "600ms" }
    [pools.app]
    endpoints = ["$good", "$bad"]
    ejection = { consecutive = 3, base = "200ms", max = "200ms" }
    retry_budget = { ratio = "100%", minimum = 100 }
"#;

/// GET, PUT and DELETE may be repeated, a POST may not.
fn mix(n: usize) -> (&'static str, String, &'static [u8]) {
    match n % 6 {
        0 => ("POST", format!("/post/{n}"), b"pay"),
        1 => ("PUT", format!("/{n}"), b"body"),
        2 => ("DELETE", format!("/{n}"), b""),
        _ => ("GET", format!("/{n}"), b""),
    }
}

fn number(seen: &Seen) -> usize {
    let digits = seen.target.rsplit('/').next();
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

fn unavailable() -> Vec<Act> {
    answer_bytes("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy")
}

type Script = Box<dyn Fn(&Seen) -> Vec<Act> + Send + Sync>;

/// The kinds of fault: a name, what the endpoint does, and whether answers that had begun may be
/// cut by it.
fn kinds() -> Vec<(&'static str, Script, bool)> {
    let loaded = Arc::new(AtomicUsize::new(0));
    vec![
        ("reset", Box::new(|_| vec![Act::Read, Act::Reset]), false),
        ("close", Box::new(|_| vec![Act::Read, Act::Close]), false),
        (
            "half a head",
            Box::new(|_| {
                let half = b"HTTP/1.1 200 OK\r\ncontent-le".to_vec();
                vec![Act::Read, Act::Send(half), Act::Close]
            }),
            false,
        ),
        (
            "garbage",
            Box::new(|_| {
                vec![
                    Act::Read,
                    Act::Send(b"\x00\x01 nonsense\r\n\r\n".to_vec()),
                    Act::Close,
                ]
            }),
            false,
        ),
        ("stall", Box::new(|_| vec![Act::Read, Act::Stall]), false),
        ("never reads", Box::new(|_| vec![Act::Stall]), false),
        (
            "503 for two of three",
            Box::new(|seen| match number(seen) % 3 {
                0 => answer("fine"),
                _ => unavailable(),
            }),
            false,
        ),
        (
            "latency that grows with load",
            Box::new(move |_| {
                let pause = 10 * (1 + loaded.fetch_add(1, Ordering::Relaxed) % 40);
                let pause = Act::Pause(Duration::from_millis(pause as u64));
                [vec![pause], answer("slow")].concat()
            }),
            false,
        ),
        (
            "resets kept connections",
            Box::new(|_| [answer("stale"), vec![Act::ResetOnNextByte]].concat()),
            false,
        ),
        (
            "dies in the body",
            Box::new(|_| {
                let begun = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nbegun".to_vec();
                vec![Act::Read, Act::Send(begun), Act::Reset]
            }),
            true,
        ),
    ]
}

/// Results of a turn.
struct Turn {
    verdict: Verdict,
    retried: f64,
    hedged: f64,
}

async fn run(proxy: &Proxy, count: usize) -> Turn {
    let retried = || proxy.metric("sluicegate_retries_total", &[("pool", "app")]);
    let hedged = || async {
        const NAME: &str = "sluicegate_hedges_total";
        let won = proxy.metric(NAME, &[("outcome", "won")]).await;
        won + proxy.metric(NAME, &[("outcome", "lost")]).await
    };
    let (retried_before, hedged_before) = (retried().await, hedged().await);
    let load = Load::start(proxy.address("web"), 8, 4, mix);
    load.goes_through(count).await;
    let verdict = load.stop().await;
    Turn {
        verdict,
        retried: retried().await - retried_before,
        hedged: hedged().await - hedged_before,
    }
}

/// Requests that endpoints have seen more than once, and the POSTs among them.
fn duplicates(backends: &[&Backend]) -> (usize, usize) {
    let mut counts: HashMap<(String, String), usize> = HashMap::new();
    for seen in backends.iter().flat_map(|backend| backend.seen()) {
        *counts.entry((seen.method, seen.target)).or_default() += 1;
    }
    let twice = counts.iter().filter(|(_, count)| **count > 1);
    let posts = twice.clone().filter(|((method, _), _)| method == "POST");
    (twice.count(), posts.count())
}

fn report(kind: &str, turn: &Turn, backends: &[&Backend]) -> usize {
    let (twice, posts) = duplicates(backends);
    let failed = turn.verdict.statuses.values().sum::<usize>() + turn.verdict.closed;
    eprintln!(
        "{kind}: {} sent, {} answered, {failed} failed, {} retried, {} hedged, {twice} seen twice, {posts} POSTs of these",
        turn.verdict.fine + failed,
        turn.verdict.fine,
        turn.retried,
        turn.hedged,
    );
    posts
}

#[tokio::test]
async fn beside_a_good_endpoint_no_fault_loses_an_idempotent_request_or_repeats_another() {
    for (kind, script, cuts_answers) in kinds() {
        let good = Backend::start(identity("good")).await;
        let bad = Backend::start(script).await;
        let proxy = Settings::new(POOL)
            .backend("good", &good)
            .backend("bad", &bad)
            .start()
            .await;
        let turn = run(&proxy, 250).await;
        let posts = report(kind, &turn, &[&good, &bad]);
        assert_eq!(posts, 0, "{kind}: a POST was sent twice");
        let verdict = &turn.verdict;
        assert!(verdict.lost == 0 || cuts_answers, "{kind}: {verdict:#?}");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn an_endpoint_that_comes_and_goes_loses_no_idempotent_request() {
    let good = Backend::start(identity("good")).await;
    let mut bad = Backend::start(identity("bad")).await;
    let proxy = Settings::new(POOL)
        .backend("good", &good)
        .backend("bad", &bad)
        .start()
        .await;
    let load = Load::start(proxy.address("web"), 8, 4, mix);
    for _ in 0..10 {
        load.goes_through(60).await;
        bad.kill().await;
        load.goes_through(60).await;
        bad.up().await;
    }
    let verdict = load.stop().await;
    let (_, posts) = duplicates(&[&good, &bad]);
    assert_eq!(posts, 0, "a POST was sent twice");
    assert_eq!(verdict.lost, 0, "{verdict:#?}");
    proxy.finish().await;
}

#[tokio::test]
async fn a_name_that_dies_loses_no_idempotent_request() {
    if !apart("fault_campaign::a_name_that_dies_loses_no_idempotent_request").await {
        return;
    }
    let dns = Dns::start().await;
    dns.know("bad.test", &["127.0.0.1".parse().unwrap()]);
    dns.know("never.test", &[]);
    let good = Backend::start(identity("good")).await;
    // Each request to it needs a connection, and so its address.
    let mut bad = Backend::start(|_| {
        answer_bytes("HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbad")
    })
    .await;
    let named = format!("bad.test:{}\", \"never.test:80", bad.address().port());
    let settings = Settings::new(&POOL.replace("$bad", &named));
    let proxy = settings.backend("good", &good).start().await;
    let load = Load::start(proxy.address("web"), 8, 4, mix);
    load.goes_through(100).await;
    assert!(bad.count() > 0);
    let labels = [("pool", "app"), ("reason", "dns_error")];
    let failed = proxy.metric("sluicegate_attempts_total", &labels).await;
    assert!(failed > 0.0, "attempts fail for want of an address");
    // The other name dies together with its server.
    let asked = dns.asked("bad.test");
    dns.know("bad.test", &[]);
    bad.kill().await;
    eventually("it is asked for in vain", || async {
        (dns.asked("bad.test") > asked).then_some(())
    })
    .await;
    load.goes_through(100).await;
    let verdict = load.stop().await;
    let (_, posts) = duplicates(&[&good, &bad]);
    assert_eq!(posts, 0, "a POST was sent twice");
    assert_eq!(verdict.lost, 0, "{verdict:#?}");
    proxy.finish().await;
}

#[tokio::test]
async fn where_all_is_dead_retries_and_hedges_stay_within_their_budget() {
    let budget = POOL.replace(
        "retry_budget = { ratio = \"100%\", minimum = 100 }",
        "retry_budget = { ratio = \"20%\", minimum = 1 }\n    panic_threshold = \"100%\"",
    );
    let dead = |_: &Seen| {
        let pause = Act::Pause(Duration::from_millis(20));
        [vec![pause], unavailable()].concat()
    };
    let (one, two) = (Backend::start(dead).await, Backend::start(dead).await);
    let proxy = Settings::new(&budget)
        .backend("good", &one)
        .backend("bad", &two)
        .start()
        .await;
    let turn = run(&proxy, 300).await;
    report("all dead", &turn, &[&one, &two]);
    let statuses = &turn.verdict.statuses;
    assert!(statuses.keys().all(|status| *status == 503), "{statuses:?}");
    let sent: usize = statuses.values().sum();
    // Twelve requests at once allow two retries at once.
    let share = (turn.retried + turn.hedged) / sent as f64;
    assert!(share <= 0.25, "{share} retries for a request");
    proxy.finish().await;
}
