//! A new version gets the users step by step, is compared with the old one under the same traffic,
//! and loses them again when it is worse.

mod fleet;
mod gates;
mod outside;
mod uploads;
mod users;
mod worse;

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Act, Backend, Proxy, Seen, Settings, answer, eventually, identity};
use users::{Asks, Users};

/// Two versions of a service behind one pool; `rollout` is the rest of the rollout's table.
fn text(rollout: &str) -> String {
    format!(
        r#"
        [proxy]
        state_dir = "state"
        [listeners.web]
        address = "$web"
        [admin]
        address = "$admin"
        token = "0123456789"
        [access_log]
        path = "access.log"
        [routes.orders]
        rollout = "orders"
        retry = {{ backoff = {{ base = "1ms", max = "1ms" }} }}
        [rollouts.orders]
        pool = "orders"
        baseline = "^1"
        candidate = "^2"
        pin = {{ by = "header:x-user", header = {{ x-canary = "always" }} }}
        {rollout}
        [pools.orders]
        endpoints = [
            {{ address = "$old", version = "1.4.0" }},
            {{ address = "$new", version = "2.0.0" }},
        ]
        ejection = false
        "#
    )
}

const STEPS: &str = r#"
    steps = [{ share = "20%", hold = "600ms" }, { share = "50%", hold = "600ms" }]
    gate = { volume_min = 30 }
"#;

const ONE_STEP: &str = r#"
    steps = [{ share = "25%", hold = "1h" }]
    gate = { volume_min = 30, latency = { quantile = 0.9, ratio_max = 1.5 } }
"#;

async fn start(rollout: &str, old: &Backend, new: &Backend) -> Proxy {
    let settings = Settings::new(&text(rollout));
    settings
        .backend("old", old)
        .backend("new", new)
        .start()
        .await
}

async fn told(proxy: &Proxy) -> Value {
    let told = proxy.admin("GET", "/rollouts/orders", "").await.unwrap();
    serde_json::from_str(&told.text()).unwrap()
}

async fn becomes(proxy: &Proxy, state: &str) -> Value {
    eventually(format!("the rollout is {state}"), || async {
        let told = told(proxy).await;
        (told["state"] == state).then_some(told)
    })
    .await
}

