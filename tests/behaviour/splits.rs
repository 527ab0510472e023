//! A route with a split sends each user to one of its pools, by weight, and leaves him there.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::{Answer, Backend, Client, Proxy, Settings, identity};

fn text(route: &str) -> String {
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
        {route}
        [pools.a]
        endpoints = ["$a"]
        [pools.b]
        endpoints = ["$b"]
        "#
    )
}

async fn two() -> (Backend, Backend) {
    (
        Backend::start(identity("a")).await,
        Backend::start(identity("b")).await,
    )
}

async fn start(route: &str, (a, b): &(Backend, Backend)) -> Proxy {
    let settings = Settings::new(&text(route)).backend("a", a).backend("b", b);
    settings.start().await
}

async fn pool_of(proxy: &Proxy, lines: &str) -> String {
    let answer = proxy.request("GET", "/", lines, b"").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

/// The pools of this many users, by name.
async fn cohort(proxy: &Proxy, users: u32) -> Vec<String> {
    let mut pools = Vec::new();
    for user in 0..users {
        pools.push(pool_of(proxy, &format!("x-user: user-{user}\n")).await);
    }
    pools
}

fn share(pools: &[String], pool: &str) -> f64 {
    let users = u32::try_from(pools.len()).unwrap();
    let there = pools.iter().filter(|it| *it == pool).count();
    f64::from(u32::try_from(there).unwrap()) / f64::from(users)
}

const BY_USER: &str = "split = { a = 80, b = 20 }\npin = { by = \"header:x-user\" }";

#[tokio::test]
async fn each_pool_gets_its_share_of_users_in_all_proxies_alike() {
    let backends = two().await;
    let proxy = start(BY_USER, &backends).await;
    let other = start(BY_USER, &backends).await;
    let pools = cohort(&proxy, 300).await;
    // Four standard deviations.
    assert!(
        (share(&pools, "b") - 0.2).abs() < 0.093,
        "{}",
        share(&pools, "b")
    );
    assert_eq!(cohort(&other, 300).await, pools);
    let chosen = [("route", "orders"), ("pool", "b")];
    let counted = proxy
        .metric("sluicegate_split_requests_total", &chosen)
        .await;
    assert!((counted / 300.0 - share(&pools, "b")).abs() < 1e-9);
    let line = proxy.logged("one of b", |line| line["pool"] == "b").await;
    assert_eq!(line["split"], "key");
    proxy.finish().await;
    other.finish().await;
}

#[tokio::test]
async fn when_weights_change_users_only_move_to_the_pool_that_grew() {
    let backends = two().await;
    let mut proxy = start(BY_USER, &backends).await;
    let mut before = cohort(&proxy, 150).await;
    for b in [30, 60, 100] {
        let grown = BY_USER.replace("a = 80, b = 20", &format!("a = {}, b = {b}", 100 - b));
        proxy.reload(&text(&grown)).await;
        let after = cohort(&proxy, 150).await;
        let stayed = before.iter().zip(&after).filter(|(from, _)| *from == "b");
        assert!(stayed.into_iter().all(|(_, to)| to == "b"));
        before = after;
    }
    assert!(before.iter().all(|pool| pool == "b"));
    proxy.reload(&text(BY_USER)).await;
    let again = cohort(&proxy, 150).await;
    assert!(share(&again, "b") < 0.4);
    proxy.finish().await;
}

#[tokio::test]
async fn a_client_without_a_key_gets_a_cookie_that_keeps_it_where_it_is() {
    let backends = two().await;
    let proxy = start("split = { a = 50, b = 50 }", &backends).await;
    let mut places: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..40 {
        let first = proxy.request("GET", "/", "", b"").await;
        let cookie = cookie(&first);
        let pool = first.text();
        for _ in 0..3 {
            let again = proxy.request("GET", "/", &cookie, b"").await;
            assert_eq!(again.text(), pool);
            assert!(again.fields.get("set-cookie").is_none());
        }
        *places.entry(pool).or_default() += 1;
    }
    assert_eq!(places.len(), 2, "{places:?}");
    proxy.finish().await;
}

#[tokio::test]
async fn over_http2_a_user_is_the_same_one() {
    let backends = two().await;
    let proxy = start(BY_USER, &backends).await;
    let pools = cohort(&proxy, 12).await;
    let mut client = proxy.h2_client().await;
    for (user, pool) in pools.iter().enumerate() {
        let user = format!("user-{user}");
        let answer = client.request("GET", "/", &[("x-user", &user)], b"").await;
        let answer = answer.unwrap();
        assert_eq!(answer.text(), *pool);
    }
    proxy.finish().await;
}

#[tokio::test]
async fn explain_and_the_api_tell_who_goes_where() {
    let backends = two().await;
    let proxy = start(BY_USER, &backends).await;
    let pool = pool_of(&proxy, "x-user: user-7\n").await;
    let asked = json!({ "method": "GET", "url": "http://shop.example/", "headers": [["x-user", "user-7"]] });
    let mut client = Client::connect(proxy.address("admin")).await;
    let lines = "host: localhost\r\ncontent-type: application/json";
    let asked = asked.to_string();
    let told = client
        .request("POST", "/explain", lines, asked.as_bytes())
        .await;
    let told: Value = serde_json::from_str(&told.text()).unwrap();
    let split = &told["action"]["split"];
    assert_eq!(split["pool"], pool.as_str(), "{told}");
    assert_eq!(split["weights"], json!({ "a": 80, "b": 20 }));
    assert_eq!(told["candidates"].as_array().unwrap().len(), 1);
    let routes = proxy.admin("GET", "/routes", "").await.unwrap();
    let routes: Value = serde_json::from_str(&routes.text()).unwrap();
    assert_eq!(routes[0]["split"], json!({ "a": 0.8, "b": 0.2 }));
    proxy.finish().await;
}

fn cookie(answer: &Answer) -> String {
    let line = answer.field("set-cookie");
    let (pair, attributes) = line.split_once(';').unwrap();
    assert_eq!(
        attributes,
        " Path=/; HttpOnly; SameSite=Lax; Max-Age=31536000"
    );
    format!("cookie: theme=dark; {pair}\n")
}
