//! An operator sees in an answer what became of the request; others see nothing of it.

use std::fs;

use crate::harness::{Act, Backend, Port, Settings, answer_bytes, eventually, identity};

const ALL: &str = r#"
    [proxy]
    workers = 1
    debug_header = { token = "debug-token-of-the-test" }
    [listeners.web]
    address = "$web"
    [routes.shop]
    path_prefix = "/shop"
    pool = "app"
    concurrency = { max = 7 }
    cache = { default_ttl = "1m" }
    [routes.own]
    path = "/own"
    respond = { status = 204 }
    [pools.app]
    endpoints = [{ address = "$dead", version = "1.4.2" }, { address = "$app", version = "1.4.2" }]
    ejection = false
"#;

const ASKED: &str = "x-sluicegate-debug: debug-token-of-the-test";

#[tokio::test]
async fn who_has_the_token_sees_the_way_of_a_request_and_endpoints_do_not_see_the_token() {
    let fresh = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncache-control: max-age=60\r\n\r\napp";
    let app = Backend::start(move |_| [vec![Act::Read], answer_bytes(fresh)].concat()).await;
    let dead = Port::take();
    let settings = Settings::new(ALL).address("dead", dead.address());
    let proxy = settings.backend("app", &app).start().await;
    // The round begins anywhere: one of two goes to the dead endpoint first.
    let (mut failed, mut last) = (None, String::new());
    for number in 0..4 {
        let answer = proxy
            .request("GET", &format!("/shop/{number}"), ASKED, b"")
            .await;
        assert_eq!(answer.status, 200);
        let told = answer.field("x-sluicegate-debug").to_owned();
        assert_eq!(answer.field("cache-control"), "private, no-store");
        if told.contains("connection_refused") {
            failed = Some(told.clone());
        }
        last = told;
    }
    for part in [
        "route=\"shop\", pool=\"app\"",
        "version=\"1.4.2\"",
        "cache=\"miss\"",
        "limits=(\"concurrency\";per=\"route\";in_use=1;waiting=0;max=7)",
        "listener=\"web\"",
        "head_ms=",
    ] {
        assert!(last.contains(part), "{part}: {last}");
    }
    let failed = failed.expect("one went to the dead endpoint first");
    let (dead, live) = (dead.address(), app.address());
    let tried = format!("attempts=(\"{dead}\";outcome=\"connection_refused\";ms=");
    assert!(failed.contains(&tried), "{failed}");
    assert!(
        failed.contains(&format!("\"{live}\";outcome=\"200\"")),
        "{failed}"
    );
    for seen in app.seen() {
        assert!(!seen.fields.has("x-sluicegate-debug"), "{seen:?}");
    }
    // A stored answer has nothing of it, and says where it is from to who asks.
    let stored = proxy.request("GET", "/shop/1", "", b"").await;
    assert!(!stored.fields.has("x-sluicegate-debug"), "{stored:?}");
    let stored = proxy.request("GET", "/shop/1", ASKED, b"").await;
    let told = stored.field("x-sluicegate-debug");
    assert!(
        told.contains("cache=\"hit\"") && !told.contains("attempts"),
        "{told}"
    );
    // The proxy's own answers have it, too.
    for (target, status, part) in [
        ("/own", 204, "route=\"own\""),
        ("/none", 404, "reason=\"destination_not_found\""),
    ] {
        let answer = proxy.request("GET", target, ASKED, b"").await;
        assert_eq!(answer.status, status);
        let told = answer.field("x-sluicegate-debug");
        assert!(told.contains(part), "{told}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn without_the_token_or_the_address_nothing_is_told() {
    let (app, dead) = (Backend::start(identity("app")).await, Port::take());
    let settings = Settings::new(ALL).address("dead", dead.address());
    let mut proxy = settings.backend("app", &app).start().await;
    let wrong = [
        "",
        "x-sluicegate-debug: 1",
        "x-sluicegate-debug: debug-token-of-the-tesT",
        "x-sluicegate-debug: debug-token-of-the-test2",
        "x-sluicegate-debug:",
    ];
    for lines in wrong {
        for target in ["/shop", "/own", "/none"] {
            let answer = proxy.request("GET", target, lines, b"").await;
            assert!(!answer.fields.has("x-sluicegate-debug"), "{lines}");
        }
    }
    for seen in app.seen() {
        assert!(!seen.fields.has("x-sluicegate-debug"), "{seen:?}");
    }
    // By address any value asks; another name may be chosen.
    let listed = "debug_header = { from = [\"127.0.0.0/8\"], name = \"x-why\" }";
    let text = ALL.replace(
        "debug_header = { token = \"debug-token-of-the-test\" }",
        listed,
    );
    proxy.reload(&text).await;
    let answer = proxy.request("GET", "/own", "x-why: 1", b"").await;
    assert!(answer.field("x-why").contains("route=\"own\""));
    let answer = proxy.request("GET", "/own", "", b"").await;
    assert!(!answer.fields.has("x-why"));
    proxy.finish().await;
}

#[tokio::test]
async fn the_token_of_the_debug_header_follows_its_file() {
    let app = Backend::start(identity("app")).await;
    let text = ALL.replace(
        "token = \"debug-token-of-the-test\"",
        "token = { file = \"debug\" }",
    );
    let dead = Port::take();
    let settings = Settings::new(&text).address("dead", dead.address());
    let file = settings.folder().join("debug");
    fs::write(&file, "first\n").unwrap();
    let proxy = settings.backend("app", &app).start().await;
    let is_told = async |token: &str| {
        let lines = format!("x-sluicegate-debug: {token}");
        let answer = proxy.request("GET", "/own", &lines, b"").await;
        answer.fields.has("x-sluicegate-debug")
    };
    assert!(is_told("first").await);
    fs::write(&file, "second\n").unwrap();
    eventually("the new token is good", || async {
        is_told("second").await.then_some(())
    })
    .await;
    assert!(!is_told("first").await);
    proxy.finish().await;
}
