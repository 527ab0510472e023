//! Endpoints that are found, not listed: they come, change and leave while the proxy runs, and no
//! request notices.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};

use crate::harness::{Act, Backend, Gate, Proxy, Settings, answer, eventually, identity};

/// A pool that a file lists, with these lines.
pub(super) fn text(pool: &str) -> String {
    text_with("", pool)
}

/// A pool that a file lists, with these keys of `discover` and these lines.
pub(super) fn text_with(keys: &str, pool: &str) -> String {
    format!(
        r#"
        [proxy]
        workers = 2
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [pools.app]
        discover = {{ file = {{ path = "list.json" }} {keys} }}
        {pool}
        "#
    )
}

/// Replaces the list as careful programs do: a new file, then a rename.
pub(super) fn replace(folder: &Path, list: &Value) {
    let new = folder.join("list.new");
    fs::write(&new, list.to_string()).unwrap();
    fs::rename(new, folder.join("list.json")).unwrap();
}

/// The address of a backend, as lists have it.
pub(super) fn at(backend: &Backend) -> String {
    backend.address().to_string()
}

/// The pool, as the admin listener tells it.
pub(super) async fn pool(proxy: &Proxy) -> Value {
    let answer = proxy.admin("GET", "/pools/app", "").await;
    serde_json::from_str(&answer.expect("the pool").text()).unwrap()
}

/// The addresses of the endpoints in use.
pub(super) async fn addresses(proxy: &Proxy) -> Vec<String> {
    let pool = pool(proxy).await;
    let endpoints = pool["endpoints"].as_array().unwrap();
    let address = |it: &Value| it["address"].as_str().unwrap().to_owned();
    let mut all: Vec<String> = endpoints.iter().map(address).collect();
    all.sort_unstable();
    all
}

/// Waits until these are the endpoints.
pub(super) async fn becomes(proxy: &Proxy, wanted: &[&Backend]) {
    let mut wanted: Vec<String> = wanted.iter().map(|it| at(it)).collect();
    wanted.sort_unstable();
    eventually(format!("the endpoints are {wanted:?}"), || async {
        (addresses(proxy).await == wanted).then_some(())
    })
    .await;
}

/// So many clients that ask without a pause until told to stop; every answer must be a good one.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    pub(super) async fn start(proxy: &Proxy, clients: usize) -> Self {
        let (stop, answers) = (Arc::default(), Arc::<AtomicUsize>::default());
        let stop: Arc<AtomicBool> = stop;
        let mut running = Vec::new();
        for _ in 0..clients {
            let mut client = proxy.client().await;
            let (stop, answers) = (Arc::clone(&stop), Arc::clone(&answers));
            running.push(tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let answer = client.get("/").await;
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    answers.fetch_add(1, Ordering::SeqCst);
                }
            }));
        }
        Self {
            stop,
            answers,
            clients: running,
        }
    }

    /// Waits until so many more requests have been answered.
    pub(super) async fn goes_on(&self, more: usize) {
        let wanted = self.answers.load(Ordering::SeqCst) + more;
        eventually("requests are answered", || async {
            (self.answers.load(Ordering::SeqCst) >= wanted).then_some(())
        })
        .await;
    }

    pub(super) async fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.await.expect("every answer was a good one");
        }
    }
}

