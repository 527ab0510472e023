//! Instances of an application in Eureka, against a double of its wire protocol: no server of
//! Eureka can be had here.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::discovery::{Load, at, becomes, pool};
use crate::harness::{Act, Backend, Seen, Settings, eventually, identity};

/// The registry of the double: what is there, and what a delta tells.
#[derive(Default)]
struct Registry {
    all: Vec<Value>,
    delta: Vec<Value>,
}

type Shared = Arc<Mutex<Registry>>;

fn instance(backend: &Backend, status: &str, metadata: &Value, action: &str) -> Value {
    json!({
        "instanceId": at(backend), "app": "ORDERS", "hostName": "h", "ipAddr": "127.0.0.1",
        "status": status, "actionType": action, "metadata": metadata,
        "port": { "$": backend.address().port(), "@enabled": "true" },
        "securePort": { "$": 443, "@enabled": "false" },
    })
}

/// Answers as Eureka does.
fn double(registry: &Shared) -> impl Fn(&Seen) -> Vec<Act> + Send + Sync + use<> {
    let registry = Arc::clone(registry);
    move |seen| {
        let registry = registry.lock().unwrap();
        let mut counts = std::collections::BTreeMap::<String, usize>::new();
        for instance in &registry.all {
            *counts
                .entry(instance["status"].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
        let hash: String = counts
            .iter()
            .map(|(status, count)| format!("{status}_{count}_"))
            .collect();
        let instances = match &*seen.target {
            "/eureka/apps" => &registry.all,
            "/eureka/apps/delta" => &registry.delta,
            _ => {
                return vec![Act::Send(
                    b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
                )];
            }
        };
        let body = json!({ "applications": { "versions__delta": "1", "apps__hashcode": hash,
            "application": [{ "name": "ORDERS", "instance": instances }] } })
        .to_string();
        let length = body.len();
        vec![Act::Send(
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes(),
        )]
    }
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
    let shared = Shared::default();
    shared.lock().unwrap().all = vec![instance(
        &one,
        "UP",
        &json!({ "version": "1.4.2", "weight": "3" }),
        "ADDED",
    )];
    let mut first = Backend::start(double(&shared)).await;
    let mut second = Backend::down(double(&shared));
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
    let added = instance(&two, "UP", &json!({}), "ADDED");
    {
        let mut registry = shared.lock().unwrap();
        registry.all.push(added.clone());
        registry.delta = vec![added];
    }
    becomes(&proxy, &[&one, &two]).await;
    assert_eq!(
        first.count_of("GET", "/eureka/apps"),
        1,
        "a delta is enough"
    );
    // A change that no delta tells: the counts differ, and all is fetched.
    {
        let mut registry = shared.lock().unwrap();
        registry.delta.clear();
        registry.all[1] = instance(&two, "OUT_OF_SERVICE", &json!({}), "MODIFIED");
    }
    eventually("it is drained", || async {
        let pool = pool(&proxy).await;
        let all = pool["endpoints"].as_array().unwrap();
        all.iter()
            .any(|it| it["down"] == "OUT_OF_SERVICE")
            .then_some(())
    })
    .await;
    assert_eq!(first.count_of("GET", "/eureka/apps"), 2);
    let seen = two.count();
    load.goes_on(50).await;
    assert_eq!(two.count(), seen);
    // The first server dies, the second has the registry.
    second.up().await;
    first.kill().await;
    shared.lock().unwrap().all.truncate(1);
    becomes(&proxy, &[&one]).await;
    assert!(second.count_of("GET", "/eureka/apps") >= 1);
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