/// Waits for what takes many requests; longer than for what happens at once.
async fn becomes_in_time(proxy: &Proxy, state: &str) -> Value {
    let waiting = async {
        loop {
            let told = told(proxy).await;
            if told["state"] == state {
                return told;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let patience = Duration::from_secs(90);
    let waited = tokio::time::timeout(patience, waiting).await;
    waited.unwrap_or_else(|_| panic!("the rollout is not {state} within {patience:?}"))
}

async fn order(proxy: &Proxy, order: &str) -> (u16, Value) {
    let path = format!("/rollouts/orders/{order}");
    let token = "authorization: Bearer 0123456789\n";
    let answer = proxy.admin("POST", &path, token).await.unwrap();
    (answer.status, serde_json::from_str(&answer.text()).unwrap())
}

#[tokio::test]
async fn a_good_version_is_promoted_and_nobody_loses_a_request_or_goes_back() {
    let old = Backend::start(identity("1")).await;
    let new = Backend::start(identity("2")).await;
    let proxy = start(STEPS, &old, &new).await;
    let users = Users::start(proxy.address("web"), 200, Asks::Gets);
    let told = becomes(&proxy, "promoted").await;
    assert_eq!(told["share"], 1.0);
    users.reach_all().await;
    let seen = users.stop().await;
    assert_eq!(seen.failed, 0, "{seen:?}");
    assert!(seen.is_monotone(), "{seen:?}");
    proxy
        .metric_becomes("sluicegate_rollout_share", &[("rollout", "orders")], 1.0)
        .await;
    let promoted = [("rollout", "orders"), ("state", "promoted")];
    proxy
        .metric_becomes("sluicegate_rollout_state", &promoted, 1.0)
        .await;
    let line = proxy.logged("of a candidate", |line| line["rollout"] == "candidate");
    assert_eq!(line.await["version"], "2.0.0");
    assert!(proxy.log().contains("promoted"), "{}", proxy.log());
    proxy.finish().await;
}

#[tokio::test]
async fn the_share_of_each_step_is_the_one_that_is_written() {
    let old = Backend::start(identity("1")).await;
    let new = Backend::start(identity("2")).await;
    let steps = r#"
        steps = [{ share = "10%", hold = "1h" }, { share = "25%", hold = "1h" }, { share = "60%", hold = "1h" }]
    "#;
    let proxy = start(steps, &old, &new).await;
    becomes(&proxy, "running").await;
    for share in [0.1, 0.25, 0.6] {
        assert_eq!(told(&proxy).await["share"], share);
        let users = Users::start(proxy.address("web"), 400, Asks::Gets);
        users.reach_all().await;
        let there = users.stop().await.users_of("2") as f64;
        // Of 400 users, within four standard deviations.
        let apart = (there - 400.0 * share).abs();
        let most = 4.0 * (400.0 * share * (1.0 - share)).sqrt();
        assert!(apart <= most, "{there} of 400 users at {share}");
        order(&proxy, "promote").await;
    }
    proxy.finish().await;
}

/// Runs a rollout of a bad version, and reports what it took to roll it back.
async fn is_rolled_back(what: &str, new: &Backend, asks: Asks, why: &str) {
    let old = Backend::start(identity("1")).await;
    is_rolled_back_from(ONE_STEP, &old, what, new, asks, why).await;
}

async fn is_rolled_back_from(
    rollout: &str,
    old: &Backend,
    what: &str,
    new: &Backend,
    asks: Asks,
    why: &str,
) {
    let proxy = start(rollout, old, new).await;
    let users = Users::start(proxy.address("web"), 200, asks);
    let told = becomes_in_time(&proxy, "rolled_back").await;
    let took = users.took();
    let reason = told["reason"].as_str().unwrap();
    assert!(reason.contains(why), "{reason}");
    users.reach_all().await;
    let seen = users.stop().await;
    let hurt = seen.hurt.len();
    eprintln!("{what}: rolled back after {took:.1?}, {hurt} of 200 users hurt; {reason}");
    let counted = told["versions"]["candidate"]["users_hurt"]
        .as_u64()
        .unwrap();
    assert!(counted <= 80, "only those of the step: {counted}");
    // Now all are with the old version.
    for user in 0..50 {
        let lines = format!("x-user: user-{user}\n");
        assert_eq!(proxy.request("GET", "/", &lines, b"").await.text(), "1");
    }
    let events = proxy.admin("GET", "/events?last=100", "accept: application/json\n");
    let events = events.await.unwrap().text();
    assert!(events.contains("rolled_back"), "{events}");
    proxy.finish().await;
}

fn failing(one_in: u32) -> impl Fn(&Seen) -> Vec<Act> + Send + Sync {
    let count = std::sync::atomic::AtomicU32::new(0);
    move |_| {
        let count = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if count.is_multiple_of(one_in) {
            crate::harness::answer_bytes("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n")
        } else {
            answer("2")
        }
    }
}

#[tokio::test]
async fn a_version_that_fails_more_often_is_rolled_back() {
    let new = Backend::start(failing(6)).await;
    is_rolled_back(
        "fails",
        &new,
        Asks::Gets,
        "of the candidate's requests fail",
    )
    .await;
}

#[tokio::test]
async fn a_version_that_is_slower_is_rolled_back() {
    let slow = |_: &Seen| {
        let mut acts = vec![Act::Pause(Duration::from_millis(60))];
        acts.extend(answer("2"));
        acts
    };
    let new = Backend::start(slow).await;
    is_rolled_back("slow", &new, Asks::Gets, "the candidate is slower").await;
}

#[tokio::test]
async fn a_version_that_is_dead_is_rolled_back_and_hurts_nobody() {
    let new = Backend::down(identity("2"));
    is_rolled_back("dead", &new, Asks::Gets, "of the candidate's requests fail").await;
}

#[tokio::test]
async fn a_version_that_breaks_only_posts_is_rolled_back() {
    let broken = |seen: &Seen| match &*seen.method {
        "POST" => crate::harness::answer_bytes("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"),
        _ => answer("2"),
    };
    let new = Backend::start(broken).await;
    is_rolled_back(
        "posts",
        &new,
        Asks::Some,
        "of the candidate's requests fail",
    )
    .await;
}

#[tokio::test]
async fn too_little_traffic_holds_and_a_person_can_move_on() {
    let old = Backend::start(identity("1")).await;
    let new = Backend::start(identity("2")).await;
    let proxy = start(STEPS, &old, &new).await;
    let held = becomes(&proxy, "holding").await;
    assert!(
        held["reason"]
            .as_str()
            .unwrap()
            .contains("0 of 30 requests"),
        "{held}"
    );
    assert_eq!(held["share"], 0.2);
    let (status, told) = order(&proxy, "promote").await;
    assert_eq!(
        (status, &told["step"], &told["share"]),
        (200, &2.into(), &0.5.into())
    );
    assert_eq!(order(&proxy, "pause").await.1["state"], "holding");
    assert_eq!(order(&proxy, "resume").await.0, 200);
    assert_eq!(order(&proxy, "resume").await.0, 409);
    assert_eq!(order(&proxy, "abort").await.1["state"], "rolled_back");
    assert_eq!(order(&proxy, "promote").await.0, 409);
    assert_eq!(order(&proxy, "resume").await.1["state"], "pending");
    becomes(&proxy, "running").await;
    let none = proxy.admin("GET", "/rollouts/other", "").await.unwrap();
    assert_eq!(none.status, 404);
    proxy.finish().await;
}

#[tokio::test]
async fn testers_choose_their_version_by_a_header() {
    let old = Backend::start(identity("1")).await;
    let new = Backend::start(identity("2")).await;
    let proxy = start(ONE_STEP, &old, &new).await;
    becomes(&proxy, "running").await;
    for user in 0..20 {
        let always = format!("x-user: user-{user}\nx-canary: always\n");
        assert_eq!(proxy.request("GET", "/", &always, b"").await.text(), "2");
        let never = format!("x-user: user-{user}\nx-canary: never\n");
        assert_eq!(proxy.request("GET", "/", &never, b"").await.text(), "1");
    }
    let told = told(&proxy).await;
    assert_eq!(
        told["versions"]["candidate"]["step"]["requests"], 0,
        "{told}"
    );
    assert_eq!(told["versions"]["candidate"]["served"]["requests"], 20);
    proxy.finish().await;
}

#[tokio::test]
async fn blue_green_gives_all_users_at_once_and_takes_them_back_at_once() {
    let old = Backend::start(identity("1")).await;
    let new = Backend::start(identity("2")).await;
    let proxy = start("steps = []\napprove = true", &old, &new).await;
    assert_eq!(told(&proxy).await["share"], 0.0);
    assert_eq!(proxy.get("/").await.text(), "1");
    assert_eq!(order(&proxy, "promote").await.1["state"], "promoted");
    assert_eq!(proxy.get("/").await.text(), "2");
    assert_eq!(order(&proxy, "abort").await.1["share"], 0.0);
    assert_eq!(proxy.get("/").await.text(), "1");
    proxy.finish().await;
}

#[tokio::test]
async fn a_proxy_that_was_killed_goes_on_at_its_step() {
    let old = Backend::start(identity("1")).await;
    let new = Backend::start(identity("2")).await;
    let mut proxy = start(ONE_STEP, &old, &new).await;
    becomes(&proxy, "running").await;
    let users = Users::start(proxy.address("web"), 100, Asks::Gets);
    users.reach_all().await;
    let before = users.stop().await;
    let lasted = eventually("the step has lasted for a second", || async {
        let lasted = told(&proxy).await["lasted_ms"].as_u64()?;
        (lasted > 2500).then_some(lasted)
    })
    .await;
    proxy.signal(Signal::KILL);
    proxy.exited().await;
    proxy.start_again().await;
    let after = told(&proxy).await;
    assert_eq!(
        (&after["state"], &after["share"]),
        (&"running".into(), &0.25.into())
    );
    let resumed = after["lasted_ms"].as_u64().unwrap();
    assert!(resumed + 2500 > lasted && resumed > 0, "{resumed} {lasted}");
    assert!(
        after["versions"]["candidate"]["rollout"]["requests"].as_u64() > Some(0),
        "{after}"
    );
    let users = Users::start(proxy.address("web"), 100, Asks::Gets);
    users.reach_all().await;
    assert_eq!(users.stop().await.last, before.last);
    proxy.finish().await;
}

#[tokio::test]
async fn an_edit_in_mid_rollout_keeps_the_share() {
    let old = Backend::start(identity("1")).await;
    let new = Backend::start(identity("2")).await;
    let mut proxy = start(ONE_STEP, &old, &new).await;
    becomes(&proxy, "running").await;
    let more = ONE_STEP.replace(
        "{ share = \"25%\", hold = \"1h\" }",
        "{ share = \"1%\", hold = \"1h\" }, { share = \"25%\", hold = \"2h\" }",
    );
    proxy.reload(&text(&more)).await;
    let edited = eventually("the rollout follows the edit", || async {
        let told = told(&proxy).await;
        (told["steps"][1]["hold_ms"] == 7_200_000 && told["step"] == 2).then_some(told)
    })
    .await;
    assert_eq!(edited["share"], 0.25);
    // Another candidate is another rollout.
    let other = text(&more).replace("candidate = \"^2\"", "candidate = \"^3\"");
    let before = proxy.generation().await;
    proxy.replace(&other);
    proxy.generation_passes(before).await;
    assert_eq!(becomes(&proxy, "pending").await["share"], 0.0);
    proxy.finish().await;
}

#[tokio::test]
async fn an_upgrade_of_the_binary_hands_the_progress_over() {
    let old = Backend::start(identity("1")).await;
    let new = Backend::start(identity("2")).await;
    let without = text(ONE_STEP).replace("state_dir = \"state\"", "");
    let settings = Settings::new(&without);
    let proxy = settings
        .backend("old", &old)
        .backend("new", &new)
        .start()
        .await;
    let before = eventually("time of the step has passed", || async {
        let lasted = told(&proxy).await["lasted_ms"].as_u64();
        lasted.filter(|lasted| *lasted > 0)
    })
    .await;
    proxy.upgrade().await;
    let after = told(&proxy).await;
    assert_eq!(
        (&after["state"], &after["share"]),
        (&"running".into(), &0.25.into())
    );
    assert!(after["lasted_ms"].as_u64() >= Some(before), "{after}");
    proxy.all_end().await;
}
