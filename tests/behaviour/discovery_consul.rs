//! Instances of a service in Consul: a real agent, which dies, hangs and returns; and a server that
//! answers as none should.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::discovery::{Load, addresses, at, becomes, pool};
use crate::harness::{Act, Backend, Consul, Proxy, Relay, Settings, command, eventually, identity};

/// A pool of the instances of `orders`, with these keys of `consul`.
fn text(keys: &str) -> String {
    format!(
        r#"
        [proxy]
        workers = 2
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [routes.next]
        path_prefix = "/next"
        pool = "app"
        version = "^2"
        [pools.app]
        discover = {{ consul = {{ address = "http://$consul", service = "orders" {keys} }}, hold_mass_removal = "3s" }}
        "#
    )
}

/// One endpoint, as the admin listener tells it.
async fn endpoint(proxy: &Proxy, backend: &Backend) -> Value {
    let pool = pool(proxy).await;
    let endpoints = pool["endpoints"].as_array().unwrap();
    let found = endpoints.iter().find(|it| it["address"] == at(backend));
    found.cloned().unwrap_or_default()
}

/// Waits until an endpoint has this value.
async fn shows(proxy: &Proxy, backend: &Backend, key: &str, value: &Value) {
    eventually(format!("{key} is {value}"), || async {
        (endpoint(proxy, backend).await[key] == *value).then_some(())
    })
    .await;
}

/// Asserts that the command line says what the source says of an endpoint.
fn tells_that_it_is_down(proxy: &Proxy, backend: &Backend) {
    for asked in [&["status"][..], &["explain", "GET", "http://a/", "--live"]] {
        let (_, told) = command(proxy.folder(), asked);
        let row = told
            .lines()
            .find(|line| line.trim().starts_with(&at(backend)));
        let row = row.expect("a row of the endpoint");
        assert!(row.contains("down: critical"), "{row}");
        assert!(
            !row.contains("healthy") && !row.contains("may serve"),
            "{row}"
        );
    }
}

/// Waits until the source has an error, or none any more.
async fn has_error(proxy: &Proxy, wanted: bool) {
    eventually(format!("an error: {wanted}"), || async {
        (pool(proxy).await["discovery"]["error"].is_string() == wanted).then_some(())
    })
    .await;
}

#[tokio::test]
async fn instances_come_change_and_leave_under_load_without_a_failed_request() {
    let [one, two] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
    ];
    let consul = Consul::start().await;
    consul
        .register(
            "one",
            &one,
            json!({ "Meta": { "version": "1.0.0", "zone": "a" } }),
        )
        .await;
    let settings = Settings::new(&text(""))
        .backend("one", &one)
        .backend("two", &two)
        .address("consul", consul.address());
    let proxy = settings.start().await;
    becomes(&proxy, &[&one]).await;
    let load = Load::start(&proxy, 2).await;
    load.goes_on(20).await;
    consul
        .register(
            "two",
            &two,
            json!({ "Tags": ["v2.1.0"], "Weights": { "Passing": 7, "Warning": 1 } }),
        )
        .await;
    becomes(&proxy, &[&one, &two]).await;
    shows(&proxy, &two, "weight", &json!(7)).await;
    assert_eq!(endpoint(&proxy, &one).await["zone"], "a");
    assert_eq!(proxy.get("/next").await.text(), "two");
    // A check that fails drains the instance, one that passes again brings it back.
    consul.check("two", "fail").await;
    shows(&proxy, &two, "down", &json!("critical")).await;
    shows(&proxy, &two, "condition", &json!("down: critical")).await;
    tells_that_it_is_down(&proxy, &two);
    let seen = two.count();
    load.goes_on(100).await;
    assert_eq!(two.count(), seen, "a drained instance takes nothing new");
    consul.check("two", "pass").await;
    shows(&proxy, &two, "down", &Value::Null).await;
    eventually("it serves again", || async {
        (two.count() > seen + 10).then_some(())
    })
    .await;
    // Weight and version change, and the connections stay.
    let connections = one.connections();
    consul
        .register(
            "one",
            &one,
            json!({ "Meta": { "version": "2.5.0" }, "Weights": { "Passing": 3, "Warning": 1 } }),
        )
        .await;
    shows(&proxy, &one, "version", &json!("2.5.0")).await;
    assert_eq!(endpoint(&proxy, &one).await["weight"], 3);
    load.goes_on(50).await;
    assert_eq!(one.connections(), connections);
    // One without a port is left out, and the others are used.
    let torn = json!({ "ID": "torn", "Name": "orders", "Address": "10.0.0.1" });
    consul
        .done("/v1/agent/service/register", &torn.to_string())
        .await;
    proxy.log_says("torn on t: it has no port").await;
    consul.deregister("two").await;
    becomes(&proxy, &[&one]).await;
    eventually("its connections are closed", || async {
        (two.open() == 0).then_some(())
    })
    .await;
    load.goes_on(50).await;
    load.end().await;
    let labels = [("pool", "app"), ("source", "consul")];
    let skipped = proxy
        .metric("sluicegate_discovery_skipped_entries", &labels)
        .await;
    assert!((skipped - 1.0).abs() < 0.1);
    proxy.finish().await;
}

