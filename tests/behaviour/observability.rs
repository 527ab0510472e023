//! The dashboard for Grafana has the types that Grafana publishes, and every panel has data; GoAccess
//! takes each line of a log.

use std::{
    fs,
    net::{Ipv6Addr, SocketAddr},
    path::Path,
    process::Command,
    time::Duration,
};

use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::harness::{
    Act, Authority, Backend, Client, Port, Prometheus, Proxy, Seen, Settings, answer_bytes,
    eventually, node_packages,
};

fn dashboard() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/observability/dashboard.json");
    fs::read_to_string(file).unwrap()
}

/// Not the program itself: Grafana is in no package registry.
#[test]
fn the_dashboard_has_the_types_that_grafana_publishes() {
    let Some(packages) = node_packages() else {
        return;
    };
    let modules = Path::new(&packages).join("node_modules");
    if !modules.join("@grafana/schema").exists() || !modules.join("typescript").exists() {
        eprintln!("passed over: @grafana/schema or typescript is not in NODE_PEERS_PATH");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(&modules, folder.path().join("node_modules")).unwrap();
    let types = include_str!("peers/dashboard_types.ts");
    let compile = |dashboard: &str| {
        fs::write(folder.path().join("all.ts"), format!("{types}{dashboard};")).unwrap();
        let mut command = Command::new("node");
        command.arg(modules.join("typescript/bin/tsc"));
        command.args([
            "--noEmit",
            "--strict",
            "--skipLibCheck",
            "--module",
            "nodenext",
        ]);
        let done = command.arg("all.ts").current_dir(folder.path()).output();
        let done = done.unwrap();
        (
            done.status.success(),
            String::from_utf8_lossy(&done.stdout).into_owned(),
        )
    };
    let whole = dashboard();
    let (fits, faults) = compile(&whole);
    assert!(fits, "{faults}");
    // The check is one.
    let (fits, faults) = compile(&whole.replace("\"sort\": \"desc\"", "\"sort\": \"down\""));
    assert!(!fits && faults.contains("\"down\""), "{faults}");
}

const EVERYTHING: &str = r#"
    [proxy]
    workers = 1
    [metrics]
    address = "$metrics"
    [listeners.web]
    address = "$web"
    [listeners.secure]
    address = "$secure"
    [listeners.secure.tls]
    certificates = [{ chain = "a.pem", key = "a.key" }]
    [tracing]
    otlp = "http://127.0.0.1:9"
    sample = "100%"
    [routes.shop]
    path_prefix = "/shop"
    rollout = "shop"
    hedge = { after = "1ms" }
    [routes.cached]
    path_prefix = "/cached"
    pool = "app"
    cache = { default_ttl = "1m" }
    rate_limit = { rate = "1/m", burst = 3 }
    [routes.busy]
    path_prefix = "/busy"
    pool = "app"
    concurrency = { max = 1 }
    [rollouts.shop]
    pool = "app"
    baseline = "^1"
    candidate = "^2"
    steps = [{ share = "50%", hold = "1h" }]
    [pools.app]
    endpoints = [
        { address = "$app", version = "1.0.0" },
        { address = "$dead", version = "1.0.0" },
        { address = "$app2", version = "2.0.0" },
    ]
    retry_budget = { ratio = "0%", minimum = 1 }
    breaker = { failure_ratio = 0.9, volume_min = 1000 }
    ejection = { consecutive = 2, base = "1s" }
"#;

fn slow(seen: &Seen) -> Vec<Act> {
    let whole =
        answer_bytes("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncache-control: max-age=60\r\n\r\nok");
    match seen.target.as_str() {
        "/busy/hold" => vec![Act::Read, Act::Stall],
        target if target.contains("bad") => {
            answer_bytes("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")
        }
        _ => [vec![Act::Read], whole].concat(),
    }
}

#[tokio::test]
async fn every_panel_of_the_dashboard_has_data() {
    let (one, two) = (Backend::start(slow).await, Backend::start(slow).await);
    let dead = Port::take();
    let authority = Authority::new("test authority");
    let settings = Settings::new(EVERYTHING)
        .backend("app", &one)
        .backend("app2", &two)
        .address("dead", dead.address());
    let certificate = authority.issue("shop", &["shop.example"]);
    certificate.write(settings.folder(), "a");
    let proxy = settings.start().await;
    let prometheus = Prometheus::scraping(proxy.address("metrics")).await;
    prometheus.becomes("up{job=\"sluicegate\"}", 1.0).await;
    let dashboard: Value = serde_json::from_str(&dashboard()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let mut queries: Vec<(String, String)> = panels
        .flat_map(|panel| {
            let title = panel["title"].as_str().unwrap().to_owned();
            let targets = panel["targets"].as_array().into_iter().flatten();
            targets.map(move |target| (title.clone(), filled_in(target)))
        })
        .collect();
    let annotation = filled_in(&dashboard["annotations"]["list"][0]);
    assert!(queries.len() > 40);
    for name in ["instance", "route", "pool"] {
        let list = dashboard["templating"]["list"].as_array().unwrap().iter();
        let mut variables = list.filter(|it| it["name"] == name);
        let variable = variables.next().unwrap()["query"]["query"]
            .as_str()
            .unwrap();
        let series = variable.strip_prefix("label_values(").unwrap();
        let (series, _) = series.split_once(',').unwrap();
        queries.push((format!("${name}"), format!("count by ({name}) ({series})")));
    }
    // Only while there are such.
    let may_be_empty = |query: &str| query.contains("sluicegate_shed_total");
    let mut holder = proxy.raw_client().await;
    holder
        .send("GET /busy/hold HTTP/1.1\r\nhost: a\r\n\r\n")
        .await;
    // A rate needs two scrapes, and they are slow among many tests.
    let end = Instant::now() + Duration::from_secs(90);
    loop {
        for number in 0..20 {
            for path in ["/shop", "/shop/bad", "/cached", "/busy"] {
                proxy.get(&format!("{path}/{number}")).await;
            }
        }
        let mut empty = Vec::new();
        for (title, query) in &queries {
            if prometheus.query(query).await.is_empty() && !may_be_empty(query) {
                empty.push(format!("{title}: {query}"));
            }
        }
        if empty.is_empty() {
            break;
        }
        assert!(Instant::now() < end, "without data: {empty:#?}");
        sleep(Duration::from_millis(200)).await;
    }
    drop(holder);
    // Nothing was changed; the query is one all the same.
    prometheus.query(&annotation).await;
    proxy.finish().await;
}

fn filled_in(target: &Value) -> String {
    let query = target["expr"].as_str().unwrap();
    query
        .replace("$__rate_interval", "1m")
        .replace("$instance", ".*")
        .replace("$route", ".*")
        .replace("$pool", ".*")
}

/// The user `a b [c] "d"` with the password `x`.
const USERS: &str = "a b [c] \"d\":{SHA}EfatjsUqKYSrqv18O1FlA3hcIHI=\n";

const LOGGED: &str = r#"
    [access_log]
    path = "web.log"
    format = "FORMAT"
    fields = { add = { referer = "header:referer" } }
    [listeners.web]
    address = "$web"
    [listeners.six]
    address = "$six"
    [routes.all]
    pool = "app"
    [routes.user]
    path_prefix = "/user"
    pool = "app"
    auth = { basic = { file = "users" } }
    [pools.app]
    endpoints = ["$app"]
"#;

/// User agents, referrers and targets as hostile clients send them.
const ODD: &[(&str, &str)] = &[
    (
        "/",
        "user-agent: Mozilla/5.0 (X11; Linux x86_64) \"quoted\" [brackets] 'single'",
    ),
    (
        "/a%20b?x=%22%00&y=\"z\"",
        "user-agent: back\\slash \\\" \t tab",
    ),
    (
        "/",
        "user-agent: \u{fc}ml\u{e4}ut \u{4e2d}\u{6587} \u{202e}",
    ),
    ("/", "user-agent:"),
    ("/", "referer: https://shop.example/?a=\"b\" c&token=s3cret"),
    (
        "/%",
        "user-agent: %h %l \"%r\" %>s - - [x] \"GET / HTTP/1.1\" 200 1",
    ),
    ("/[x]?a[b]=c|d", "user-agent: -"),
    ("/?", "x: y"),
];

async fn logged(format: &str) {
    let app = Backend::start(|seen| match seen.target.as_str() {
        "/empty" => answer_bytes("HTTP/1.1 204 No Content\r\n\r\n"),
        "/zero" => answer_bytes("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        "/cut" => vec![
            Act::Read,
            Act::Send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab".into()),
            Act::Reset,
        ],
        "/hangs" => vec![Act::Read, Act::Stall],
        _ => answer_bytes("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
    })
    .await;
    let port = Port::take();
    let six = SocketAddr::from((Ipv6Addr::LOCALHOST, port.address().port()));
    let settings = Settings::new(&LOGGED.replace("FORMAT", format))
        .backend("app", &app)
        .address("six", six);
    fs::write(settings.folder().join("users"), USERS).unwrap();
    let proxy = settings.start().await;
    let sent = traffic(&proxy, six).await;
    let file = proxy.folder().join("web.log");
    eventually("each request has its line", || async {
        let text = fs::read_to_string(&file).ok()?;
        (text.lines().count() >= sent).then_some(())
    })
    .await;
    assert!(!fs::read_to_string(&file).unwrap().contains("s3cret"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goaccess");
    let mut command = Command::new(script);
    command.arg(&file).arg("--no-global-config");
    command.arg(format!("--log-format={}", format.to_uppercase()));
    command.args(["--invalid-requests=invalid", "-o", "report.json"]);
    let done = command.current_dir(proxy.folder()).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{said}");
    let refused = fs::read_to_string(proxy.folder().join("invalid")).unwrap_or_default();
    let report = fs::read_to_string(proxy.folder().join("report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let general = &report["general"];
    assert_eq!(general["failed_requests"], 0, "{refused}");
    let lines = fs::read_to_string(&file).unwrap().lines().count();
    assert_eq!(general["valid_requests"], lines, "{general}");
    proxy.finish().await;
}

/// Sends requests of every sort; returns their number.
async fn traffic(proxy: &Proxy, six: SocketAddr) -> usize {
    let mut sent = 0;
    for (target, line) in ODD {
        let mut client = proxy.raw_client().await;
        client
            .send(format!(
                "GET {target} HTTP/1.1\r\nhost: a\r\n{line}\r\nconnection: close\r\n\r\n"
            ))
            .await;
        client.ended().await;
        sent += 1;
    }
    let leave = "authorization: Basic YSBiIFtjXSAiZCI6eA==\r\n";
    for target in ["/user", "/empty", "/zero", "/cut"] {
        let mut client = proxy.raw_client().await;
        client
            .send(format!(
                "GET {target} HTTP/1.1\r\nhost: a\r\n{leave}connection: close\r\n\r\n"
            ))
            .await;
        client.ended().await;
        sent += 1;
    }
    for text in [
        "PURGE / HTTP/1.1\r\nhost: a\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",
        "HEAD / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "nonsense\r\n\r\n",
        "GET /a\u{7f}b HTTP/1.1\r\nhost: a\r\n\r\n",
    ] {
        let mut client = proxy.raw_client().await;
        client.send(text).await;
        client.half_close().await;
        client.ended().await;
    }
    let mut client = proxy.raw_client().await;
    client
        .send(format!("GET /hangs HTTP/1.1\r\nhost: a\r\n{leave}\r\n"))
        .await;
    client.abort();
    let mut six = Client::connect(six).await;
    six.get("/six").await;
    let mut h2 = proxy.h2_client().await;
    h2.request("GET", "/h2", &[("user-agent", "\"h2\"")], b"")
        .await
        .unwrap();
    sent + 2
}

#[tokio::test]
async fn goaccess_takes_every_line_of_the_common_log() {
    logged("common").await;
}

#[tokio::test]
async fn goaccess_takes_every_line_of_the_combined_log() {
    logged("combined").await;
}
