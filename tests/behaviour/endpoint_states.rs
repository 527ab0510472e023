//! Drains and ejections by hand are in force until an operator says otherwise, or the endpoint leaves.

use std::{fs, path::PathBuf};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::discovery::{at, pool};
use crate::harness::{Act, Backend, Proxy, Settings, command, eventually, identity};

fn text(endpoints: &str, more: &str) -> String {
    format!(
        r#"
        [proxy]
        workers = 2
        state_dir = "state"
        [admin]
        address = "$admin"
        token = "a-token-of-the-tests"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = [{endpoints}]
        {more}
        "#
    )
}

async fn act(proxy: &Proxy, action: &str, backend: &Backend) -> String {
    let (folder, name) = (proxy.folder().to_owned(), format!("app/{}", at(backend)));
    let action = action.to_owned();
    let ran = tokio::task::spawn_blocking(move || {
        let arguments = ["endpoint", &action, &name, "--config", "proxy.toml"];
        command(&folder, &arguments)
    });
    let (status, said) = ran.await.unwrap();
    assert_eq!(status, Some(0), "{said}");
    said
}

async fn endpoint(proxy: &Proxy, backend: &Backend) -> Option<Value> {
    let pool = pool(proxy).await;
    let mut endpoints = pool["endpoints"].as_array().unwrap().iter();
    endpoints.find(|it| it["address"] == at(backend)).cloned()
}

async fn state(proxy: &Proxy, backend: &Backend) -> Value {
    endpoint(proxy, backend)
        .await
        .map_or(Value::Null, |it| it["state"].clone())
}

async fn becomes(proxy: &Proxy, backend: &Backend, wanted: &str) {
    eventually(format!("{} is {wanted}", at(backend)), || async {
        (state(proxy, backend).await == wanted).then_some(())
    })
    .await;
}

/// Number of records on disk.
fn kept(proxy: &Proxy) -> usize {
    let files = fs::read_dir(proxy.folder().join("state")).unwrap();
    let names = files.map(|it| it.unwrap().file_name().into_string().unwrap());
    names
        .filter(|it| it.starts_with("endpoint-states-") && it.ends_with(".json"))
        .count()
}

