//! Endpoints of Services in Kubernetes: a server over TLS with lists in parts, watches and bookmarks,
//! that forgets, hangs up, talks nonsense and refuses.

use serde_json::{Value, json};

use crate::discovery::{Load, addresses, at, becomes, pool};
use crate::harness::{Backend, Kubernetes, Proxy, Settings, command, eventually, identity};

/// A pool of the endpoints of Services, with these keys of `kubernetes`.
pub(super) fn text(keys: &str) -> String {
    format!(
        r#"
        [proxy]
        workers = 2
        state_dir = "state"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [routes.next]
        path_prefix = "/next"
        pool = "app"
        version = "^2"
        [pools.app]
        discover = {{ kubernetes = {{ account = "account" {keys} }}, hold_mass_removal = "2s" }}
        "#
    )
}

/// Starts the proxy as in a pod that may read, with these keys.
pub(super) async fn started(
    server: &Kubernetes,
    backends: &[(&str, &Backend)],
    keys: &str,
) -> Proxy {
    prepared(server, backends, keys).start().await
}

pub(super) fn prepared(server: &Kubernetes, backends: &[(&str, &Backend)], keys: &str) -> Settings {
    let mut settings = Settings::new(&text(keys))
        .variable("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        .variable(
            "KUBERNETES_SERVICE_PORT",
            &server.address().port().to_string(),
        );
    for (name, backend) in backends {
        settings = settings.backend(name, backend);
    }
    server.write_account(settings.folder(), "first");
    settings
}

pub(super) const ORDERS: &str = r#", service = "orders""#;

pub(super) fn ready() -> Value {
    json!({ "ready": true, "serving": true, "terminating": false })
}

/// One endpoint, as the admin listener tells it.
pub(super) async fn endpoint(proxy: &Proxy, backend: &Backend) -> Value {
    let pool = pool(proxy).await;
    let endpoints = pool["endpoints"].as_array().unwrap();
    let found = endpoints.iter().find(|it| it["address"] == at(backend));
    found.cloned().unwrap_or_default()
}

/// Waits until an endpoint has this value.
pub(super) async fn shows(proxy: &Proxy, backend: &Backend, key: &str, value: &Value) {
    eventually(format!("{key} is {value}"), || async {
        (endpoint(proxy, backend).await[key] == *value).then_some(())
    })
    .await;
}

/// Waits until the source has an error with these words.
pub(super) async fn says(proxy: &Proxy, words: &str) {
    says_as(proxy, "error", words).await;
}

/// Waits until the source has these words as its `error`, or as the `trouble` beside a good list.
pub(super) async fn says_as(proxy: &Proxy, key: &str, words: &str) {
    eventually(format!("{key}: {words}"), || async {
        let pool = pool(proxy).await;
        let told = pool["discovery"][key].as_str()?.to_owned();
        told.contains(words).then_some(())
    })
    .await;
}

/// Waits until the source has no error.
pub(super) async fn is_well(proxy: &Proxy) {
    eventually("no error", || async {
        let pool = pool(proxy).await;
        let source = &pool["discovery"];
        (source["error"].is_null() && source["trouble"].is_null()).then_some(())
    })
    .await;
}

/// Waits until a watch is open.
pub(super) async fn is_watched(server: &Kubernetes) {
    eventually("a watch", || async { (server.watches() > 0).then_some(()) }).await;
}

