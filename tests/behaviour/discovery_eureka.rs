//! Instances of an application in Eureka, against a double of its wire protocol: no server of
//! Eureka can be had here. Two real clients agree with the double.

use serde_json::{Value, json};

use crate::discovery::{Load, at, becomes, pool};
use crate::harness::{
    Backend, Eureka, Peer, Proxy, Settings, eventually, identity, node_packages, packages,
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
