//! Endpoints from a real etcd: they come, change and leave with their keys and leases, and the
//! cluster may be away, cut off or full of nonsense without a failed request.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::discovery::{Load, addresses, at, becomes, pool};
use crate::harness::{Backend, Etcd, Proxy, Relay, Settings, eventually, identity};

/// A pool whose endpoints are the keys under `/app/` of these servers.
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
        discover = {{ etcd = {{ endpoints = {servers}, prefix = "/app/" }}, hold_mass_removal = "0s" }}
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

/// The proxy, with these endpoints found.
async fn started(servers: &[String], found: &[&Backend]) -> Proxy {
    let mut settings = Settings::new(&text(servers));
    for (at, backend) in found.iter().enumerate() {
        settings = settings.backend(&format!("found{at}"), backend);
    }
    let proxy = settings.start().await;
    becomes(&proxy, found).await;
    proxy
}

async fn endpoint_becomes(proxy: &Proxy, backend: &Backend, wanted: &Value) {
    eventually(format!("{} has {wanted}", at(backend)), || async {
        let pool = pool(proxy).await;
        let endpoints = pool["endpoints"].as_array()?;
        let endpoint = endpoints.iter().find(|it| it["address"] == at(backend))?;
        let fields = wanted.as_object()?;
        fields
            .iter()
            .all(|(key, value)| endpoint[key] == *value)
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn endpoints_follow_the_keys_of_etcd_under_load() {
    let etcd = Etcd::start().await;
    let [one, two, three] = backends().await;
    etcd.put("/app/1", &at(&one));
    let proxy = started(&[etcd.url()], &[&one]).await;
    let load = Load::start(&proxy, 4).await;
    load.goes_on(50).await;
    let entry = json!({ "address": at(&two), "weight": 2, "version": "1.4.2", "zone": "a" });
    etcd.put("/app/2", &entry.to_string());
    becomes(&proxy, &[&one, &two]).await;
    let wanted = json!({ "weight": 2, "version": "1.4.2", "zone": "a", "source": "etcd" });
    endpoint_becomes(&proxy, &two, &wanted).await;
    let entry = json!({ "address": at(&two), "weight": 9, "version": "2.0.0" });
    etcd.put("/app/2", &entry.to_string());
    endpoint_becomes(&proxy, &two, &json!({ "weight": 9, "version": "2.0.0" })).await;
    load.goes_on(50).await;
    // What is no endpoint is left out, and costs no other.
    for (key, value) in [
        ("a", "nonsense"),
        ("b", "{"),
        ("c", ""),
        ("d", "\u{7f}\u{1}"),
    ] {
        etcd.put(&format!("/app/{key}"), value);
    }
    etcd.put("/app/3", &at(&three));
    etcd.put("/apple/1", "127.0.0.1:9");
    becomes(&proxy, &[&one, &two, &three]).await;
    proxy.log_says("/app/a").await;
    etcd.delete("/app/1");
    becomes(&proxy, &[&two, &three]).await;
    load.goes_on(50).await;
    let left = one.count();
    load.goes_on(100).await;
    assert_eq!(one.count(), left);
    load.end().await;
    let shown = pool(&proxy).await;
    assert_eq!(shown["discovery"]["source"], "etcd");
    assert!(shown["discovery"]["error"].is_null(), "{shown}");
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_whose_lease_ends_leaves() {
    let etcd = Etcd::start().await;
    let [one, two, _] = backends().await;
    etcd.put("/app/1", &at(&one));
    let granted = etcd.ctl(&["lease", "grant", "2"]);
    let lease = granted.split(' ').nth(1).expect("its number");
    etcd.ctl(&["put", "--lease", lease, "--", "/app/2", &at(&two)]);
    let proxy = started(&[etcd.url()], &[&one, &two]).await;
    let load = Load::start(&proxy, 2).await;
    becomes(&proxy, &[&one]).await;
    load.goes_on(50).await;
    load.end().await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_change_is_in_effect_200_ms_after_etcd_took_it() {
    let etcd = Etcd::start().await;
    let [one, two, _] = backends().await;
    etcd.put("/app/1", &at(&one));
    let proxy = started(&[etcd.url()], &[&one]).await;
    let mut client = proxy.client().await;
    let mut best = Duration::MAX;
    // Of several tries, so that a busy machine does not decide.
    for _ in 0..5 {
        etcd.put("/app/1", &at(&two));
        let taken = Instant::now();
        eventually("the other one answers", || async {
            (addresses(&proxy).await == [at(&two)]).then_some(())
        })
        .await;
        best = best.min(taken.elapsed());
        assert_eq!(client.get("/").await.text(), "two");
        etcd.put("/app/1", &at(&one));
        becomes(&proxy, &[&one]).await;
    }
    assert!(best < Duration::from_millis(200), "{best:?}");
    proxy.finish().await;
}

#[tokio::test]
async fn etcd_may_die_and_return_while_requests_go_on() {
    let mut etcd = Etcd::start().await;
    let [one, two, _] = backends().await;
    etcd.put("/app/1", &at(&one));
    let proxy = started(&[etcd.url()], &[&one]).await;
    let load = Load::start(&proxy, 4).await;
    load.goes_on(20).await;
    etcd.kill();
    eventually("the error is told", || async {
        pool(&proxy).await["discovery"]["error"]
            .as_str()
            .map(|_| ())
    })
    .await;
    load.goes_on(200).await;
    assert_eq!(addresses(&proxy).await, [at(&one)]);
    etcd.run();
    etcd.is_ready().await;
    etcd.put("/app/2", &at(&two));
    becomes(&proxy, &[&one, &two]).await;
    assert!(pool(&proxy).await["discovery"]["error"].is_null());
    load.goes_on(50).await;
    load.end().await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_silent_etcd_is_noticed_and_what_changed_meanwhile_is_taken_up() {
    let etcd = Etcd::start().await;
    let [one, two, three] = backends().await;
    etcd.put("/app/1", &at(&one));
    // The server itself hangs, or the network in between drops everything.
    let relay = Relay::start(etcd.address()).await;
    let server = format!("http://{}", relay.address());
    let proxy = started(&[server], &[&one]).await;
    let load = Load::start(&proxy, 4).await;
    relay.stop_passing();
    etcd.put("/app/2", &at(&two));
    let labels = [("pool", "app"), ("source", "etcd")];
    let end = Instant::now() + Duration::from_secs(40);
    while proxy
        .metric("sluicegate_discovery_last_success", &labels)
        .await
        > 0.5
    {
        assert!(Instant::now() < end, "the silence is not noticed");
        load.goes_on(100).await;
    }
    assert_eq!(addresses(&proxy).await, [at(&one)]);
    relay.pass_again();
    let end = Instant::now() + Duration::from_secs(40);
    while addresses(&proxy).await.len() != 2 {
        assert!(Instant::now() < end, "the change is not taken up");
        load.goes_on(100).await;
    }
    etcd.signal(Signal::STOP);
    load.goes_on(100).await;
    etcd.signal(Signal::CONT);
    etcd.put("/app/3", &at(&three));
    becomes(&proxy, &[&one, &two, &three]).await;
    load.end().await;
    proxy.finish().await;
}

#[tokio::test]
async fn another_server_of_the_cluster_is_asked_when_one_dies_or_falls_silent() {
    let [mut first, second, third] = Etcd::start_three().await;
    let [one, two, three] = backends().await;
    second.put("/app/1", &at(&one));
    let relay = Relay::start(second.address()).await;
    let servers = [
        first.url(),
        format!("http://{}", relay.address()),
        third.url(),
    ];
    let proxy = started(&servers, &[&one]).await;
    let load = Load::start(&proxy, 4).await;
    first.kill();
    // It may have been the leader.
    third.is_ready().await;
    third.put("/app/2", &at(&two));
    becomes(&proxy, &[&one, &two]).await;
    relay.stop_passing();
    third.put("/app/3", &at(&three));
    let end = Instant::now() + Duration::from_secs(40);
    while addresses(&proxy).await.len() != 3 {
        assert!(Instant::now() < end, "the change is not taken up");
        load.goes_on(100).await;
    }
    load.end().await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_compacted_history_is_read_anew() {
    let etcd = Etcd::start().await;
    let [one, two, _] = backends().await;
    etcd.put("/app/1", &at(&one));
    let relay = Relay::start(etcd.address()).await;
    let server = format!("http://{}", relay.address());
    let proxy = started(&[server], &[&one]).await;
    relay.stop_passing();
    etcd.put("/app/1", "127.0.0.1:9");
    etcd.put("/app/2", &at(&two));
    etcd.delete("/app/1");
    etcd.put("/app/0", &at(&one));
    let status = etcd.ctl(&["endpoint", "status", "-w", "json"]);
    let status: Value = serde_json::from_str(&status).expect("JSON");
    let revision = status[0]["Status"]["header"]["revision"].to_string();
    etcd.ctl(&["compact", &revision]);
    relay.pass_again();
    becomes(&proxy, &[&one, &two]).await;
    etcd.delete("/app/0");
    becomes(&proxy, &[&two]).await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_user_logs_in_and_a_wrong_password_is_told() {
    let etcd = Etcd::start().await;
    let [one, two, _] = backends().await;
    etcd.put("/app/1", &at(&one));
    for arguments in [
        &["user", "add", "root:secret"][..],
        &["user", "grant-role", "root", "root"],
        &["role", "add", "reader"],
        &[
            "role",
            "grant-permission",
            "reader",
            "read",
            "/app/",
            "--prefix=true",
        ],
        &["user", "add", "proxy:open sesame"],
        &["user", "grant-role", "proxy", "reader"],
        &["auth", "enable"],
    ] {
        etcd.ctl(arguments);
    }
    let login = |password: &str| {
        let with = format!("prefix = \"/app/\", user = \"proxy\", password = {password}");
        let text = text(&[etcd.url()]).replace("prefix = \"/app/\"", &with);
        Settings::new(&text)
            .backend("one", &one)
            .variable("ETCD_PASSWORD", "open sesame")
    };
    let mut proxy = login("{ env = \"ETCD_PASSWORD\" }").start().await;
    becomes(&proxy, &[&one]).await;
    etcd.ctl(&["--user", "root:secret", "put", "/app/2", &at(&two)]);
    becomes(&proxy, &[&one, &two]).await;
    assert!(!proxy.log().contains("open sesame"));
    // The reload keeps the endpoints, whatever becomes of the source.
    let wrong = text(&[etcd.url()]).replace(
        "prefix = \"/app/\"",
        "prefix = \"/app/\", user = \"proxy\", password = \"wrong\"",
    );
    proxy.replace(&wrong);
    eventually("the refusal is told", || async {
        let pool = pool(&proxy).await;
        let error = pool["discovery"]["error"].as_str()?;
        error.contains("authentication failed").then_some(())
    })
    .await;
    assert_eq!(addresses(&proxy).await.len(), 2);
    assert_eq!(proxy.get("/").await.status, 200);
    proxy.finish().await;
}
