//! A fleet whose leader, store or network is gone.

use rustix::process::Signal;

use super::{
    Fleet, ONE_STEP, are_served, fits, in_the_end, member, order,
    store::{Store, at},
};
use crate::harness::{
    Act, Backend, Consul, Etcd, Proxy, Relay, Seen, Settings, answer, answer_bytes, identity,
};
use crate::rollouts::{
    failing, told,
    users::{Asks, Users},
};

/// Two steps of which the first one lasts longer than a lease.
const LONG_STEPS: &str = r#"
    steps = [{ share = "20%", hold = "10s" }, { share = "50%", hold = "1s" }]
    gate = { volume_min = 30 }
"#;

async fn a_leader_is_killed(store: Store) {
    let new = Backend::start(identity("2")).await;
    let mut fleet = Fleet::start(&store, LONG_STEPS, new).await;
    fleet.share_becomes(0.2).await;
    let leader = fleet.leader().await;
    let mut dead = fleet.proxies.remove(leader);
    let users = fleet.users();
    fits(&fleet.proxies[0], "requests are counted", |told| {
        told["versions"]["candidate"]["rollout"]["requests"].as_u64() > Some(10)
    })
    .await;
    let before = told(&fleet.proxies[0]).await;
    dead.signal(Signal::KILL);
    dead.exited().await;
    in_the_end("another proxy leads", async || {
        let mut leads = 0;
        for proxy in &fleet.proxies {
            let fleet = &told(proxy).await["fleet"];
            leads += usize::from(fleet["role"] == "leader");
        }
        (leads == 1).then_some(())
    })
    .await;
    let after = told(&fleet.proxies[0]).await;
    let requests =
        |told: &serde_json::Value| told["versions"]["candidate"]["rollout"]["requests"].as_u64();
    assert!(requests(&after) >= requests(&before), "{before} {after}");
    fleet.become_all_in_the_end("promoted").await;
    are_served(users).await;
    // The dead one comes back, and takes up what the others have.
    dead.start_again().await;
    fits(&dead, "the one that was killed follows", |told| {
        told["state"] == "promoted" && told["fleet"]["role"] == "follower"
    })
    .await;
    fleet.proxies.push(dead);
    fleet.finish().await;
}

#[tokio::test]
async fn a_killed_leader_costs_a_lease_and_no_request_with_etcd() {
    a_leader_is_killed(Store::Etcd(Etcd::start().await)).await;
}

#[tokio::test]
async fn a_killed_leader_costs_a_session_and_no_request_with_consul() {
    a_leader_is_killed(Store::Consul(Consul::start().await)).await;
}

async fn a_store_is_away(mut store: Store) {
    let new = Backend::start(identity("2")).await;
    let steps = r#"
        steps = [{ share = "20%", hold = "2s" }]
        gate = { volume_min = 1 }
    "#;
    let fleet = Fleet::start(&store, steps, new).await;
    fleet.share_becomes(0.2).await;
    store.kill();
    let users = fleet.users();
    for proxy in &fleet.proxies {
        proxy
            .metric_becomes("sluicegate_rollout_store_up", &[], 0.0)
            .await;
        proxy
            .log_says("the store of rollouts does not answer")
            .await;
    }
    // Longer than the step would be.
    fits(&fleet.proxies[0], "the store is long away", |told| {
        told["fleet"]["store_answered_ms"].as_u64() > Some(4000)
    })
    .await;
    for proxy in &fleet.proxies {
        let told = told(proxy).await;
        assert_eq!(told["share"], 0.2, "{told}");
        assert!(told["fleet"]["store_error"].is_string(), "{told}");
        let (status, told) = order(proxy, "promote").await;
        assert_eq!(status, 409, "{told}");
        let why = told.to_string();
        assert!(why.contains("does not answer"), "{why}");
    }
    store.run().await;
    fleet.become_all_in_the_end("promoted").await;
    are_served(users).await;
    fleet.finish().await;
}

#[tokio::test]
async fn while_etcd_is_away_shares_stay_and_no_request_waits() {
    a_store_is_away(Store::Etcd(Etcd::start().await)).await;
}

#[tokio::test]
async fn while_consul_is_away_shares_stay_and_no_request_waits() {
    a_store_is_away(Store::Consul(Consul::start().await)).await;
}

