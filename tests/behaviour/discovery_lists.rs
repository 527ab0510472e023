//! A list of endpoints is taken up whichever way it changes; one that is wrong, missing or moved
//! costs no endpoint that was found before.

use std::{cell::Cell, fs};

use serde_json::json;

use crate::discovery::{Load, addresses, at, becomes, pool, replace, text};
use crate::harness::{Backend, Consul, Settings, command, eventually, identity};

#[tokio::test]
async fn a_wrong_list_keeps_the_last_good_one_and_is_told_everywhere() {
    let app = Backend::start(identity("app")).await;
    let settings = Settings::new(&text("")).backend("app", &app);
    let folder = settings.folder().to_owned();
    replace(&folder, &json!([at(&app)]));
    let proxy = settings.start().await;
    let labels = [("pool", "app"), ("source", "file")];
    let success = "sluicegate_discovery_last_success";
    assert!(proxy.metric(success, &labels).await > 0.5);
    assert!(pool(&proxy).await["discovery"]["error"].is_null());
    for (wrong, told) in [
        (
            "[\n  \"127.0.0.1\"]",
            "list.json has no entry that can be used: 2:3: \"127.0.0.1\" is not",
        ),
        ("[", "list.json:1:1: EOF"),
    ] {
        fs::write(folder.join("list.json"), wrong).unwrap();
        let error = Cell::new(String::new());
        eventually(format!("the error says {told}"), || async {
            let pool = pool(&proxy).await;
            error.set(pool["discovery"]["error"].as_str()?.to_owned());
            let text = error.take();
            (text.contains(told) && pool["discovery"]["error_since"].is_string()).then_some(())
        })
        .await;
        assert!(proxy.metric(success, &labels).await < 0.5);
        assert_eq!(addresses(&proxy).await, [at(&app)]);
        assert_eq!(proxy.get("/").await.text(), "app");
        proxy.log_says(told.split('"').next().unwrap()).await;
        let ready = proxy.admin("GET", "/ready", "").await.expect("an answer");
        assert_eq!(ready.status, 200);
        assert!(ready.text().contains("list.json"), "{}", ready.text());
    }
    fs::remove_file(folder.join("list.json")).unwrap();
    proxy.log_says("there is no such file").await;
    assert_eq!(proxy.get("/").await.text(), "app");
    replace(&folder, &json!([at(&app)]));
    proxy.metric_becomes(success, &labels, 1.0).await;
    assert!(pool(&proxy).await["discovery"]["error"].is_null());
    proxy.finish().await;
}

#[tokio::test]
async fn a_list_is_taken_up_whichever_way_it_is_written() {
    use std::os::unix::fs::symlink;
    let [one, two] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
    ];
    let settings = Settings::new(&text(""))
        .backend("one", &one)
        .backend("two", &two);
    let folder = settings.folder().to_owned();
    let list = folder.join("list.json");
    replace(&folder, &json!([at(&one)]));
    let proxy = settings.start().await;
    becomes(&proxy, &[&one]).await;
    fs::write(&list, json!([at(&two)]).to_string()).unwrap();
    becomes(&proxy, &[&two]).await;
    // As the kubelet lays out a ConfigMap.
    for (name, backend) in [("..1", &one), ("..2", &two)] {
        fs::create_dir(folder.join(name)).unwrap();
        let groups = json!([{ "targets": [at(backend)], "labels": { "zone": name } }]);
        fs::write(folder.join(name).join("list.json"), groups.to_string()).unwrap();
    }
    symlink("..1", folder.join("..data")).unwrap();
    symlink("..data/list.json", folder.join("link")).unwrap();
    fs::rename(folder.join("link"), &list).unwrap();
    becomes(&proxy, &[&one]).await;
    symlink("..2", folder.join("..tmp")).unwrap();
    fs::rename(folder.join("..tmp"), folder.join("..data")).unwrap();
    becomes(&proxy, &[&two]).await;
    assert_eq!(pool(&proxy).await["endpoints"][0]["zone"], "..2");
    proxy.finish().await;
}