#[tokio::test]
async fn endpoints_come_change_and_leave_under_load_without_a_failed_request() {
    let [one, two, three] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
        Backend::start(identity("three")).await,
    ];
    let settings = Settings::new(&text(""))
        .backend("one", &one)
        .backend("two", &two)
        .backend("three", &three);
    let folder = settings.folder().to_owned();
    replace(&folder, &json!([at(&one)]));
    let proxy = settings.start().await;
    let load = Load::start(&proxy, 4).await;
    load.goes_on(50).await;
    replace(&folder, &json!([at(&one), at(&two)]));
    becomes(&proxy, &[&one, &two]).await;
    eventually("the new one is used", || async {
        (two.count() > 20).then_some(())
    })
    .await;
    // The weight of one changes, and so does its version: it keeps what is known of it.
    let heavy = json!([{ "address": at(&one), "weight": 9, "version": "2.0.0" }, at(&two)]);
    replace(&folder, &heavy);
    eventually("the weight is another", || async {
        let pool = pool(&proxy).await;
        let endpoints = pool["endpoints"].as_array().unwrap();
        let heavy = endpoints.iter().find(|it| it["address"] == at(&one))?;
        (heavy["weight"] == 9 && heavy["version"] == "2.0.0").then_some(())
    })
    .await;
    load.goes_on(20).await;
    let (ones, twos) = (one.count(), two.count());
    load.goes_on(400).await;
    let (ones, twos) = (one.count() - ones, two.count() - twos);
    assert!(ones > 6 * twos, "{ones} to {twos}");
    replace(&folder, &json!([at(&two), at(&three)]));
    becomes(&proxy, &[&two, &three]).await;
    // Its idle connections are closed, and it gets no more requests.
    eventually("the one that left has no connection", || async {
        (one.open() == 0).then_some(())
    })
    .await;
    let left = one.count();
    load.goes_on(200).await;
    assert_eq!(one.count(), left);
    load.end().await;
    // Its series leave with it; those of the others have counted on.
    let gone = [("pool", "app"), ("endpoint", &*at(&one))];
    let version = [("pool", "app"), ("version", "2.0.0")];
    eventually("the series of what left are gone", || async {
        let metrics = proxy.metrics().await;
        let left = [
            metrics.sum("sluicegate_picks_total", &gone),
            metrics.sum("sluicegate_endpoint_healthy", &gone),
            metrics.sum("sluicegate_attempt_duration_seconds_count", &version),
        ];
        (left == [None; 3]).then_some(())
    })
    .await;
    let metrics = proxy.metrics().await;
    let stays = [("pool", "app"), ("endpoint", &*at(&two))];
    let picks = metrics.sum("sluicegate_picks_total", &stays).unwrap();
    assert!((picks - two.count() as f64).abs() < 0.5, "{picks}");
    let log = proxy.log();
    assert!(log.contains("endpoint added") && log.contains("endpoint removed"));
    assert!(
        log.contains("weight 1 -> 9, version none -> 2.0.0"),
        "{log}"
    );
    proxy.finish().await;
}

#[tokio::test]
async fn a_request_under_way_at_an_endpoint_that_leaves_is_answered_whole() {
    let gate = Gate::new();
    let old = {
        let gate = gate.clone();
        Backend::start(move |_| {
            let mut acts = vec![Act::Wait(gate.clone())];
            acts.extend(answer("old"));
            acts
        })
        .await
    };
    let new = Backend::start(identity("new")).await;
    let settings = Settings::new(&text(""))
        .backend("old", &old)
        .backend("new", &new);
    let folder = settings.folder().to_owned();
    replace(&folder, &json!([at(&old)]));
    let proxy = settings.start().await;
    let mut client = proxy.client().await;
    let waiting = tokio::spawn(async move {
        let answer = client.get("/").await;
        (answer.status, answer.text())
    });
    old.has_seen(1).await;
    replace(&folder, &json!([at(&new)]));
    becomes(&proxy, &[&new]).await;
    assert_eq!(proxy.get("/").await.text(), "new");
    gate.open();
    assert_eq!(waiting.await.unwrap(), (200, "old".to_owned()));
    let line = proxy.logged("the one that left", |line| line["endpoint"] == at(&old));
    assert_eq!(line.await["status"], 200);
    eventually("the connection is not kept", || async {
        (old.open() == 0).then_some(())
    })
    .await;
    proxy.finish().await;
}