#[tokio::test]
async fn a_change_is_in_effect_within_200_ms() {
    let one = Backend::start(identity("one")).await;
    let consul = Consul::start().await;
    consul.register("one", &one, json!({})).await;
    let settings = Settings::new(&text("")).backend("one", &one);
    let proxy = settings.address("consul", consul.address()).start().await;
    becomes(&proxy, &[&one]).await;
    assert_eq!(proxy.get("/").await.text(), "one");
    let mut fastest = Duration::MAX;
    for round in 2..=6 {
        let weights = json!({ "Weights": { "Passing": round, "Warning": 1 } });
        consul.register("one", &one, weights).await;
        let told = Instant::now();
        shows(&proxy, &one, "weight", &json!(round)).await;
        fastest = fastest.min(told.elapsed());
    }
    assert!(fastest < Duration::from_millis(200), "{fastest:?}");
    proxy.finish().await;
}

#[tokio::test]
async fn an_agent_that_dies_hangs_or_is_cut_off_costs_no_request() {
    let [one, two] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
    ];
    let mut consul = Consul::start().await;
    consul.register("one", &one, json!({})).await;
    let relay = Relay::start(consul.address()).await;
    let settings = Settings::new(&text(""))
        .backend("one", &one)
        .backend("two", &two)
        .address("consul", relay.address());
    let proxy = settings.start().await;
    becomes(&proxy, &[&one]).await;
    let load = Load::start(&proxy, 2).await;
    load.goes_on(20).await;
    // It dies, and is back with its data; while it has none yet, the list stays.
    consul.kill();
    has_error(&proxy, true).await;
    load.goes_on(50).await;
    consul.run();
    consul.is_ready().await;
    // It does not know how its check went.
    consul.check("one", "pass").await;
    has_error(&proxy, false).await;
    load.goes_on(50).await;
    consul.register("two", &two, json!({})).await;
    becomes(&proxy, &[&one, &two]).await;
    // It hangs, and goes on.
    consul.signal(Signal::STOP);
    load.goes_on(200).await;
    consul.signal(Signal::CONT);
    consul.check("two", "warn").await;
    shows(&proxy, &two, "down", &json!("warning")).await;
    // The network drops its packets: the query is given up, and another one is tried.
    relay.stop_passing();
    consul.check("two", "pass").await;
    load.goes_on(200).await;
    assert_eq!(endpoint(&proxy, &two).await["down"], "warning");
    relay.pass_again();
    shows(&proxy, &two, "down", &Value::Null).await;
    // None any more is a fault of the registry first of all.
    consul.deregister("one").await;
    becomes(&proxy, &[&two]).await;
    consul.deregister("two").await;
    eventually("it is held", || async {
        (pool(&proxy).await["discovery"]["held"] == 1).then_some(())
    })
    .await;
    load.goes_on(50).await;
    assert_eq!(addresses(&proxy).await, [at(&two)]);
    consul.register("two", &two, json!({})).await;
    eventually("it is listed again", || async {
        (pool(&proxy).await["discovery"]["held"] == 0).then_some(())
    })
    .await;
    load.end().await;
    proxy.finish().await;
}

/// Many write the same id for each start of a service.
#[tokio::test]
async fn an_instance_that_is_overwritten_under_its_id_is_followed() {
    let [one, two, three] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
        Backend::start(identity("three")).await,
    ];
    let consul = Consul::start().await;
    consul.register("a", &one, json!({})).await;
    consul.register("b", &three, json!({})).await;
    let settings = Settings::new(&text("")).address("consul", consul.address());
    let proxy = settings.start().await;
    becomes(&proxy, &[&one, &three]).await;
    // Another port under the same id.
    consul.register("a", &two, json!({})).await;
    becomes(&proxy, &[&two, &three]).await;
    let seen = one.count();
    for _ in 0..4 {
        let answer = proxy.get("/").await.text();
        assert!(["two", "three"].contains(&&*answer), "{answer}");
    }
    assert_eq!(one.count(), seen);
    proxy.finish().await;
}

