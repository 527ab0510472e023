//! Attackers, one kind after the other and all at once, and an honest client among them.
//!
//! Prints the honest client's times before and during each attack, and the memory of the proxy.
//! The attackers share the machine with the proxy and the client. Each attack therefore has a
//! control: a thread that burns as much CPU as its attackers did, and does not touch the proxy. What the
//! client waits beyond that is the proxy's part, and has a bound.

mod attackers;
mod attacks;
mod scrape;

use std::{sync::Arc, time::Duration};

use rustix::process::{Resource, getrlimit};
use rustls::ClientConnection;
use tokio::time::{Instant, sleep};

use crate::harness::{Authority, Backend, Proxy, Settings, answer_bytes, eventually};
use attackers::{Attackers, Burning};
use attacks::{ATTACKS, Attack, IDLE, Target};

const ALL: &str = r#"
    [proxy]
    workers = 2
    [listeners.web]
    address = "$web"
    timeouts = { head = "3s", body_idle = "3s" }
    [listeners.secure]
    address = "$secure"
    [listeners.secure.tls]
    certificates = [{ chain = "a.pem", key = "a.key" }]
    [routes.all]
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
"#;

/// Figures of one attack.
struct Figures {
    name: &'static str,
    connections: usize,
    waits: Waits,
    /// Times of the client while the CPU of the attackers alone is burnt.
    control: Waits,
    /// Share of a core that the attackers, and the proxy, have used.
    cores: (f64, f64),
    memory_peak: u64,
}

/// Times that a client waited, ascending.
struct Waits(Vec<Duration>);

impl Waits {
    /// The time, in milliseconds, that so many of a hundred requests do not exceed.
    fn at(&self, share: usize) -> f64 {
        self.0[self.0.len() * share / 100].as_secs_f64() * 1000.0
    }

    fn median(&self) -> f64 {
        self.at(50)
    }
}

