//! Listeners in a real etcd, a real ZooKeeper and a double of Eureka: in, found by a gateway, in
//! again when lost, handed over by an upgrade, out before they close.

use std::net::SocketAddr;

use rustix::process::Signal;
use serde_json::json;
use tokio::time::{Duration, Instant};

use crate::discovery::{Load, addresses};
use crate::harness::{
    Backend, Etcd, Eureka, Proxy, Relay, Settings, ZooKeeper, eventually, identity,
};
use crate::registration::{registered, sidecar};

/// A gateway that finds its endpoints like this.
async fn gateway(discover: &str) -> Proxy {
    let text = sidecar("false").replace(
        "endpoints = [\"$app\"]",
        &format!("discover = {{ {discover}, hold_mass_removal = \"0s\" }}"),
    );
    Settings::new(&text).start().await
}

async fn started(register: &str, app: &Backend) -> Proxy {
    let settings = Settings::new(&sidecar(register)).backend("app", app);
    settings.start().await
}

/// Waits until the gateway finds these; a session may have to end, or Java to wake up.
async fn finds(gateway: &Proxy, wanted: &[&Proxy]) {
    let mut all: Vec<String> = wanted
        .iter()
        .map(|it| it.address("web").to_string())
        .collect();
    all.sort_unstable();
    let end = Instant::now() + Duration::from_secs(30);
    while addresses(gateway).await != all {
        assert!(Instant::now() < end, "{:?}", addresses(gateway).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Number of endpoints that left the gateway so far.
fn removed(gateway: &Proxy) -> usize {
    gateway.log().matches("endpoint removed").count()
}

/// The promises of every registry: two sidecars are found, one is upgraded and drains, and a gateway
/// under load loses no request.
async fn upgrade_and_drain(gateway: Proxy, one: Proxy, mut two: Proxy) {
    finds(&gateway, &[&one, &two]).await;
    let load = Load::start(&gateway, 2).await;
    load.goes_on(50).await;
    let before = removed(&gateway);
    one.upgrade().await;
    registered(&one, "registered").await;
    eventually("the process before has ended", || async {
        let answer = one.admin("GET", "/status", "").await?;
        let status: serde_json::Value = serde_json::from_str(&answer.text()).ok()?;
        status["predecessor"].is_null().then_some(())
    })
    .await;
    load.goes_on(50).await;
    assert_eq!(removed(&gateway), before, "a gap: {}", gateway.log());
    two.signal(Signal::TERM);
    finds(&gateway, &[&one]).await;
    assert!(two.is_running(), "it leaves at the start of its drain");
    load.goes_on(50).await;
    two.exited().await;
    load.goes_on(50).await;
    load.end().await;
    gateway.finish().await;
    one.all_end().await;
}

fn in_etcd(server: &str, keys: &str) -> String {
    format!(
        r#"{{ etcd = {{ endpoints = ["{server}"], prefix = "/orders/", ttl = "5s" {keys} }} }}"#
    )
}

#[tokio::test]
async fn a_sidecar_in_etcd_is_found_and_handed_over_and_leaves_before_it_closes() {
    let etcd = Etcd::start().await;
    let [one, two] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
    ];
    let register = in_etcd(
        &etcd.url(),
        r#", meta = { version = "1.4.2", weight = "3", team = "a" }"#,
    );
    let first = started(&register, &one).await;
    registered(&first, "registered").await;
    let at = first.address("web");
    let key = format!("/orders/{}-{}", at.ip(), at.port());
    let value = etcd.ctl(&["get", "--print-value-only", "--", &key]);
    let value: serde_json::Value = serde_json::from_str(&value).expect("JSON");
    let wanted = json!({ "address": at.to_string(), "version": "1.4.2", "weight": 3, "labels": { "team": "a" } });
    assert_eq!(value, wanted);
    let second = started(&register, &two).await;
    let found = format!(
        r#"etcd = {{ endpoints = ["{}"], prefix = "/orders/" }}"#,
        etcd.url()
    );
    upgrade_and_drain(gateway(&found).await, first, second).await;
    assert_eq!(
        etcd.ctl(&["get", "--prefix", "--keys-only", "--", "/orders/"])
            .trim(),
        ""
    );
}

#[tokio::test]
async fn a_key_that_etcd_has_lost_is_written_again_and_that_of_a_dead_proxy_goes() {
    let mut etcd = Etcd::start().await;
    let app = Backend::start(identity("app")).await;
    let relay = Relay::start(etcd.address()).await;
    let server = format!("http://{}", relay.address());
    let proxy = started(&in_etcd(&server, r#", id = "one""#), &app).await;
    registered(&proxy, "registered").await;
    let is_there = |etcd: &Etcd| !etcd.ctl(&["get", "--", "/orders/one"]).is_empty();
    assert!(is_there(&etcd));
    etcd.delete("/orders/one");
    eventually("it is written again", || async {
        is_there(&etcd).then_some(())
    })
    .await;
    etcd.kill();
    registered(&proxy, "failed").await;
    etcd.run();
    etcd.is_ready().await;
    registered(&proxy, "registered").await;
    assert!(is_there(&etcd));
    // The network drops its packets, and the lease ends.
    relay.stop_passing();
    eventually("its lease has ended", || async {
        (!is_there(&etcd)).then_some(())
    })
    .await;
    relay.pass_again();
    eventually("it is back", || async { is_there(&etcd).then_some(()) }).await;
    registered(&proxy, "registered").await;
    proxy.signal(Signal::KILL);
    eventually("it goes", || async { (!is_there(&etcd)).then_some(()) }).await;
}

fn in_zookeeper(server: SocketAddr, keys: &str) -> String {
    format!(
        r#"{{ zookeeper = {{ servers = ["{server}"], path = "/services/orders", session = "4s" {keys} }} }}"#
    )
}

#[tokio::test]
async fn a_sidecar_in_zookeeper_is_found_and_handed_over_and_leaves_before_it_closes() {
    let server = ZooKeeper::start().await;
    let [one, two] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
    ];
    // Nobody has made the node that they are children of.
    let register = in_zookeeper(server.address(), r#", meta = { version = "1.4.2" }"#);
    let first = started(&register, &one).await;
    let second = started(&register, &two).await;
    let found = format!(
        r#"zookeeper = {{ servers = ["{}"], path = "/services/orders" }}"#,
        server.address()
    );
    let gateway = gateway(&found).await;
    finds(&gateway, &[&first, &second]).await;
    let shown = crate::discovery::pool(&gateway).await;
    assert_eq!(shown["endpoints"][0]["version"], "1.4.2");
    upgrade_and_drain(gateway, first, second).await;
}

#[tokio::test]
async fn a_node_that_zookeeper_has_lost_is_made_again_and_that_of_a_dead_proxy_goes() {
    let mut server = ZooKeeper::start().await;
    let app = Backend::start(identity("app")).await;
    let relay = Relay::start(server.address()).await;
    let register = in_zookeeper(relay.address(), r#", id = "one""#);
    let proxy = started(&register, &app).await;
    let found = format!(
        r#"zookeeper = {{ servers = ["{}"], path = "/services/orders" }}, absent = "remove""#,
        server.address()
    );
    let gateway = gateway(&found).await;
    finds(&gateway, &[&proxy]).await;
    // Somebody removes it.
    let mut client = server.client();
    client.delete("/services/orders/one");
    proxy
        .log_says("the registry does not know it any more")
        .await;
    registered(&proxy, "registered").await;
    finds(&gateway, &[&proxy]).await;
    // The session ends while the network drops its packets.
    relay.stop_passing();
    finds(&gateway, &[]).await;
    relay.pass_again();
    finds(&gateway, &[&proxy]).await;
    server.kill();
    registered(&proxy, "failed").await;
    server.run();
    server.is_ready().await;
    let end = Instant::now() + Duration::from_secs(20);
    while crate::registration::registration(&proxy).await["state"] != "registered" {
        assert!(Instant::now() < end, "{}", proxy.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    finds(&gateway, &[&proxy]).await;
    proxy.signal(Signal::KILL);
    finds(&gateway, &[]).await;
    gateway.finish().await;
}

fn in_eureka(eureka: &Eureka, keys: &str) -> String {
    let server = eureka.address();
    format!(
        r#"{{ eureka = {{ servers = ["http://{server}/eureka"], app = "orders", interval = "1s" {keys} }} }}"#
    )
}

#[tokio::test]
async fn a_sidecar_in_eureka_is_found_and_handed_over_and_leaves_before_it_closes() {
    let eureka = Eureka::start().await;
    let [one, two] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
    ];
    let register = in_eureka(&eureka, r#", meta = { version = "1.4.2" }"#);
    let first = started(&register, &one).await;
    let second = started(&register, &two).await;
    registered(&first, "registered").await;
    let at = first.address("web");
    let id = format!("{}:orders:{}", at.ip(), at.port());
    let instance = eureka.find(&id).expect("it is there");
    assert_eq!(instance["metadata"]["version"], "1.4.2");
    // The server forgets it, and a heartbeat finds out.
    eureka.forget(&id);
    eventually("it is there again", || async { eureka.find(&id) }).await;
    let found = format!(
        r#"eureka = {{ servers = ["http://{}/eureka"], app = "orders", interval = "1s" }}"#,
        eureka.address()
    );
    upgrade_and_drain(gateway(&found).await, first, second).await;
    assert!(eureka.find(&id).is_none());
}
