//! Places under limits: every one taken, others waiting, and the moment at which they are free.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::harness::{Act, Backend, Client, Gate, Port, Proxy, Settings, answer, eventually};

/// Servers at 127.0.1.1 and on, each answering a request when the test permits one more answer.
struct Crowd {
    port: Port,
    arrived: Arc<AtomicUsize>,
    permits: Arc<Semaphore>,
    _servers: JoinSet<()>,
}

impl Crowd {
    async fn start(count: u8) -> Self {
        let crowd = Port::take();
        let (arrived, permits) = (Arc::<AtomicUsize>::default(), Arc::new(Semaphore::new(0)));
        let mut servers = JoinSet::new();
        for last in 1..=count {
            let listener = TcpListener::bind(address(&crowd, last))
                .await
                .expect("it listens");
            let (arrived, permits) = (Arc::clone(&arrived), Arc::clone(&permits));
            servers.spawn(async move {
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    connections.spawn(serve(stream, Arc::clone(&arrived), Arc::clone(&permits)));
                }
            });
        }
        Self {
            port: crowd,
            arrived,
            permits,
            _servers: servers,
        }
    }

    async fn has_seen(&self, count: usize) {
        eventually(format!("{count} requests have arrived"), || async {
            (self.arrived.load(Ordering::SeqCst) >= count).then_some(())
        })
        .await;
    }
}

fn address(port: &Port, last: u8) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(127, 0, 1, last), port.address().port()))
}

async fn serve(mut stream: TcpStream, arrived: Arc<AtomicUsize>, permits: Arc<Semaphore>) {
    let mut head = Vec::new();
    while let Ok(1..) = stream.read_buf(&mut head).await {
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            arrived.fetch_add(1, Ordering::SeqCst);
            permits.acquire().await.expect("open").forget();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            if stream.write_all(answer).await.is_err() {
                return;
            }
        }
    }
}

#[tokio::test]
async fn an_answer_of_a_full_pool_lets_one_who_waits_go_on_and_costs_little() {
    const ENDPOINTS: u8 = 200;
    let crowd = Crowd::start(ENDPOINTS).await;
    let endpoints = (1..=ENDPOINTS).map(|last| format!("\"{}\"", address(&crowd.port, last)));
    let endpoints = endpoints.collect::<Vec<_>>().join(", ");
    let proxy = Settings::new(&format!(
        r#"
        [proxy]
        workers = 1
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = [{endpoints}]
        limits = {{ per_endpoint = 1, queue = 1000, queue_timeout = "30s" }}
        "#
    ))
    .start()
    .await;
    let mut clients = JoinSet::new();
    for _ in 0..3 * usize::from(ENDPOINTS) {
        let address = proxy.address("web");
        clients.spawn(async move { Client::connect(address).await.get("/").await.status });
    }
    crowd.has_seen(usize::from(ENDPOINTS)).await;
    proxy
        .metric_becomes("sluicegate_requests_in_flight", &[], 600.0)
        .await;
    let before = proxy.cpu_ms();
    for answered in 1..=usize::from(ENDPOINTS) {
        crowd.permits.add_permits(1);
        crowd.has_seen(usize::from(ENDPOINTS) + answered).await;
    }
    let each = (proxy.cpu_ms() - before) / u64::from(ENDPOINTS);
    // Of a build for tests, far slower than a release; with the scan it was far above.
    assert!(each < 5, "{each} ms of CPU for each answer");
    crowd.permits.add_permits(2 * usize::from(ENDPOINTS));
    for status in clients.join_all().await {
        assert_eq!(status, 200);
    }
}

/// One place at each of two versions.
async fn two_versions(gate: &Gate) -> (Proxy, [Backend; 2]) {
    let held = |name: &'static str| {
        let gate = gate.clone();
        move |_: &crate::harness::Seen| {
            [vec![Act::Read, Act::Wait(gate.clone())], answer(name)].concat()
        }
    };
    let old = Backend::start(held("old")).await;
    let new = Backend::start(|_| [vec![Act::Read], answer("new")].concat()).await;
    let proxy = Settings::new(
        r#"
        [proxy]
        workers = 1
        [listeners.web]
        address = "$web"
        [routes.old]
        path_prefix = "/old"
        version = "^1"
        pool = "app"
        [routes.new]
        path_prefix = "/new"
        version = "^2"
        pool = "app"
        [pools.app]
        endpoints = [{ address = "$old", version = "1.0.0" }, { address = "$new", version = "2.0.0" }]
        limits = { per_endpoint = 1, queue = 100, queue_timeout = "30s" }
        "#,
    )
    .backend("old", &old)
    .backend("new", &new)
    .start()
    .await;
    (proxy, [old, new])
}

#[tokio::test]
async fn a_place_that_is_nothing_for_the_first_who_waits_goes_to_the_next() {
    let (gate, release) = (Gate::new(), Gate::new());
    let (proxy, [old, new]) = two_versions(&gate).await;
    let held = release.clone();
    new.now(move |_| [vec![Act::Read, Act::Wait(held.clone())], answer("new")].concat());
    let mut clients = Vec::new();
    for (n, target) in ["/old", "/new", "/old", "/old", "/new"]
        .into_iter()
        .enumerate()
    {
        let mut client = proxy.client().await;
        client
            .send(format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n"))
            .await;
        clients.push(client);
        let flying = u32::try_from(n + 1).expect("few").into();
        proxy
            .metric_becomes("sluicegate_requests_in_flight", &[], flying)
            .await;
    }
    // Both who wait for the old one wait for longer than the one who can use this place.
    release.open();
    assert_eq!(clients[1].answer().await.text(), "new");
    assert_eq!(clients[4].answer().await.text(), "new");
    assert_eq!(old.count(), 1);
    gate.open();
    for at in [0, 2, 3] {
        assert_eq!(clients[at].answer().await.text(), "old");
    }
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_is_free_before_a_client_sees_the_end_of_its_answer() {
    let app = Backend::start(|_| answer("app")).await;
    let limits = |route: &str, pool: &str| {
        format!(
            r#"
            [proxy]
            workers = 2
            [listeners.web]
            address = "$web"
            [routes.all]
            pool = "app"
            {route}
            [pools.app]
            endpoints = ["$app"]
            {pool}
            "#
        )
    };
    for (route, pool) in [
        ("concurrency = { max = 1 }", ""),
        ("concurrency = { max = 1, per = \"client_ip\" }", ""),
        ("", "limits = { requests = 1 }"),
        ("", "limits = { per_endpoint = 1 }"),
    ] {
        let settings = Settings::new(&limits(route, pool)).backend("app", &app);
        let proxy = settings.start().await;
        // The next one asks at the other worker as soon as one has its answer.
        let mut clients = Vec::new();
        for _ in 0..8 {
            clients.push(proxy.client().await);
        }
        for turn in 0..1000 {
            let answer = clients[turn % 8].get("/").await;
            assert_eq!(answer.status, 200, "turn {turn} of {route}{pool}");
        }
        proxy.finish().await;
    }
}