/// Makes requests of an honest client for this time, over HTTP/1.1 and HTTP/2 in turn.
async fn honest(proxy: &Proxy, time: Duration) -> Waits {
    let mut client = proxy.client().await;
    let mut h2 = proxy.h2_client().await;
    let mut waits = Vec::new();
    let end = Instant::now() + time;
    while Instant::now() < end {
        let since = Instant::now();
        if waits.len() % 2 == 0 {
            let answer = client.get("/").await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        } else {
            let answer = h2.request("GET", "/", &[], b"").await.expect("an answer");
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        waits.push(since.elapsed());
        sleep(Duration::from_millis(5)).await;
    }
    waits.sort();
    Waits(waits)
}

/// Returns the attacks that are asked for, with no more connections than descriptors.
fn chosen() -> Vec<Attack> {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    // The proxy takes at most half of what it may open.
    let room = usize::try_from(descriptors / 2).unwrap_or(usize::MAX);
    let only = std::env::var("ATTACK").unwrap_or_default();
    let chosen = ATTACKS.into_iter().filter(|it| it.name.contains(&only));
    let fitting = chosen.map(|attack| match attack.connections {
        IDLE => Attack {
            connections: IDLE.min(room.saturating_sub(1500)),
            ..attack
        },
        _ => attack,
    });
    fitting.collect()
}

async fn start() -> (Proxy, Backend, Arc<Target>) {
    let large = "x".repeat(1 << 20);
    let app = Backend::start(move |seen| match seen.target.as_str() {
        "/large" => answer_bytes(&format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{large}",
            large.len()
        )),
        _ => answer_bytes("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
    })
    .await;
    let authority = Authority::new("test authority");
    let settings = Settings::new(ALL).backend("app", &app);
    let certificate = authority.issue("shop", &["shop.example"]);
    certificate.write(settings.folder(), "a");
    let proxy = settings.start().await;
    let client = Arc::new(authority.client(None, &["h2"]));
    let name = "shop.example".try_into().unwrap();
    let mut hello = Vec::new();
    let mut session = ClientConnection::new(client, name).unwrap();
    session.write_tls(&mut hello).unwrap();
    let target = Arc::new(Target {
        web: proxy.address("web"),
        secure: proxy.address("secure"),
        hello,
    });
    (proxy, app, target)
}

/// Has the attacks made together, and the honest client among them; then the control.
async fn under(
    proxy: &Proxy,
    name: &'static str,
    attacks: &[Attack],
    target: &Arc<Target>,
    time: Duration,
) -> Figures {
    proxy.forget_memory_peak();
    let attackers = Attackers::start(attacks, target);
    sleep(Duration::from_secs(1)).await;
    let (since, used, burnt) = (Instant::now(), proxy.cpu_ms(), attackers.cpu());
    let waits = honest(proxy, time).await;
    let took = since.elapsed().as_secs_f64();
    let share = (attackers.cpu() - burnt).as_secs_f64() / took;
    let of_proxy = (proxy.cpu_ms() - used) as f64 / 1000.0 / took;
    let memory_peak = proxy.memory_peak();
    drop(attackers);
    eventually("the attackers are gone", || async {
        let open = proxy.metric("sluicegate_connections", &[]).await;
        (open < 1.0).then_some(())
    })
    .await;
    let burning = Burning::start(share);
    let control = honest(proxy, time).await;
    drop(burning);
    Figures {
        name,
        connections: attacks.iter().map(|it| it.connections).sum(),
        waits,
        control,
        cores: (share, of_proxy),
        memory_peak,
    }
}

fn print(quiet: &Waits, before: u64, figures: &[Figures]) {
    eprintln!(
        "\n{:28} {:>6} {:>7} {:>7} {:>8} {:>8} {:>7} {:>7} {:>7} {:>5} {:>7}",
        "attack",
        "conns",
        "p50 ms",
        "p99 ms",
        "control",
        "its p99",
        "× quiet",
        "× ctrl",
        "attack",
        "proxy",
        "MiB"
    );
    let (median, late, mib) = (quiet.median(), quiet.at(99), before >> 20);
    eprintln!(
        "{:28} {:>6} {median:>7.2} {late:>7.2} {:>57}",
        "none", 2, mib
    );
    for it in figures {
        eprintln!(
            "{:28} {:>6} {:>7.2} {:>7.2} {:>8.2} {:>8.2} {:>7.1} {:>7.1} {:>6.0}% {:>4.0}% {:>7}",
            it.name,
            it.connections,
            it.waits.median(),
            it.waits.at(99),
            it.control.median(),
            it.control.at(99),
            it.waits.median() / quiet.median(),
            it.waits.median() / it.control.median(),
            it.cores.0 * 100.0,
            it.cores.1 * 100.0,
            it.memory_peak >> 20,
        );
    }
}

#[tokio::test]
#[ignore = "a campaign, which needs the machine for itself: bash tests/campaign attacks"]
async fn an_honest_client_is_served_and_memory_stays_bounded_under_every_attack_at_once() {
    let seconds = std::env::var("ATTACK_SECONDS").map_or(5, |it| it.parse().unwrap());
    let time = Duration::from_secs(seconds);
    let (proxy, _app, target) = start().await;
    // What the first requests pay for is not the quiet.
    honest(&proxy, Duration::from_millis(500)).await;
    let quiet = honest(&proxy, time).await;
    let before = proxy.memory();
    let attacks = chosen();
    let mut figures = Vec::new();
    for attack in &attacks {
        figures.push(under(&proxy, attack.name, &[*attack], &target, time).await);
    }
    if attacks.len() > 1 {
        // Together they would need more descriptors than there may be.
        let share = |it: &Attack| Attack {
            connections: if it.connections >= 1000 {
                3000
            } else {
                it.connections
            },
            ..*it
        };
        let all: Vec<Attack> = attacks.iter().map(share).collect();
        figures.push(under(&proxy, "all at once", &all, &target, time).await);
    }
    print(&quiet, before, &figures);
    let mut beyond = Vec::new();
    for it in &figures {
        if it.memory_peak > MEMORY_MAX {
            beyond.push(format!("{}: {} MiB", it.name, it.memory_peak >> 20));
        }
        let usual = quiet.median().max(it.control.median());
        if it.waits.median() > usual * TIMES_MAX {
            beyond.push(format!("{}: {} ms", it.name, it.waits.median()));
        }
    }
    assert!(beyond.is_empty(), "beyond the bounds: {beyond:?}");
    assert!(
        !honest(&proxy, Duration::from_millis(200))
            .await
            .0
            .is_empty()
    );
    proxy.finish().await;
}

/// Resident memory of the proxy under any of the attacks: docs/operations/limits.md says so.
const MEMORY_MAX: u64 = 128 << 20;
/// Median time of an honest client under attack, as a multiple of that without the attack, or of
/// that with the attackers' CPU burnt, whichever is longer.
const TIMES_MAX: f64 = 3.0;
