//! Instances of an application in Eureka, against a double of its wire protocol: no server of
//! Eureka can be had here. Two real clients agree with the double.

use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use crate::discovery::{Load, addresses, at, becomes, pool};
use crate::harness::{
    Backend, Eureka, Peer, Proxy, Relay, Settings, eventually, identity, node_packages, packages,
};

fn instance(backend: &Backend, status: &str, metadata: &Value) -> Value {
    json!({
        "instanceId": at(backend), "app": "ORDERS", "hostName": "h", "ipAddr": "127.0.0.1",
        "status": status, "metadata": metadata,
        "port": { "$": backend.address().port(), "@enabled": "true" },
        "securePort": { "$": 443, "@enabled": "false" },
    })
}

const TEXT: &str = r#"
    [proxy]
    workers = 2
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    [pools.app]
    discover = { eureka = { servers = ["http://$first/eureka", "http://$second/eureka/"], app = "orders", interval = "1s" } }
    "#;

#[tokio::test]
async fn instances_come_change_and_leave_by_deltas_and_servers_are_tried_in_turn() {
    let [one, two] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
    ];
    let mut first = Eureka::start().await;
    let mut second = first.twin_down();
    first.put(instance(
        &one,
        "UP",
        &json!({ "version": "1.4.2", "weight": "3" }),
    ));
    let settings = Settings::new(TEXT)
        .backend("one", &one)
        .backend("two", &two)
        .address("first", first.address())
        .address("second", second.address());
    let proxy = settings.start().await;
    becomes(&proxy, &[&one]).await;
    let shown = pool(&proxy).await;
    assert_eq!(shown["endpoints"][0]["weight"], 3);
    assert_eq!(shown["endpoints"][0]["version"], "1.4.2");
    let load = Load::start(&proxy, 2).await;
    // A delta.
    first.put(instance(&two, "UP", &json!({})));
    becomes(&proxy, &[&one, &two]).await;
    assert_eq!(first.fetches(), 1, "a delta is enough");
    // A change that no delta tells: the counts differ, and all is fetched.
    first.put_silently(instance(&two, "OUT_OF_SERVICE", &json!({})));
    eventually("it is drained", || async {
        let pool = pool(&proxy).await;
        let all = pool["endpoints"].as_array().unwrap();
        all.iter()
            .any(|it| it["down"] == "OUT_OF_SERVICE")
            .then_some(())
    })
    .await;
    assert_eq!(first.fetches(), 2);
    let seen = two.count();
    load.goes_on(50).await;
    assert_eq!(two.count(), seen);
    // The first server dies, the second has the registry.
    second.up().await;
    first.kill().await;
    first.forget(&at(&two));
    becomes(&proxy, &[&one]).await;
    assert!(second.fetches() >= 1);
    // Nobody is left: the list stays.
    second.kill().await;
    eventually("the error is told", || async {
        pool(&proxy).await["discovery"]["error"]
            .is_string()
            .then_some(())
    })
    .await;
    load.goes_on(50).await;
    load.end().await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_registry_that_falls_silent_restarts_or_lists_nonsense_costs_no_request() {
    let backends = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
    ];
    let [one, two] = &backends;
    let mut eureka = Eureka::start().await;
    eureka.put(instance(one, "UP", &json!({})));
    let relay = Relay::start(eureka.address()).await;
    let text = TEXT.replace(", \"http://$second/eureka/\"", "");
    let settings = Settings::new(&text)
        .backend("one", one)
        .backend("two", two)
        .address("first", relay.address());
    let proxy = settings.start().await;
    becomes(&proxy, &[one]).await;
    let load = Load::start(&proxy, 2).await;
    let labels = [("pool", "app"), ("source", "eureka")];
    let fails = async |wanted: bool| {
        let end = Instant::now() + Duration::from_secs(40);
        loop {
            let last = proxy.metric("sluicegate_discovery_last_success", &labels);
            if (last.await < 0.5) == wanted {
                break;
            }
            assert!(Instant::now() < end, "it is not noticed");
            load.goes_on(20).await;
        }
    };
    // The network drops everything: the list stays, and what changed is taken up afterwards.
    relay.stop_passing();
    eureka.put(instance(two, "UP", &json!({ "weight": "2" })));
    fails(true).await;
    assert_eq!(addresses(&proxy).await, [at(one)]);
    relay.pass_again();
    fails(false).await;
    becomes(&proxy, &[one, two]).await;
    // One that cannot be used is left out and told.
    let mut odd = instance(two, "UP", &json!({ "weight": "many" }));
    odd["instanceId"] = "odd".into();
    eureka.put(odd);
    eureka.put(json!({ "instanceId": "torn", "app": "ORDERS", "status": "UP" }));
    eventually("both are told", || async {
        let pool = pool(&proxy).await;
        let told = pool["discovery"]["skipped_entries"].to_string();
        (pool["discovery"]["skipped"] == 2 && told.contains("odd") && told.contains("torn"))
            .then_some(())
    })
    .await;
    assert_eq!(addresses(&proxy).await.len(), 2);
    // It dies, and returns.
    eureka.kill().await;
    fails(true).await;
    eureka.up().await;
    eureka.put(instance(
        two,
        "UP",
        &json!({ "weight": "7", "version": "2.0.0" }),
    ));
    fails(false).await;
    eventually("weight and version are others", || async {
        let pool = pool(&proxy).await;
        let all = pool["endpoints"].as_array()?;
        let found = all.iter().find(|it| it["address"] == at(two))?;
        (found["weight"] == 7 && found["version"] == "2.0.0").then_some(())
    })
    .await;
    load.goes_on(50).await;
    load.end().await;
    proxy.finish().await;
}

