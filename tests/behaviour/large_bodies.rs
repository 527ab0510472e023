//! Bodies of any size pass in constant memory, whoever speaks what on either side, and
//! a slow reader holds back the sender and not the proxy's memory.
//!
//! `LARGE_BYTES` says how large; each pair passes that much in both directions.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::harness::{
    Authority, LargeBackend, LargeClient, Protocol, Proxy, Settings, dial, whole,
};

/// The proxy with one endpoint for each protocol, reached by its name as path.
struct Stage {
    proxy: Proxy,
    backends: Vec<LargeBackend>,
    authority: Authority,
}

impl Stage {
    async fn set() -> Self {
        let authority = Authority::new("test authority");
        let issued = authority.issue("app", &["127.0.0.1"]);
        let mut text = LISTENERS.to_owned();
        for protocol in Protocol::ALL {
            let name = protocol.name();
            text += &format!(
                "[routes.{name}]\npath_prefix = \"/{name}\"\npool = \"{name}\"\nbody_max = false\n\
                 [pools.{name}]\nendpoints = [\"${name}\"]\n"
            );
            if protocol.is_http2() {
                text += "protocol = \"h2\"\n";
            }
            if protocol.is_tls() {
                text += "tls = { ca = \"ca.pem\" }\n";
            }
        }
        let mut settings = Settings::new(&text);
        authority.write(settings.folder(), "ca.pem");
        let shop = authority.issue("shop", &["shop.example"]);
        shop.write(settings.folder(), "a");
        let mut backends = Vec::new();
        for protocol in Protocol::ALL {
            let backend = LargeBackend::start(protocol, issued.server(&protocol.alpn())).await;
            settings = settings.address(protocol.name(), backend.address());
            backends.push(backend);
        }
        let stage = Self {
            proxy: settings.start().await,
            backends,
            authority,
        };
        stage.warm_up().await;
        stage
    }

    /// Has every pair pass a little, so that code and tables are in memory before it counts.
    async fn warm_up(&self) {
        for (client, endpoint) in pairs() {
            let mut client = self.client(client).await;
            let up = format!("/{}/up", endpoint.name());
            let down = format!("/{}/down/{WARM}", endpoint.name());
            assert_eq!(client.upload(&up, WARM).await, Ok(whole(WARM)));
            assert_eq!(client.download(&down).await, Ok(whole(WARM)));
        }
        self.proxy.forget_memory_peak();
    }

    async fn client(&self, protocol: Protocol) -> LargeClient {
        let (listener, secure) = if protocol.is_tls() {
            let config = self.authority.client(None, &protocol.alpn());
            ("secure", Some(config))
        } else {
            ("web", None)
        };
        let io = dial(self.proxy.address(listener), secure).await;
        LargeClient::over(io, protocol).await
    }
}