async fn restart(proxy: &mut Proxy, signal: Signal) {
    proxy.signal(signal);
    proxy.exited().await;
    proxy.start_again().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_and_an_ejection_by_hand_outlive_a_restart_and_end_with_the_endpoint() {
    let [a, b, c] = [
        Backend::start(identity("a")).await,
        Backend::start(identity("b")).await,
        Backend::start(identity("c")).await,
    ];
    let all = text(r#""$a", "$b", "$c""#, "");
    let settings = Settings::new(&all).backend("a", &a).backend("b", &b);
    let mut proxy = settings.backend("c", &c).start().await;
    assert_eq!(kept(&proxy), 0);
    let said = act(&proxy, "drain", &a).await;
    assert!(!said.contains("restart"), "{said}");
    act(&proxy, "eject", &b).await;
    // At once: what the command has said is on disk before the process ends.
    restart(&mut proxy, Signal::TERM).await;
    for _ in 0..6 {
        assert_eq!(proxy.get("/").await.text(), "c");
    }
    let drained = endpoint(&proxy, &a).await.unwrap();
    assert_eq!(drained["state"], "draining");
    assert_eq!(
        drained["cause"], "operator, before the restart",
        "{drained}"
    );
    assert_eq!(state(&proxy, &b).await, "ejected_by_operator");
    let (_, told) = command(proxy.folder(), &["status"]);
    let row = told.lines().find(|it| it.trim().starts_with(&at(&a)));
    assert!(row.unwrap().contains("draining"), "{told}");
    // And after it was killed.
    act(&proxy, "enable", &b).await;
    eventually("the record has one endpoint", || async {
        let folder = fs::read_dir(proxy.folder().join("state")).unwrap();
        let mut paths = folder.map(|it| it.unwrap().path());
        // One that is being written stands beside it.
        let is_record = |it: &PathBuf| it.to_string_lossy().contains("endpoint-states-");
        let path = paths.find(|it| is_record(it) && it.extension() == Some("json".as_ref()))?;
        let text = fs::read_to_string(path).ok()?;
        (text.contains(&at(&a)) && !text.contains(&at(&b))).then_some(())
    })
    .await;
    eventually("the lines of the requests are written", || async {
        (proxy.access_log().len() >= 6).then_some(())
    })
    .await;
    restart(&mut proxy, Signal::KILL).await;
    assert_eq!(state(&proxy, &a).await, "draining");
    assert_eq!(state(&proxy, &b).await, "healthy");
    // An endpoint that leaves takes it along: another one may come to its address.
    proxy.reload(&text(r#""$b", "$c""#, "")).await;
    eventually("the record is gone", || async {
        (kept(&proxy) == 0).then_some(())
    })
    .await;
    proxy.reload(&all).await;
    assert_eq!(state(&proxy, &a).await, "healthy");
    act(&proxy, "drain", &a).await;
    eventually("the record", || async { (kept(&proxy) == 1).then_some(()) }).await;
    // It may leave while no process runs, too.
    proxy.signal(Signal::TERM);
    proxy.exited().await;
    proxy.replace(&text(r#""$b", "$c""#, ""));
    proxy.start_again().await;
    eventually("the record is gone", || async {
        (kept(&proxy) == 0).then_some(())
    })
    .await;
    proxy.reload(&all).await;
    assert_eq!(state(&proxy, &a).await, "healthy");
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_endpoint_stays_so_while_its_registry_is_away() {
    let [a, b] = [
        Backend::start(identity("a")).await,
        Backend::start(identity("b")).await,
    ];
    let list = json!([at(&a), at(&b)]).to_string();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", list.len());
    let answer = head + &list;
    let mut registry = Backend::start(move |_| vec![Act::Send(answer.clone().into_bytes())]).await;
    let discover = r#"discover = { http = { url = "http://$list/", interval = "100ms" } }"#;
    let settings = Settings::new(&text("", discover)).address("list", registry.address());
    let mut proxy = settings.start().await;
    becomes(&proxy, &a, "healthy").await;
    act(&proxy, "drain", &a).await;
    proxy.upgrade().await;
    assert_eq!(state(&proxy, &a).await, "draining");
    eventually("the list and the record are kept", || async {
        let files = fs::read_dir(proxy.folder().join("state")).ok()?;
        let names = files.filter_map(|it| it.ok()?.file_name().into_string().ok());
        let lists = names.filter(|it| it.starts_with("endpoints-") && it.ends_with(".json"));
        (lists.count() == 1 && kept(&proxy) == 1).then_some(())
    })
    .await;
    registry.kill().await;
    proxy.signal_newest(Signal::TERM).await;
    proxy.all_end().await;
    proxy.start_again().await;
    assert_eq!(state(&proxy, &a).await, "draining");
    // Without a list there is no endpoint yet; what was said of it waits.
    for file in fs::read_dir(proxy.folder().join("state")).unwrap() {
        let path = file.unwrap().path();
        if path.to_string_lossy().contains("/endpoints-") {
            fs::remove_file(path).unwrap();
        }
    }
    restart(&mut proxy, Signal::TERM).await;
    assert_eq!(state(&proxy, &a).await, Value::Null);
    restart(&mut proxy, Signal::TERM).await;
    registry.up().await;
    becomes(&proxy, &b, "healthy").await;
    becomes(&proxy, &a, "draining").await;
    for _ in 0..4 {
        assert_eq!(proxy.get("/").await.text(), "b");
    }
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_state_dir_the_command_says_that_a_restart_forgets_it() {
    let [a, b] = [
        Backend::start(identity("a")).await,
        Backend::start(identity("b")).await,
    ];
    let text = text(r#""$a", "$b""#, "").replace("state_dir = \"state\"", "");
    let settings = Settings::new(&text).backend("a", &a).backend("b", &b);
    let proxy = settings.start().await;
    let said = act(&proxy, "drain", &a).await;
    assert!(
        said.contains("a restart of the proxy forgets it: set proxy.state_dir to keep it"),
        "{said}"
    );
    let said = act(&proxy, "enable", &a).await;
    assert!(!said.contains("restart"), "{said}");
    proxy.finish().await;
}
