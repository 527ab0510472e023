//! Many attackers at once, and an honest client among them.
//!
//! Prints what the honest client waits before and during the attack, and the memory of the proxy.
//! Time is not asserted: other tests run beside this one.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::harness::{Backend, Proxy, Settings, answer_bytes};

const ALL: &str = r#"
    [listeners.web]
    address = "$web"
    timeouts = { head = "3s", body_idle = "3s" }
    [routes.all]
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
"#;

/// An attack by one connection, again and again.
type Attack = fn(SocketAddr, u32) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

const ATTACKS: [(&str, u32, Attack); 8] = [
    ("idle connections", 300, |to, _| {
        Box::pin(slowly(to, b"", b""))
    }),
    ("slow heads", 40, |to, _| {
        Box::pin(slowly(to, b"GET / HTTP/1.1\r\nhost: a\r\n", b"x: y\r\n"))
    }),
    ("slow bodies", 20, |to, _| {
        let head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n";
        Box::pin(slowly(to, head, b"x"))
    }),
    ("heads of uploads without a body", 30, |to, _| {
        let head = b"PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n";
        Box::pin(slowly(to, head, b""))
    }),
    ("chunks of one byte", 4, |to, _| {
        let head = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
        Box::pin(quickly(to, head, b"1\r\nx\r\n"))
    }),
    ("readers that stand still", 20, |to, _| {
        Box::pin(slowly(to, b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n", b""))
    }),
    ("pipelines that nobody reads", 4, |to, _| {
        let request = b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n";
        Box::pin(quickly(to, b"", request))
    }),
    ("rapid resets", 2, |to, _| Box::pin(resets(to))),
];

/// Sends the first bytes at once and then the rest one by one, and reads nothing.
async fn slowly(to: SocketAddr, first: &'static [u8], then: &'static [u8]) {
    let Ok(mut stream) = TcpStream::connect(to).await else {
        return sleep(PAUSE).await;
    };
    if stream.write_all(first).await.is_err() {
        return;
    }
    for _ in 0..20 {
        sleep(PAUSE).await;
        if stream.write_all(then).await.is_err() {
            return;
        }
    }
}

/// Sends as fast as the proxy takes it, and reads nothing.
async fn quickly(to: SocketAddr, first: &'static [u8], then: &'static [u8]) {
    let Ok(mut stream) = TcpStream::connect(to).await else {
        return sleep(PAUSE).await;
    };
    let _ = stream.write_all(first).await;
    for _ in 0..2000 {
        if stream.write_all(then).await.is_err() {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
}

/// Opens HTTP/2 streams and resets each at once.
async fn resets(to: SocketAddr) {
    let Ok(stream) = TcpStream::connect(to).await else {
        return sleep(PAUSE).await;
    };
    let (mut reader, mut writer) = stream.into_split();
    tokio::spawn(async move {
        let mut taken = [0; 4096];
        while matches!(reader.read(&mut taken).await, Ok(1..)) {}
    });
    let mut begun = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    begun.extend(frame(4, 0, 0, &[]));
    let _ = writer.write_all(&begun).await;
    // GET, http, `/` and the authority "a", by the static table.
    let head = [0x82, 0x86, 0x84, 0x41, 0x01, b'a'];
    for stream in (1..4001).step_by(2) {
        let mut pair = frame(1, 0x5, stream, &head);
        pair.extend(frame(3, 0, stream, &[0, 0, 0, 8]));
        if writer.write_all(&pair).await.is_err() {
            return;
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Makes the requests of an honest client over HTTP/1.1 and HTTP/2 in turn; returns the times that
/// it waited, ascending.
async fn honest(proxy: &Proxy, requests: usize) -> Vec<Duration> {
    let mut client = proxy.client().await;
    let mut h2 = proxy.h2_client().await;
    let mut waits = Vec::new();
    for number in 0..requests {
        let since = Instant::now();
        if number % 2 == 0 {
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

#[tokio::test]
#[ignore = "a campaign, which needs the machine for itself: --release -- --ignored --nocapture"]
async fn an_honest_client_is_served_and_memory_stays_bounded_under_every_attack_at_once() {
    let large = "x".repeat(1 << 20);
    let app = Backend::start(move |seen| match seen.target.as_str() {
        "/large" => answer_bytes(&format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{large}",
            large.len()
        )),
        _ => answer_bytes("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let to = proxy.address("web");
    let quiet = honest(&proxy, 100).await;
    let before = proxy.memory();
    proxy.forget_memory_peak();
    let mut attackers = JoinSet::new();
    for (name, connections, attack) in ATTACKS {
        // One of them alone.
        if std::env::var("ATTACK").is_ok_and(|only| !name.contains(&only)) {
            continue;
        }
        for number in 0..connections {
            attackers.spawn(async move {
                loop {
                    attack(to, number).await;
                    // The attackers share a thread with the honest client.
                    sleep(Duration::from_millis(20)).await;
                }
            });
        }
    }
    sleep(Duration::from_secs(1)).await;
    let attacked = honest(&proxy, 200).await;
    let peak = proxy.memory_peak();
    attackers.shutdown().await;
    let at = |waits: &[Duration], share: usize| waits[waits.len() * share / 100];
    eprintln!(
        "honest client: median {:?} and 95 % {:?} before, {:?} and {:?} under attack; memory {} MiB, at most {} MiB",
        at(&quiet, 50),
        at(&quiet, 95),
        at(&attacked, 50),
        at(&attacked, 95),
        before >> 20,
        peak >> 20,
    );
    let connections: u32 = ATTACKS.iter().map(|(_, connections, _)| connections).sum();
    // Each holds at most what a reader that stands still may hold, and most hold far less.
    let bound = before + u64::from(connections) * (64 << 10);
    assert!(
        peak < bound,
        "{} MiB, bound {} MiB",
        peak >> 20,
        bound >> 20
    );
    let after = honest(&proxy, 20).await;
    assert_eq!(after.len(), 20);
    proxy.finish().await;
}

const PAUSE: Duration = Duration::from_millis(200);
