//! A configuration that many proxies share in a real Consul: as in etcd, a write is taken up like
//! an edit, a bad one is refused and told, and nothing depends on the agent being there.

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use crate::discovery::{Load, at};
use crate::discovery_acl::{revoke, token};
use crate::harness::{
    Backend, Consul, Port, Proxy, Relay, Settings, command, eventually, identity,
};

const KEY: &str = "sluicegate/edge";

/// The file of one proxy.
fn local(name: &str, agent: &str) -> String {
    format!(
        r#"
        [proxy]
        workers = 2
        state_dir = "state"
        [config]
        name = "{name}"
        source = {{ consul = {{ address = "http://{agent}", key = "{KEY}" }} }}
        "#
    )
}

/// The tables in the store; each proxy listens where its environment says.
fn shared(backend: &Backend) -> String {
    format!(
        "[listeners.web]\naddress = {{ env = \"WEB\", default = \"127.0.0.1:8080\" }}\n[routes.all]\npool = \"app\"\n\
         [pools.app]\nendpoints = [\"{}\"]\n\
         [access_log]\npath = \"access.log\"\nformat = \"json\"\n",
        at(backend)
    )
}

/// The settings of a proxy that listens at `$web`.
fn settings(name: &str, agent: &str, port: &Port, backends: &[&Backend]) -> Settings {
    let mut settings = Settings::new(&local(name, agent))
        .address("web", port.address())
        .variable("WEB", &port.address().to_string());
    for (at, backend) in backends.iter().enumerate() {
        settings = settings.backend(&format!("app{at}"), backend);
    }
    settings
}

async fn answers(proxy: &Proxy, wanted: &str) {
    eventually(format!("{wanted} answers"), || async {
        (proxy.get("/").await.text() == wanted).then_some(())
    })
    .await;
}

async fn last_reload_succeeds(proxy: &Proxy, wanted: bool) {
    let wanted = if wanted { 1.0 } else { 0.0 };
    proxy
        .metric_becomes("sluicegate_config_last_reload_success", &[], wanted)
        .await;
}

async fn put(agent: &Consul, text: &str) {
    agent.done(&format!("/v1/kv/{KEY}"), text).await;
}

/// The states of the proxies of this name in the store.
async fn members(agent: &Consul, name: &str) -> Vec<Value> {
    let path = format!("/v1/kv/{KEY}/fleet/{name}/?keys");
    let Some(answer) = agent.ask("GET", &path, "").await else {
        return Vec::new();
    };
    let keys: Vec<String> = serde_json::from_str(&answer.text()).unwrap_or_default();
    let mut all = Vec::new();
    for key in keys {
        let raw = agent.ask("GET", &format!("/v1/kv/{key}?raw"), "").await;
        all.extend(raw.and_then(|raw| serde_json::from_str::<Value>(&raw.text()).ok()));
    }
    all
}

/// Waits until the state of a proxy in the store fits.
async fn member(agent: &Consul, name: &str, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
    eventually(format!("the store says of {name}: {what}"), || async {
        members(agent, name).await.into_iter().find(&fits)
    })
    .await
}

