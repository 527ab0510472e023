//! Endpoints that a source does not list any more, and that are used nevertheless for a time.

use std::fs;

use serde_json::json;

use crate::discovery::{Load, addresses, at, becomes, pool, replace, text_with};
use crate::harness::{Backend, Settings, eventually, identity};

#[tokio::test]
async fn a_sudden_loss_of_most_endpoints_is_held_and_told() {
    let [one, two, three] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
        Backend::start(identity("three")).await,
    ];
    let hold = ", hold_mass_removal = \"2s\"";
    let settings = Settings::new(&text_with(hold, ""))
        .backend("one", &one)
        .backend("two", &two)
        .backend("three", &three);
    let folder = settings.folder().to_owned();
    let all = json!([at(&one), at(&two), at(&three)]);
    replace(&folder, &all);
    let proxy = settings.start().await;
    let load = Load::start(&proxy, 2).await;
    let labels = [("pool", "app"), ("source", "file")];
    let held =
        |count: f64| proxy.metric_becomes("sluicegate_discovery_held_endpoints", &labels, count);
    for list in [json!([at(&two)]), json!([])] {
        replace(&folder, &list);
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        held(3.0 - list.as_array().unwrap().len() as f64).await;
        assert_eq!(addresses(&proxy).await.len(), 3);
        let shown = pool(&proxy).await;
        assert!(shown["discovery"]["error"].is_null());
        assert!(shown["discovery"]["held_since"].is_string());
        proxy.log_says("suddenly not listed any more").await;
        let ready = proxy.admin("GET", "/ready", "").await.expect("an answer");
        assert!(
            ready.text().contains("suddenly not listed"),
            "{}",
            ready.text()
        );
        load.goes_on(20).await;
        // A registry that is whole again has cost nothing.
        replace(&folder, &all);
        held(0.0).await;
    }
    let before = (one.connections(), three.connections());
    // One that stays so is believed.
    replace(&folder, &json!([at(&two)]));
    held(2.0).await;
    load.goes_on(20).await;
    becomes(&proxy, &[&two]).await;
    held(0.0).await;
    assert_eq!((one.connections(), three.connections()), before);
    load.goes_on(20).await;
    load.end().await;
    replace(&folder, &json!([]));
    eventually("an empty list is believed", || async {
        (proxy.get("/").await.status == 503).then_some(())
    })
    .await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_reload_to_an_empty_list_is_held_and_to_a_short_one_is_not() {
    let one = Backend::start(identity("one")).await;
    let two = Backend::start(identity("two")).await;
    let settings = Settings::new(&text_with(", hold_mass_removal = \"5m\"", ""))
        .backend("one", &one)
        .backend("two", &two);
    let folder = settings.folder().to_owned();
    replace(&folder, &json!([at(&one), at(&two)]));
    let mut proxy = settings.start().await;
    let load = Load::start(&proxy, 2).await;
    fs::write(folder.join("empty.json"), "[]").unwrap();
    fs::write(folder.join("short.json"), json!([at(&two)]).to_string()).unwrap();
    let from = |file: &str| {
        text_with(", hold_mass_removal = \"5m\"", "")
            .replace("\"list.json\"", &format!("\"{file}\""))
    };
    let labels = [("pool", "app"), ("source", "file")];
    let held = "sluicegate_discovery_held_endpoints";
    proxy.reload(&from("empty.json")).await;
    proxy.metric_becomes(held, &labels, 2.0).await;
    proxy.log_says("suddenly not listed any more").await;
    load.goes_on(20).await;
    proxy.reload(&from("short.json")).await;
    becomes(&proxy, &[&two]).await;
    proxy.metric_becomes(held, &labels, 0.0).await;
    load.end().await;
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_that_is_not_listed_any_more_is_used_until_its_check_fails() {
    let mut one = Backend::start(identity("one")).await;
    let two = Backend::start(identity("two")).await;
    let health = r#"health = { http = { path = "/up" }, interval = "100ms", interval_down = "50ms", timeout = "100ms", fall = 1 }"#;
    let settings = Settings::new(&text_with("", health))
        .address("one", one.address())
        .address("two", two.address());
    let folder = settings.folder().to_owned();
    replace(&folder, &json!([at(&one), at(&two)]));
    let mut proxy = settings.start().await;
    let load = Load::start(&proxy, 2).await;
    load.goes_on(20).await;
    replace(&folder, &json!([at(&two)]));
    let labels = [("pool", "app"), ("source", "file")];
    let absent = "sluicegate_discovery_absent_endpoints";
    proxy.metric_becomes(absent, &labels, 1.0).await;
    proxy.log_says("endpoint not listed any more").await;
    let count = one.count_of("GET", "/");
    eventually("it is still used", || async {
        (one.count_of("GET", "/") > count + 20).then_some(())
    })
    .await;
    let shown = pool(&proxy).await;
    assert_eq!(shown["discovery"]["absent"], 1);
    let endpoints = shown["endpoints"].as_array().unwrap();
    let absent_one = endpoints.iter().find(|it| it["absent"] == true).unwrap();
    assert_eq!(absent_one["address"], at(&one));
    // A reload does not forget it.
    let text = text_with("", &format!("{health}\ntimeouts = {{ connect = \"3s\" }}"));
    proxy.reload(&text).await;
    assert_eq!(addresses(&proxy).await.len(), 2);
    one.kill().await;
    becomes(&proxy, &[&two]).await;
    proxy.metric_becomes(absent, &labels, 0.0).await;
    load.goes_on(20).await;
    load.end().await;
    fs::remove_file(folder.join("list.json")).unwrap();
    proxy.finish().await;
}