#[tokio::test]
async fn endpoints_come_change_and_leave_under_load_without_a_failed_request() {
    let one = Backend::start(identity("one")).await;
    let two = one.start_beside(2, identity("two")).await;
    let three = one.start_beside(3, identity("three")).await;
    let server = Kubernetes::start().await;
    server.put("orders-a", &[(&one, ready())]);
    let backends = [("one", &one), ("two", &two), ("three", &three)];
    let proxy = started(&server, &backends, ORDERS).await;
    becomes(&proxy, &[&one]).await;
    let seen = server.seen();
    assert_eq!(
        seen[0].target,
        "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices\
         ?labelSelector=kubernetes.io%2Fservice-name%3Dorders&limit=50"
    );
    let shown = endpoint(&proxy, &one).await;
    assert_eq!(
        (&shown["zone"], &shown["source"]),
        (&json!("a"), &json!("kubernetes"))
    );
    assert_eq!(shown["labels"]["node"], "n1", "{shown}");
    let load = Load::start(&proxy, 2).await;
    load.goes_on(20).await;
    server.put(
        "orders-a",
        &[(&one, ready()), (&two, ready()), (&three, ready())],
    );
    becomes(&proxy, &[&one, &two, &three]).await;
    load.goes_on(50).await;
    // Two of three end at once: that is announced, and nothing is held.
    let ends = json!({ "ready": false, "serving": true, "terminating": true });
    server.put(
        "orders-a",
        &[(&one, ready()), (&two, ends.clone()), (&three, ends)],
    );
    shows(&proxy, &two, "down", &json!("terminating")).await;
    shows(&proxy, &three, "condition", &json!("down: terminating")).await;
    assert_eq!(pool(&proxy).await["discovery"]["held"], 0);
    let (_, told) = command(proxy.folder(), &["status"]);
    assert!(told.contains("down: terminating"), "{told}");
    let taken = (two.count(), three.count());
    load.goes_on(100).await;
    assert_eq!(
        (two.count(), three.count()),
        taken,
        "who ends takes nothing new"
    );
    server.put("orders-a", &[(&one, ready())]);
    becomes(&proxy, &[&one]).await;
    eventually("its connections are closed", || async {
        (two.open() == 0).then_some(())
    })
    .await;
    // One that is not ready is drained, too, and comes back.
    server.put("orders-b", &[(&two, json!({ "ready": false }))]);
    shows(&proxy, &two, "down", &json!("not ready")).await;
    server.put("orders-b", &[(&two, json!({}))]);
    shows(&proxy, &two, "down", &Value::Null).await;
    let connections = one.connections();
    load.goes_on(50).await;
    assert_eq!(
        one.connections(),
        connections,
        "who stays keeps its connections"
    );
    server.remove("orders-b");
    becomes(&proxy, &[&one]).await;
    load.end().await;
    assert_eq!(server.count("continue="), 0);
    assert_eq!(
        server.count("/services/"),
        0,
        "nobody asks for a Service that has slices"
    );
    proxy.finish().await;
}