#[tokio::test]
async fn a_version_that_fails_while_the_store_is_away_loses_its_users_at_each_proxy() {
    let mut store = Store::Etcd(Etcd::start().await);
    let new = Backend::start(|seen: &Seen| match &*seen.target {
        "/good" => answer("2"),
        _ => answer_bytes("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"),
    })
    .await;
    let fleet = Fleet::start(&store, ONE_STEP, new).await;
    fleet.become_all("running").await;
    store.kill();
    let proxy = &fleet.proxies[0];
    let users = Users::start(proxy.address("web"), 100, Asks::Gets);
    let held = fits(proxy, "this proxy protects its users", |told| {
        told["fleet"]["held_back"].is_string()
    })
    .await;
    assert_eq!(
        (&held["state"], &held["share"]),
        (&"running".into(), &0.0.into())
    );
    users.reach_all().await;
    users.stop().await;
    for user in 0..40 {
        let lines = format!("x-user: user-{user}\n");
        assert_eq!(proxy.request("GET", "/", &lines, b"").await.text(), "1");
    }
    // One that has seen nothing bad goes on as it was.
    assert_eq!(told(&fleet.proxies[1]).await["share"], 0.25);
    store.run().await;
    // What one saw counts for all.
    fleet.become_all("rolled_back").await;
    fleet.finish().await;
}

#[tokio::test]
async fn a_leader_that_is_cut_off_stops_leading_and_follows_again() {
    let etcd = Etcd::start().await;
    let relay = Relay::start(etcd.address()).await;
    let store = Store::Etcd(etcd);
    let slow = |_: &Seen| -> Vec<Act> { answer("2") };
    let new = Backend::start(slow).await;
    let old = Backend::start(identity("1")).await;
    let mut fleet = Fleet {
        old,
        new,
        rollout: ONE_STEP.to_owned(),
        proxies: Vec::new(),
    };
    fleet
        .add("cut", &at(&format!("http://{}", relay.address())))
        .await;
    assert_eq!(fleet.leader().await, 0);
    fleet.add("b", &store.table()).await;
    fleet.add("c", &store.table()).await;
    fleet.become_all("running").await;
    relay.stop_passing();
    fits(&fleet.proxies[1], "another one leads", |told| {
        let leader = told["fleet"]["leader"].as_str();
        leader.is_some_and(|it| it != "cut")
    })
    .await;
    assert_eq!(told(&fleet.proxies[0]).await["fleet"]["role"], "follower");
    assert_eq!(order(&fleet.proxies[1], "promote").await.0, 200);
    fits(&fleet.proxies[2], "the others go on", |told| {
        told["state"] == "promoted"
    })
    .await;
    assert_eq!(told(&fleet.proxies[0]).await["share"], 0.25);
    relay.pass_again();
    fleet.become_all("promoted").await;
    fleet.leader().await;
    fleet.finish().await;
}

