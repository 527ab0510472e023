//! Bounds on what a server of Kubernetes can make the proxy keep; what it was not asked for is left
//! out.

use serde_json::{Value, json};

use crate::discovery::{addresses, at, becomes, pool};
use crate::discovery_kubernetes::{ORDERS, is_watched, is_well, ready, says, started};
use crate::harness::{Backend, Kubernetes, eventually, identity};

/// A slice of `orders` with these endpoints.
fn slice(name: &str, endpoints: &Value) -> Value {
    json!({
        "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
        "metadata": { "name": name, "namespace": "shop", "labels": {
            "kubernetes.io/service-name": "orders" } },
        "addressType": "IPv4", "endpoints": endpoints,
        "ports": [{ "name": "http", "protocol": "TCP", "port": 80 }],
    })
}

#[tokio::test]
async fn slices_without_bound_are_refused_and_the_last_good_list_stays() {
    let one = Backend::start(identity("one")).await;
    let server = Kubernetes::start().await;
    // Fewer in one part than a part may have bytes.
    server.pages_of(10);
    server.put("orders-a", &[(&one, ready())]);
    let proxy = started(&server, &[("one", &one)], ORDERS).await;
    becomes(&proxy, &[&one]).await;
    let unusable: Value = (0..1000).map(|_| json!({ "addresses": ["x"] })).collect();
    let long = "x".repeat(1 << 20);
    let unusable = (0..51).map(|n| slice(&format!("bad-{n}"), &unusable));
    let named = (0..33).map(|n| slice(&format!("{long}{n}"), &json!([])));
    let floods: [(Vec<Value>, &str); 2] = [
        (
            unusable.collect(),
            "answers more than 50000 endpoints, with those that cannot be used",
        ),
        (
            named.collect(),
            "answers EndpointSlices with more than 32 MiB of names and labels",
        ),
    ];
    for (slices, told) in floods {
        is_watched(&server).await;
        for slice in &slices {
            server.put_whole(slice.clone());
        }
        says(&proxy, told).await;
        proxy.log_says(told).await;
        assert_eq!(addresses(&proxy).await, [at(&one)]);
        assert_eq!(proxy.get("/").await.text(), "one");
        for slice in &slices {
            server.remove(slice["metadata"]["name"].as_str().unwrap());
        }
        is_well(&proxy).await;
    }
    proxy.finish().await;
}

#[tokio::test]
async fn slices_of_others_and_link_local_addresses_are_left_out_and_told() {
    let one = Backend::start(identity("one")).await;
    let server = Kubernetes::start().await;
    server.put("orders-a", &[(&one, ready())]);
    let proxy = started(&server, &[("one", &one)], ORDERS).await;
    becomes(&proxy, &[&one]).await;
    is_watched(&server).await;
    let mut other = slice("other", &json!([{ "addresses": ["127.0.0.66"] }]));
    other["metadata"]["labels"]["kubernetes.io/service-name"] = "other".into();
    let mut elsewhere = slice("there", &json!([{ "addresses": ["127.0.0.67"] }]));
    elsewhere["metadata"]["namespace"] = "bank".into();
    let metadata = slice("zz", &json!([{ "addresses": ["169.254.169.254"] }]));
    for slice in [other, elsewhere, metadata] {
        server.say(&json!({ "type": "ADDED", "object": slice }).to_string());
    }
    let told = [
        "other: it is of the Service \"other\", not of orders",
        "there: it is of the namespace bank, not of shop",
        "zz: 169.254.169.254 is a link-local address, which Kubernetes does not allow in slices",
    ];
    eventually("all are told", || async {
        let pool = pool(&proxy).await;
        (pool["discovery"]["skipped_entries"] == json!(told)).then_some(())
    })
    .await;
    assert_eq!(addresses(&proxy).await, [at(&one)]);
    proxy.finish().await;
}
