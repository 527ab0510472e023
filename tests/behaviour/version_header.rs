//! On a route that allows it a client asks for a version by a header, and gets that or nothing.

use serde_json::Value;

use crate::harness::{Answer, Backend, Client, Proxy, Settings, identity};
use crate::why::record;

fn text(route: &str, pool: &str) -> String {
    format!(
        r#"
        [listeners.web]
        address = "$web"
        protocols = ["http/1.1", "h2"]
        [admin]
        address = "$admin"
        token = "0123456789"
        [access_log]
        path = "access.log"
        [routes.orders]
        version_header = "x-api-version"
        {route}
        [pools.orders]
        endpoints = [
            {{ address = "$one", version = "1.4.0" }},
            {{ address = "$two", version = "2.0.0" }},
            {{ address = "$next", version = "2.1.0-rc.1" }},
        ]
        {pool}
        "#
    )
}

struct Three {
    one: Backend,
    two: Backend,
    next: Backend,
}

async fn start(route: &str, pool: &str) -> (Proxy, Three) {
    let three = Three {
        one: Backend::start(identity("1.4.0")).await,
        two: Backend::start(identity("2.0.0")).await,
        next: Backend::start(identity("2.1.0-rc.1")).await,
    };
    let settings = Settings::new(&text(route, pool));
    let settings = settings
        .backend("one", &three.one)
        .backend("two", &three.two);
    let proxy = settings.backend("next", &three.next).start().await;
    (proxy, three)
}

async fn ask(proxy: &Proxy, wanted: &str) -> Answer {
    let line = format!("x-api-version: {wanted}\n");
    proxy.request("GET", "/", &line, b"").await
}

#[tokio::test]
async fn a_client_gets_the_version_that_it_asks_for() {
    let (proxy, _three) = start("pool = \"orders\"", "").await;
    for _ in 0..6 {
        for (wanted, version) in [
            ("^1", "1.4.0"),
            ("1.4", "1.4.0"),
            ("^2", "2.0.0"),
            (">=1.5, <3", "2.0.0"),
            ("=2.1.0-rc.1", "2.1.0-rc.1"),
        ] {
            let answer = ask(&proxy, wanted).await;
            assert_eq!(answer.text(), version, "{wanted}");
            assert_eq!(answer.fields.get("vary"), Some("x-api-version"));
        }
    }
    let line = proxy.logged("the version asked for", |line| {
        line["version_asked"] == "^2"
    });
    assert_eq!(line.await["version"], "2.0.0");
    let answer = ask(&proxy, "=2.1.0-rc.1").await;
    let kept = record(&proxy, &answer).await;
    assert_eq!(kept["version_asked"], "=2.1.0-rc.1", "{kept}");
    proxy.finish().await;
}

#[tokio::test]
async fn what_nobody_has_is_answered_with_503_and_its_name_and_no_guess_is_made() {
    let (proxy, three) = start("pool = \"orders\"", "").await;
    let missing = ask(&proxy, "^7").await;
    assert_eq!(missing.status, 503);
    let status = missing.fields.get("proxy-status").unwrap();
    assert!(status.contains("error=destination_unavailable"), "{status}");
    assert!(
        missing.text().contains("a version that meets ^7"),
        "{}",
        missing.text()
    );
    assert!(missing.fields.get("retry-after").is_some());
    for bad in ["two", "^2, or so", ""] {
        let refused = ask(&proxy, bad).await;
        assert_eq!(refused.status, 400, "{bad}");
        let status = refused.fields.get("proxy-status").unwrap();
        assert!(status.contains("error=http_request_error"), "{status}");
    }
    let seen = three.one.count() + three.two.count() + three.next.count();
    assert_eq!(seen, 0);
    proxy.finish().await;
}

#[tokio::test]
async fn the_requirement_of_the_route_holds_too_and_a_failed_endpoint_is_replaced_within_the_version()
 {
    let route = "pool = \"orders\"\nversion = \">=1, <2\"";
    let (proxy, _three) = start(route, "").await;
    assert_eq!(ask(&proxy, ">=1").await.text(), "1.4.0");
    assert_eq!(ask(&proxy, "^2").await.status, 503);
    proxy.finish().await;
    let (proxy, mut three) = start("pool = \"orders\"", "ejection = false").await;
    three.two.kill().await;
    let refused = ask(&proxy, "^2").await;
    assert_eq!(
        refused.status,
        502,
        "no other version serves: {}",
        refused.text()
    );
    assert_eq!(ask(&proxy, "^1").await.text(), "1.4.0");
    proxy.finish().await;
}

#[tokio::test]
async fn who_asks_in_a_rollout_gets_it_and_is_not_compared() {
    let route = r#"
        rollout = "orders"
        [rollouts.orders]
        pool = "orders"
        baseline = "^1"
        candidate = "^2"
        approve = true
    "#;
    let (proxy, _three) = start(route, "").await;
    assert_eq!(ask(&proxy, "^2").await.text(), "2.0.0");
    let users = proxy.request("GET", "/", "", b"").await;
    assert_eq!(users.text(), "1.4.0");
    let told = proxy.admin("GET", "/rollouts/orders", "").await.unwrap();
    let told: Value = serde_json::from_str(&told.text()).unwrap();
    let served = &told["versions"]["candidate"]["served"]["requests"];
    assert_eq!(*served, 0, "{told}");
    proxy.finish().await;
}

#[tokio::test]
async fn clients_that_ask_for_ever_new_things_do_not_grow_the_proxy() {
    let (proxy, _three) = start("pool = \"orders\"", "").await;
    let mut client = proxy.client().await;
    for number in 0..300 {
        let line = format!("x-api-version: >1.{number}, <3.{number}\n");
        let answer = client.request("GET", "/", &line, b"").await;
        let version = answer.text();
        assert!(
            version == "2.0.0" || (version == "1.4.0" && number < 4),
            "{version}"
        );
    }
    proxy.finish().await;
}

#[tokio::test]
async fn explain_tells_which_endpoints_have_the_version() {
    let (proxy, _three) = start("pool = \"orders\"", "").await;
    let question =
        br#"{"method":"GET","url":"http://shop.example/","headers":[["x-api-version","^2"]]}"#;
    let lines = "authorization: Bearer 0123456789\ncontent-type: application/json\n";
    let mut client = Client::connect(proxy.address("admin")).await;
    let told = client.request("POST", "/explain", lines, question).await;
    let told: Value = serde_json::from_str(&told.text()).unwrap();
    assert_eq!(told["version_asked"], "^2", "{told}");
    let skipped = "its version is not the one that the request asks for";
    let others = told["candidates"].as_array().unwrap().iter();
    assert_eq!(
        others.filter(|it| it["skipped"] == skipped).count(),
        2,
        "{told}"
    );
    proxy.finish().await;
}

#[tokio::test]
async fn a_cache_keeps_the_versions_apart() {
    let (proxy, _three) = start("pool = \"orders\"\ncache = { default_ttl = \"1m\" }", "").await;
    for _ in 0..3 {
        assert_eq!(ask(&proxy, "^1").await.text(), "1.4.0");
        assert_eq!(ask(&proxy, "^2").await.text(), "2.0.0");
    }
    proxy.finish().await;
}
