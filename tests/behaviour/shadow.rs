//! A share of the requests is copied to another pool or version: the client never waits for a copy,
//! its end is nobody's fault, and its answer is dropped or compared.

use serde_json::Value;

use crate::harness::{
    Act, Backend, Gate, Proxy, Seen, Settings, answer, answer_bytes, eventually, identity,
};

/// A route to `app` with this shadow; `next` is another pool, and has another version in `app`, too.
fn text(shadow: &str) -> String {
    format!(
        r#"
        [proxy]
        workers = 2
        [listeners.web]
        address = "$web"
        protocols = ["http/1.1", "h2"]
        [admin]
        address = "$admin"
        token = "0123456789"
        [access_log]
        path = "access.log"
        [routes.orders]
        pool = "app"
        version = "^1"
        shadow = {{ {shadow} }}
        [pools.app]
        endpoints = [
            {{ address = "$app", version = "1.0.0" }},
            {{ address = "$next", version = "2.0.0" }},
        ]
        ejection = {{ consecutive = 2, base = "60s", share_max = "100%" }}
        [pools.next]
        endpoints = ["$next"]
        ejection = {{ consecutive = 2, base = "60s", share_max = "100%" }}
        "#
    )
}

async fn start(shadow: &str, app: &Backend, next: &Backend) -> Proxy {
    let settings = Settings::new(&text(shadow));
    settings
        .backend("app", app)
        .backend("next", next)
        .start()
        .await
}

async fn get(proxy: &Proxy, target: &str) -> String {
    let answer = proxy.request("GET", target, "", b"").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

async fn counted(proxy: &Proxy, result: &str, count: f64) {
    let labels = [("route", "orders"), ("result", result)];
    proxy
        .metric_becomes("sluicegate_shadow_requests_total", &labels, count)
        .await;
}

/// The shadow of the route in the admin API.
async fn told(proxy: &Proxy) -> Value {
    let told = proxy.admin("GET", "/routes", "").await.unwrap();
    let told: Value = serde_json::from_str(&told.text()).unwrap();
    let routes = told["routes"].as_array().or(told.as_array()).unwrap();
    routes[0]["shadow"].clone()
}

fn reply(status: &str, lines: &str, body: &str) -> Vec<Act> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{lines}content-length: {length}\r\n\r\n{body}");
    answer_bytes(&head)
}

#[tokio::test]
async fn a_copy_has_the_head_of_its_request_and_a_mark_and_the_client_gets_the_other_answer() {
    let app = Backend::start(identity("app")).await;
    let next = Backend::start(identity("next")).await;
    let proxy = start("pool = \"next\"", &app, &next).await;
    let lines = "x-user: 7\nx-sluicegate-shadow: forged\n";
    let answer = proxy.request("GET", "/orders/1?a=b", lines, b"").await;
    assert_eq!(answer.text(), "app");
    counted(&proxy, "answered", 1.0).await;
    let (request, copy) = (app.only(), next.only());
    assert_eq!(copy.target, "/orders/1?a=b");
    for name in ["host", "x-user", "x-request-id", "x-forwarded-for", "via"] {
        assert!(request.fields.get(name).is_some(), "{name}");
        assert_eq!(copy.fields.get(name), request.fields.get(name), "{name}");
    }
    assert_eq!(copy.fields.get("x-sluicegate-shadow"), Some("orders"));
    assert_eq!(request.fields.get("x-sluicegate-shadow"), None, "forged");
    proxy.finish().await;
}

#[tokio::test]
async fn the_client_never_waits_for_a_copy_and_no_more_than_allowed_are_under_way() {
    let gate = Gate::new();
    let app = Backend::start(identity("app")).await;
    let next = {
        let gate = gate.clone();
        Backend::start(move |_| {
            let mut acts = vec![Act::Wait(gate.clone())];
            acts.extend(answer("next"));
            acts
        })
        .await
    };
    let shadow = "pool = \"next\", in_flight_max = 2, timeout = \"60s\"";
    let proxy = start(shadow, &app, &next).await;
    for _ in 0..5 {
        assert_eq!(get(&proxy, "/").await, "app");
    }
    counted(&proxy, "busy", 3.0).await;
    assert_eq!(told(&proxy).await["in_flight"], 2);
    next.has_seen(2).await;
    gate.open();
    counted(&proxy, "answered", 2.0).await;
    assert_eq!(get(&proxy, "/").await, "app");
    counted(&proxy, "answered", 3.0).await;
    proxy.finish().await;
}

