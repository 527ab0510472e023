//! Campaign: a pool of 5,000 instances that change 100 times a minute, by what it costs the proxy.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::discovery::{addresses, replace};
use crate::harness::{
    Act, Backend, Consul, Etcd, Eureka, Kubernetes, Proxy, Settings, ZooKeeper, answer_bytes,
    eventually,
};

const INSTANCES: u16 = 5_000;
/// Time between two changes.
const PAUSE: Duration = Duration::from_millis(600);

async fn proxy(discover: &str) -> Proxy {
    let text = format!(
        "[proxy]\nworkers = 1\n[listeners.web]\naddress = \"$web\"\n[routes.all]\npool = \"app\"\n\
         [pools.app]\ndiscover = {{ {discover} }}\n"
    );
    Settings::new(&text).start().await
}

/// The address of an instance.
fn address(at: u16) -> String {
    format!("127.1.{}.{}:80", at / 200, at % 200)
}

/// The instance that a round changes.
fn changed(round: u64) -> u16 {
    u16::try_from(round % u64::from(INSTANCES)).expect("it fits")
}

/// An instance as lists have it, after so many rounds.
fn entry(at: u16, round: u64) -> Value {
    let weight = if at == changed(round) {
        1 + round % 9
    } else {
        1
    };
    json!({ "address": address(at), "weight": weight, "version": "1.4.2" })
}

