//! `reason_detail` of the access log: which limit refused a request, and why no endpoint could serve.

use crate::harness::{
    Act, Backend, Gate, Proxy, Seen, Settings, answer, command, eventually, identity,
};

fn text(pool: &str, route: &str) -> String {
    format!(
        r#"
        [proxy]
        workers = 1
        [listeners.web]
        address = "$web"
        [admin]
        address = "$admin"
        token = "0123456789"
        [access_log]
        path = "access.log"
        [routes.all]
        pool = "app"
        {route}
        [pools.app]
        {pool}
        "#
    )
}

async fn started(pool: &str, route: &str, app: &Backend) -> Proxy {
    Settings::new(&text(pool, route))
        .backend("app", app)
        .start()
        .await
}

/// Sends a request that is refused, and waits for the details in its line.
async fn is_detailed(proxy: &Proxy, reason: &str, detail: &str) {
    let refused = proxy.get("/refused").await;
    assert_eq!(refused.status, 503, "{refused:?}");
    let told = format!("{refused:?}");
    assert!(!told.contains(detail), "the client is not told: {told}");
    proxy
        .logged(detail, |line| {
            let told = line["reason_detail"].as_str().unwrap_or_default();
            line["reason"] == reason && told.contains(detail)
        })
        .await;
}

#[tokio::test]
async fn the_access_log_names_the_limit_that_refused_a_request() {
    for (pool, route, detail) in [
        ("", "concurrency = { max = 1 }", "concurrency of route all"),
        (
            "",
            "concurrency = { max = 1, per = \"client_ip\" }",
            "concurrency for one client of route all",
        ),
        (
            "limits = { requests = 1 }",
            "",
            "limits.requests of pool app",
        ),
        (
            "limits = { connections = 1 }",
            "",
            "limits.connections of pool app",
        ),
        (
            "limits = { per_endpoint = 1 }",
            "",
            "limits.per_endpoint of pool app",
        ),
        (
            "limits = { requests = 1, queue = 5, queue_timeout = \"50ms\" }",
            "",
            "limits.requests of pool app, waited for queue_timeout",
        ),
    ] {
        let gate = Gate::new();
        let waiting = gate.clone();
        let script =
            move |_: &Seen| [vec![Act::Read, Act::Wait(waiting.clone())], answer("app")].concat();
        let app = Backend::start(script).await;
        let pool = format!("endpoints = [\"$app\"]\n{pool}");
        let proxy = started(&pool, route, &app).await;
        let mut first = proxy.client().await;
        first.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        app.has_seen(1).await;
        is_detailed(&proxy, "connection_limit_reached", detail).await;
        gate.open();
        assert_eq!(first.answer().await.status, 200);
        proxy.finish().await;
    }
}

#[tokio::test]
async fn the_access_log_says_why_no_endpoint_could_serve() {
    let app = Backend::start(identity("app")).await;
    let unavailable = "destination_unavailable";
    let weightless = r#"endpoints = [{ address = "$app", weight = 0 }]"#;
    let proxy = started(weightless, "", &app).await;
    is_detailed(&proxy, unavailable, "pool app: 1 weight 0").await;
    proxy.finish().await;

    let proxy = started(r#"endpoints = ["$app"]"#, "version = \"^3\"", &app).await;
    let detail = "pool app: no endpoint of the version that it needs can serve";
    is_detailed(&proxy, unavailable, detail).await;
    proxy.finish().await;

    let proxy = started(r#"endpoints = ["$app"]"#, "", &app).await;
    let name = format!("app/{}", app.address());
    let (code, said) = command(proxy.folder(), &["endpoint", "drain", &name]);
    assert_eq!(code, Some(0), "{said}");
    eventually("it is drained", async || {
        (proxy.get("/").await.status == 503).then_some(())
    })
    .await;
    is_detailed(&proxy, unavailable, "pool app: 1 draining").await;
    proxy.finish().await;
}