#[tokio::test]
async fn failures_of_copies_eject_nobody() {
    let app = Backend::start(identity("app")).await;
    let next = Backend::start(|_| reply("500 No", "", "")).await;
    let proxy = start("version = \"^2\"", &app, &next).await;
    for _ in 0..5 {
        assert_eq!(get(&proxy, "/").await, "app");
    }
    counted(&proxy, "answered", 5.0).await;
    next.now(|_| vec![Act::Reset]);
    for _ in 0..5 {
        assert_eq!(get(&proxy, "/").await, "app");
    }
    counted(&proxy, "failed", 5.0).await;
    let ejected = [("pool", "app")];
    let ejections = proxy.metric("sluicegate_ejections_total", &ejected).await;
    assert!(ejections < 1.0, "{ejections}");
    let healthy = [("pool", "app"), ("endpoint", &*next.address().to_string())];
    proxy
        .metric_becomes("sluicegate_endpoint_healthy", &healthy, 1.0)
        .await;
    proxy.finish().await;
}

#[tokio::test]
async fn bodies_are_copied_up_to_the_bound_for_methods_that_are_named() {
    let app = Backend::start(identity("app")).await;
    let next = Backend::start(identity("next")).await;
    let shadow = "pool = \"next\", methods = [\"POST\"], body_max = \"8B\"";
    let proxy = start(shadow, &app, &next).await;
    assert_eq!(get(&proxy, "/").await, "app");
    let small = proxy.request("POST", "/", "", b"12345678").await;
    assert_eq!(small.text(), "app");
    counted(&proxy, "answered", 1.0).await;
    let large = proxy.request("POST", "/", "", b"123456789").await;
    assert_eq!(large.text(), "app");
    let mut client = proxy.client().await;
    client
        .send(
            "POST / HTTP/1.1\r\nhost: shop.example\r\ntransfer-encoding: chunked\r\n\r\n\
             5\r\n12345\r\n5\r\n67890\r\n0\r\n\r\n",
        )
        .await;
    assert_eq!(client.answer().await.text(), "app");
    counted(&proxy, "too_large", 2.0).await;
    let copy = next.only();
    assert_eq!((&*copy.method, &*copy.body), ("POST", &b"12345678"[..]));
    assert_eq!(app.count(), 4);
    proxy.finish().await;
}

