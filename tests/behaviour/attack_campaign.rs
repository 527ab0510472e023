//! Attackers, one kind after the other and all at once, and an honest client among them.
//!
//! Prints what the honest client waits before and during each attack, and the memory of the proxy.
//! Time is not asserted: it depends on what else the machine does.

mod attacks;

use std::{sync::Arc, thread, time::Duration};

use rustix::process::{Resource, getrlimit};
use rustls::ClientConnection;
use tokio::{
    sync::oneshot,
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::harness::{Authority, Backend, Proxy, Settings, answer_bytes, eventually};
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

/// Attackers at work, on a thread of their own.
struct Attackers {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// Figures of one attack.
struct Figures {
    name: &'static str,
    connections: usize,
    waits: Vec<Duration>,
    memory_peak: u64,
}

impl Attackers {
    fn start(attacks: &[Attack], target: &Arc<Target>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (attacks, target) = (attacks.to_vec(), Arc::clone(target));
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let mut attackers = JoinSet::new();
                for Attack {
                    connections,
                    connection,
                    ..
                } in attacks
                {
                    for _ in 0..connections {
                        let target = Arc::clone(&target);
                        attackers.spawn(async move {
                            loop {
                                connection(Arc::clone(&target)).await;
                                sleep(Duration::from_millis(20)).await;
                            }
                        });
                    }
                }
                let _ = stopped.await;
                attackers.shutdown().await;
            });
        };
        Self {
            stop: Some(stop),
            thread: Some(thread::spawn(work)),
        }
    }
}

impl Drop for Attackers {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Makes requests of an honest client for this time, over HTTP/1.1 and HTTP/2 in turn; returns the
/// times that it waited, ascending.
async fn honest(proxy: &Proxy, time: Duration) -> Vec<Duration> {
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
    waits
}

fn at(waits: &[Duration], share: usize) -> f64 {
    waits[waits.len() * share / 100].as_secs_f64() * 1000.0
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

/// Has the attacks made together, and the honest client among them.
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
    let waits = honest(proxy, time).await;
    let memory_peak = proxy.memory_peak();
    drop(attackers);
    eventually("the attackers are gone", || async {
        let open = proxy.metric("sluicegate_connections", &[]).await;
        (open < 1.0).then_some(())
    })
    .await;
    Figures {
        name,
        connections: attacks.iter().map(|it| it.connections).sum(),
        waits,
        memory_peak,
    }
}

#[tokio::test]
#[ignore = "a campaign, which needs the machine for itself: bash tests/campaign attacks"]
async fn an_honest_client_is_served_and_memory_stays_bounded_under_every_attack_at_once() {
    let seconds = std::env::var("ATTACK_SECONDS").map_or(5, |it| it.parse().unwrap());
    let time = Duration::from_secs(seconds);
    let (proxy, _app, target) = start().await;
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
    eprintln!(
        "\n{:28} {:>11} {:>9} {:>9} {:>8} {:>10} {:>12}",
        "attack", "connections", "median ms", "95 % ms", "× quiet", "MiB peak", "KiB a conn."
    );
    let (median, late) = (at(&quiet, 50), at(&quiet, 95));
    let mib = before >> 20;
    eprintln!(
        "{:28} {:>11} {median:>9.2} {late:>9.2} {:>8} {mib:>10}",
        "none", 2, "1.0"
    );
    for it in &figures {
        let (name, connections) = (it.name, it.connections);
        let times = at(&it.waits, 95) / late;
        let grown = it.memory_peak.saturating_sub(before) >> 10;
        eprintln!(
            "{name:28} {connections:>11} {:>9.2} {:>9.2} {times:>8.1} {:>10} {:>12.1}",
            at(&it.waits, 50),
            at(&it.waits, 95),
            it.memory_peak >> 20,
            grown as f64 / connections as f64,
        );
    }
    for it in &figures {
        // A reader that stands still may hold 256 KiB; an idle connection far less. The allocator
        // keeps some of what earlier attacks have used.
        let each: u64 = if it.connections >= 1000 { 24 } else { 256 };
        let bound = before + it.connections as u64 * (each << 10) + (64 << 20);
        assert!(
            it.memory_peak < bound,
            "{}: {} MiB, bound {} MiB",
            it.name,
            it.memory_peak >> 20,
            bound >> 20
        );
    }
    assert!(!honest(&proxy, Duration::from_millis(200)).await.is_empty());
    proxy.finish().await;
}