#[tokio::test]
async fn a_reload_keeps_what_was_found() {
    let app = Backend::start(identity("app")).await;
    let settings = Settings::new(&text("")).backend("app", &app);
    let folder = settings.folder().to_owned();
    replace(&folder, &json!([at(&app)]));
    let mut proxy = settings.start().await;
    let load = Load::start(&proxy, 2).await;
    load.goes_on(20).await;
    // The list cannot be read any more when the configuration is.
    fs::write(folder.join("list.json"), "{").unwrap();
    let labels = [("pool", "app"), ("source", "file")];
    let success = "sluicegate_discovery_last_success";
    proxy.metric_becomes(success, &labels, 0.0).await;
    proxy.reload(&text("timeouts = { connect = \"3s\" }")).await;
    load.goes_on(50).await;
    assert_eq!(addresses(&proxy).await, [at(&app)]);
    load.end().await;
    assert!(proxy.metric(success, &labels).await < 0.5);
    assert_eq!(app.connections(), 2, "the connections stay, too");
    proxy.finish().await;
}

#[tokio::test]
async fn another_source_takes_over_without_a_gap() {
    let [one, two] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
    ];
    let settings = Settings::new(&text(""))
        .backend("one", &one)
        .backend("two", &two);
    let folder = settings.folder().to_owned();
    replace(&folder, &json!([at(&one)]));
    let mut proxy = settings.start().await;
    let load = Load::start(&proxy, 2).await;
    // One that is not there: what the other found stays until it is.
    let moved = text("").replace("list.json", "other.toml");
    proxy.reload(&moved).await;
    load.goes_on(20).await;
    assert_eq!(addresses(&proxy).await, [at(&one)]);
    fs::write(
        folder.join("other.toml"),
        format!("endpoints = [\"{}\"]", at(&two)),
    )
    .unwrap();
    becomes(&proxy, &[&two]).await;
    load.goes_on(20).await;
    load.end().await;
    proxy.finish().await;
}

#[tokio::test]
async fn without_a_list_the_pool_is_empty_until_there_is_one() {
    let app = Backend::start(identity("app")).await;
    let settings = Settings::new(&text("")).backend("app", &app);
    let folder = settings.folder().to_owned();
    let proxy = settings.start().await;
    let refused = proxy.get("/").await;
    refused.assert_failure(503, "destination_unavailable");
    proxy.log_says("no list of endpoints yet").await;
    assert!(proxy.log().contains("list.json: there is no such file"));
    replace(&folder, &json!([at(&app)]));
    becomes(&proxy, &[&app]).await;
    assert_eq!(proxy.get("/").await.text(), "app");
    proxy.finish().await;
}

#[tokio::test]
async fn check_warns_of_a_source_without_endpoints_and_shows_entries_that_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let consul = Consul::start().await;
    let text = format!(
        "[listeners.web]\naddress = \"127.0.0.1:8080\"\n[routes.all]\npool = \"a\"\n[routes.b]\npath = \"/b\"\npool = \"b\"\n\
         [pools.a]\ndiscover = {{ consul = {{ address = \"http://{}\", service = \"ordres\" }} }}\n\
         [pools.b]\ndiscover = {{ file = {{ path = \"list.json\" }} }}\n",
        consul.address()
    );
    fs::write(folder.path().join("proxy.toml"), text).unwrap();
    let list = json!(["0.0.0.0:80", "10.0.0.1:80", "224.0.0.1:80", "nonsense"]);
    fs::write(folder.path().join("list.json"), list.to_string()).unwrap();
    let (code, said) = command(folder.path(), &["check", "proxy.toml"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("service ordres has no endpoint"), "{said}");
    assert!(said.contains("3 entries of"), "{said}");
    assert!(
        said.contains("0.0.0.0:80: it stands for all addresses"),
        "{said}"
    );
}

#[tokio::test]
async fn an_address_that_nobody_can_connect_to_is_left_out_and_told() {
    let one = Backend::start(identity("one")).await;
    let settings = Settings::new(&text("")).backend("one", &one);
    replace(
        settings.folder(),
        &json!([at(&one), "0.0.0.0:80", "[::]:80"]),
    );
    let proxy = settings.start().await;
    becomes(&proxy, &[&one]).await;
    proxy
        .log_says("0.0.0.0:80: it stands for all addresses")
        .await;
    let skipped = pool(&proxy).await["discovery"]["skipped"].clone();
    assert_eq!(skipped, 2);
    proxy.finish().await;
}
