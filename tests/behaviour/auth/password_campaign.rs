//! Waits of users beside a flood of wrong passwords, printed.
//!
//! Run with `bash tests/campaign passwords`. Times are not asserted: other tests run beside this one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::basic;
use crate::harness::{Backend, Client, Settings, answer};

/// `hunter2`, by bcrypt with cost 10, as `htpasswd -B -C 10` makes it; without optimisation one takes
/// seconds, so that only the form of the campaign can be tried, with cost 5.
const HASH: &str = if cfg!(debug_assertions) {
    "$2y$05$cglV4G/31VZcCzxGtr7ajO1ipP8qzjjrtxMuXwD08mJ6wLcto3nLW"
} else {
    "$2y$10$OS5eJwTDytMcK6hJyIuYfeyV/rjzsj.bF5Gvz0fSyApoFfaVEn8RO"
};
const ROUTES: &str = r#"
    [proxy]
    trusted_proxies = ["127.0.0.0/8"]
    [listeners.web]
    address = "$web"
    [routes.basic]
    path_prefix = "/basic"
    pool = "app"
    auth = { basic = { file = "users" } }
    [routes.open]
    path_prefix = "/open"
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
"#;
/// Users who come for the first time while the flood lasts.
const NEWCOMERS: usize = 40;
const ATTACKERS: usize = 32;
const REQUESTS: usize = 2000;

#[tokio::test]
#[ignore = "a campaign: loads the machine, prints figures"]
async fn users_do_not_wait_for_those_who_guess() {
    let app = Backend::start(|_| answer("fine")).await;
    let settings = Settings::new(ROUTES).backend("app", &app);
    fs::write(settings.folder().join("users"), users()).unwrap();
    let proxy = settings.start().await;
    let address = proxy.address("web");
    let known = async |target: &str| {
        let mut client = proxy.client().await;
        let (mut waits, lines) = (Vec::new(), basic("anna", "hunter2"));
        for _ in 0..REQUESTS {
            let start = Instant::now();
            let got = client.request("GET", target, &lines, b"").await;
            assert_eq!(got.status, 200);
            waits.push(start.elapsed());
        }
        told(waits)
    };
    let newcomers = async |first: usize| {
        let (mut waits, mut statuses) = (Vec::new(), BTreeMap::<u16, u32>::new());
        for number in first..first + NEWCOMERS {
            let mut client = proxy.client().await;
            let lines = basic(&format!("new{number}"), "hunter2");
            let lines = format!("{lines}x-forwarded-for: 198.51.100.{number}\n");
            let start = Instant::now();
            let got = client.request("GET", "/basic/1", &lines, b"").await;
            waits.push(start.elapsed());
            *statuses.entry(got.status).or_default() += 1;
        }
        (told(waits), statuses)
    };
    known("/basic/1").await;
    let alone = (
        known("/open/1").await,
        known("/basic/1").await,
        newcomers(0).await,
    );
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut flood = JoinSet::new();
    for attacker in 0..ATTACKERS {
        let stopped = stopped.clone();
        flood.spawn(async move {
            let mut statuses = BTreeMap::<u16, u32>::new();
            let mut client = Client::connect(address).await;
            for number in 0.. {
                if *stopped.borrow() {
                    break;
                }
                let wrong = basic("anna", &format!("{attacker}-{number}"));
                let lines = format!("{wrong}x-forwarded-for: 192.0.2.{attacker}\n");
                let got = client.request("GET", "/basic/1", &lines, b"").await;
                *statuses.entry(got.status).or_default() += 1;
            }
            statuses
        });
    }
    let beside = (
        known("/open/1").await,
        known("/basic/1").await,
        newcomers(NEWCOMERS).await,
    );
    stop.send_replace(true);
    let mut statuses = BTreeMap::<u16, u32>::new();
    while let Some(ended) = flood.join_next().await {
        for (status, count) in ended.unwrap() {
            *statuses.entry(status).or_default() += count;
        }
    }
    eprintln!("p50, p99, max: without a password, known users, users who come and their answers");
    eprintln!("alone:            {alone:?}");
    eprintln!("beside the flood: {beside:?}");
    eprintln!("answers to the flood: {statuses:?}");
    assert!(!statuses.contains_key(&200));
    proxy.finish().await;
}

fn users() -> String {
    let mut users = format!("anna:{HASH}\n");
    for number in 0..NEWCOMERS * 2 {
        writeln!(users, "new{number}:{HASH}").unwrap();
    }
    users
}

fn told(mut waits: Vec<Duration>) -> [Duration; 3] {
    waits.sort();
    [50, 99, 100].map(|percent| waits[(waits.len() - 1) * percent / 100])
}
