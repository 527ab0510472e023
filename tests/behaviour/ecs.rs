//! Access log lines in the names of the Elastic Common Schema, as Elastic publishes it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{
    Authority, Backend, Client, Proxy, Settings, bounded, eventually, identity, node_packages,
    shake,
};

const ALL: &str = r#"
    [proxy]
    workers = 1
    trusted_proxies = ["127.0.0.0/8"]
    [access_log]
    path = "access.log"
    format = "ecs"
    fields = { add = { tenant = "header:x-tenant" } }
    [tracing]
    zipkin = "http://$nobody/api/v2/spans"
    sample = "100%"
    [listeners.web]
    address = "$web"
    [listeners.secure]
    address = "$secure"
    tls = { certificates = [{ chain = "a.pem", key = "a.key" }], client_ca = "clients.pem", client_auth = "optional" }
    [routes.shop]
    path_prefix = "/shop"
    pool = "app"
    auth = { basic = { file = "users" } }
    [routes.guests]
    pool = "app"
    [routes.gone]
    path = "/gone"
    pool = "gone"
    [routes.own]
    path = "/own"
    respond = { status = 204 }
    [pools.app]
    endpoints = [{ address = "$app", version = "1.0.0" }]
    [pools.gone]
    endpoints = ["$nobody"]
"#;

/// `anna`, with the password `hunter2`.
const USERS: &str = "anna:$2y$05$cglV4G/31VZcCzxGtr7ajO1ipP8qzjjrtxMuXwD08mJ6wLcto3nLW\n";

/// Everything that a line may have, as `docs/operations/logs.md` promises it.
const FIELDS: &[&str] = &[
    "@timestamp",
    "client.ip",
    "ecs.version",
    "event.category",
    "event.dataset",
    "event.duration",
    "event.kind",
    "event.outcome",
    "event.reason",
    "event.type",
    "http.request.body.bytes",
    "http.request.id",
    "http.request.method",
    "http.response.body.bytes",
    "http.response.status_code",
    "http.version",
    "log.level",
    "message",
    "sluicegate.attempts",
    "sluicegate.endpoint",
    "sluicegate.listener",
    "sluicegate.pool",
    "sluicegate.route",
    "sluicegate.upstream_ms",
    "sluicegate.version",
    "span.id",
    "tls.cipher",
    "tls.client.subject",
    "tls.version",
    "tls.version_protocol",
    "trace.id",
    "url.domain",
    "url.original",
    "url.port",
    "user.name",
    "user_agent.original",
];

/// Compares lines with the schema; the names that were found, or the faults.
fn compared(modules: &Path, folder: &Path, lines: &str) -> Result<BTreeSet<String>, String> {
    let file = folder.join("lines");
    fs::write(&file, lines).unwrap();
    let mut command: Command = bounded("node");
    command.arg(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/behaviour/peers/ecs.cjs"
    ));
    command.arg(&file).env("NODE_PATH", modules);
    let done = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if done.status.success() {
        Ok(text(&done.stdout).lines().map(str::to_owned).collect())
    } else {
        Err(text(&done.stderr))
    }
}

/// Sends requests of all kinds, and returns the lines about them.
async fn lines(proxy: &Proxy, authority: &Authority) -> String {
    let trace = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let anna = format!(
        "authorization: Basic YW5uYTpodW50ZXIy\nuser-agent: test/1 \"quoted\"\nx-tenant: acme\n{trace}"
    );
    let requests = [
        ("POST", "/shop/1?q=a%20b", &*anna, "body", 200),
        ("GET", "/shop/2", "", "", 401),
        ("GET", "/\u{e4}?\u{4e2d}", "host: [::1]:8080", "", 200),
        ("GET", "/gone", "host: shop.example:81", "", 502),
        ("HEAD", "/own", "", "", 204),
        ("GET", "/bad path", "", "", 400),
    ];
    let count = requests.len() + 2;
    for (method, target, more, body, status) in requests {
        let mut client = Client::connect(proxy.address("web")).await;
        let host = if more.contains("host: ") {
            ""
        } else {
            "host: shop.example\r\n"
        };
        let more = if more.is_empty() {
            String::new()
        } else {
            format!("{}\r\n", more.replace('\n', "\r\n"))
        };
        let length = body.len();
        let head = format!(
            "{method} {target} HTTP/1.1\r\n{host}{more}content-length: {length}\r\n\r\n{body}"
        );
        client.send(head.as_bytes()).await;
        assert_eq!(client.head().await.0, status, "{target}");
    }
    let shown = authority.issue("client 1", &[]);
    let config = Arc::new(authority.client(Some(&shown), &[]));
    let mut session = shake(proxy.address("secure"), config, "shop.example")
        .await
        .unwrap();
    let head = "GET /tls HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n";
    session.write_all(head.as_bytes()).await.unwrap();
    session.read_to_end(&mut Vec::new()).await.unwrap();
    assert_eq!(
        proxy.h2_client().await.get("/h2").await.unwrap().status,
        200
    );
    eventually("a line of each", || async {
        let text = fs::read_to_string(proxy.folder().join("access.log")).unwrap_or_default();
        (text.matches('\n').count() >= count).then_some(text)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_is_one_that_elastic_publishes_or_in_a_namespace_of_its_own() {
    let Some(packages) = node_packages() else {
        return;
    };
    let modules = Path::new(&packages).join("node_modules");
    if !modules.join("@elastic/ecs").exists() {
        eprintln!("passed over: @elastic/ecs is not in NODE_PEERS_PATH");
        return;
    }
    let app = Backend::start(identity("app")).await;
    let nobody = Backend::start(identity("nobody")).await.address();
    let settings = Settings::new(ALL)
        .backend("app", &app)
        .address("nobody", nobody);
    let authority = Authority::new("test authority");
    authority
        .issue("shop", &["shop.example"])
        .write(settings.folder(), "a");
    authority.write(settings.folder(), "clients.pem");
    fs::write(settings.folder().join("users"), USERS).unwrap();
    let proxy = settings.start().await;
    let lines = lines(&proxy, &authority).await;
    let found = compared(&modules, proxy.folder(), &lines)
        .unwrap_or_else(|faults| panic!("{faults}\n{lines}"));
    let missing: Vec<_> = FIELDS.iter().filter(|it| !found.contains(**it)).collect();
    assert!(missing.is_empty(), "{missing:?} in {lines}");
    assert!(found.contains("sluicegate.tenant"), "{found:?}");

    // The comparison is one.
    for (good, bad) in [
        ("\"http.request.method\"", "\"http.request.verb\""),
        (
            "\"http.response.status_code\":",
            "\"http.response.status_code\":\"\",\"x\":",
        ),
        (
            "\"event.category\":[\"web\"]",
            "\"event.category\":[\"traffic\"]",
        ),
        ("\"client.ip\":\"127.0.0.1\"", "\"client.ip\":\"localhost\""),
        (
            "\"sluicegate.pool\":",
            "\"sluicegate.pool.name\":\"a\",\"sluicegate.pool\":",
        ),
    ] {
        let spoilt = lines.replacen(good, bad, 1);
        assert_ne!(spoilt, lines, "{good}");
        assert!(
            compared(&modules, proxy.folder(), &spoilt).is_err(),
            "{bad}"
        );
    }
    proxy.finish().await;
}