/// Changes the list again and again; returns the share of a core that the proxy used, and the growth
/// of its memory after the first quarter.
async fn measure(proxy: &Proxy, mut change: impl AsyncFnMut(u64)) -> (f64, i64) {
    let secs =
        std::env::var("DISCOVERY_SECONDS").map_or(60, |text| text.parse().expect("a number"));
    let lasts = Duration::from_secs(secs);
    let mut ticks = interval(PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (began, used, mut early) = (Instant::now(), proxy.cpu_ms(), None);
    let mut round = 0;
    while began.elapsed() < lasts {
        ticks.tick().await;
        round += 1;
        change(round).await;
        if began.elapsed() > lasts / 4 {
            early.get_or_insert_with(|| proxy.memory());
        }
    }
    let cpu_ms = proxy.cpu_ms() - used;
    let share = f64::from(u32::try_from(cpu_ms).expect("not so long"))
        / 1000.0
        / began.elapsed().as_secs_f64();
    let bytes = |count: u64| i64::try_from(count).expect("not so much");
    (
        share,
        bytes(proxy.memory()) - bytes(early.expect("a quarter is over")),
    )
}

fn tell(source: &str, (share, growth): (f64, i64)) {
    // The campaign has the proxy built for release.
    let is_release = !cfg!(debug_assertions) || std::env::var_os("SLUICEGATE_UNDER_TEST").is_some();
    let build = if is_release { "release" } else { "debug" };
    eprintln!(
        "{source}, {build} build: {:.1} % of a core, {growth} bytes more memory",
        share * 100.0
    );
    assert!(growth < 16 << 20, "memory grows");
    assert!(!is_release || share <= 0.05, "more than 5 % of a core");
}

async fn all_are_found(proxy: &Proxy) {
    let end = Instant::now() + Duration::from_secs(60);
    while addresses(proxy).await.len() != usize::from(INSTANCES) {
        assert!(Instant::now() < end, "not all are found");
        sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
#[ignore = "a campaign, on a release build: see CONTRIBUTING.md"]
async fn five_thousand_instances_at_a_url_cost_little() {
    let list = Arc::new(Mutex::new((0_u64, String::new())));
    let write =
        |round: u64| Value::Array((0..INSTANCES).map(|at| entry(at, round)).collect()).to_string();
    *list.lock().expect("no panic") = (0, write(0));
    let server = {
        let list = Arc::clone(&list);
        Backend::start(move |seen| {
            let list = list.lock().expect("no panic");
            let tag = format!("\"{}\"", list.0);
            if seen.field("if-none-match") == tag {
                return answer_bytes("HTTP/1.1 304 Not Modified\r\n\r\n");
            }
            let body = &list.1;
            let head = format!(
                "HTTP/1.1 200 OK\r\nETag: {tag}\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            vec![Act::Read, Act::Send((head + body).into_bytes())]
        })
        .await
    };
    let url = format!("http://{}/list", server.address());
    let proxy = proxy(&format!(
        "http = {{ url = \"{url}\", interval = \"500ms\" }}"
    ))
    .await;
    all_are_found(&proxy).await;
    let figures = measure(&proxy, async |round| {
        *list.lock().expect("no panic") = (round, write(round));
    })
    .await;
    tell("a URL asked every 500 ms", figures);
}

#[tokio::test]
#[ignore = "a campaign, on a release build: see CONTRIBUTING.md"]
async fn five_thousand_instances_in_consul_cost_little() {
    let agent = Consul::start().await;
    let service = |at: u16, weight: u64| {
        json!({ "Service": { "Verb": "set", "Node": "far", "Service": {
            "ID": format!("orders-{at}"), "Service": "orders", "Port": 80,
            "Address": format!("127.1.{}.{}", at / 200, at % 200),
            "Weights": { "Passing": weight, "Warning": 1 }, "Meta": { "version": "1.4.2" },
        } } })
    };
    let node = json!({ "Node": "far", "Address": "127.1.0.1" });
    agent.done("/v1/catalog/register", &node.to_string()).await;
    for first in (0..INSTANCES).step_by(60) {
        let some: Vec<Value> = (first..INSTANCES.min(first + 60))
            .map(|at| service(at, 1))
            .collect();
        agent.done("/v1/txn", &Value::Array(some).to_string()).await;
    }
    let source = format!(
        "consul = {{ address = \"http://{}\", service = \"orders\" }}",
        agent.address()
    );
    let proxy = proxy(&source).await;
    all_are_found(&proxy).await;
    let figures = measure(&proxy, async |round| {
        let at = u16::try_from(round % 5_000).expect("it fits");
        let changed = json!([service(at, 2 + round % 9)]);
        agent.done("/v1/txn", &changed.to_string()).await;
    })
    .await;
    eventually("the last change is known", || async { Some(()) }).await;
    tell("Consul", figures);
}

#[tokio::test]
#[ignore = "a campaign, on a release build: see CONTRIBUTING.md"]
async fn five_thousand_instances_in_a_file_cost_little() {
    let settings = Settings::new(
        "[proxy]\nworkers = 1\n[listeners.web]\naddress = \"$web\"\n[routes.all]\npool = \"app\"\n\
         [pools.app]\ndiscover = { file = { path = \"list.json\" } }\n",
    );
    let folder = settings.folder().to_owned();
    let list = |round| Value::Array((0..INSTANCES).map(|at| entry(at, round)).collect());
    replace(&folder, &list(0));
    let proxy = settings.start().await;
    all_are_found(&proxy).await;
    let figures = measure(&proxy, async |round| replace(&folder, &list(round))).await;
    tell("a file", figures);
}

#[tokio::test]
#[ignore = "a campaign, on a release build: see CONTRIBUTING.md"]
async fn five_thousand_instances_in_etcd_cost_little() {
    let etcd = Etcd::start().await;
    let pair = |at: u16, round| (format!("/app/{at}"), entry(at, round).to_string());
    for first in (0..INSTANCES).step_by(100) {
        let some = (first..INSTANCES.min(first + 100)).map(|at| pair(at, 0));
        etcd.put_all(&some.collect::<Vec<_>>());
    }
    let url = etcd.url();
    let proxy = proxy(&format!(
        "etcd = {{ endpoints = [\"{url}\"], prefix = \"/app/\" }}"
    ))
    .await;
    all_are_found(&proxy).await;
    let figures = measure(&proxy, async |round| {
        let (key, value) = pair(changed(round), round);
        etcd.put(&key, &value);
    })
    .await;
    tell("etcd", figures);
}

#[tokio::test]
#[ignore = "a campaign, on a release build: see CONTRIBUTING.md"]
async fn five_thousand_instances_in_zookeeper_cost_little() {
    let server = ZooKeeper::start().await;
    let mut client = server.client();
    client.create("/app", "");
    for at in 0..INSTANCES {
        client.create(&format!("/app/{at}"), &entry(at, 0).to_string());
    }
    let at = server.address();
    let proxy = proxy(&format!(
        "zookeeper = {{ servers = [\"{at}\"], path = \"/app\" }}"
    ))
    .await;
    all_are_found(&proxy).await;
    let figures = measure(&proxy, async |round| {
        let at = changed(round);
        client.set(&format!("/app/{at}"), &entry(at, round).to_string());
    })
    .await;
    tell("ZooKeeper", figures);
}

#[tokio::test]
#[ignore = "a campaign, on a release build: see CONTRIBUTING.md"]
async fn five_thousand_instances_in_eureka_cost_little() {
    let eureka = Eureka::start().await;
    let instance = |at: u16, round: u64| {
        json!({
            "instanceId": address(at), "app": "ORDERS", "hostName": "h",
            "ipAddr": address(at).trim_end_matches(":80"), "status": "UP",
            "metadata": { "version": "1.4.2", "weight": entry(at, round)["weight"].to_string() },
            "port": { "$": 80, "@enabled": "true" }, "securePort": { "$": 443, "@enabled": "false" },
        })
    };
    for at in 0..INSTANCES {
        eureka.put_silently(instance(at, 0));
    }
    let at = eureka.address();
    let proxy = proxy(&format!(
        "eureka = {{ servers = [\"http://{at}/eureka\"], app = \"orders\", interval = \"1s\" }}"
    ))
    .await;
    all_are_found(&proxy).await;
    let figures = measure(&proxy, async |round| {
        eureka.put(instance(changed(round), round));
    })
    .await;
    tell("Eureka asked every second", figures);
}

#[tokio::test]
#[ignore = "a campaign, on a release build: see CONTRIBUTING.md"]
async fn five_thousand_instances_in_kubernetes_cost_little() {
    let server = Kubernetes::start().await;
    // As the controller parts them; a change is the whole slice again.
    let slice = |number: u16, round: u64| {
        let endpoints = (number * 100..(number + 1) * 100).map(|at| {
            let is_ready = at != changed(round) || round.is_multiple_of(2);
            json!({ "addresses": [address(at).trim_end_matches(":80")],
                "conditions": { "ready": is_ready }, "nodeName": format!("n{}", at % 50),
                "targetRef": { "kind": "Pod", "name": format!("orders-{at}"), "uid": format!("u{at}") } })
        });
        json!({ "metadata": { "name": format!("orders-{number}"), "labels": {
                "kubernetes.io/service-name": "orders", "app.kubernetes.io/version": "1.4.2" } },
            "addressType": "IPv4", "endpoints": endpoints.collect::<Vec<_>>(),
            "ports": [{ "name": "http", "port": 80 }] })
    };
    for number in 0..INSTANCES / 100 {
        server.put_whole(slice(number, 0));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let account = server.write_account(folder.path(), "first");
    let (at, account) = (server.address(), account.display());
    let proxy = proxy(&format!(
        "kubernetes = {{ service = \"orders\", address = \"https://{at}\", account = \"{account}\" }}"
    ))
    .await;
    all_are_found(&proxy).await;
    let figures = measure(&proxy, async |round| {
        server.put_whole(slice(changed(round) / 100, round));
    })
    .await;
    tell("Kubernetes", figures);
}
