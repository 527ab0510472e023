//! Campaign: endpoints from a real kube-apiserver, which takes minutes to build. What CI asks of a
//! double is asked of the real one here: `bash tests/campaign kubernetes`.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::discovery::{Load, addresses, at, becomes, pool};
use crate::discovery_kubernetes::{ORDERS, text};
use crate::harness::{Backend, KubeApiserver, Proxy, Settings, identity};

const SLICES: &str = "/apis/discovery.k8s.io/v1beta1/namespaces/shop/endpointslices";
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings";
const ACCOUNTS: &str = "/api/v1/namespaces/shop/serviceaccounts";

/// Applies a file of the examples as `kubectl apply -n shop` does.
fn apply(server: &KubeApiserver, manifest: &str) {
    for object in manifest.split("\n---\n") {
        let kind = object.lines().find_map(|line| line.strip_prefix("kind: "));
        let path = match kind.expect("a kind") {
            "ServiceAccount" => ACCOUNTS,
            "Role" => "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/roles",
            "RoleBinding" => BINDINGS,
            "ConfigMap" => "/api/v1/namespaces/shop/configmaps",
            "Service" => "/api/v1/namespaces/shop/services",
            "Deployment" => "/apis/apps/v1/namespaces/shop/deployments",
            other => panic!("{other}: where does it belong?"),
        };
        server.create(path, object);
    }
}

/// A slice of `orders`, as the controller of Kubernetes writes it.
fn slice(name: &str, port: u16, endpoints: &[(&Backend, Value)]) -> Value {
    let endpoints = endpoints.iter().map(|(backend, conditions)| {
        json!({ "addresses": [backend.address().ip().to_string()], "conditions": conditions,
            "topology": { "topology.kubernetes.io/zone": "a", "kubernetes.io/hostname": "n1" } })
    });
    json!({
        "apiVersion": "discovery.k8s.io/v1beta1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": { "name": name, "labels": { "kubernetes.io/service-name": "orders",
            "app.kubernetes.io/version": "1.4.2" } },
        "endpoints": endpoints.collect::<Vec<_>>(),
        "ports": [{ "name": "http", "protocol": "TCP", "port": port }],
    })
}

fn ready() -> Value {
    json!({ "ready": true, "serving": true, "terminating": false })
}

fn ending() -> Value {
    json!({ "ready": false, "serving": true, "terminating": true })
}

/// Waits up to a minute until the source has an error with these words; none: no error.
async fn error_is(proxy: &Proxy, words: Option<&str>) -> Duration {
    let began = Instant::now();
    loop {
        let shown = pool(proxy).await["discovery"]["error"].clone();
        let fits = match (words, shown.as_str()) {
            (None, None) => true,
            (Some(words), Some(error)) => error.contains(words),
            _ => false,
        };
        if fits {
            return began.elapsed();
        }
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{words:?}: {shown}"
        );
        sleep(Duration::from_millis(50)).await;
    }
}

/// Waits up to a minute until there are so many endpoints.
async fn count_is(proxy: &Proxy, wanted: usize) {
    let began = Instant::now();
    while addresses(proxy).await.len() != wanted {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{:?}",
            addresses(proxy).await
        );
        sleep(Duration::from_millis(50)).await;
    }
}

/// The proxy under load, and the server that it follows.
struct Campaign {
    server: KubeApiserver,
    proxy: Proxy,
    load: Load,
    port: u16,
}

#[tokio::test]
#[ignore = "a campaign, which may have to build kube-apiserver: bash tests/campaign kubernetes"]
async fn a_real_api_server_keeps_the_promises_that_its_double_keeps() {
    let first = Backend::start(identity("first")).await;
    let mut campaign = Campaign::begin(&first).await;
    let last = campaign.rolls(first).await;
    let last = campaign.is_killed(last).await;
    campaign.hangs(&last).await;
    campaign.refuses_the_token().await;
    campaign.takes_the_right_away().await;
    campaign.scales(&last).await;
    let Campaign { load, proxy, .. } = campaign;
    load.goes_on(100).await;
    load.end().await;
    // The access log of so many requests is not read line by line.
    proxy
        .metric_becomes("sluicegate_requests_in_flight", &[], 0.0)
        .await;
    assert!(proxy.metric("sluicegate_panics_total", &[]).await < 0.5);
}

