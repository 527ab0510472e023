//! Listeners that enter themselves into a registry: in when they accept, out before they close, in
//! again when the registry has lost them.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::discovery::{Load, addresses};
use crate::harness::{Backend, Consul, Port, Proxy, Relay, Settings, eventually, identity};

/// A sidecar in front of `$app` with this `register`.
pub(super) fn sidecar(register: &str) -> String {
    format!(
        r#"
        [proxy]
        workers = 2
        drain = {{ grace = "1s", timeout = "2s" }}
        [listeners.web]
        address = "$web"
        register = {register}
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
        "#
    )
}

/// `register` at this agent, with these keys of `consul`.
pub(super) fn consul(keys: &str) -> String {
    format!(r#"{{ consul = {{ address = "http://$consul", service = "orders" {keys} }} }}"#)
}

/// The entry of the listener, as the admin API shows it.
pub(super) async fn registration(proxy: &Proxy) -> Value {
    let answer = proxy.admin("GET", "/listeners", "").await;
    let listeners: Value = serde_json::from_str(&answer.expect("listeners").text()).unwrap();
    listeners[0]["registration"].clone()
}

/// Waits until the entry is in this state.
pub(super) async fn registered(proxy: &Proxy, state: &str) -> Value {
    eventually(format!("the entry is {state}"), || async {
        let entry = registration(proxy).await;
        (entry["state"] == state).then_some(entry)
    })
    .await
}

/// The service with this id at the agent; null if the agent does not know it.
pub(super) async fn service(consul: &Consul, id: &str) -> Value {
    let path = format!("/v1/agent/service/{id}");
    let answer = consul.ask("GET", &path, "").await.expect("an answer");
    serde_json::from_str(&answer.text()).unwrap_or_default()
}

/// The state of the check of a service with this id; null if there is none.
pub(super) async fn check(consul: &Consul, id: &str) -> Value {
    let answer = consul.ask("GET", "/v1/agent/checks", "").await;
    let checks: Value = serde_json::from_str(&answer.expect("an answer").text()).unwrap();
    checks[format!("service:{id}")]["Status"].clone()
}

async fn appears(consul: &Consul, id: &str) -> Value {
    eventually(format!("{id} is registered"), || async {
        let service = service(consul, id).await;
        service.is_object().then_some(service)
    })
    .await
}

pub(super) async fn disappears(consul: &Consul, id: &str) {
    eventually(format!("{id} is not registered any more"), || async {
        service(consul, id).await.is_null().then_some(())
    })
    .await;
}

/// The id of the entry of a proxy that has written none.
fn id_of(proxy: &Proxy) -> String {
    let at = proxy.address("web");
    format!("orders-{}-{}", at.ip(), at.port())
}

#[tokio::test]
async fn a_sidecar_is_registered_as_written_and_shows_it() {
    let agent = Consul::start().await;
    let app = Backend::start(identity("app")).await;
    let keys = r#", tags = ["blue"], meta = { version = "1.4.2", zone = "a" }"#;
    let settings = Settings::new(&sidecar(&consul(keys)))
        .backend("app", &app)
        .address("consul", agent.address());
    let proxy = settings.start().await;
    let (id, at) = (id_of(&proxy), proxy.address("web"));
    let service = appears(&agent, &id).await;
    assert_eq!(service["Service"], "orders");
    assert_eq!(service["Address"], at.ip().to_string());
    assert_eq!(service["Port"], at.port());
    assert_eq!(service["Tags"], json!(["blue"]));
    assert_eq!(service["Meta"], json!({ "version": "1.4.2", "zone": "a" }));
    assert_eq!(check(&agent, &id).await, "passing");
    let entry = registered(&proxy, "registered").await;
    assert_eq!(
        (&entry["id"], &entry["registry"]),
        (&json!(id), &json!("consul"))
    );
    assert_eq!(entry["announced"], at.to_string());
    let labels = [("listener", "web"), ("registry", "consul")];
    proxy
        .metric_becomes("sluicegate_registered", &labels, 1.0)
        .await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_sidecar_is_out_before_it_closes_and_its_clients_lose_nothing() {
    let agent = Consul::start().await;
    let [one, two] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
    ];
    let mut sidecars = Vec::new();
    for app in [&one, &two] {
        let settings = Settings::new(&sidecar(&consul("")))
            .backend("app", app)
            .address("consul", agent.address());
        sidecars.push(settings.start().await);
    }
    let text = sidecar("false").replace(
        "endpoints = [\"$app\"]",
        "discover = { consul = { address = \"http://$consul\", service = \"orders\" } }",
    );
    let gateway = Settings::new(&text).address("consul", agent.address());
    let gateway = gateway.start().await;
    eventually("both are found", || async {
        (addresses(&gateway).await.len() == 2).then_some(())
    })
    .await;
    let load = Load::start(&gateway, 2).await;
    load.goes_on(50).await;
    let mut leaving = sidecars.remove(0);
    let began = Instant::now();
    leaving.signal(Signal::TERM);
    disappears(&agent, &id_of(&leaving)).await;
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "before its grace is over"
    );
    assert_eq!(leaving.get("/").await.text(), "one", "it still accepts");
    let left = sidecars[0].address("web").to_string();
    eventually("the gateway hears of it", || async {
        (addresses(&gateway).await == [&*left]).then_some(())
    })
    .await;
    load.goes_on(50).await;
    leaving.exited().await;
    load.goes_on(50).await;
    load.end().await;
    assert!(leaving.log().contains("removed from its registry"));
    gateway.finish().await;
    sidecars.remove(0).finish().await;
}