/// A proxy whose endpoints are in this double.
async fn proxy_at(eureka: &Eureka, backends: [&Backend; 2]) -> Proxy {
    let text = TEXT.replace(", \"http://$second/eureka/\"", "");
    let settings = Settings::new(&text)
        .backend("one", backends[0])
        .backend("two", backends[1])
        .address("first", eureka.address());
    settings.start().await
}

/// The word that a client of Eureka that finds this backend says.
fn found(text: &str, backend: &Backend) -> bool {
    text.lines()
        .any(|line| line == format!("found {}", at(backend)))
}

#[tokio::test]
async fn a_real_client_for_python_agrees_with_the_double_and_is_balanced() {
    let Some(packages) = packages() else { return };
    if !std::path::Path::new(&packages)
        .join("py_eureka_client")
        .is_dir()
    {
        eprintln!("passed over: the Python package py_eureka_client is not installed");
        return;
    }
    let [one, two] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
    ];
    let eureka = Eureka::start().await;
    eureka.put(instance(&one, "UP", &json!({})));
    let proxy = proxy_at(&eureka, [&one, &two]).await;
    becomes(&proxy, &[&one]).await;
    let port = two.address().port().to_string();
    let server = format!("http://{}/eureka/", eureka.address());
    let client = Peer::start(&packages, "eureka_client.py", &[server, port]).await;
    becomes(&proxy, &[&one, &two]).await;
    let shown = pool(&proxy).await;
    let its = shown["endpoints"].as_array().unwrap().iter();
    let its = its.clone().find(|it| it["address"] == at(&two)).unwrap();
    assert_eq!(
        (&its["version"], &its["zone"]),
        (&json!("1.4.2"), &json!("a"))
    );
    let load = Load::start(&proxy, 1).await;
    two.has_seen(10).await;
    // It ends, and removes its instance.
    let said = client.ended().await.expect("the client ends well");
    assert!(found(&said, &one) && found(&said, &two), "{said}");
    becomes(&proxy, &[&one]).await;
    load.end().await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_real_client_for_node_agrees_with_the_double_and_is_balanced() {
    let Some(packages) = node_packages() else {
        return;
    };
    if !std::path::Path::new(&packages)
        .join("node_modules/eureka-js-client")
        .is_dir()
    {
        eprintln!("passed over: the package eureka-js-client is not installed");
        return;
    }
    let [one, two] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
    ];
    let eureka = Eureka::start().await;
    eureka.put(instance(&one, "UP", &json!({})));
    let proxy = proxy_at(&eureka, [&one, &two]).await;
    becomes(&proxy, &[&one]).await;
    let at_eureka = eureka.address().port().to_string();
    let port = two.address().port().to_string();
    let client = Peer::start_node(&packages, "eureka_client.cjs", &[at_eureka, port]).await;
    becomes(&proxy, &[&one, &two]).await;
    let load = Load::start(&proxy, 1).await;
    two.has_seen(10).await;
    let said = client.ended().await.expect("the client ends well");
    assert!(found(&said, &one) && found(&said, &two), "{said}");
    becomes(&proxy, &[&one]).await;
    load.end().await;
    proxy.finish().await;
}