impl Campaign {
    /// Starts the server with the examples, whose Role is enough for the proxy, and the proxy before
    /// the Service exists.
    async fn begin(first: &Backend) -> Self {
        let server = KubeApiserver::start().await;
        apply(
            &server,
            include_str!("../../examples/kubernetes/gateway.yaml"),
        );
        apply(
            &server,
            include_str!("../../examples/kubernetes/sidecar.yaml"),
        );
        let port = first.address().port();
        let settings = Settings::new(&text(ORDERS))
            .variable("KUBERNETES_SERVICE_HOST", "127.0.0.1")
            .variable(
                "KUBERNETES_SERVICE_PORT",
                &server.address().port().to_string(),
            );
        server.write_account(settings.folder(), &server.token("sluicegate"));
        let proxy = settings.start().await;
        error_is(
            &proxy,
            Some("there is no Service orders in the namespace shop"),
        )
        .await;
        let service = json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "orders" },
            "spec": { "ports": [{ "name": "http", "port": 80 }] } });
        server.create("/api/v1/namespaces/shop/services", &service.to_string());
        server.create(
            SLICES,
            &slice("orders-a", port, &[(first, ready())]).to_string(),
        );
        becomes(&proxy, &[first]).await;
        error_is(&proxy, None).await;
        let shown = pool(&proxy).await["endpoints"][0].clone();
        assert_eq!(
            (&shown["version"], &shown["zone"]),
            (&json!("1.4.2"), &json!("a")),
            "{shown}"
        );
        let load = Load::start(&proxy, 4).await;
        load.goes_on(100).await;
        Self {
            server,
            proxy,
            load,
            port,
        }
    }

    /// Replaces the slice `orders-a`.
    fn put(&self, endpoints: &[(&Backend, Value)]) {
        let slice = slice("orders-a", self.port, endpoints);
        self.server.replace(&format!("{SLICES}/orders-a"), &slice);
    }

    /// A rolling update, again and again: one comes, one announces its end, serves on, and is gone.
    async fn rolls(&self, mut old: Backend) -> Backend {
        let began = Instant::now();
        for round in 1..=PODS {
            let new = old.start_beside(1 + round, identity("next")).await;
            self.put(&[(&old, ready()), (&new, ready())]);
            becomes(&self.proxy, &[&old, &new]).await;
            self.put(&[(&old, ending()), (&new, ready())]);
            self.all_end_but(&new).await;
            let taken = old.count();
            self.load.goes_on(50).await;
            assert!(old.count() <= taken + 4, "who ends takes nothing new");
            self.put(&[(&new, ready())]);
            becomes(&self.proxy, &[&new]).await;
            old.kill().await;
            old = new;
        }
        eprintln!(
            "{PODS} pods replaced in {:.1?} under load, no failed request",
            began.elapsed()
        );
        old
    }

    /// Waits until nobody else takes requests.
    async fn all_end_but(&self, one: &Backend) {
        let began = Instant::now();
        loop {
            let pool = pool(&self.proxy).await;
            let mut endpoints = pool["endpoints"].as_array().expect("a list").iter();
            if endpoints.all(|it| it["address"] == at(one) || it["down"] == "terminating") {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(10), "{pool}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// It is killed and comes back; what changes then is seen.
    async fn is_killed(&mut self, old: Backend) -> Backend {
        self.server.kill();
        let noticed = error_is(&self.proxy, Some("onnection")).await;
        self.load.goes_on(200).await;
        let began = Instant::now();
        self.server.run();
        self.server.is_ready().await;
        let up = began.elapsed();
        let second = old.start_beside(100, identity("second")).await;
        self.put(&[(&old, ready()), (&second, ready())]);
        count_is(&self.proxy, 2).await;
        error_is(&self.proxy, None).await;
        self.put(&[(&second, ready())]);
        count_is(&self.proxy, 1).await;
        let well = began.elapsed();
        eprintln!(
            "killed: noticed after {noticed:.1?}; up again after {up:.1?}, list good after {well:.1?}"
        );
        second
    }

    async fn hangs(&self, last: &Backend) {
        self.server.signal(Signal::STOP);
        let noticed = error_is(&self.proxy, Some("no answer within")).await;
        self.load.goes_on(200).await;
        self.server.signal(Signal::CONT);
        let began = Instant::now();
        error_is(&self.proxy, None).await;
        let other = last.start_beside(99, identity("other")).await;
        self.put(&[(last, ready()), (&other, ready())]);
        count_is(&self.proxy, 2).await;
        self.put(&[(last, ready())]);
        count_is(&self.proxy, 1).await;
        eprintln!(
            "hung: error after {noticed:.1?}; good again {:.1?} after it went on",
            began.elapsed()
        );
    }

    /// The account is made anew, so that the old token is worth nothing.
    async fn refuses_the_token(&self) {
        let (server, proxy) = (&self.server, &self.proxy);
        server.write_account(proxy.folder(), &server.token("sluicegate"));
        server.delete(&format!("{ACCOUNTS}/sluicegate"));
        let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": { "name": "sluicegate" } });
        server.create(ACCOUNTS, &account.to_string());
        let noticed = error_is(proxy, Some("401 Unauthorized: the token in ")).await;
        self.load.goes_on(100).await;
        server.write_account(proxy.folder(), &server.token("sluicegate"));
        let mended = error_is(proxy, None).await;
        eprintln!(
            "token refused: noticed after {noticed:.1?}, well {mended:.1?} after a good one was there"
        );
    }

    async fn takes_the_right_away(&self) {
        let (server, proxy) = (&self.server, &self.proxy);
        server.delete(&format!("{BINDINGS}/sluicegate"));
        let forbidden = "403 Forbidden: endpointslices.discovery.k8s.io is forbidden";
        let noticed = error_is(proxy, Some(forbidden)).await;
        let error = pool(proxy).await["discovery"]["error"].clone();
        eprintln!("right taken away: noticed after {noticed:.1?}: {error}");
        let manifest = include_str!("../../examples/kubernetes/gateway.yaml");
        let mut objects = manifest.split("\n---\n");
        let binding = objects.find(|it| it.contains("kind: RoleBinding"));
        server.create(BINDINGS, binding.expect("a binding"));
        error_is(proxy, None).await;
    }

    /// Scales to 20 over several slices, and back to one: nothing is held.
    async fn scales(&self, last: &Backend) {
        let mut many = Vec::new();
        for number in 101..=119 {
            many.push(last.start_beside(number, identity("many")).await);
        }
        let slices = |conditions: fn() -> Value| {
            let parts = many.chunks(7).enumerate().map(move |(number, some)| {
                let all: Vec<_> = some.iter().map(|it| (it, conditions())).collect();
                let name = format!("orders-{number}");
                (format!("{SLICES}/{name}"), slice(&name, self.port, &all))
            });
            parts.collect::<Vec<_>>()
        };
        for (_, slice) in slices(ready) {
            self.server.create(SLICES, &slice.to_string());
        }
        count_is(&self.proxy, 20).await;
        for (path, slice) in slices(ending) {
            self.server.replace(&path, &slice);
        }
        self.all_end_but(last).await;
        assert_eq!(pool(&self.proxy).await["discovery"]["held"], 0);
        self.load.goes_on(50).await;
        for (path, _) in slices(ending) {
            self.server.delete(&path);
        }
        becomes(&self.proxy, &[last]).await;
        eprintln!("scaled to 20 and back to 1, nothing held");
    }
}

/// Pods that are replaced.
const PODS: u8 = 40;
