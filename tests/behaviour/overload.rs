//! Shortage of memory: idle connections are closed first, then slow clients, then new work is
//! refused.

use crate::harness::{
    Act, Authority, Backend, End, Gate, LargeBackend, Protocol, Proxy, Settings, answer,
    eventually, identity,
};

const ALL: &str = r#"
    [proxy]
    limits = { memory = 0 }
    [listeners.web]
    address = "$web"
    timeouts = { body_idle = "10m", idle = "10m" }
    [routes.all]
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
"#;

/// The configuration under a limit that is well below what the process has.
async fn use_up(proxy: &mut Proxy) {
    let bytes = (proxy.memory() / 10 * 8).max(16 << 20);
    let limited = ALL.replace("memory = 0", &format!("memory = {bytes}"));
    proxy.reload(&limited).await;
    proxy
        .metric_becomes("sluicegate_memory_pressure", &[], 2.0)
        .await;
}

async fn set_free(proxy: &mut Proxy) {
    proxy.reload(ALL).await;
    proxy
        .metric_becomes("sluicegate_memory_pressure", &[], 0.0)
        .await;
}

#[tokio::test]
async fn new_work_beyond_a_floor_is_refused_until_memory_is_free_again() {
    let gate = Gate::new();
    let held = gate.clone();
    let app =
        Backend::start(move |_| [vec![Act::Read, Act::Wait(held.clone())], answer("app")].concat())
            .await;
    let mut proxy = Settings::new(ALL).backend("app", &app).start().await;
    // More than each worker serves in any case.
    let mut clients = Vec::new();
    for _ in 0..40 {
        clients.push(proxy.client().await);
    }
    use_up(&mut proxy).await;
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    }
    let refused = || async {
        let shed = proxy.metric("sluicegate_shed_total", &[("reason", "memory")]);
        (shed.await >= 20.0).then_some(())
    };
    eventually("most of it is refused", refused).await;
    gate.open();
    let mut statuses = Vec::new();
    for client in &mut clients {
        let answer = client.answer().await;
        if answer.status == 503 {
            answer.assert_failure(503, "connection_limit_reached");
            assert_eq!(answer.field("retry-after"), "1");
        }
        statuses.push(answer.status);
    }
    let served = statuses.iter().filter(|status| **status == 200).count();
    assert!((1..=20).contains(&served), "{statuses:?}");
    proxy.log_says("memory is used up").await;
    let ready = proxy.admin("GET", "/ready", "").await.unwrap();
    assert_eq!(
        ready.status, 200,
        "a full proxy must not push its load to the others"
    );
    set_free(&mut proxy).await;
    assert_eq!(proxy.get("/").await.status, 200);
    proxy.finish().await;
}

#[tokio::test]
async fn idle_connections_are_closed_and_stuck_readers_cut_while_memory_is_short() {
    let unused = Authority::new("unused").issue("unused", &[]).server(&[]);
    let app = LargeBackend::start(Protocol::Http1, unused).await;
    let mut proxy = Settings::new(ALL)
        .address("app", app.address())
        .start()
        .await;
    let mut idle = proxy.client().await;
    assert_eq!(idle.get("/down/1").await.status, 200);
    let mut stuck = proxy.client().await;
    stuck
        .send("GET /down/100000000 HTTP/1.1\r\nhost: a\r\n\r\n")
        .await;
    let streams = || async {
        let open = proxy.metric("sluicegate_requests_in_flight", &[("listener", "web")]);
        (open.await == 1.0).then_some(())
    };
    eventually("the answer is on its way", streams).await;
    use_up(&mut proxy).await;
    assert_eq!(idle.ended().await, End::Closed);
    // It would have been waited for ten minutes.
    proxy
        .metric_becomes("sluicegate_requests_in_flight", &[("listener", "web")], 0.0)
        .await;
    set_free(&mut proxy).await;
    drop(stuck);
    proxy.finish().await;
}

const PER_CLIENT: &str = r#"
    [listeners.web]
    address = "$web"
    limits = { connections_per_client = 2 }
    proxy_protocol = { from = ["127.0.0.0/8"] }
    [routes.all]
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
"#;

async fn from(proxy: &Proxy, client: &str) -> crate::harness::Client {
    let mut connection = proxy.raw_client().await;
    let family = if client.contains(':') { "TCP6" } else { "TCP4" };
    let own = if client.contains(':') {
        "::1"
    } else {
        "127.0.0.1"
    };
    connection
        .send(format!("PROXY {family} {client} {own} 1000 80\r\n"))
        .await;
    connection
}

#[tokio::test]
async fn a_client_has_no_more_connections_than_it_is_allowed_over_all_workers() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(PER_CLIENT).backend("app", &app).start().await;
    let mut first = from(&proxy, "10.0.0.1").await;
    assert_eq!(first.get("/").await.status, 200);
    let mut second = from(&proxy, "10.0.0.1").await;
    assert_eq!(second.get("/").await.status, 200);
    let mut third = from(&proxy, "10.0.0.1").await;
    third
        .get("/")
        .await
        .assert_failure(503, "connection_limit_reached");
    assert_eq!(third.ended().await, End::Closed);
    let mut other = from(&proxy, "10.0.0.2").await;
    assert_eq!(other.get("/").await.status, 200);
    // An IPv6 client is its /64.
    let mut wide = Vec::new();
    for host in ["2001:db8::1", "2001:db8::2"] {
        let mut client = from(&proxy, host).await;
        assert_eq!(client.get("/").await.status, 200);
        wide.push(client);
    }
    let mut same = from(&proxy, "2001:db8::3").await;
    assert_eq!(same.get("/").await.status, 503);
    let shed = [("reason", "client_connections")];
    proxy
        .metric_becomes("sluicegate_shed_total", &shed, 2.0)
        .await;
    eventually("status tells it", || async {
        let ready = proxy.admin("GET", "/ready", "").await.unwrap().text();
        let line = "its `limits.connections_per_client` is full at 2 and refuses connections since";
        ready.contains(line).then_some(())
    })
    .await;
    drop(first);
    eventually("the place is free", || async {
        let mut again = from(&proxy, "10.0.0.1").await;
        (again.get("/").await.status == 200).then_some(())
    })
    .await;
    drop((second, other, wide));
    proxy.finish().await;
}
