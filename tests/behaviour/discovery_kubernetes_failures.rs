//! Faults between the proxy and the API server of Kubernetes: tokens, rights, authorities,
//! misspelt names, and a server that is away.

use std::fs;

use rustix::process::Signal;
use serde_json::json;
use tokio::task::spawn_blocking;

use crate::discovery::{Load, addresses, becomes, pool};
use crate::discovery_kubernetes::{
    ORDERS, is_watched, is_well, prepared, ready, says, says_as, started, text,
};
use crate::harness::{Backend, Issued, Kubernetes, Proxy, command, eventually, identity};

#[tokio::test]
async fn a_token_may_be_replaced_at_any_time_and_a_refusal_says_what_is_missing() {
    let one = Backend::start(identity("one")).await;
    let two = one.start_beside(2, identity("two")).await;
    let server = Kubernetes::start().await;
    server.put("a", &[(&one, ready())]);
    let proxy = started(&server, &[("one", &one), ("two", &two)], ORDERS).await;
    becomes(&proxy, &[&one]).await;
    let load = Load::start(&proxy, 1).await;
    // The kubelet writes another one; the server takes both for a while, then the new one alone.
    server.write_account(proxy.folder(), "second");
    server.accept_token("second");
    is_watched(&server).await;
    server.end_watches();
    server.put("a", &[(&one, ready()), (&two, ready())]);
    becomes(&proxy, &[&one, &two]).await;
    let last = server.seen().pop().expect("a request");
    assert_eq!(last.field("authorization"), "Bearer second");
    // One that is not renewed in time.
    server.accept_token("third");
    server.cut();
    says(&proxy, "401 Unauthorized: the token in ").await;
    says(
        &proxy,
        "/account/token is not accepted: it has expired, or is of another cluster",
    )
    .await;
    let ready_now = proxy.admin("GET", "/ready", "").await.expect("an answer");
    assert_eq!(ready_now.status, 200);
    assert!(ready_now.text().contains("401"), "{}", ready_now.text());
    load.goes_on(20).await;
    fs::remove_file(proxy.folder().join("account/token")).unwrap();
    says(&proxy, "the token of the service account cannot be read").await;
    server.write_account(proxy.folder(), "third");
    is_well(&proxy).await;
    for (verb, key) in [("list", "error"), ("watch", "trouble")] {
        server.forbid(verb, true);
        server.cut();
        let what = format!(
            "cannot {verb} resource \"endpointslices\" in API group \"discovery.k8s.io\" in the namespace \"shop\""
        );
        says_as(&proxy, key, &what).await;
        says_as(
            &proxy,
            key,
            "a Role needs the verbs list and watch on endpointslices",
        )
        .await;
        assert_eq!(addresses(&proxy).await.len(), 2);
        server.forbid(verb, false);
        is_well(&proxy).await;
    }
    load.end().await;
    assert!(!proxy.log().contains("Bearer"));
    proxy.finish().await;
}

#[tokio::test]
async fn a_service_that_does_not_exist_is_told_from_one_without_endpoints() {
    let one = Backend::start(identity("one")).await;
    let server = Kubernetes::start().await;
    let keys = r#", service = "oders", address = "https://$kubernetes""#;
    let settings = prepared(&server, &[("one", &one)], keys);
    let proxy = settings
        .address("kubernetes", server.address())
        .start()
        .await;
    says(&proxy, "there is no Service oders in the namespace shop").await;
    assert_eq!(proxy.get("/").await.status, 503);
    let folder = proxy.folder().to_owned();
    let checking = spawn_blocking(move || command(&folder, &["check", "proxy.toml"]));
    let (_, told) = checking.await.expect("it ends");
    assert!(told.contains("there is no Service oders"), "{told}");
    server.has_service("oders", true);
    server.put_of("oders", "oders-a", &[(&one, ready())], &json!({}));
    becomes(&proxy, &[&one]).await;
    is_well(&proxy).await;
    assert_eq!(proxy.get("/").await.text(), "one");
    // Removed with its slices: it is held as any sudden loss, and then believed.
    server.has_service("oders", false);
    server.remove("oders-a");
    proxy
        .log_says("there is no Service oders in the namespace shop")
        .await;
    becomes(&proxy, &[]).await;
    says_as(
        &proxy,
        "trouble",
        "service oders: there is no Service oders in the namespace shop",
    )
    .await;
    let status = output(&proxy, "status").await;
    let told = |line: &str| line.starts_with("! ") && line.contains("there is no Service oders");
    assert!(status.lines().any(told), "{status}");
    server.has_service("oders", true);
    server.put_of("oders", "oders-a", &[(&one, ready())], &json!({}));
    becomes(&proxy, &[&one]).await;
    is_well(&proxy).await;
    proxy.finish().await;
    // There, and without endpoints: an empty list. So it is where nobody may look.
    for is_forbidden in [false, true] {
        server.forbid("get", is_forbidden);
        let proxy = started(&server, &[], ORDERS).await;
        is_watched(&server).await;
        is_well(&proxy).await;
        assert!(addresses(&proxy).await.is_empty());
        proxy.finish().await;
    }
}