#[tokio::test]
async fn an_entry_that_the_agent_has_lost_is_made_again() {
    let mut agent = Consul::start().await;
    let app = Backend::start(identity("app")).await;
    let settings = Settings::new(&sidecar(&consul(
        ", id = \"one\", check = { ttl = \"3s\" }",
    )))
    .backend("app", &app)
    .address("consul", agent.address());
    let proxy = settings.start().await;
    appears(&agent, "one").await;
    // Somebody removes it.
    agent.deregister("one").await;
    appears(&agent, "one").await;
    // The agent comes back without its data.
    agent.kill();
    registered(&proxy, "failed").await;
    agent.forget();
    agent.run();
    agent.is_ready().await;
    appears(&agent, "one").await;
    registered(&proxy, "registered").await;
    let log = proxy.log();
    assert!(
        log.contains("the registry does not know it any more"),
        "{log}"
    );
    assert!(
        log.matches("not registered; it is tried again").count() < 8,
        "{log}"
    );
    // A proxy that dies without a word is critical after the time of its check.
    proxy.signal(Signal::KILL);
    eventually("its check fails", || async {
        (check(&agent, "one").await == "critical").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_reload_that_changes_an_entry_moves_it_and_one_that_does_not_leaves_it_alone() {
    let agent = Consul::start().await;
    let app = Backend::start(identity("app")).await;
    let text = |keys: &str| sidecar(&consul(keys));
    let settings = Settings::new(&text(", id = \"one\""))
        .backend("app", &app)
        .address("consul", agent.address());
    let mut proxy = settings.start().await;
    let first = appears(&agent, "one").await;
    // Another id: the new entry is made, then the old one is removed.
    proxy.reload(&text(", id = \"two\"")).await;
    appears(&agent, "two").await;
    disappears(&agent, "one").await;
    // Other tags under the same id: the entry never leaves.
    proxy.replace(&text(", id = \"two\", tags = [\"green\"]"));
    eventually("it has its tag", || async {
        let service = service(&agent, "two").await;
        assert!(service.is_object(), "it was out");
        (service["Tags"] == json!(["green"])).then_some(())
    })
    .await;
    assert_eq!(first["Tags"], json!([]));
    // Something else changes.
    let entries = |proxy: &Proxy| proxy.log().matches("INFO registered").count();
    registered(&proxy, "registered").await;
    let before = entries(&proxy);
    assert!(before > 0, "{}", proxy.log());
    proxy
        .reload(
            &text(", id = \"two\", tags = [\"green\"]")
                .replace("timeout = \"2s\"", "timeout = \"3s\""),
        )
        .await;
    assert_eq!(registration(&proxy).await["state"], "registered");
    assert_eq!(entries(&proxy), before);
    // Without the key it is out.
    let without = text("").replace(&format!("register = {}", consul("")), "");
    proxy.reload(&without).await;
    disappears(&agent, "two").await;
    eventually("it is not shown any more", || async {
        registration(&proxy).await.is_null().then_some(())
    })
    .await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_listener_of_all_addresses_is_announced_at_that_of_the_node() {
    let agent = Consul::start().await;
    let app = Backend::start(identity("app")).await;
    let text = sidecar(&consul(
        r#", id = "one", check = { http = { path = "/", interval = "1s" } }"#,
    ));
    let text = text.replace("\"$web\"", "\"0.0.0.0:$web_port\"");
    let port = Port::take();
    let text = text.replace("$web_port", &port.address().port().to_string());
    let settings = Settings::new(&text)
        .backend("app", &app)
        .address("consul", agent.address());
    let proxy = settings.start().await;
    let service = appears(&agent, "one").await;
    assert_eq!(service["Address"], "");
    assert_eq!(service["Port"], port.address().port());
    app.has_seen(1).await;
    assert_eq!(check(&agent, "one").await, "passing");
    drop(proxy);
}

#[tokio::test]
async fn an_upgrade_hands_the_entry_over_without_a_gap() {
    let agent = Consul::start().await;
    let app = Backend::start(identity("app")).await;
    let settings = Settings::new(&sidecar(&consul(
        ", id = \"one\", check = { ttl = \"3s\" }",
    )))
    .backend("app", &app)
    .address("consul", agent.address());
    let proxy = settings.start().await;
    appears(&agent, "one").await;
    registered(&proxy, "registered").await;
    let looking = async {
        loop {
            let answer = agent
                .ask("GET", "/v1/health/service/orders?passing", "")
                .await;
            let found: Value = serde_json::from_str(&answer.unwrap().text()).unwrap();
            assert_eq!(found.as_array().unwrap().len(), 1, "a gap");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let upgrading = async {
        proxy.upgrade().await;
        registered(&proxy, "registered").await;
        // Longer than the time of the check: the new process keeps it.
        let end = Instant::now() + Duration::from_secs(5);
        eventually("time passes", || async {
            (Instant::now() > end).then_some(())
        })
        .await;
    };
    tokio::select! {
        () = looking => {}
        () = upgrading => {}
    }
    proxy.all_end().await;
    assert!(service(&agent, "one").await.is_null());
}

#[tokio::test]
async fn an_upgrade_that_changes_the_id_removes_the_old_entry() {
    let agent = Consul::start().await;
    let app = Backend::start(identity("app")).await;
    // An edit is for the next process only.
    let text = |id: &str| {
        let text = sidecar(&consul(&format!(
            ", id = \"{id}\", check = {{ ttl = \"1h\" }}"
        )));
        text.replace("workers = 2", "workers = 2\nwatch = false")
    };
    let settings = Settings::new(&text("one"))
        .backend("app", &app)
        .address("consul", agent.address());
    let mut proxy = settings.start().await;
    appears(&agent, "one").await;
    registered(&proxy, "registered").await;
    proxy.replace(&text("two"));
    proxy.upgrade().await;
    appears(&agent, "two").await;
    disappears(&agent, "one").await;
    assert!(service(&agent, "two").await.is_object());
    proxy.all_end().await;
    assert!(service(&agent, "two").await.is_null());
}

#[tokio::test]
async fn an_agent_that_is_away_or_silent_delays_neither_start_nor_reload_nor_stop() {
    let agent = Consul::start().await;
    let app = Backend::start(identity("app")).await;
    let relay = Relay::start(agent.address()).await;
    relay.stop_passing();
    let text = sidecar(&consul(", id = \"one\"")).replace("grace = \"1s\"", "grace = \"0s\"");
    let settings = Settings::new(&text)
        .backend("app", &app)
        .address("consul", relay.address());
    let began = Instant::now();
    let mut proxy = settings.start().await;
    assert_eq!(proxy.get("/").await.text(), "app");
    proxy
        .reload(&text.replace("timeout = \"2s\"", "timeout = \"3s\""))
        .await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(registration(&proxy).await["state"], "entering");
    relay.pass_again();
    appears(&agent, "one").await;
    relay.stop_passing();
    let began = Instant::now();
    proxy.signal(Signal::TERM);
    proxy.exited().await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    assert!(proxy.log().contains("the entry goes by itself"));
}
