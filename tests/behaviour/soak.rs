//! Everything switched on, under traffic of every kind for minutes: memory and descriptors end where
//! they were.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{
    harness::{Backend, Client, End, H2Backend, Kind, Proxy, Settings, Traffic, eventually},
    takeover::traffic,
};

/// One of two configurations, which a reload puts in the place of each other.
fn edition(n: u64) -> String {
    let weight = 1 + n % 2;
    format!(
        r#"
[proxy]
workers = 2
faults = true
trusted_proxies = ["127.0.0.0/8"]
[admin]
address = "$admin"
token = "a-token-of-the-tests"
[access_log]
path = "access.log"
sample = "10%"
[listeners.web]
address = "$web"
rate_limit = {{ rate = "100000/s", burst = 100000 }}
limits = {{ connections_per_client = 5000 }}
[defaults.routes]
timeouts = {{ total = "20s" }}
secure_headers = true
[defaults.pools]
timeouts = {{ idle = "1s" }}
[routes.all]
pool = "app"
retry = {{ attempts = 3, on = ["connect", "reset", "5xx"] }}
hedge = {{ after = "p99", max = 1 }}
rate_limit = [{{ key = "client_ip", rate = "50000/s", burst = 50000 }}, {{ key = "header:x-user", rate = "1/s", dry_run = true }}]
concurrency = [{{ adaptive = true, max = 500, queue = 500, queue_timeout = "10s" }}, {{ max = 500, per = "client_ip" }}]
access = {{ allow = ["127.0.0.0/8"] }}
cors = {{ origins = ["https://shop.example"] }}
compress = {{ min = "1B" }}
headers_request = {{ set = {{ x-edition = "{n}" }} }}
headers_response = {{ set = {{ x-answered-by = "{{endpoint}}" }} }}
body_max = "1MiB"
error_pages = {{ "5xx" = {{}} }}
[routes.odd]
path_prefix = "/odd"
pool = "app"
fault = {{ abort = 503, share = "20%" }}
[routes.none]
path_prefix = "/none"
pool = "none"
[routes.limited]
path_prefix = "/limited"
pool = "app"
rate_limit = {{ key = "query:user", rate = "1/s", burst = 1 }}
[pools.app]
endpoints = [{{ address = "$app", weight = {weight} }}, "$other"]
picker = "peak_ewma"
health = {{ tcp = {{}}, interval = "1s" }}
breaker = {{ failure_ratio = 0.9, volume_min = 50 }}
slow_start = "2s"
session = {{ cookie = "app_session", ttl = "1h", secret = "0123456789abcdef" }}
[pools.none]
endpoints = ["$nobody"]
breaker = {{ consecutive = 3, open = "1s" }}
{more}
"#,
        more = traffic::MORE
    )
}

/// Requests that are refused, limited, hurt or compressed; any complete answer is fine.
async fn odd(kind: Kind, to: std::net::SocketAddr) -> Result<(), String> {
    let mut turn = 0_u64;
    while kind.goes_on().await {
        let mut client = Client::try_connect(to)
            .await
            .map_err(|error| format!("no connection: {error}"))?;
        for _ in 0..20 {
            turn += 1;
            let target = match turn % 4 {
                0 => "/odd".to_owned(),
                1 => "/none".to_owned(),
                // A key of its own: the table of keys fills and evicts.
                2 => format!("/limited?user={turn}"),
                _ => "/plain".to_owned(),
            };
            let head = format!(
                "GET {target} HTTP/1.1\r\nhost: a\r\norigin: https://shop.example\r\n\
                 accept-encoding: gzip, br\r\nx-user: {turn}\r\n\r\n"
            );
            client.send(head).await;
            let answer = client.try_answer_to("GET").await;
            let answer = answer.map_err(|end| format!("{end:?} at {target}"))?;
            if answer.end != End::Complete {
                return Err(format!("{answer:?}"));
            }
            if answer.field("connection") == "close" {
                break;
            }
        }
        kind.fine();
        // One in three leaves in the middle of a request.
        if turn.is_multiple_of(3) {
            client
                .send("POST /plain HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf")
                .await;
            client.abort();
        }
    }
    Ok(())
}

/// Traffic of every kind for this time, with a reload every five seconds.
async fn soak(proxy: &mut Proxy, n: &mut u64, time: Duration) -> String {
    let mut flow = Traffic::default();
    let web = proxy.address("web");
    traffic::start(&mut flow, web);
    flow.add("odd requests", 4, |kind| odd(kind, web));
    let begin = Instant::now();
    while begin.elapsed() < time {
        flow.goes_on().await;
        sleep(Duration::from_secs(5).min(time)).await;
        let before = proxy.generation().await;
        *n += 1;
        proxy.replace(&edition(*n));
        proxy.generation_passes(before).await;
        eprintln!(
            "{:>5} s: {:>4} MiB, {:>4} descriptors",
            begin.elapsed().as_secs(),
            proxy.memory() >> 20,
            proxy.descriptors()
        );
    }
    flow.stop().await
}

/// Memory and descriptors, once nobody is connected.
async fn at_rest(proxy: &Proxy) -> (u64, usize) {
    for gauge in ["connections", "requests_in_flight", "idle_connections"] {
        let gauge = format!("sluicegate_{gauge}");
        eventually(format!("{gauge} is 0"), || async {
            (proxy.metric(&gauge, &[]).await < 0.5).then_some(())
        })
        .await;
    }
    (proxy.memory(), proxy.descriptors())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a campaign of minutes: bash tests/campaign soak"]
async fn after_minutes_with_everything_on_memory_and_descriptors_are_where_they_were() {
    let seconds = std::env::var("SOAK_SECONDS").map_or(300, |it| it.parse().unwrap());
    let app = Backend::start(|seen| crate::harness::answer(&seen.target)).await;
    let other = Backend::start(|seen| crate::harness::answer(&seen.target)).await;
    let sockets = Backend::start(traffic::socket_script).await;
    let calls = H2Backend::start(traffic::call_script).await;
    let nobody = crate::harness::Port::take();
    let mut proxy = Settings::new(&edition(0))
        .backend("app", &app)
        .backend("other", &other)
        .backend("sockets", &sockets)
        .address("calls", calls.address())
        .address("nobody", nobody.address())
        .start()
        .await;
    let mut n = 0;
    // What grows to its size once, such as tables and arenas, is there before it counts.
    soak(
        &mut proxy,
        &mut n,
        Duration::from_secs((seconds / 5).clamp(5, 60)),
    )
    .await;
    let (memory, descriptors) = at_rest(&proxy).await;
    let report = soak(&mut proxy, &mut n, Duration::from_secs(seconds)).await;
    let (memory_after, descriptors_after) = at_rest(&proxy).await;
    eprintln!("{report}");
    eprintln!(
        "at rest before: {} KiB, {descriptors} descriptors",
        memory >> 10
    );
    eprintln!(
        "at rest after:  {} KiB, {descriptors_after} descriptors",
        memory_after >> 10
    );
    assert_eq!(proxy.metric("sluicegate_panics_total", &[]).await, 0.0);
    assert!(descriptors_after <= descriptors + 2);
    assert!(memory_after < memory + memory / 10 + (4 << 20));
    proxy.finish().await;
}