#[tokio::test]
async fn a_write_is_taken_up_like_an_edit_and_a_bad_one_is_refused_and_told() {
    let agent = Consul::start().await;
    let [one, two] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
    ];
    put(&agent, &shared(&one)).await;
    let port = Port::take();
    let at = agent.address().to_string();
    let mut proxy = settings("edge-1", &at, &port, &[&one, &two]).start().await;
    answers(&proxy, "one").await;
    let load = Load::start(&proxy, 4).await;
    member(&agent, "edge-1", "it runs", |it| {
        it["state"] == "running" && it["healthy"] == true && it["generation"] == 1
    })
    .await;
    let written = Instant::now();
    put(&agent, &shared(&two)).await;
    answers(&proxy, "two").await;
    assert!(
        written.elapsed() < Duration::from_secs(2),
        "by a query that waits"
    );
    last_reload_succeeds(&proxy, true).await;
    put(&agent, &shared(&one).replace("\"app\"", "\"ap\"")).await;
    last_reload_succeeds(&proxy, false).await;
    proxy.log_says("consul:sluicegate/edge:4:8: error").await;
    let refused = member(&agent, "edge-1", "it refused", |it| {
        it["state"] == "refused"
    })
    .await;
    let error = refused["error"].as_str().expect("the error");
    assert!(error.contains("pool \"ap\""), "{error}");
    load.goes_on(50).await;
    // A deletion is no configuration.
    let deleted = agent.ask("DELETE", &format!("/v1/kv/{KEY}"), "").await;
    assert_eq!(deleted.expect("an answer").status, 200);
    proxy.log_says("does not exist in its store").await;
    answers(&proxy, "two").await;
    put(&agent, &shared(&one)).await;
    answers(&proxy, "one").await;
    last_reload_succeeds(&proxy, true).await;
    load.end().await;
    // It leaves the list when it ends.
    proxy.signal(Signal::TERM);
    proxy.exited().await;
    assert!(members(&agent, "edge-1").await.is_empty());
}

#[tokio::test]
async fn a_token_that_is_replaced_in_its_file_is_used_without_a_restart() {
    let agent = Consul::start_with_acl().await;
    let [one, two] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
    ];
    let rules = format!(
        "key \"{KEY}\" {{ policy = \"read\" }} key_prefix \"{KEY}/fleet/\" {{ policy = \"write\" }} \
         session_prefix \"\" {{ policy = \"write\" }}"
    );
    let first = token(&agent, "first", &rules).await;
    put(&agent, &shared(&one)).await;
    let port = Port::take();
    let at = agent.address().to_string();
    let text = local("edge-1", &at).replace(
        &format!("key = \"{KEY}\""),
        &format!("key = \"{KEY}\", token = {{ file = \"store.token\" }}"),
    );
    let settings = Settings::new(&text)
        .address("web", port.address())
        .variable("WEB", &port.address().to_string())
        .backend("app0", &one)
        .backend("app1", &two);
    let file = settings.folder().join("store.token");
    std::fs::write(&file, &first).expect("written");
    let proxy = settings.start().await;
    answers(&proxy, "one").await;
    member(&agent, "edge-1", "it runs", |it| it["state"] == "running").await;
    let load = Load::start(&proxy, 2).await;
    // Another one takes its place, and the first is not valid any more.
    let next = token(&agent, "next", &rules).await;
    std::fs::write(&file, &next).expect("written");
    proxy.log_says("is asked with other secrets").await;
    revoke(&agent, "first").await;
    put(&agent, &shared(&two)).await;
    answers(&proxy, "two").await;
    member(&agent, "edge-1", "the new text is in use", |it| {
        it["state"] == "running" && it["generation"] == 3
    })
    .await;
    // The other way round: the first is refused before the file has the next one.
    let last = token(&agent, "last", &rules).await;
    revoke(&agent, "next").await;
    proxy
        .metric_becomes("sluicegate_config_store_up", &[], 0.0)
        .await;
    put(&agent, &shared(&one)).await;
    std::fs::write(&file, &last).expect("written");
    answers(&proxy, "one").await;
    proxy
        .metric_becomes("sluicegate_config_store_up", &[], 1.0)
        .await;
    load.goes_on(20).await;
    load.end().await;
    assert!(!proxy.log().contains("needs a restart"), "{}", proxy.log());
    assert!(!proxy.log().contains("after a restart"), "{}", proxy.log());
    proxy.finish().await;
}

