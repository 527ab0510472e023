//! A configuration that many proxies share in a real etcd: a write is taken up like an edit, a bad
//! one is refused and told, and nothing depends on the store being there.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::discovery::{Load, at};
use crate::harness::{Backend, Etcd, Port, Proxy, Relay, Settings, command, eventually, identity};

const KEY: &str = "sluicegate/edge";

/// The file of one proxy.
fn local(name: &str, servers: &[String]) -> String {
    let servers = json!(servers);
    format!(
        r#"
        [proxy]
        workers = 2
        state_dir = "state"
        [config]
        name = "{name}"
        source = {{ etcd = {{ endpoints = {servers}, key = "{KEY}" }} }}
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
fn settings(name: &str, servers: &[String], port: &Port, backends: &[&Backend]) -> Settings {
    let mut settings = Settings::new(&local(name, servers))
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

/// The state of a proxy in the store.
async fn member(etcd: &Etcd, name: &str, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let key = format!("{KEY}/fleet/{name}/");
    eventually(format!("the store says of {name}: {what}"), || async {
        let text = etcd.ctl(&["get", "--prefix", "--print-value-only", "--", &key]);
        let member: Value = serde_json::from_str(&text).ok()?;
        fits(&member).then_some(member)
    })
    .await
}

#[tokio::test]
async fn a_write_is_taken_up_like_an_edit_and_a_bad_one_is_refused_and_told() {
    let etcd = Etcd::start().await;
    let [one, two] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
    ];
    etcd.put(KEY, &shared(&one));
    let port = Port::take();
    let mut proxy = settings("edge-1", &[etcd.url()], &port, &[&one, &two])
        .start()
        .await;
    answers(&proxy, "one").await;
    let load = Load::start(&proxy, 4).await;
    member(&etcd, "edge-1", "it runs", |it| {
        it["state"] == "running" && it["healthy"] == true && it["generation"] == 1
    })
    .await;
    etcd.put(KEY, &shared(&two));
    answers(&proxy, "two").await;
    last_reload_succeeds(&proxy, true).await;
    // One with a fault, at a line of its own.
    etcd.put(KEY, &shared(&one).replace("\"app\"", "\"ap\""));
    last_reload_succeeds(&proxy, false).await;
    proxy.log_says("etcd:sluicegate/edge:4:8: error").await;
    let refused = member(&etcd, "edge-1", "it refused", |it| it["state"] == "refused").await;
    let error = refused["error"].as_str().expect("the error");
    assert!(error.contains("pool \"ap\""), "{error}");
    load.goes_on(50).await;
    answers(&proxy, "two").await;
    // Tables of the proxy itself do not belong there.
    etcd.put(KEY, &format!("[proxy]\nworkers = 1\n{}", shared(&one)));
    proxy
        .log_says("[proxy] is not for the shared configuration")
        .await;
    // Nor is a deletion a configuration.
    etcd.delete(KEY);
    proxy.log_says("does not exist in its store").await;
    answers(&proxy, "two").await;
    etcd.put(KEY, &shared(&one));
    answers(&proxy, "one").await;
    last_reload_succeeds(&proxy, true).await;
    member(&etcd, "edge-1", "it runs again", |it| {
        it["state"] == "running"
    })
    .await;
    load.end().await;
    // It leaves the list when it ends.
    proxy.signal(Signal::TERM);
    proxy.exited().await;
    let left = etcd.ctl(&["get", "--prefix", "--keys-only", "--", KEY]);
    assert!(!left.contains("fleet"), "{left}");
}

#[tokio::test]
async fn the_file_beside_a_store_has_the_tables_of_the_proxy_only() {
    let etcd = Etcd::start().await;
    let app = Backend::start(identity("app")).await;
    etcd.put(KEY, &shared(&app));
    let port = Port::take();
    let mut proxy = settings("edge-1", &[etcd.url()], &port, &[&app])
        .start()
        .await;
    let wrong = format!(
        "{}\n[pools.app]\nendpoints = []\n",
        local("edge-1", &[etcd.url()])
    );
    proxy.replace(&wrong);
    proxy.log_says("[pools] is not for this file").await;
    answers(&proxy, "app").await;
    let right = local("edge-1", &[etcd.url()]).replace(
        "workers = 2",
        "workers = 2\ntrusted_proxies = [\"127.0.0.1/32\"]",
    );
    let before = proxy.generation().await;
    proxy.replace(&right);
    eventually("the edit is taken up", || async {
        (proxy.generation().await > before).then_some(())
    })
    .await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_start_without_the_store_uses_the_last_good_configuration_and_says_so() {
    let mut etcd = Etcd::start().await;
    let [one, two] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
    ];
    etcd.put(KEY, &shared(&one));
    let port = Port::take();
    let settings = settings("edge-1", &[etcd.url()], &port, &[&one, &two]);
    let mut proxy = settings.start().await;
    answers(&proxy, "one").await;
    let state = proxy.folder().join("state");
    eventually("the shared part is kept", || async {
        let mut files = std::fs::read_dir(&state).ok()?.flatten();
        files
            .any(|it| it.file_name().to_string_lossy().ends_with(".shared.toml"))
            .then_some(())
    })
    .await;
    etcd.kill();
    proxy.signal(Signal::TERM);
    proxy.exited().await;
    proxy.start_again().await;
    answers(&proxy, "one").await;
    let ready = proxy.admin("GET", "/ready", "").await.expect("an answer");
    assert_eq!(ready.status, 200);
    assert!(
        ready.text().contains("last good shared"),
        "{}",
        ready.text()
    );
    last_reload_succeeds(&proxy, false).await;
    etcd.run();
    etcd.is_ready().await;
    last_reload_succeeds(&proxy, true).await;
    etcd.put(KEY, &shared(&two));
    answers(&proxy, "two").await;
    proxy.finish().await;
}

#[tokio::test]
async fn three_servers_lose_their_leader_while_edits_and_traffic_go_on() {
    let mut all = Etcd::start_three().await;
    let [one, two] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
    ];
    all[0].put(KEY, &shared(&one));
    let servers = all.each_ref().map(Etcd::url);
    let ports = [Port::take(), Port::take()];
    let [first, second] = [
        settings("edge-1", &servers, &ports[0], &[&one, &two])
            .start()
            .await,
        settings("edge-2", &servers, &ports[1], &[&one, &two])
            .start()
            .await,
    ];
    let loads = [Load::start(&first, 2).await, Load::start(&second, 2).await];
    let mut leader = None;
    for (at, etcd) in all.iter().enumerate() {
        let status = etcd.ctl(&["endpoint", "status", "-w", "json"]);
        let status: Value = serde_json::from_str(&status).expect("JSON");
        let status = &status[0]["Status"];
        if status["leader"] == status["header"]["member_id"] {
            leader = Some(at);
        }
    }
    let leader = leader.expect("a leader");
    all[leader].kill();
    let other = &all[(leader + 1) % 3];
    for _ in 0..4 {
        for (backend, name) in [(&two, "two"), (&one, "one")] {
            other.is_ready().await;
            other.put(KEY, &shared(backend));
            answers(&first, name).await;
            answers(&second, name).await;
        }
    }
    for load in &loads {
        load.goes_on(50).await;
    }
    for name in ["edge-1", "edge-2"] {
        member(other, name, "it runs", |it| it["state"] == "running").await;
    }
    all[leader].run();
    all[leader].is_ready().await;
    all[leader].put(KEY, &shared(&two));
    answers(&first, "two").await;
    answers(&second, "two").await;
    for load in loads {
        load.end().await;
    }
    first.finish().await;
    second.finish().await;
}

#[tokio::test]
async fn push_checks_and_swaps_and_fleet_lists_the_proxies() {
    let etcd = Etcd::start().await;
    let [one, two] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
    ];
    etcd.put(KEY, &shared(&one));
    let port = Port::take();
    let proxy = settings("edge-1", &[etcd.url()], &port, &[&one, &two])
        .start()
        .await;
    let run = |text: &str, arguments: &[&str]| {
        std::fs::write(proxy.folder().join("edge.toml"), text).expect("written");
        command(proxy.folder(), arguments)
    };
    // Compared with what the store has, and with what runs, each with the file of the proxy.
    let (code, said) = run(
        &shared(&two),
        &["diff", "edge.toml", "--config", "proxy.toml"],
    );
    assert_eq!(code, Some(0), "{said}");
    let lines: Vec<&str> = said.trim().lines().skip(1).collect();
    let added = format!("+ endpoint app/{}", at(&two));
    let removed = format!("- endpoint app/{}", at(&one));
    assert_eq!(lines, [&*added, &*removed], "{said}");
    // Only with the admin token values are looked up that are kept elsewhere.
    let plain = shared(&two).replace(
        "{ env = \"WEB\", default = \"127.0.0.1:8080\" }",
        &format!("\"{}\"", port.address()),
    );
    let (code, said) = run(&plain, &["diff", "edge.toml"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&added) && said.contains(&removed), "{said}");
    assert!(
        !said.contains("[proxy]") && !said.contains("- listener"),
        "{said}"
    );
    let (code, said) = run(&shared(&two), &["push", "edge.toml"]);
    assert_eq!(code, Some(0), "{said}");
    let revision = said
        .trim()
        .rsplit(' ')
        .next()
        .expect("the revision")
        .to_owned();
    answers(&proxy, "two").await;
    // A fault, a failing test: neither is written.
    let (code, said) = run(
        &shared(&one).replace("\"app\"", "\"ap\""),
        &["push", "edge.toml"],
    );
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("edge.toml:4:8"), "{said}");
    let failing = format!(
        "{}[tests.t]\nrequest = {{ url = \"http://a.example/\" }}\nexpect = {{ status = 404 }}\n",
        shared(&one)
    );
    let (code, said) = run(&failing, &["push", "edge.toml"]);
    assert_eq!(code, Some(3), "{said}");
    // Made from a revision that is not the newest any more: refused, with who wrote it.
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
    let (code, said) = run("", &["fleet", "--format", "json"]);
    assert_eq!(code, Some(0), "{said}");
    let fleet: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(fleet["proxies"][0]["name"], "edge-1");
    let (code, said) = run("", &["fleet"]);
    assert!(
        code == Some(0) && said.contains("used by 1 proxy"),
        "{said}"
    );
    proxy.finish().await;
}

