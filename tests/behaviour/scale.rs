//! Costs that grow with the configuration grow no faster than it, and what is no longer in
//! use is let go of.

use std::fmt::Write as _;
use std::time::Duration;

use tokio::time::Instant;

use crate::harness::{Act, Backend, Proxy, Settings, answer, eventually, identity};

/// So many pools of so many endpoints that nobody ever asks.
fn pools(pools: usize, endpoints: usize, weight: usize) -> String {
    let mut text = String::from(
        "[proxy]\nworkers = 1\n[listeners.web]\naddress = \"$web\"\n\
         [routes.all]\npool = \"p0\"\n",
    );
    for pool in 0..pools {
        let _ = writeln!(text, "[pools.p{pool}]\nendpoints = [");
        for endpoint in 0..endpoints {
            let weight = if endpoint == 0 { weight } else { 1 };
            let (high, low) = (endpoint / 250, endpoint % 250 + 1);
            let address = format!("127.{}.{high}.{low}:9", pool % 250 + 1);
            let _ = writeln!(text, "{{ address = \"{address}\", weight = {weight} }},");
        }
        text.push_str("]\n");
    }
    text
}

/// The shortest of some runs: what else the machine does only adds to them.
async fn shortest(runs: usize, mut run: impl AsyncFnMut()) -> Duration {
    let mut shortest = Duration::MAX;
    for _ in 0..runs {
        let began = Instant::now();
        run().await;
        shortest = shortest.min(began.elapsed());
    }
    shortest
}

async fn asks_for_pools(count: usize) -> Duration {
    let proxy = Settings::new(&pools(count, 10, 1)).start().await;
    shortest(3, async || {
        let answer = proxy.admin("GET", "/pools", "").await.expect("an answer");
        assert_eq!(answer.status, 200);
    })
    .await
}

#[tokio::test]
async fn ten_times_the_pools_cost_ten_times_as_much_to_show() {
    let (few, many) = (asks_for_pools(20).await, asks_for_pools(200).await);
    assert!(many < few * 25, "{few:?} for 20, {many:?} for 200");
}

async fn reload_of(endpoints: usize) -> Duration {
    let mut proxy = Settings::new(&pools(1, endpoints, 1)).start().await;
    let mut weight = 1;
    shortest(3, async || {
        weight += 1;
        proxy.reload(&pools(1, endpoints, weight)).await;
    })
    .await
}

#[tokio::test]
async fn ten_times_the_endpoints_cost_ten_times_as_much_to_reload() {
    let (few, many) = (reload_of(400).await, reload_of(4000).await);
    // The file is looked at at intervals, which the few pay as well.
    assert!(
        many < (few + Duration::from_millis(100)) * 25,
        "{few:?} for 400, {many:?} for 4000"
    );
}

fn respond(body: &str) -> String {
    format!(
        r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        path = "/"
        respond = {{ status = 200, body = "{body}" }}
        [routes.app]
        path = "/app"
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
        "#
    )
}

async fn generations(proxy: &Proxy) -> u64 {
    let status = proxy.admin("GET", "/status", "").await.expect("an answer");
    let status: serde_json::Value = serde_json::from_str(&status.text()).unwrap();
    status["generations_held"].as_u64().unwrap()
}

#[tokio::test]
async fn idle_connections_and_tunnels_hold_no_old_configuration() {
    let app = Backend::start(|seen| match seen.field("upgrade") {
        "" => answer("app"),
        _ => vec![
            Act::Read,
            Act::Send(
                b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n"
                    .to_vec(),
            ),
            Act::Echo,
        ],
    })
    .await;
    let mut proxy = Settings::new(&respond("0"))
        .backend("app", &app)
        .start()
        .await;
    let mut idle = Vec::new();
    for generation in 1..5 {
        let mut h1 = proxy.client().await;
        assert_eq!(h1.get("/app").await.text(), "app");
        let mut h2 = proxy.h2_client().await;
        assert_eq!(h2.get("/app").await.unwrap().text(), "app");
        let mut tunnel = proxy.raw_client().await;
        tunnel
            .send("GET /app HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n")
            .await;
        assert_eq!(tunnel.head().await.0, 101);
        idle.push((h1, h2, tunnel));
        proxy.reload(&respond(&generation.to_string())).await;
    }
    eventually("only the newest configuration is in memory", || async {
        (generations(&proxy).await == 1).then_some(())
    })
    .await;
    for (mut h1, mut h2, tunnel) in idle {
        assert_eq!(h1.get("/").await.text(), "4");
        assert_eq!(h2.get("/").await.unwrap().text(), "4");
        drop(tunnel);
    }
    proxy.finish().await;
}

#[tokio::test]
async fn gauges_of_removed_endpoints_go() {
    let (one, two) = (
        Backend::start(identity("1")).await,
        Backend::start(identity("2")).await,
    );
    let text = |endpoints: &str| {
        format!(
            "[listeners.web]\naddress = \"$web\"\n[routes.all]\npool = \"app\"\n\
             [pools.app]\nendpoints = [{endpoints}]\n"
        )
    };
    let mut proxy = Settings::new(&text("\"$one\", \"$two\""))
        .backend("one", &one)
        .backend("two", &two)
        .start()
        .await;
    let gauge = "sluicegate_endpoint_healthy";
    proxy.metric_becomes(gauge, &[("pool", "app")], 2.0).await;
    proxy.reload(&text("\"$two\"")).await;
    proxy.metric_becomes(gauge, &[("pool", "app")], 1.0).await;
    let label = two.address().to_string();
    proxy
        .metric_becomes(gauge, &[("endpoint", &label)], 1.0)
        .await;
    proxy.reload(&text("\"$one\", \"$two\"")).await;
    proxy.metric_becomes(gauge, &[("pool", "app")], 2.0).await;
    proxy.finish().await;
}