#[tokio::test]
async fn an_agent_that_dies_or_falls_silent_slows_nobody_and_is_followed_again() {
    let mut agent = Consul::start().await;
    let [one, two] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
    ];
    put(&agent, &shared(&one)).await;
    let relay = Relay::start(agent.address()).await;
    let port = Port::take();
    let at = relay.address().to_string();
    let mut proxy = settings("edge-1", &at, &port, &[&one, &two]).start().await;
    let load = Load::start(&proxy, 2).await;
    member(&agent, "edge-1", "it runs", |it| it["state"] == "running").await;
    relay.stop_passing();
    put(&agent, &shared(&two)).await;
    let end = Instant::now() + Duration::from_secs(25);
    while proxy.metric("sluicegate_config_store_up", &[]).await > 0.5 {
        assert!(Instant::now() < end, "the silence is not noticed");
        load.goes_on(100).await;
    }
    assert_eq!(proxy.get("/").await.text(), "one");
    relay.pass_again();
    let end = Instant::now() + Duration::from_secs(25);
    while proxy.get("/").await.text() != "two" {
        assert!(Instant::now() < end, "the change is not taken up");
        load.goes_on(50).await;
    }
    load.end().await;
    // A start without the agent uses the last good configuration, and says so.
    agent.kill();
    proxy.signal(Signal::TERM);
    proxy.exited().await;
    proxy.start_again().await;
    answers(&proxy, "two").await;
    last_reload_succeeds(&proxy, false).await;
    let ready = proxy.admin("GET", "/ready", "").await.expect("an answer");
    assert!(
        ready.text().contains("last good shared"),
        "{}",
        ready.text()
    );
    agent.run();
    agent.is_ready().await;
    last_reload_succeeds(&proxy, true).await;
    put(&agent, &shared(&one)).await;
    answers(&proxy, "one").await;
    proxy.finish().await;
}

#[tokio::test]
async fn push_swaps_and_fleet_lists_the_proxies_and_tells_two_of_one_name() {
    let agent = Consul::start().await;
    let [one, two] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
    ];
    let at = agent.address().to_string();
    // The first push makes the key.
    let ports = [Port::take(), Port::take()];
    let folder = tempfile::tempdir().expect("a folder");
    let run = |text: &str, arguments: &[&str]| {
        std::fs::write(folder.path().join("proxy.toml"), local("edge-1", &at)).expect("written");
        std::fs::write(folder.path().join("edge.toml"), text).expect("written");
        command(folder.path(), arguments)
    };
    let (code, said) = run(&shared(&one), &["push", "edge.toml"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("written to consul:sluicegate/edge: revision "),
        "{said}"
    );
    let proxy = settings("edge-1", &at, &ports[0], &[&one, &two])
        .start()
        .await;
    answers(&proxy, "one").await;
    let (code, said) = run(&shared(&two), &["push", "edge.toml"]);
    assert_eq!(code, Some(0), "{said}");
    let revision = said.trim().rsplit(' ').next().expect("the revision");
    let revision = revision.to_owned();
    answers(&proxy, "two").await;
    let (code, said) = run(&shared(&one), &["push", "edge.toml", "--base", "1"]);
    assert_eq!(code, Some(1), "{said}");
    let told = format!("is at revision {revision}, not 1: ");
    assert!(
        said.contains(&told) && said.contains(" wrote it at 20"),
        "{said}"
    );
    let (code, said) = run(&shared(&one), &["push", "edge.toml", "--base", &revision]);
    assert_eq!(code, Some(0), "{said}");
    answers(&proxy, "one").await;
    let (code, said) = run("", &["fleet"]);
    assert!(
        code == Some(0) && said.contains("used by 1 proxy"),
        "{said}"
    );
    // Another one takes the same name.
    let twin = settings("edge-1", &at, &ports[1], &[&one, &two])
        .start()
        .await;
    twin.log_says("has the same config.name").await;
    let ready = twin.admin("GET", "/ready", "").await.unwrap();
    assert_eq!(ready.status, 200);
    let told = "another proxy of the fleet has the same config.name since 20";
    assert!(ready.text().contains(told), "{}", ready.text());
    eventually("both are listed", || async {
        (members(&agent, "edge-1").await.len() == 2).then_some(())
    })
    .await;
    let (_, said) = run("", &["fleet"]);
    assert!(said.contains("2 proxies are called edge-1"), "{said}");
    let (_, said) = run("", &["fleet", "--format", "json"]);
    let fleet: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(fleet["proxies"].as_array().map(Vec::len), Some(2));
    assert_eq!(fleet["key"], json!("consul:sluicegate/edge"));
    twin.finish().await;
    proxy.finish().await;
}
