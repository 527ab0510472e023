//! A client stays with the endpoint that served it first, and nobody stores anything for it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::{Answer, Backend, Proxy, Settings, eventually, identity};

const COOKIE: &str = r#"
    [listeners.web]
    address = "$web"
    [admin]
    address = "$admin"
    token = "0123456789"
    [routes.all]
    pool = "app"
    [pools.app]
    endpoints = ["$one", "$two", "$three"]
    session = { cookie = "sid", secret = "0123456789abcdef" }
"#;

async fn three() -> (Backend, Backend, Backend) {
    let (one, two) = (identity("one"), identity("two"));
    let (one, two) = (Backend::start(one).await, Backend::start(two).await);
    (one, two, Backend::start(identity("three")).await)
}

async fn start(text: &str, (one, two, three): &(Backend, Backend, Backend)) -> Proxy {
    let settings = Settings::new(text).backend("one", one);
    let settings = settings.backend("two", two).backend("three", three);
    settings.start().await
}

/// The line `cookie: …` that a browser would send after this answer.
fn cookie(answer: &Answer) -> String {
    let line = answer.field("set-cookie");
    let (pair, _) = line.split_once(';').unwrap();
    format!("cookie: theme=dark; {pair}\n")
}

async fn ask(proxy: &Proxy, lines: &str) -> Answer {
    let answer = proxy.request("GET", "/", lines, b"").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

async fn endpoint_of(proxy: &Proxy, address: std::net::SocketAddr) -> Value {
    let pool = proxy.admin("GET", "/pools/app", "").await.unwrap();
    let pool: Value = serde_json::from_str(&pool.text()).unwrap();
    let endpoints = pool["endpoints"].as_array().unwrap();
    let wanted = address.to_string();
    let found = endpoints.iter().find(|it| it["address"] == wanted.as_str());
    found.cloned().unwrap()
}

#[tokio::test]
async fn a_cookie_keeps_a_client_with_its_endpoint_over_all_workers_and_proxies() {
    let backends = three().await;
    let proxy = start(COOKIE, &backends).await;
    let other = start(COOKIE, &backends).await;
    let first = ask(&proxy, "").await;
    let line = first.field("set-cookie");
    assert!(
        line.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600"),
        "{line}"
    );
    for secret in ["127.0.0.1", &backends.0.address().port().to_string()] {
        assert!(!line.contains(secret), "{line}");
    }
    let session = cookie(&first);
    for proxy in [&proxy, &other] {
        for _ in 0..20 {
            let again = ask(proxy, &session).await;
            assert_eq!(again.text(), first.text());
            assert!(!again.fields.has("set-cookie"), "it has the cookie already");
        }
        let mut client = proxy.h2_client().await;
        let fields = [("cookie", session.trim_start_matches("cookie: ").trim_end())];
        let answer = client.request("GET", "/", &fields, b"").await;
        assert_eq!(answer.unwrap().text(), first.text());
    }
    // Everybody else is shared out as ever.
    let mut served = BTreeSet::new();
    for _ in 0..12 {
        served.insert(ask(&proxy, "").await.text());
    }
    assert_eq!(served.len(), 3);
    let mut given = 0;
    for backend in [&backends.0, &backends.1, &backends.2] {
        let shown = endpoint_of(&proxy, backend.address()).await;
        given += shown["sessions"].as_u64().unwrap();
    }
    assert_eq!(given, 13);
    other.finish().await;
    proxy.finish().await;
}

#[tokio::test]
async fn forged_and_foreign_cookies_are_ignored_and_replaced() {
    let backends = three().await;
    let proxy = start(COOKIE, &backends).await;
    let foreign = COOKIE.replace("0123456789abcdef", "another secret, another fleet");
    let stranger = start(&foreign, &backends).await;
    let theirs = cookie(&ask(&stranger, "").await);
    let good = cookie(&ask(&proxy, "").await);
    let (name, token) = good.trim_end().rsplit_once("sid=").unwrap();
    let other = if token.starts_with('B') { 'C' } else { 'B' };
    let forged = format!("{name}sid={other}{}\n", &token[1..]);
    for wrong in [
        theirs.as_str(),
        &forged,
        "cookie: sid=\n",
        "cookie: sid=%00;sid\n",
    ] {
        let answer = ask(&proxy, wrong).await;
        assert!(answer.fields.has("set-cookie"), "{wrong}");
    }
    stranger.finish().await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_draining_or_weightless_endpoint_keeps_its_sessions_and_gets_no_new_ones() {
    let backends = three().await;
    let mut proxy = start(COOKIE, &backends).await;
    let first = ask(&proxy, "").await;
    let session = cookie(&first);
    let all = [&backends.0, &backends.1, &backends.2];
    let names = ["one", "two", "three"];
    let place = names.iter().position(|name| first.text() == *name).unwrap();
    let address = all[place].address();
    let target = format!("/pools/app/endpoints/{address}/drain");
    let token = "authorization: Bearer 0123456789\n";
    assert_eq!(
        proxy.admin("POST", &target, token).await.unwrap().status,
        200
    );
    let drained = || async {
        let state = endpoint_of(&proxy, address).await;
        (state["state"] == "draining").then_some(())
    };
    eventually("the endpoint drains", drained).await;
    for _ in 0..12 {
        assert_eq!(ask(&proxy, &session).await.text(), first.text());
        assert_ne!(ask(&proxy, "").await.text(), first.text());
    }
    let target = target.replace("/drain", "/enable");
    assert_eq!(
        proxy.admin("POST", &target, token).await.unwrap().status,
        200
    );
    let name = format!("\"${}\"", names[place]);
    let weightless = COOKIE.replace(&name, &format!("{{ address = {name}, weight = 0 }}"));
    proxy.reload(&weightless).await;
    for _ in 0..12 {
        assert_eq!(ask(&proxy, &session).await.text(), first.text());
        assert_ne!(ask(&proxy, "").await.text(), first.text());
    }
    proxy.finish().await;
}

#[tokio::test]
async fn the_sessions_of_a_dead_endpoint_move_and_the_cookie_with_them() {
    let (one, two, three) = three().await;
    let mut backends = [
        ("one", Some(one)),
        ("two", Some(two)),
        ("three", Some(three)),
    ];
    let mut settings = Settings::new(COOKIE);
    for (name, backend) in &backends {
        settings = settings.backend(name, backend.as_ref().unwrap());
    }
    let proxy = settings.start().await;
    let first = ask(&proxy, "").await;
    let session = cookie(&first);
    for (name, backend) in &mut backends {
        if first.text() == *name {
            // Its port is closed from now on.
            backend.take();
        }
    }
    let moved = ask(&proxy, &session).await;
    assert_ne!(moved.text(), first.text());
    let session = cookie(&moved);
    for _ in 0..12 {
        let again = ask(&proxy, &session).await;
        assert_eq!(again.text(), moved.text());
        assert!(!again.fields.has("set-cookie"));
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_header_can_carry_the_session_in_place_of_a_cookie() {
    let backends = three().await;
    let header = COOKIE.replace("cookie = \"sid\"", "header = \"x-session\"");
    let proxy = start(&header, &backends).await;
    let first = ask(&proxy, "").await;
    let session = format!("x-session: {}\n", first.field("x-session"));
    assert!(!first.fields.has("set-cookie"));
    for _ in 0..12 {
        let again = ask(&proxy, &session).await;
        assert_eq!(again.text(), first.text());
        assert!(!again.fields.has("x-session"));
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_route_for_one_version_ignores_a_session_with_another() {
    let backends = three().await;
    let text = r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [routes.new]
        path_prefix = "/new"
        pool = "app"
        version = "^2"
        [pools.app]
        endpoints = [
            { address = "$one", version = "1.0.0" },
            { address = "$two", version = "1.1.0" },
            { address = "$three", version = "2.0.0" },
        ]
        session = { cookie = "sid", secret = "0123456789abcdef" }
    "#;
    let proxy = start(text, &backends).await;
    let old = loop {
        let answer = ask(&proxy, "").await;
        if answer.text() != "three" {
            break answer;
        }
    };
    let answer = proxy.request("GET", "/new", &cookie(&old), b"").await;
    assert_eq!(answer.text(), "three");
    proxy.finish().await;
}