#[tokio::test]
async fn a_slice_with_nothing_to_use_in_it_is_told_and_the_others_are_used() {
    let one = Backend::start(identity("one")).await;
    let server = Kubernetes::start().await;
    server.put("orders-a", &[(&one, ready())]);
    let proxy = started(&server, &[("one", &one)], ORDERS).await;
    server.put_of("orders", "orders-c", &[], &json!({}));
    server.put_whole(json!({ "metadata": { "name": "orders-d",
        "labels": { "kubernetes.io/service-name": "orders" } }, "addressType": "IPX",
        "endpoints": [{ "addresses": ["1"] }], "ports": [{ "port": 1 }] }));
    proxy
        .log_says("orders-d: addresses of the type IPX are not known")
        .await;
    becomes(&proxy, &[&one]).await;
    let labels = [("pool", "app"), ("source", "kubernetes")];
    let skipped = "sluicegate_discovery_skipped_entries";
    proxy.metric_becomes(skipped, &labels, 1.0).await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_watch_that_ends_expires_breaks_off_or_talks_nonsense_loses_no_change() {
    let one = Backend::start(identity("one")).await;
    let two = one.start_beside(2, identity("two")).await;
    let server = Kubernetes::start().await;
    server.put("a", &[(&one, ready())]);
    let proxy = started(&server, &[("one", &one), ("two", &two)], ORDERS).await;
    becomes(&proxy, &[&one]).await;
    let load = Load::start(&proxy, 1).await;
    let lists = || server.count("limit=");
    let watches = || server.count("watch=1");
    // Its time is over: it goes on where the bookmark was, without a list.
    is_watched(&server).await;
    server.bookmark();
    let before = (lists(), watches());
    server.end_watches();
    eventually("another watch", || async {
        (watches() > before.1).then_some(())
    })
    .await;
    assert_eq!(lists(), before.0);
    let last = server.seen().pop().expect("a request");
    assert!(
        last.target.ends_with("resourceVersion=111"),
        "{}",
        last.target
    );
    server.put("a", &[(&one, ready()), (&two, ready())]);
    becomes(&proxy, &[&one, &two]).await;
    // What it does not know: later versions may have it.
    is_watched(&server).await;
    server.say(r#"{"type":"LATER","object":{"metadata":{}}}"#);
    let huge = vec![b'x'; 5 << 20];
    for trouble in ["expired", "gone", "cut", "garbage", "huge", "error"] {
        is_watched(&server).await;
        let before = lists();
        match trouble {
            "expired" => server.expire(),
            "gone" => {
                server.forget_history();
                server.end_watches();
            }
            "cut" => server.cut(),
            "garbage" => server.say("<html>503</html>"),
            "error" => {
                server.say(r#"{"type":"ERROR","object":{"code":500,"message":"etcd is ill"}}"#);
            }
            _ => server.say_bytes(huge.clone()),
        }
        // What happens in between is in the list.
        server.put("a", &[(&two, ready())]);
        becomes(&proxy, &[&two]).await;
        server.put("a", &[(&one, ready()), (&two, ready())]);
        becomes(&proxy, &[&one, &two]).await;
        assert!(lists() > before, "{trouble}: all is listed anew");
        is_well(&proxy).await;
        load.goes_on(5).await;
    }
    proxy.log_says("what is no event of a watch").await;
    proxy.log_says("the answer is longer than 4096 KiB").await;
    proxy.log_says("etcd is ill").await;
    load.end().await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_long_list_comes_in_parts_and_an_older_server_has_another_path() {
    let one = Backend::start(identity("one")).await;
    let server = Kubernetes::start().await;
    server.lacks("/v1/namespaces/shop/endpointslices");
    server.pages_of(2);
    let mut all = Vec::new();
    for last in 2..=6 {
        all.push(one.start_beside(last, identity("other")).await);
    }
    for (backend, number) in all.iter().zip(1..) {
        server.put(&format!("orders-{number}"), &[(backend, ready())]);
    }
    let proxy = started(&server, &[], ORDERS).await;
    becomes(&proxy, &all.iter().collect::<Vec<_>>()).await;
    assert_eq!(
        server.count("v1beta1/namespaces/shop/endpointslices"),
        4,
        "3 parts and a watch"
    );
    assert_eq!(server.count("continue="), 2);
    server.remove("orders-3");
    all.remove(2);
    becomes(&proxy, &all.iter().collect::<Vec<_>>()).await;
    server.lacks("/v1beta1/");
    server.cut();
    says(&proxy, "which Kubernetes has since 1.17").await;
    assert_eq!(addresses(&proxy).await.len(), 4);
    proxy.finish().await;
}

#[tokio::test]
async fn two_services_are_two_versions_of_one_pool() {
    let one = Backend::start(identity("stable")).await;
    let two = Backend::start(identity("canary")).await;
    let server = Kubernetes::start().await;
    server.has_service("orders-canary", true);
    let version = |text: &str| json!({ "app.kubernetes.io/version": text });
    server.put_of("orders", "orders-a", &[(&one, ready())], &version("1.8.3"));
    server.put_of(
        "orders-canary",
        "canary-a",
        &[(&two, ready())],
        &version("v2.0.0"),
    );
    let keys = r#", service = ["orders", "orders-canary"], port = "http""#;
    let proxy = started(&server, &[("one", &one), ("two", &two)], keys).await;
    becomes(&proxy, &[&one, &two]).await;
    assert_eq!(
        server.seen()[0].target,
        "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices\
         ?labelSelector=kubernetes.io%2Fservice-name%20in%20%28orders%2Corders-canary%29&limit=50"
    );
    shows(&proxy, &one, "version", &json!("1.8.3")).await;
    shows(&proxy, &two, "version", &json!("2.0.0")).await;
    assert_eq!(
        endpoint(&proxy, &two).await["labels"]["service"],
        "orders-canary"
    );
    assert_eq!(proxy.get("/next").await.text(), "canary");
    // The label is changed by the next release.
    server.put_of(
        "orders-canary",
        "canary-a",
        &[(&two, ready())],
        &version("1.9.0"),
    );
    shows(&proxy, &two, "version", &json!("1.9.0")).await;
    assert_eq!(proxy.get("/next").await.status, 503);
    proxy.finish().await;
}
