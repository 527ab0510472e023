//! Waits of users beside a flood of wrong passwords, printed; the bounds are generous.
//!
//! Run with `bash tests/campaign passwords`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::basic;
use crate::harness::{Backend, Client, Proxy, Settings, answer};

/// `hunter2`, as `htpasswd -B -C COST` makes it.
const COST_5: &str = "$2y$05$cglV4G/31VZcCzxGtr7ajO1ipP8qzjjrtxMuXwD08mJ6wLcto3nLW";
const COST_10: &str = "$2y$10$OS5eJwTDytMcK6hJyIuYfeyV/rjzsj.bF5Gvz0fSyApoFfaVEn8RO";
const COST_12: &str = "$2y$12$ksY8a5RIpY3kSO8RtWpGyO.Uo.oLqBIc5YB4QVFXPDhdhCNgL7BEy";
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
const NEWCOMERS: u8 = 30;
const ATTACKERS: u8 = 32;
const REQUESTS: usize = 2000;
/// Longer than a request waits for the check of its password.
const PATIENCE: Duration = Duration::from_secs(40);

#[tokio::test]
#[ignore = "a campaign: loads the machine, prints figures"]
async fn users_do_not_wait_for_those_who_guess() {
    // Without optimisation a hash takes seconds: there only the form of the campaign can be tried.
    let is_release = !cfg!(debug_assertions) || std::env::var_os("SLUICEGATE_UNDER_TEST").is_some();
    let hashes: &[_] = match is_release {
        true => &[("cost 10", COST_10), ("cost 12", COST_12)],
        false => &[("cost 5", COST_5)],
    };
    for (cost, hash) in hashes {
        for crowd in [false, true] {
            let name = match crowd {
                false => "32 clients that guess",
                true => "32 connections, each guess from another address",
            };
            eprintln!("bcrypt, {cost}; {name}");
            run(hash, crowd, is_release).await;
        }
    }
}

async fn run(hash: &str, crowd: bool, is_release: bool) {
    let app = Backend::start(|_| answer("fine")).await;
    let settings = Settings::new(ROUTES).backend("app", &app);
    fs::write(settings.folder().join("users"), users(hash)).unwrap();
    let proxy = settings.start().await;
    known(&proxy, "/basic/1").await;
    let alone = (
        known(&proxy, "/open/1").await,
        known(&proxy, "/basic/1").await,
        newcomers(&proxy, 0).await,
    );
    let before = proxy.memory();
    let (stop, stopped) = watch::channel(false);
    let mut flood = JoinSet::new();
    for attacker in 0..ATTACKERS {
        flood.spawn(guess(
            proxy.address("web"),
            attacker,
            crowd,
            stopped.clone(),
        ));
    }
    let beside = (
        known(&proxy, "/open/1").await,
        known(&proxy, "/basic/1").await,
        newcomers(&proxy, NEWCOMERS).await,
    );
    stop.send_replace(true);
    let mut statuses = BTreeMap::<u16, u32>::new();
    while let Some(ended) = flood.join_next().await {
        for (status, count) in ended.unwrap() {
            *statuses.entry(status).or_default() += count;
        }
    }
    let grown = proxy.memory_peak().saturating_sub(before);
    eprintln!("  p50, p99, max: without a password, known users, users who come and their answers");
    eprintln!("  alone:            {alone:?}");
    eprintln!("  beside the flood: {beside:?}");
    eprintln!(
        "  answers to the flood: {statuses:?}; memory grew by {} KiB",
        grown >> 10
    );
    assert!(!statuses.contains_key(&200));
    if is_release {
        let generous = |alone: Duration| alone * 5 + Duration::from_millis(20);
        assert!(beside.0[1] <= generous(alone.0[1]), "without a password");
        assert!(beside.1[1] <= generous(alone.1[1]), "known users");
        assert!(grown < 64 << 20, "memory");
        // Half of them wait for a check or two of the flood, and for their own.
        let ([half, ..], answers) = &beside.2;
        let bound = alone.2.0[0] * 6 + Duration::from_millis(200);
        assert!(*half <= bound, "users who come");
        assert_eq!(answers.get(&200), Some(&u32::from(NEWCOMERS)));
    }
    proxy.finish().await;
}

/// Waits of a user whose password was found right before.
async fn known(proxy: &Proxy, target: &str) -> [Duration; 3] {
    let mut client = proxy.client().await;
    let (mut waits, lines) = (Vec::new(), basic("anna", "hunter2"));
    for _ in 0..REQUESTS {
        let start = Instant::now();
        let got = client.request("GET", target, &lines, b"").await;
        assert_eq!(got.status, 200);
        waits.push(start.elapsed());
    }
    told(waits)
}

/// Waits of users who come for the first time, one after the other, and their answers.
async fn newcomers(proxy: &Proxy, first: u8) -> ([Duration; 3], BTreeMap<u16, u32>) {
    let (mut waits, mut statuses) = (Vec::new(), BTreeMap::<u16, u32>::new());
    for number in first..first + NEWCOMERS {
        let mut client = proxy.client().await.patient(PATIENCE);
        let lines = basic(&format!("new{number}"), "hunter2");
        let lines = format!("{lines}x-forwarded-for: 198.51.100.{number}\n");
        let start = Instant::now();
        let got = client.request("GET", "/basic/1", &lines, b"").await;
        waits.push(start.elapsed());
        *statuses.entry(got.status).or_default() += 1;
    }
    (told(waits), statuses)
}

/// Guesses until told to stop; returns the answers.
async fn guess(
    address: std::net::SocketAddr,
    attacker: u8,
    crowd: bool,
    stopped: watch::Receiver<bool>,
) -> BTreeMap<u16, u32> {
    let mut statuses = BTreeMap::<u16, u32>::new();
    let mut client = Client::connect(address).await.patient(PATIENCE);
    for number in 0_u32.. {
        if *stopped.borrow() {
            break;
        }
        let [_, _, high, low] = number.to_be_bytes();
        let from = match crowd {
            true => format!("10.{attacker}.{high}.{low}"),
            false => format!("192.0.2.{attacker}"),
        };
        let wrong = basic("anna", &format!("{attacker}-{number}"));
        let lines = format!("{wrong}x-forwarded-for: {from}\n");
        let got = client.request("GET", "/basic/1", &lines, b"").await;
        *statuses.entry(got.status).or_default() += 1;
    }
    statuses
}

fn users(hash: &str) -> String {
    let mut users = format!("anna:{hash}\n");
    for number in 0..NEWCOMERS * 2 {
        writeln!(users, "new{number}:{hash}").unwrap();
    }
    users
}

fn told(mut waits: Vec<Duration>) -> [Duration; 3] {
    waits.sort();
    [50, 99, 100].map(|percent| waits[(waits.len() - 1) * percent / 100])
}