#[tokio::test]
async fn a_start_over_a_critical_instance_leaves_it_out_for_as_long_as_that_lasts() {
    let one = Backend::start(identity("one")).await;
    let consul = Consul::start().await;
    consul.register("one", &one, json!({})).await;
    let text = text("").replace("workers = 2", "workers = 2\n        state_dir = \"state\"");
    let settings = Settings::new(&text).address("consul", consul.address());
    let mut proxy = settings.start().await;
    assert_eq!(proxy.get("/").await.text(), "one");
    consul.check("one", "fail").await;
    shows(&proxy, &one, "down", &json!("critical")).await;
    for _ in 0..2 {
        proxy.signal(Signal::TERM);
        proxy.exited().await;
        proxy.start_again().await;
        let end = Instant::now() + Duration::from_secs(7);
        eventually("time passes", || async {
            assert_eq!(proxy.get("/").await.status, 503);
            (Instant::now() > end).then_some(())
        })
        .await;
    }
    consul.check("one", "pass").await;
    shows(&proxy, &one, "down", &Value::Null).await;
    assert_eq!(proxy.get("/").await.text(), "one");
    proxy.finish().await;
}

/// An answer of a health query with these instances; `index` is its header.
fn answer(index: &str, instances: &Value) -> Vec<Act> {
    let body = instances.to_string();
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\n{index}Content-Length: {length}\r\n\r\n");
    vec![Act::Send((head + &body).into_bytes())]
}

fn instance(backend: &Backend) -> Value {
    json!({
        "Node": { "Node": "n", "Address": "127.0.0.1" },
        "Service": { "ID": at(backend), "Address": "", "Port": backend.address().port() },
        "Checks": [],
    })
}

#[tokio::test]
async fn an_index_that_goes_backwards_is_zero_or_missing_loses_no_change() {
    let [one, two] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
    ];
    let (first, second) = (
        json!([instance(&one)]),
        json!([instance(&one), instance(&two)]),
    );
    let agent = {
        let (first, second) = (first.clone(), second.clone());
        Backend::start(move |seen| {
            let asked = |index: &str| seen.target.contains(&format!("index={index}&"));
            match () {
                () if asked("0") && seen.turn == 0 => answer("X-Consul-Index: 900\r\n", &first),
                // A server that was restored from a backup.
                () if asked("900") => answer("X-Consul-Index: 5\r\n", &second),
                () if asked("0") => answer("X-Consul-Index: 6\r\n", &second),
                () => vec![Act::Stall],
            }
        })
        .await
    };
    let keys = r#", tags = ["a", "b"], datacenter = "dc1", near = "_agent", filter = "Service.Port > 0", token = { env = "CONSUL_TOKEN" }, stale = false, passing = false"#;
    let settings = Settings::new(&text(keys))
        .address("consul", agent.address())
        .variable("CONSUL_TOKEN", "hunter2");
    let proxy = settings.start().await;
    becomes(&proxy, &[&one, &two]).await;
    eventually("the query after it waits with its index", || async {
        let seen = agent.seen();
        seen.iter()
            .any(|it| it.target.contains("index=6&"))
            .then_some(())
    })
    .await;
    let seen = agent.seen();
    assert_eq!(
        seen[0].target,
        "/v1/health/service/orders?index=0&wait=15s&dc=dc1&near=_agent\
         &filter=Service.Port%20%3E%200&tag=a&tag=b"
    );
    assert!(
        seen.iter()
            .all(|it| it.field("x-consul-token") == "hunter2")
    );
    assert!(!proxy.log().contains("hunter2"));
    proxy.finish().await;
    // Without an index nothing waits at the agent: the proxy must not ask all the time.
    agent.now(move |_| answer("", &first));
    let settings = Settings::new(&text("")).address("consul", agent.address());
    let before = agent.seen().len();
    let proxy = settings.start().await;
    becomes(&proxy, &[&one]).await;
    let begun = Instant::now();
    agent.has_seen(before + 6).await;
    assert!(begun.elapsed() > Duration::from_millis(300));
    assert!(pool(&proxy).await["discovery"]["error"].is_null());
    proxy.finish().await;
}