#[tokio::test]
async fn answers_are_compared_and_mismatches_are_told() {
    let app = Backend::start(|_| reply("200 OK", "x-total: 2\r\n", r#"{"a":[1],"at":1}"#)).await;
    let next = Backend::start(|seen: &Seen| match &*seen.target {
        "/same" => reply("200 OK", "x-total: 2\r\n", r#"{ "at": 2, "a": [1] }"#),
        "/status" => reply("404 No", "x-total: 2\r\n", r#"{"a":[1],"at":1}"#),
        "/header" => reply("200 OK", "x-total: 3\r\n", r#"{"a":[1],"at":1}"#),
        "/body" => reply("200 OK", "x-total: 2\r\n", r#"{"a":[2],"at":1}"#),
        _ => vec![Act::Close],
    })
    .await;
    let shadow = "pool = \"next\", compare = { headers = [\"x-total\"], body = \"json\", json_ignore = [\"/at\"] }";
    let proxy = start(shadow, &app, &next).await;
    get(&proxy, "/same?token=secret").await;
    counted(&proxy, "failed", 1.0).await;
    next.now(|_| reply("200 OK", "x-total: 2\r\n", r#"{ "at": 2, "a": [1] }"#));
    get(&proxy, "/same").await;
    counted(&proxy, "equal", 1.0).await;
    next.now(|seen: &Seen| match &*seen.target {
        "/status?token=secret" => reply("404 No", "x-total: 2\r\n", r#"{"a":[1],"at":1}"#),
        "/header" => reply("200 OK", "x-total: 3\r\n", r#"{"a":[1],"at":1}"#),
        _ => reply("200 OK", "x-total: 2\r\n", r#"{"a":[2],"at":1}"#),
    });
    get(&proxy, "/status?token=secret").await;
    counted(&proxy, "mismatch", 1.0).await;
    get(&proxy, "/header").await;
    counted(&proxy, "mismatch", 2.0).await;
    get(&proxy, "/body").await;
    counted(&proxy, "mismatch", 3.0).await;
    let told = told(&proxy).await;
    let differences: Vec<&str> = told["mismatches"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["difference"].as_str().unwrap())
        .collect();
    let expected = [
        "body: /a/0",
        "header x-total: another value",
        "status 200, of the copy 404",
    ];
    assert_eq!(differences, expected);
    assert_eq!(told["mismatches"][2]["path"], "/status");
    assert!(!told.to_string().contains("secret"), "{told}");
    assert_eq!(told["results"]["mismatch"], 3);
    proxy.finish().await;
}

#[tokio::test]
async fn a_client_that_leaves_is_no_mismatch() {
    let gate = Gate::new();
    let app = {
        let gate = gate.clone();
        Backend::start(move |_| {
            let head = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab";
            vec![Act::Send(head.into()), Act::Wait(gate.clone()), Act::Close]
        })
        .await
    };
    let next = Backend::start(|_| reply("200 OK", "", "abcd")).await;
    let shadow = "pool = \"next\", compare = { body = \"bytes\" }";
    let proxy = start(shadow, &app, &next).await;
    let mut client = proxy.client().await;
    client
        .send("GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n")
        .await;
    app.has_seen(1).await;
    drop(client);
    gate.open();
    counted(&proxy, "incomparable", 1.0).await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_request_that_goes_to_the_version_anyway_is_not_copied() {
    let old = Backend::start(identity("1")).await;
    let new = Backend::start(identity("2")).await;
    let text = r#"
        [listeners.web]
        address = "$web"
        [admin]
        address = "$admin"
        [routes.orders]
        rollout = "orders"
        shadow = { version = "^2" }
        [rollouts.orders]
        pool = "orders"
        baseline = "^1"
        candidate = "^2"
        pin = { header = { x-canary = "always" } }
        approve = true
        [pools.orders]
        endpoints = [
            { address = "$old", version = "1.0.0" },
            { address = "$new", version = "2.0.0" },
        ]
    "#;
    let settings = Settings::new(text)
        .backend("old", &old)
        .backend("new", &new);
    let proxy = settings.start().await;
    let pinned = proxy.request("GET", "/", "x-canary: always\n", b"").await;
    assert_eq!(pinned.text(), "2");
    assert_eq!(get(&proxy, "/").await, "1");
    counted(&proxy, "answered", 1.0).await;
    eventually("both requests and one copy were seen", || async {
        (old.count() == 1 && new.count() == 2).then_some(())
    })
    .await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_candidate_whose_answers_to_copies_differ_is_rolled_back() {
    let old = Backend::start(|_| reply("200 OK", "", r#"{"price":1}"#)).await;
    let new = Backend::start(|_| reply("200 OK", "", r#"{"price":2}"#)).await;
    let text = r#"
        [proxy]
        state_dir = "state"
        [listeners.web]
        address = "$web"
        [admin]
        address = "$admin"
        [routes.orders]
        rollout = "orders"
        shadow = { version = "^2", compare = { body = "json" } }
        [rollouts.orders]
        pool = "orders"
        baseline = "^1"
        candidate = "^2"
        pin = { by = "header:x-user" }
        steps = [{ share = "1%", hold = "1h" }]
        gate = { shadow_mismatch_max = "5%" }
        [pools.orders]
        endpoints = [
            { address = "$old", version = "1.0.0" },
            { address = "$new", version = "2.0.0" },
        ]
    "#;
    let settings = Settings::new(text)
        .backend("old", &old)
        .backend("new", &new);
    let proxy = settings.start().await;
    let told = eventually("it is rolled back", || async {
        proxy.request("GET", "/", "x-user: 1\n", b"").await;
        let told = proxy.admin("GET", "/rollouts/orders", "").await.unwrap();
        let told: Value = serde_json::from_str(&told.text()).unwrap();
        (told["state"] == "rolled_back").then_some(told)
    })
    .await;
    let reason = told["reason"].as_str().unwrap();
    assert!(reason.contains("answers to copies differ"), "{reason}");
    assert!(told["shadow"]["failures"].as_u64().unwrap() < 20, "{told}");
    proxy.finish().await;
}