/// Every pair with this client: a body up, a body down, and the memory that it took.
async fn both_ways(client: Protocol) {
    let stage = Stage::set().await;
    let length = large();
    for endpoint in Protocol::ALL {
        let pair = format!("{client:?} to {endpoint:?}");
        let mut sender = stage.client(client).await;
        let up = format!("/{}/up", endpoint.name());
        let down = format!("/{}/down/{length}", endpoint.name());
        for direction in ["up", "down"] {
            let before = stage.proxy.memory();
            stage.proxy.forget_memory_peak();
            let begun = Instant::now();
            let passed = async {
                match direction {
                    "up" => sender.upload(&up, length).await,
                    _ => sender.download(&down).await,
                }
            };
            let passed = timeout(PATIENCE, passed).await;
            assert_eq!(passed, Ok(Ok(whole(length))), "{pair}, {direction}");
            let grown = stage.proxy.memory_peak().saturating_sub(before);
            let rate = (length >> 20) as f64 / begun.elapsed().as_secs_f64();
            eprintln!("{pair}, {direction}: {grown} bytes more, {rate:.0} MiB/s");
            assert!(
                grown < ONE_BODY_MAX,
                "{pair}, {direction}: {grown} bytes more"
            );
        }
    }
    stage.proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_any_size_of_http1_clients_take_constant_memory() {
    both_ways(Protocol::Http1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_any_size_of_http1_clients_over_tls_take_constant_memory() {
    both_ways(Protocol::Http1Tls).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_any_size_of_http2_clients_take_constant_memory() {
    both_ways(Protocol::Http2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_any_size_of_http2_clients_over_tls_take_constant_memory() {
    both_ways(Protocol::Http2Tls).await;
}

fn pairs() -> impl Iterator<Item = (Protocol, Protocol)> {
    Protocol::ALL
        .into_iter()
        .flat_map(|client| Protocol::ALL.map(|endpoint| (client, endpoint)))
}

/// Waits until nothing moves any more, and sees that it stays so.
async fn come_to_rest(moved: impl Fn() -> u64) -> u64 {
    let begun = Instant::now();
    let mut last = (moved(), Instant::now());
    while last.1.elapsed() < STILL {
        assert!(
            begun.elapsed() < PATIENCE,
            "{} bytes, and still moving",
            last.0
        );
        sleep(Duration::from_millis(20)).await;
        let now = moved();
        if now != last.0 {
            last = (now, Instant::now());
        }
    }
    last.0
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_stop_reading_hold_their_endpoints_back() {
    let stage = Stage::set().await;
    let before = stage.proxy.memory();
    let mut stalled = Vec::new();
    for (client, endpoint) in pairs() {
        let mut reader = stage.client(client).await;
        let target = format!("/{}/down/{HELD}", endpoint.name());
        let coming = reader.ask(&target).await.unwrap();
        stalled.push((format!("{client:?} of {endpoint:?}"), reader, coming));
    }
    let sent = || stage.backends.iter().map(LargeBackend::sent).sum();
    let moved: u64 = come_to_rest(sent).await;
    let count = stalled.len() as u64;
    let grown = stage.proxy.memory_peak().saturating_sub(before);
    eprintln!("{count} bodies held: {moved} bytes sent, {grown} bytes more in the proxy");
    assert!(moved < count * SOCKETS_MAX, "{moved} bytes went somewhere");
    assert!(grown < count * ONE_HELD_MAX, "{grown} bytes more");
    let mut reading = JoinSet::new();
    for (pair, mut reader, coming) in stalled {
        reading.spawn(async move { (pair, reader.check(coming).await) });
    }
    while let Some(read) = timeout(PATIENCE, reading.join_next()).await.unwrap() {
        let (pair, read) = read.unwrap();
        assert_eq!(read, Ok(whole(HELD)), "{pair}");
    }
    stage.proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_stop_reading_hold_their_clients_back() {
    let stage = Stage::set().await;
    let before = stage.proxy.memory();
    let mut counters = Vec::new();
    let mut sending = JoinSet::new();
    for (client, endpoint) in pairs() {
        let mut sender = stage.client(client).await;
        counters.push(sender.sent());
        let target = format!("/{}/held", endpoint.name());
        let pair = format!("{client:?} to {endpoint:?}");
        sending.spawn(async move { (pair, sender.upload(&target, HELD).await) });
    }
    let sent = || {
        counters
            .iter()
            .map(|sent| sent.load(Ordering::Relaxed))
            .sum()
    };
    let moved: u64 = come_to_rest(sent).await;
    let count = counters.len() as u64;
    let grown = stage.proxy.memory_peak().saturating_sub(before);
    eprintln!("{count} bodies held: {moved} bytes sent, {grown} bytes more in the proxy");
    assert!(moved < count * SOCKETS_MAX, "{moved} bytes went somewhere");
    assert!(grown < count * ONE_HELD_MAX, "{grown} bytes more");
    stage.backends.iter().for_each(LargeBackend::release);
    while let Some(sent) = timeout(PATIENCE, sending.join_next()).await.unwrap() {
        let (pair, sent) = sent.unwrap();
        assert_eq!(sent, Ok(whole(HELD)), "{pair}");
    }
    stage.proxy.finish().await;
}

/// Length of a body that must not be held in memory: `LARGE_BYTES`, or 256 MiB.
fn large() -> u64 {
    match std::env::var("LARGE_BYTES") {
        Ok(bytes) => bytes.parse().expect("LARGE_BYTES is a count of bytes"),
        Err(_) => 256 << 20,
    }
}

const LISTENERS: &str = r#"
    [listeners.web]
    address = "$web"
    [listeners.secure]
    address = "$secure"
    [listeners.secure.tls]
    certificates = [{ chain = "a.pem", key = "a.key" }]
"#;
const WARM: u64 = 4 << 20;
/// Maximum memory for one body on its way: a read buffer of 512 KiB on either side, the windows of
/// HTTP/2 (1 MiB), sealed TLS records that are not sent, and room for the allocator, which takes
/// memory in blocks. Measured: 7 MiB at most. A sixty-fourth of the body.
const ONE_BODY_MAX: u64 = 16 << 20;
/// Bodies that are held back: far more than all sockets on the way can hold.
const HELD: u64 = 96 << 20;
/// Maximum number of bytes in the buffers of four sockets, however large the kernel lets them grow.
const SOCKETS_MAX: u64 = HELD / 2;
const ONE_HELD_MAX: u64 = 4 << 20;
/// Time without movement after which a transfer is at rest.
const STILL: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(180);