#[tokio::test]
async fn listed_and_found_endpoints_are_one_pool() {
    let [listed, found] = [
        Backend::start(identity("listed")).await,
        Backend::start(identity("found")).await,
    ];
    let pool_text = r#"endpoints = [{ address = "$listed", weight = 2 }]"#;
    let settings = Settings::new(&text(pool_text))
        .backend("listed", &listed)
        .backend("found", &found);
    let folder = settings.folder().to_owned();
    // What the configuration says of an address counts.
    let list = json!([{ "address": at(&listed), "weight": 7 }, at(&found)]);
    replace(&folder, &list);
    let proxy = settings.start().await;
    let mut client = proxy.client().await;
    for _ in 0..6 {
        assert_eq!(client.get("/").await.status, 200);
    }
    assert!(listed.count() > 2 && found.count() > 0);
    let shown = pool(&proxy).await;
    for (address, source, weight) in [(at(&listed), "config", 2), (at(&found), "file", 1)] {
        let endpoints = shown["endpoints"].as_array().unwrap();
        let endpoint = endpoints
            .iter()
            .find(|it| it["address"] == *address)
            .unwrap();
        assert_eq!(
            (&endpoint["source"], &endpoint["weight"]),
            (&json!(source), &json!(weight))
        );
    }
    assert_eq!(shown["discovery"]["source"], "file");
    assert_eq!(shown["discovery"]["endpoints"], 2);
    proxy.finish().await;
}

#[tokio::test]
async fn routes_by_version_follow_the_list() {
    let [old, new] = [
        Backend::start(identity("old")).await,
        Backend::start(identity("new")).await,
    ];
    let versions = r#"
        [routes.next]
        path_prefix = "/next"
        pool = "app"
        version = "^2"
        "#;
    let settings = Settings::new(&text(versions))
        .backend("old", &old)
        .backend("new", &new);
    let folder = settings.folder().to_owned();
    let version =
        |backend: &Backend, version: &str| json!({ "address": at(backend), "version": version });
    replace(&folder, &json!([version(&old, "1.0.0")]));
    let proxy = settings.start().await;
    assert_eq!(proxy.get("/").await.text(), "old");
    assert_eq!(proxy.get("/next").await.status, 503);
    replace(
        &folder,
        &json!([version(&old, "1.0.0"), version(&new, "2.1.0")]),
    );
    becomes(&proxy, &[&old, &new]).await;
    for _ in 0..4 {
        assert_eq!(proxy.get("/next").await.text(), "new");
    }
    // What is the same endpoint is another version now.
    replace(
        &folder,
        &json!([version(&old, "2.0.0"), version(&new, "3.0.0")]),
    );
    eventually("the old one is of version 2", || async {
        (proxy.get("/next").await.text() == "old").then_some(())
    })
    .await;
    proxy.finish().await;
}

#[tokio::test]
async fn health_checks_follow_the_list() {
    let [one, two] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
    ];
    let down = Backend::down(identity("down"));
    let health = r#"health = { http = { path = "/up" }, interval = "100ms", interval_down = "50ms", timeout = "100ms" }"#;
    let settings = Settings::new(&text_with(
        ", absent = \"remove\", hold_mass_removal = \"0s\"",
        health,
    ))
    .address("one", one.address())
    .address("two", two.address())
    .address("down", down.address());
    let folder = settings.folder().to_owned();
    replace(&folder, &json!([at(&one)]));
    let proxy = settings.start().await;
    eventually("it is checked", || async {
        (one.count_of("GET", "/up") > 2).then_some(())
    })
    .await;
    let load = Load::start(&proxy, 2).await;
    // One that does not answer takes no request, one that does is used after its first check.
    replace(&folder, &json!([at(&one), at(&down), at(&two)]));
    becomes(&proxy, &[&one, &down, &two]).await;
    eventually("the new one is used", || async {
        (two.count_of("GET", "/") > 5).then_some(())
    })
    .await;
    let labels = [("pool", "app"), ("endpoint", &*at(&down))];
    proxy
        .metric_becomes("sluicegate_endpoint_healthy", &labels, 0.0)
        .await;
    replace(&folder, &json!([at(&two)]));
    becomes(&proxy, &[&two]).await;
    load.goes_on(20).await;
    let (ones, twos) = (one.count_of("GET", "/up"), two.count_of("GET", "/up"));
    eventually("the other is checked further", || async {
        (two.count_of("GET", "/up") > twos + 5).then_some(())
    })
    .await;
    // One check may have been under way.
    assert!(one.count_of("GET", "/up") <= ones + 1);
    load.end().await;
    proxy.finish().await;
}