#[tokio::test]
async fn a_store_that_falls_silent_slows_nobody_and_is_followed_again() {
    let etcd = Etcd::start().await;
    let [one, two] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
    ];
    etcd.put(KEY, &shared(&one));
    let relay = Relay::start(etcd.address()).await;
    let port = Port::take();
    let server = format!("http://{}", relay.address());
    let proxy = settings("edge-1", &[server], &port, &[&one, &two])
        .start()
        .await;
    let load = Load::start(&proxy, 4).await;
    relay.stop_passing();
    etcd.put(KEY, &shared(&two));
    let end = Instant::now() + Duration::from_secs(40);
    while proxy.metric("sluicegate_config_store_up", &[]).await > 0.5 {
        assert!(Instant::now() < end, "the silence is not noticed");
        load.goes_on(100).await;
    }
    assert_eq!(proxy.get("/").await.text(), "one");
    // Control is not held up by it.
    assert_eq!(
        proxy
            .admin("GET", "/ready", "")
            .await
            .expect("an answer")
            .status,
        200
    );
    relay.pass_again();
    let end = Instant::now() + Duration::from_secs(40);
    while proxy.get("/").await.text() != "two" {
        assert!(Instant::now() < end, "the change is not taken up");
        load.goes_on(50).await;
    }
    load.end().await;
    proxy.finish().await;
}
