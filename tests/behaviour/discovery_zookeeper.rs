//! Endpoints from a real ZooKeeper: they come, change and leave with nodes and sessions, and the
//! ensemble may be away, cut off or full of nonsense without a failed request.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::discovery::{Load, addresses, at, becomes, pool};
use crate::harness::{Backend, Proxy, Relay, Settings, ZooKeeper, eventually, identity};

/// A pool whose endpoints are the children of `/app` at these servers.
fn text(servers: &[String]) -> String {
    let servers = json!(servers);
    format!(
        r#"
        [proxy]
        workers = 2
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [pools.app]
        discover = {{ zookeeper = {{ servers = {servers}, path = "/app" }} }}
        "#
    )
}

async fn backends() -> [Backend; 3] {
    [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
        Backend::start(identity("three")).await,
    ]
}

/// The proxy, once these endpoints are found; a client of Java takes a second to begin.
async fn started(servers: &[String], found: &[&Backend]) -> Proxy {
    let mut settings = Settings::new(&text(servers));
    for (at, backend) in found.iter().enumerate() {
        settings = settings.backend(&format!("found{at}"), backend);
    }
    let proxy = settings.start().await;
    becomes(&proxy, found).await;
    proxy
}

/// Waits for long enough for an ensemble of Java on a busy machine, while requests go on.
async fn becomes_under(load: &Load, proxy: &Proxy, wanted: usize) {
    let end = Instant::now() + Duration::from_secs(40);
    while addresses(proxy).await.len() != wanted {
        assert!(Instant::now() < end, "{:?}", addresses(proxy).await);
        load.goes_on(20).await;
    }
}