#[tokio::test]
async fn an_edit_that_reached_one_proxy_moves_nothing_until_most_have_it() {
    let store = Store::Etcd(Etcd::start().await);
    let new = Backend::start(identity("2")).await;
    let mut fleet = Fleet::start(&store, ONE_STEP, new).await;
    fleet.become_all("running").await;
    let edited = ONE_STEP.replace(r#"hold = "1h""#, r#"hold = "2h""#);
    let table = store.table();
    let leader = fleet.leader().await;
    let edit = |name: &str| member(name, &table, &edited);
    let names = ["a", "b", "c"];
    fleet.proxies[leader].reload(&edit(names[leader])).await;
    fits(&fleet.proxies[leader], "it is alone with it", |told| {
        let foreign = told["fleet"]["foreign"].as_str();
        foreign.is_some_and(|it| it.contains("another definition"))
            && told["fleet"]["role"] == "follower"
    })
    .await;
    assert_eq!(told(&fleet.proxies[leader]).await["share"], 0.25);
    assert_eq!(order(&fleet.proxies[leader], "promote").await.0, 409);
    for place in (0..3).filter(|place| *place != leader) {
        fleet.proxies[place].reload(&edit(names[place])).await;
    }
    for proxy in &fleet.proxies {
        fits(proxy, "all follow the edit", |told| {
            told["fleet"]["foreign"].is_null()
                && told["steps"][0]["hold_ms"] == 7_200_000
                && told["fleet"]["leader"].is_string()
        })
        .await;
        assert_eq!(told(proxy).await["share"], 0.25);
    }
    fleet.finish().await;
}

#[tokio::test]
async fn a_leader_that_stops_or_hands_over_gives_its_lead_up_at_once() {
    let etcd = Etcd::start().await;
    let long = at(&etcd.url()).replace("5s", "1m");
    let new = Backend::start(identity("2")).await;
    let old = Backend::start(identity("1")).await;
    let mut fleet = Fleet {
        old,
        new,
        rollout: ONE_STEP.to_owned(),
        proxies: Vec::new(),
    };
    for name in ["a", "b"] {
        fleet.add(name, &long).await;
    }
    fleet.become_all("running").await;
    let leader = fleet.leader().await;
    let epochs = |etcd: &Etcd| {
        etcd.ctl(&[
            "get",
            "--prefix",
            "--print-value-only",
            "edge/rollouts/state/orders/leader",
        ])
    };
    let before = epochs(&etcd);
    fleet.proxies[leader].upgrade().await;
    fits(&fleet.proxies[1 - leader], "somebody leads again", |_| {
        let now = epochs(&etcd);
        !now.is_empty() && now != before
    })
    .await;
    fleet.become_all("running").await;
    let leader = fleet.leader().await;
    let stopped = fleet.proxies.remove(leader);
    let name = ["a", "b"][leader];
    stopped.all_end().await;
    fits(&fleet.proxies[0], "the other one leads", |told| {
        told["fleet"]["leader"].as_str() != Some(name) && told["fleet"]["role"] == "leader"
    })
    .await;
    fleet.finish().await;
}

/// Enough for a report, and too little for a record.
const SMALL: usize = 700;

/// One proxy of a fleet.
async fn alone(consul: &Consul, old: &Backend, new: &Backend) -> Proxy {
    let place = format!(
        r#"{{ consul = {{ address = "http://{}", prefix = "edge/rollouts/" }} }}"#,
        consul.address()
    );
    let settings = Settings::new(&member("a", &place, ONE_STEP)).backend("old", old);
    settings.backend("new", new).start().await
}

#[tokio::test]
async fn a_value_that_the_store_refuses_is_told_as_a_refusal_and_not_as_silence() {
    let mut consul = Consul::start_with_limit(SMALL).await;
    let old = Backend::start(identity("1")).await;
    let new = Backend::start(identity("2")).await;
    let proxy = alone(&consul, &old, &new).await;
    proxy
        .log_says("the store of rollouts refuses a value")
        .await;
    let shown = fits(&proxy, "the refusal is shown", |told| {
        told["fleet"]["store_error"].is_string()
    })
    .await;
    let why = shown["fleet"]["store_error"].as_str().unwrap();
    assert!(why.contains("413"), "{why}");
    // The store is there all the time.
    let up = proxy.metric("sluicegate_rollout_store_up", &[]).await;
    assert!((up - 1.0).abs() < f64::EPSILON, "{up}");
    let log = proxy.log();
    assert!(!log.contains("does not answer"), "{log}");
    assert_eq!(
        log.matches("refuses a value").count(),
        1,
        "told once: {log}"
    );
    assert_eq!(proxy.get("/").await.text(), "1");
    consul.restart_with_limit(None).await;
    in_the_end("the record is written", async || {
        (told(&proxy).await["state"] == "running").then_some(())
    })
    .await;
    proxy
        .log_says("the store of rollouts takes values again")
        .await;
    fits(&proxy, "nothing is refused", |told| {
        told["fleet"]["store_error"].is_null()
    })
    .await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_proxy_whose_record_is_refused_protects_its_users_alone() {
    let mut consul = Consul::start().await;
    let old = Backend::start(identity("1")).await;
    let new = Backend::start(failing(1)).await;
    let proxy = alone(&consul, &old, &new).await;
    fits(&proxy, "it runs", |told| told["state"] == "running").await;
    consul.restart_with_limit(Some(SMALL)).await;
    let users = Users::start(proxy.address("web"), 100, Asks::Gets);
    let held = in_the_end("this proxy protects its users", async || {
        let told = told(&proxy).await;
        let fleet = &told["fleet"];
        let is_refused = fleet["store_error"].to_string().contains("413");
        (is_refused && fleet["held_back"].is_string()).then_some(told)
    })
    .await;
    assert_eq!(
        (&held["state"], &held["share"]),
        (&"running".into(), &0.0.into())
    );
    users.stop().await;
    proxy.finish().await;
}
