//! Endpoints listed at a URL, which is asked again and again.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::discovery::{Load, addresses, at, becomes, pool};
use crate::harness::{Act, Authority, Backend, Seen, Settings, eventually, identity};

/// A pool whose list is at a URL.
fn text(source: &str) -> String {
    format!(
        r#"
        [proxy]
        workers = 2
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [pools.app]
        discover = {{ http = {{ interval = "100ms", {source} }} }}
        "#
    )
}

/// A script that answers with a list and its tag, or that the client has it.
fn list(list: &Value) -> impl Fn(&Seen) -> Vec<Act> + Send + Sync + use<> {
    let body = list.to_string();
    move |seen| {
        let tag = format!(
            "\"{:?}\"",
            body.as_bytes().iter().map(|it| u64::from(*it)).sum::<u64>()
        );
        if seen.field("if-none-match") == tag {
            return act("304 Not Modified", &tag, "");
        }
        act("200 OK", &tag, &body)
    }
}

fn act(status: &str, tag: &str, body: &str) -> Vec<Act> {
    let length = body.len();
    let text =
        format!("HTTP/1.1 {status}\r\nETag: {tag}\r\nContent-Length: {length}\r\n\r\n{body}");
    let text = match length {
        0 => text.replace("Content-Length: 0\r\n", ""),
        _ => text,
    };
    vec![Act::Read, Act::Send(text.into_bytes())]
}

#[tokio::test]
async fn a_list_at_a_url_is_followed_and_costs_nothing_while_it_is_the_same() {
    let [one, two] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
    ];
    let registry = Backend::start(list(&json!([at(&one)]))).await;
    let source = r#"url = "http://$list/orders?all", token = { env = "LIST_TOKEN" }"#;
    let settings = Settings::new(&text(source))
        .address("list", registry.address())
        .variable("LIST_TOKEN", "hunter2");
    let proxy = settings.start().await;
    becomes(&proxy, &[&one]).await;
    let load = Load::start(&proxy, 2).await;
    load.goes_on(20).await;
    registry.now(list(
        &json!([at(&one), { "address": at(&two), "weight": 3, "version": "2.0.0" }]),
    ));
    becomes(&proxy, &[&one, &two]).await;
    eventually("the new one is used", || async {
        (two.count() > 20).then_some(())
    })
    .await;
    let asked = registry.seen();
    let last = asked.last().unwrap();
    assert_eq!(last.target, "/orders?all");
    assert_eq!(last.field("authorization"), "Bearer hunter2");
    let seen = registry.seen().len();
    let asked = registry.has_seen(seen + 3).await;
    assert!(
        asked[seen + 1..]
            .iter()
            .all(|it| !it.field("if-none-match").is_empty())
    );
    assert_eq!(registry.connections(), 1, "one connection for all requests");
    let shown = pool(&proxy).await;
    assert_eq!(shown["discovery"]["source"], "http");
    assert!(
        shown["discovery"]["from"]
            .as_str()
            .unwrap()
            .ends_with("/orders?all")
    );
    assert!(!proxy.log().contains("hunter2"));
    load.end().await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_registry_that_fails_hangs_or_talks_nonsense_costs_no_request() {
    let app = Backend::start(identity("app")).await;
    let good = json!([at(&app)]);
    let mut registry = Backend::start(list(&good)).await;
    let settings =
        Settings::new(&text(r#"url = "http://$list/""#)).address("list", registry.address());
    let proxy = settings.start().await;
    becomes(&proxy, &[&app]).await;
    let load = Load::start(&proxy, 2).await;
    let error = |told: &'static str| {
        let proxy = &proxy;
        eventually(format!("the error says {told}"), move || async move {
            let pool = pool(proxy).await;
            let error = pool["discovery"]["error"].as_str()?;
            error.contains(told).then_some(())
        })
    };
    for (answer, told) in [
        (
            "HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n",
            "answers 500 Internal Server Error",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsoon",
            ":1:1: expected value",
        ),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "is not valid HTTP/1.1"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[",
            "ended before the answer",
        ),
        (
            "HTTP/1.1 304 Not Modified\r\n\r\n",
            "answers 304 Not Modified",
        ),
        (
            "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
            "answers 302 Found",
        ),
    ] {
        registry.now(move |_| vec![Act::Send(answer.as_bytes().to_vec()), Act::Close]);
        error(told).await;
        load.goes_on(20).await;
    }
    // As after a partition: the connection stands and nothing comes back.
    registry.now(|_| vec![Act::Stall]);
    let seen = registry.seen().len();
    registry.has_seen(seen + 1).await;
    load.goes_on(200).await;
    registry.kill().await;
    error("connection refused").await;
    load.goes_on(20).await;
    assert_eq!(addresses(&proxy).await, [at(&app)]);
    registry.now(list(&good));
    registry.up().await;
    eventually("the error is gone", || async {
        pool(&proxy).await["discovery"]["error"]
            .is_null()
            .then_some(())
    })
    .await;
    load.end().await;
    proxy.finish().await;
}

#[tokio::test]
async fn one_bad_entry_costs_no_other_and_is_told() {
    let app = Backend::start(identity("app")).await;
    let entries = json!([at(&app), "10.0.0.1", { "address": "10.0.0.2:80", "weight": "many" }]);
    let registry = Backend::start(list(&entries)).await;
    let settings =
        Settings::new(&text(r#"url = "http://$list/""#)).address("list", registry.address());
    let proxy = settings.start().await;
    becomes(&proxy, &[&app]).await;
    assert_eq!(proxy.get("/").await.text(), "app");
    let shown = pool(&proxy).await;
    assert!(shown["discovery"]["error"].is_null());
    assert_eq!(shown["discovery"]["skipped"], 2);
    let told = shown["discovery"]["skipped_entries"].to_string();
    assert!(
        told.contains("has no port") && told.contains("many"),
        "{told}"
    );
    proxy.log_says("has no port").await;
    let labels = [("pool", "app"), ("source", "http")];
    let skipped = proxy
        .metric("sluicegate_discovery_skipped_entries", &labels)
        .await;
    assert!((skipped - 2.0).abs() < 0.1);
    proxy.finish().await;
}

#[tokio::test]
async fn a_list_over_tls_is_believed_only_from_a_server_that_is_certified() {
    let app = Backend::start(identity("app")).await;
    let body = json!([at(&app)]).to_string();
    let authority = Authority::new("registries");
    let issued = authority.issue("registry", &["127.0.0.1"]);
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(issued.server(&["http/1.1"])));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let length = body.len();
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all((head + &body).as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    let source = r#"url = "https://$list/", ca = "ca.pem""#;
    let settings = Settings::new(&text(source)).address("list", address);
    let folder = settings.folder().to_owned();
    Authority::new("strangers").write(&folder, "ca.pem");
    let proxy = settings.start().await;
    eventually("the certificate is refused", || async {
        let pool = pool(&proxy).await;
        let error = pool["discovery"]["error"].as_str()?;
        error
            .contains("TLS: invalid peer certificate")
            .then_some(())
    })
    .await;
    assert_eq!(proxy.get("/").await.status, 503);
    // The file is read again by itself.
    authority.write(&folder, "ca.pem");
    becomes(&proxy, &[&app]).await;
    assert_eq!(proxy.get("/").await.text(), "app");
    proxy.finish().await;
    serving.abort();
}
