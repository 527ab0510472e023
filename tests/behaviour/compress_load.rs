//! `compress` under load: large bodies take no worker from others, and a client that does not read
//! holds little.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};

use crate::harness::{Backend, Proxy, Seen, Settings, answer, answer_bytes, narrow, within};

const TABLES: &str = r#"
    [proxy]
    workers = 1
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    compress = {}
    [pools.app]
    endpoints = ["$app"]
"#;

/// Bytes of a large body.
const LARGE: usize = 3 << 20;
/// Bytes of a body that no socket takes as a whole.
const DENSE: usize = 16 << 20;
/// Large bodies at once.
const LARGE_AT_ONCE: usize = 2;

/// Text that is half as long when it is compressed.
fn dense(length: usize) -> String {
    let mut draw = 1_u32;
    let next = |_| {
        draw = draw.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b"0123456789abcdef"[(draw >> 28) as usize])
    };
    (0..length).map(next).collect()
}

/// Text that compresses as pages do: about six to one.
fn text(length: usize) -> String {
    let mut text = String::with_capacity(length + 128);
    let mut draw = 1_u32;
    while text.len() < length {
        draw = draw.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (id, price) = (draw >> 12, draw % 997);
        text +=
            &format!("<li><a href=\"/articles/{id}\">article {id}</a> costs {price} EUR</li>\n");
    }
    text.truncate(length);
    text
}

async fn start() -> (Backend, Proxy) {
    let page = |body: String| {
        let length = body.len();
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    };
    let (large, dense) = (page(text(LARGE)), page(dense(DENSE)));
    let app = Backend::start(move |seen: &Seen| match &*seen.target {
        "/large" => answer_bytes(&large),
        "/dense" => answer_bytes(&dense),
        _ => answer("small"),
    })
    .await;
    let proxy = Settings::new(TABLES).backend("app", &app).start().await;
    (app, proxy)
}

/// A connection on which this was asked for, and of which nothing was read.
async fn asked(proxy: &Proxy, target: &str, coding: &str) -> TcpStream {
    let mut stream = narrow(proxy.address("web")).await;
    let head = format!(
        "GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\naccept-encoding: {coding}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// Number of bytes up to the end.
async fn read_to_end(mut stream: TcpStream) -> usize {
    let (mut buffer, mut length) = (vec![0; 64 << 10], 0);
    loop {
        match within("more of a body", stream.read(&mut buffer)).await {
            Ok(0) => return length,
            read => length += read.unwrap(),
        }
    }
}

/// Times of small requests over one connection, one after the other, while `busy` holds.
async fn small(proxy: &Proxy, busy: impl Fn() -> bool) -> Vec<Duration> {
    let mut client = proxy.client().await;
    let mut times = Vec::new();
    while busy() || times.len() < 20 {
        let began = Instant::now();
        assert_eq!(client.get("/small").await.text(), "small");
        times.push(began.elapsed());
    }
    times.sort_unstable();
    times
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_request_does_not_wait_for_large_bodies_that_are_compressed() {
    let (_app, proxy) = start().await;
    let quiet = small(&proxy, || false).await;
    // Zstandard is done before a difference could be seen.
    for coding in ["br", "gzip"] {
        let began = Instant::now();
        let mut downloads = Vec::new();
        for _ in 0..LARGE_AT_ONCE {
            let stream = asked(&proxy, "/large", coding).await;
            downloads.push(tokio::spawn(read_to_end(stream)));
        }
        let busy = || downloads.iter().any(|it| !it.is_finished());
        let times = small(&proxy, busy).await;
        let took = began.elapsed();
        for download in downloads {
            assert!(download.await.unwrap() < LARGE / 2, "{coding}");
        }
        let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
        eprintln!(
            "{coding}: {LARGE_AT_ONCE} bodies of {} MiB in {took:?}; {} small requests meanwhile: median {median:?}, 99 % {:?}, worst {worst:?}; quiet median {:?}",
            LARGE >> 20,
            times.len(),
            times[times.len() * 99 / 100],
            quiet[quiet.len() / 2],
        );
        // A worker that compresses all that has arrived of a body takes as long as that.
        let body = took / u32::try_from(LARGE_AT_ONCE).unwrap();
        assert!(worst < body / 2, "{coding}: {worst:?} of {body:?}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_little_of_what_is_compressed() {
    let (app, proxy) = start().await;
    for (coding, most) in [("gzip", 2 << 20), ("zstd", 4 << 20), ("br", 6 << 20)] {
        let before = proxy.memory();
        let before_them = app.count();
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let stream = asked(&proxy, "/dense", coding).await;
            clients.push(stream);
        }
        app.has_seen(before_them + CLIENTS).await;
        let held = stands_still(&proxy).await.saturating_sub(before) / CLIENTS as u64;
        let open = proxy.metric("sluicegate_requests_in_flight", &[]).await;
        assert!(open > 2.5, "{coding}: {open} answers are under way");
        eprintln!(
            "{coding}: {} KiB for each client that does not read",
            held >> 10
        );
        assert!(held < most, "{coding}: {held}");
        drop(clients);
        stands_still(&proxy).await;
    }
}

/// Clients that do not read.
const CLIENTS: usize = 3;

/// Waits until the proxy works no more; returns its memory.
async fn stands_still(proxy: &Proxy) -> u64 {
    let mut used = proxy.cpu_ms();
    let mut calm = 0;
    while calm < 5 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = proxy.cpu_ms();
        calm = if now - used <= 10 { calm + 1 } else { 0 };
        used = now;
    }
    proxy.memory()
}