#[tokio::test]
async fn endpoints_follow_the_children_of_a_node_under_load() {
    let server = ZooKeeper::start().await;
    let [one, two, three] = backends().await;
    let mut client = server.client();
    client.create("/app", "");
    client.create("/app/1", &at(&one));
    let proxy = started(&[server.address().to_string()], &[&one]).await;
    let load = Load::start(&proxy, 4).await;
    load.goes_on(50).await;
    let curator = json!({
        "name": "app", "id": "2", "address": two.address().ip(), "port": two.address().port(),
        "payload": { "version": "1.4.2", "weight": 2, "zone": "a" },
    });
    client.create("/app/2", &curator.to_string());
    becomes(&proxy, &[&one, &two]).await;
    let entry = json!({ "address": at(&two), "weight": 9, "version": "2.0.0" });
    client.set("/app/2", &entry.to_string());
    eventually("weight and version are others", || async {
        let pool = pool(&proxy).await;
        let endpoints = pool["endpoints"].as_array()?;
        let found = endpoints.iter().find(|it| it["address"] == at(&two))?;
        (found["weight"] == 9 && found["version"] == "2.0.0").then_some(())
    })
    .await;
    // What is no endpoint is left out, and costs no other.
    client.create("/app/a", "nonsense");
    client.create("/app/b", "{");
    // Without data the name is the address.
    client.create(&format!("/app/{}", at(&three)), "");
    becomes(&proxy, &[&one, &two, &three]).await;
    client.delete("/app/1");
    becomes(&proxy, &[&two, &three]).await;
    load.goes_on(50).await;
    let left = one.count();
    load.goes_on(100).await;
    assert_eq!(one.count(), left);
    load.end().await;
    let shown = pool(&proxy).await;
    assert_eq!(shown["discovery"]["source"], "zookeeper");
    assert!(shown["discovery"]["error"].is_null(), "{shown}");
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_whose_session_ends_leaves_and_the_node_may_come_later() {
    let server = ZooKeeper::start().await;
    let [one, two, _] = backends().await;
    let settings = Settings::new(&text(&[server.address().to_string()]))
        .backend("one", &one)
        .backend("two", &two);
    let proxy = settings.start().await;
    assert_eq!(proxy.get("/").await.status, 503);
    let mut client = server.client();
    client.create("/app", "");
    client.create("/app/1", &at(&one));
    becomes(&proxy, &[&one]).await;
    let mut instance = server.client();
    instance.create_ephemeral("/app/2", &at(&two));
    becomes(&proxy, &[&one, &two]).await;
    let load = Load::start(&proxy, 2).await;
    drop(instance);
    becomes(&proxy, &[&one]).await;
    load.goes_on(50).await;
    load.end().await;
    proxy.finish().await;
}

#[tokio::test]
async fn zookeeper_may_die_and_return_while_requests_go_on() {
    let mut server = ZooKeeper::start().await;
    let [one, two, _] = backends().await;
    let mut client = server.client();
    client.create("/app", "");
    client.create("/app/1", &at(&one));
    let proxy = started(&[server.address().to_string()], &[&one]).await;
    let load = Load::start(&proxy, 4).await;
    server.kill();
    eventually("the error is told", || async {
        let pool = pool(&proxy).await;
        pool["discovery"]["error"].as_str().map(|_| ())
    })
    .await;
    load.goes_on(200).await;
    assert_eq!(addresses(&proxy).await, [at(&one)]);
    server.run();
    server.is_ready().await;
    let mut client = server.client();
    client.create("/app/2", &at(&two));
    becomes_under(&load, &proxy, 2).await;
    assert!(pool(&proxy).await["discovery"]["error"].is_null());
    load.end().await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_zookeeper_that_begins_anew_without_its_data_is_believed() {
    let mut server = ZooKeeper::start().await;
    let [one, two, _] = backends().await;
    let mut client = server.client();
    client.create("/app", "");
    client.create("/app/one", &at(&one));
    // The state moves on, so that a new one is far behind it.
    for number in 0..20 {
        client.create(&format!("/n{number}"), "");
    }
    client.set("/app/one", &at(&one));
    let proxy = started(&[server.address().to_string()], &[&one]).await;
    let load = Load::start(&proxy, 2).await;
    load.goes_on(20).await;
    server.kill();
    server.run_empty();
    server.is_ready().await;
    let mut client = server.client();
    client.create("/app", "");
    client.create("/app/one", &at(&one));
    client.create("/app/two", &at(&two));
    becomes_under(&load, &proxy, 2).await;
    proxy.log_says("it is taken to have lost its data").await;
    load.end().await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_silent_zookeeper_is_noticed_and_what_changed_meanwhile_is_taken_up() {
    let server = ZooKeeper::start().await;
    let [one, two, three] = backends().await;
    let mut client = server.client();
    client.create("/app", "");
    client.create("/app/1", &at(&one));
    let relay = Relay::start(server.address()).await;
    let proxy = started(&[relay.address().to_string()], &[&one]).await;
    let load = Load::start(&proxy, 4).await;
    relay.stop_passing();
    client.create("/app/2", &at(&two));
    let labels = [("pool", "app"), ("source", "zookeeper")];
    let end = Instant::now() + Duration::from_secs(40);
    while proxy
        .metric("sluicegate_discovery_last_success", &labels)
        .await
        > 0.5
    {
        assert!(Instant::now() < end, "the silence is not noticed");
        load.goes_on(50).await;
    }
    assert_eq!(addresses(&proxy).await, [at(&one)]);
    relay.pass_again();
    becomes_under(&load, &proxy, 2).await;
    server.signal(Signal::STOP);
    load.goes_on(100).await;
    server.signal(Signal::CONT);
    let mut client = server.client();
    client.create("/app/3", &at(&three));
    becomes_under(&load, &proxy, 3).await;
    load.end().await;
    proxy.finish().await;
}

#[tokio::test]
async fn another_server_of_the_ensemble_is_asked_when_one_dies() {
    let mut all = ZooKeeper::start_three().await;
    let [one, two, _] = backends().await;
    let mut client = all[2].client();
    client.create("/app", "");
    client.create("/app/1", &at(&one));
    let servers = all.each_ref().map(|it| it.address().to_string());
    let proxy = started(&servers[..2], &[&one]).await;
    let load = Load::start(&proxy, 4).await;
    all[0].kill();
    client.create("/app/2", &at(&two));
    becomes_under(&load, &proxy, 2).await;
    all[0].run();
    all[0].is_ready().await;
    all[1].kill();
    let mut client = all[2].client();
    client.delete("/app/2");
    becomes_under(&load, &proxy, 1).await;
    load.end().await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_node_that_may_not_be_read_without_a_login_is_told() {
    let server = ZooKeeper::start().await;
    let [one, ..] = backends().await;
    let mut client = server.client();
    client.create("/app", "");
    client.create("/app/1", &at(&one));
    client.say("addauth digest proxy:secret");
    client.say("setAcl /app/1 auth:proxy:secret:cdrwa");
    client.say("setAcl /app auth:proxy:secret:cdrwa");
    let plain = text(&[server.address().to_string()]);
    let mut proxy = Settings::new(&plain).backend("one", &one).start().await;
    eventually("it is told", || async {
        let pool: Value = pool(&proxy).await;
        let error = pool["discovery"]["error"].as_str()?;
        error.contains("may not be read").then_some(())
    })
    .await;
    let login = "path = \"/app\", user = \"proxy\", password = \"secret\"";
    proxy.replace(&plain.replace("path = \"/app\"", login));
    becomes(&proxy, &[&one]).await;
    assert_eq!(proxy.get("/").await.text(), "one");
    proxy.finish().await;
}