/// Output of a command beside the file of the proxy.
async fn output(proxy: &Proxy, arguments: &'static str) -> String {
    let folder = proxy.folder().to_owned();
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let asking = spawn_blocking(move || command(&folder, &arguments));
    asking.await.expect("it ends").1
}

#[tokio::test]
async fn a_reload_to_a_service_that_does_not_exist_is_held_as_any_sudden_loss() {
    let one = Backend::start(identity("one")).await;
    let two = one.start_beside(2, identity("two")).await;
    let server = Kubernetes::start().await;
    // Whether a Service exists is not for this account.
    server.forbid("get", true);
    server.put("a", &[(&one, ready()), (&two, ready())]);
    let mut proxy = started(&server, &[("one", &one), ("two", &two)], ORDERS).await;
    becomes(&proxy, &[&one, &two]).await;
    let load = Load::start(&proxy, 2).await;
    let long = |keys: &str| text(keys).replace("\"2s\"", "\"5m\"");
    proxy.reload(&long(r#", service = "ordres""#)).await;
    let labels = [("pool", "app"), ("source", "kubernetes")];
    let held = "sluicegate_discovery_held_endpoints";
    proxy.metric_becomes(held, &labels, 2.0).await;
    load.goes_on(50).await;
    let status = output(&proxy, "status").await;
    let says = |line: &str| line.starts_with("! ") && line.contains("suddenly not listed");
    assert!(status.lines().any(says), "{status}");
    // The way back costs nothing either.
    proxy.reload(&long(ORDERS)).await;
    proxy.metric_becomes(held, &labels, 0.0).await;
    load.goes_on(50).await;
    assert_eq!(addresses(&proxy).await.len(), 2);
    load.end().await;
    // One that stays so is believed.
    proxy.reload(&text(r#", service = "ordres""#)).await;
    becomes(&proxy, &[]).await;
    proxy.finish().await;
}

#[tokio::test]
async fn one_misspelt_service_of_several_is_told_beside_the_endpoints_of_the_others() {
    let one = Backend::start(identity("one")).await;
    let server = Kubernetes::start().await;
    server.put("a", &[(&one, ready())]);
    let keys = r#", service = ["orders", "orders-canry"]"#;
    let proxy = started(&server, &[("one", &one)], keys).await;
    assert_eq!(proxy.get("/").await.text(), "one");
    let why = "there is no Service orders-canry in the namespace shop";
    says_as(&proxy, "trouble", why).await;
    let status = output(&proxy, "status").await;
    let says = |line: &str| line.starts_with("! ") && line.contains(why);
    assert!(status.lines().any(says), "{status}");
    proxy.finish().await;
}

#[tokio::test]
async fn a_list_that_may_not_be_watched_is_used_and_read_again() {
    let one = Backend::start(identity("one")).await;
    let two = one.start_beside(2, identity("two")).await;
    let server = Kubernetes::start().await;
    server.forbid("watch", true);
    server.put("a", &[(&one, ready())]);
    let proxy = started(&server, &[("one", &one), ("two", &two)], ORDERS).await;
    assert_eq!(proxy.get("/").await.text(), "one");
    let why = "cannot watch resource \"endpointslices\"";
    says_as(&proxy, "trouble", why).await;
    let status = output(&proxy, "status").await;
    let says = |line: &str| line.starts_with("! ") && line.contains(why);
    assert!(status.lines().any(says), "{status}");
    server.put("a", &[(&two, ready())]);
    becomes(&proxy, &[&two]).await;
    server.forbid("watch", false);
    is_watched(&server).await;
    is_well(&proxy).await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_server_that_is_away_costs_no_request_also_over_a_restart() {
    let one = Backend::start(identity("one")).await;
    let two = one.start_beside(2, identity("two")).await;
    let mut server = Kubernetes::start().await;
    server.put("a", &[(&one, ready())]);
    let mut proxy = started(&server, &[("one", &one), ("two", &two)], ORDERS).await;
    becomes(&proxy, &[&one]).await;
    let state = proxy.folder().join("state");
    eventually("the list is kept", || async {
        let mut files = fs::read_dir(&state).ok()?;
        files
            .any(|it| it.is_ok_and(|it| it.file_name().to_string_lossy().ends_with(".json")))
            .then_some(())
    })
    .await;
    let load = Load::start(&proxy, 1).await;
    server.kill().await;
    says(&proxy, "connection refused").await;
    load.goes_on(50).await;
    load.end().await;
    proxy.signal(Signal::TERM);
    proxy.exited().await;
    let checked = output(&proxy, "check proxy.toml").await;
    assert!(
        checked.contains("would start with the list that was kept in proxy.state_dir at 20")
            && checked.contains("Z: 1 endpoint"),
        "{checked}"
    );
    proxy.start_again().await;
    assert_eq!(proxy.get("/").await.text(), "one");
    assert!(pool(&proxy).await["discovery"]["restored"].is_string());
    server.put("a", &[(&one, ready()), (&two, ready())]);
    server.up().await;
    becomes(&proxy, &[&one, &two]).await;
    is_well(&proxy).await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_server_of_another_authority_is_refused_and_its_file_is_named() {
    let one = Backend::start(identity("one")).await;
    let server = Kubernetes::start().await;
    server.put("a", &[(&one, ready())]);
    let settings = prepared(&server, &[("one", &one)], ORDERS);
    let ca = settings.folder().join("account/ca.crt");
    let right = fs::read_to_string(&ca).unwrap();
    fs::write(&ca, Issued::by_itself("other", &[]).chain).unwrap();
    let proxy = settings.start().await;
    says(&proxy, "the authorities are those of ").await;
    says(&proxy, "/account/ca.crt").await;
    eventually("it is not said to have none", async || {
        let line = "no endpoint can serve";
        let status = output(&proxy, "status").await;
        let line = status
            .lines()
            .find(|it| it.starts_with("! ") && it.contains(line))?;
        line.contains("no list of kubernetes service orders was read yet")
            .then_some(())
    })
    .await;
    assert_eq!(server.seen().len(), 0, "it was not shown the token");
    // The authorities were renewed: they are read again.
    fs::write(&ca, right).unwrap();
    becomes(&proxy, &[&one]).await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_client_certificate_takes_the_place_of_a_token() {
    let one = Backend::start(identity("one")).await;
    let folder = tempfile::tempdir().unwrap();
    let server = Kubernetes::start_with_certificates(folder.path()).await;
    server.put("a", &[(&one, ready())]);
    let pair = folder.path().join("client");
    let pair = pair.display();
    let keys = format!(r#"{ORDERS}, client = {{ chain = "{pair}.pem", key = "{pair}.key" }}"#);
    let proxy = started(&server, &[("one", &one)], &keys).await;
    becomes(&proxy, &[&one]).await;
    assert!(
        server
            .seen()
            .iter()
            .all(|it| it.field("authorization").is_empty())
    );
    assert_eq!(proxy.get("/").await.text(), "one");
    proxy.finish().await;
    // Without one the server hangs up.
    let proxy = started(&server, &[("one", &one)], ORDERS).await;
    says(&proxy, "kubernetes service orders").await;
    assert!(addresses(&proxy).await.is_empty());
    proxy.finish().await;
}
