//! Header fields: those that an intermediary passes, those that it must not, and those that it adds
//! (RFC 9110 section 7.6).

use crate::harness::{Act, Backend, Settings, answer, answer_bytes, identity};

const ALL: &str = r#"
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
"#;

#[tokio::test]
async fn hop_by_hop_fields_of_the_request_stay_here() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let lines = "connection: x-one, X-Two, keep-alive\nx-one: 1\nx-two: 2\nx-three: 3\n\
                 keep-alive: timeout=5\nproxy-connection: keep-alive\nproxy-authorization: Basic eA==\n\
                 te: gzip, trailers\nproxy: http://evil.example\nupgrade: h2c";
    assert_eq!(proxy.request("GET", "/", lines, b"").await.status, 200);
    let seen = app.only();
    for name in [
        "x-one",
        "x-two",
        "keep-alive",
        "proxy-connection",
        "proxy",
        "upgrade",
    ] {
        assert!(!seen.fields.has(name), "{name}: {seen:?}");
    }
    assert_eq!(seen.field("x-three"), "3");
    proxy.finish().await;
}

#[tokio::test]
async fn te_is_passed_on_as_a_field_of_the_next_connection() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    for lines in ["te: gzip, trailers\nconnection: TE", "te: gzip", "x: 1"] {
        proxy.request("GET", "/one", lines, b"").await;
    }
    let mut h2 = proxy.h2_client().await;
    for lines in [&[("te", "trailers")][..], &[]] {
        h2.request("GET", "/two", lines, b"").await.unwrap();
    }
    let seen = app.seen();
    let seen = seen.iter().map(|seen| {
        let all = |name: &str| seen.fields.all(name).join(", ");
        (all("te"), all("connection").to_ascii_lowercase())
    });
    let seen: Vec<_> = seen.collect();
    let with = ("trailers".to_owned(), "te".to_owned());
    let without = (String::new(), String::new());
    let expected = [&with, &without, &without, &with, &without];
    assert!(seen.iter().eq(expected), "{seen:?}");
    proxy.finish().await;
}

#[tokio::test]
async fn connection_cannot_remove_fields_that_others_rely_on() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let lines = "connection: host, content-length, authorization, cookie, x-forwarded-for, \
                 x-forwarded-proto, x-forwarded-host, x-request-id\nauthorization: Bearer t\n\
                 cookie: a=b";
    assert_eq!(proxy.request("POST", "/", lines, b"body").await.status, 200);
    let seen = app.only();
    assert_eq!(seen.field("authorization"), "Bearer t");
    assert_eq!(seen.field("cookie"), "a=b");
    assert_eq!(seen.body, b"body");
    for name in [
        "host",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-request-id",
    ] {
        assert!(seen.fields.has(name), "{name}: {seen:?}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn hop_by_hop_fields_of_the_answer_stay_here() {
    let app = Backend::start(|_| {
        answer_bytes(
            "HTTP/1.1 200 OK\r\nconnection: x-inner, keep-alive\r\nx-inner: 1\r\n\
             keep-alive: timeout=3\r\nproxy-connection: close\r\nupgrade: h2c\r\n\
             x-outer: 2\r\ncontent-length: 2\r\n\r\nok",
        )
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let answer = proxy.get("/").await;
    for name in ["x-inner", "keep-alive", "proxy-connection", "upgrade"] {
        assert!(!answer.fields.has(name), "{name}: {answer:?}");
    }
    assert_eq!(
        (answer.field("x-outer"), answer.text().as_str()),
        ("2", "ok")
    );
    proxy.finish().await;
}

#[tokio::test]
async fn what_a_stranger_says_about_the_way_is_overwritten() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let lines = "x-forwarded-for: 1.2.3.4\nx-forwarded-proto: https\nx-forwarded-host: evil.example\n\
                 forwarded: for=1.2.3.4;proto=https\nx-request-id: forged";
    let answer = proxy.request("GET", "/", lines, b"").await;
    let seen = app.only();
    assert_eq!(seen.fields.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.fields.all("x-forwarded-proto"), ["http"]);
    assert_eq!(seen.fields.all("x-forwarded-host"), ["shop.example"]);
    assert!(!seen.fields.all("forwarded").concat().contains("1.2.3.4"));
    assert_ne!(seen.field("x-request-id"), "forged");
    assert_eq!(seen.field("x-request-id"), answer.field("x-request-id"));
    proxy.finish().await;
}

#[tokio::test]
async fn what_a_trusted_peer_says_about_the_way_is_kept_and_continued() {
    let app = Backend::start(identity("app")).await;
    let text = format!("[proxy]\ntrusted_proxies = [\"127.0.0.0/8\"]\n{ALL}");
    let proxy = Settings::new(&text).backend("app", &app).start().await;
    let lines = "x-forwarded-for: 9.9.9.9, 127.0.0.7\nx-forwarded-proto: https\n\
                 x-forwarded-host: outer.example\nx-request-id: from-the-edge";
    let answer = proxy.request("GET", "/", lines, b"").await;
    assert_eq!(answer.field("x-request-id"), "from-the-edge");
    let seen = app.only();
    let path = seen.fields.all("x-forwarded-for").join(", ");
    assert_eq!(path, "9.9.9.9, 127.0.0.7, 127.0.0.1");
    assert_eq!(seen.field("x-forwarded-proto"), "https");
    assert_eq!(seen.field("x-request-id"), "from-the-edge");
    // The walk from the right stops at the first address that is not trusted.
    let line = proxy
        .logged("of this request", |l| l["request_id"] == "from-the-edge")
        .await;
    assert_eq!(line["client"], "9.9.9.9");
    proxy.finish().await;
}

#[tokio::test]
async fn a_request_id_is_a_uuid_of_version_7_and_unlike_any_other() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(client.get("/").await.field("x-request-id").to_owned());
    }
    for id in &ids {
        let parsed = uuid::Uuid::parse_str(id).unwrap();
        assert_eq!(parsed.get_version_num(), 7, "{id}");
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 20);
    proxy.finish().await;
}

#[tokio::test]
async fn a_request_that_comes_back_to_the_proxy_is_refused() {
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "self"
        [pools.self]
        endpoints = ["$web"]
        "#,
    )
    .start()
    .await;
    let answer = proxy.get("/").await;
    assert_eq!(answer.status, 502, "{answer:?}");
    let status = answer.fields.all("proxy-status").join(", ");
    assert!(status.contains("error=proxy_loop_detected"), "{status}");
}

#[tokio::test]
async fn via_names_the_proxy_and_keeps_those_before() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    proxy.request("GET", "/", "via: 1.0 outer", b"").await;
    let via = app.only().fields.all("via").join(", ");
    assert!(via.starts_with("1.0 outer, 1.1 sluicegate"), "{via}");
    proxy.finish().await;
}

#[tokio::test]
async fn cookies_set_by_the_endpoint_are_never_merged() {
    let app = Backend::start(|_| {
        answer_bytes(
            "HTTP/1.1 200 OK\r\nset-cookie: a=1; Expires=Tue, 15 Nov 1994 08:12:31 GMT\r\n\
             set-cookie: b=2\r\nset-cookie: a=3\r\nx-list: 1\r\nx-list: 2\r\n\
             content-length: 0\r\n\r\n",
        )
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let answer = proxy.get("/").await;
    assert_eq!(
        answer.fields.all("set-cookie"),
        ["a=1; Expires=Tue, 15 Nov 1994 08:12:31 GMT", "b=2", "a=3"]
    );
    assert_eq!(answer.fields.all("x-list").join(", "), "1, 2");
    proxy.finish().await;
}

#[tokio::test]
async fn a_date_is_added_where_it_is_missing_and_kept_where_it_is_not() {
    let app = Backend::start(|seen| match seen.target.as_str() {
        "/without" => answer_bytes("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        _ => answer("with"),
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let added = proxy.get("/without").await;
    assert!(
        httpdate::parse_http_date(added.field("date")).is_ok(),
        "{added:?}"
    );
    let kept = proxy.get("/with").await;
    assert_eq!(kept.field("date"), "Tue, 15 Nov 1994 08:12:31 GMT");
    proxy.finish().await;
}

#[tokio::test]
async fn names_with_an_underscore_are_dropped_and_counted() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let lines = "x_forwarded_for: 1.2.3.4\nx-kept: 1";
    assert_eq!(proxy.request("GET", "/", lines, b"").await.status, 200);
    let seen = app.only();
    assert!(!seen.fields.has("x_forwarded_for"));
    assert_eq!(seen.field("x-kept"), "1");
    let name = "sluicegate_headers_dropped_total";
    proxy
        .metric_becomes(name, &[("reason", "underscore")], 1.0)
        .await;
    proxy.finish().await;
}

#[tokio::test]
async fn names_with_an_underscore_pass_or_are_refused_where_the_listener_says_so() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        underscores = "allow"
        [listeners.strict]
        address = "$strict"
        underscores = "refuse"
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
        "#,
    )
    .backend("app", &app)
    .start()
    .await;
    proxy.request("GET", "/", "x_a: 1", b"").await;
    assert_eq!(app.only().field("x_a"), "1");
    let mut client = proxy.client_of("strict").await;
    let refused = client.request("GET", "/", "x_a: 1", b"").await;
    refused.assert_failure(400, "http_request_error");
    assert_eq!(app.count(), 1);
    proxy.finish().await;
}

#[tokio::test]
async fn a_route_sets_adds_and_removes_fields_both_ways() {
    let app = Backend::start(|_| {
        answer_bytes("HTTP/1.1 200 OK\r\nserver: inner\r\nx-a: 1\r\ncontent-length: 0\r\n\r\n")
    })
    .await;
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.shop]
        pool = "app"
        headers_request = { set = { "x-client" = "{client_ip} via {route}/{pool}" }, add = { "x-list" = "added" }, remove = ["x-gone"] }
        headers_response = { set = { "x-a" = "2" }, add = { "x-served" = "{endpoint}" }, remove = ["server"] }
        [pools.app]
        endpoints = ["$app"]
        "#,
    )
    .backend("app", &app)
    .start()
    .await;
    let answer = proxy
        .request(
            "GET",
            "/",
            "x-client: forged\nx-list: first\nx-gone: 1",
            b"",
        )
        .await;
    let seen = app.only();
    assert_eq!(seen.fields.all("x-client"), ["127.0.0.1 via shop/app"]);
    assert_eq!(seen.fields.all("x-list").join(", "), "first, added");
    assert!(!seen.fields.has("x-gone"));
    assert_eq!(answer.fields.all("x-a"), ["2"]);
    assert_eq!(answer.field("x-served"), app.address().to_string());
    assert!(!answer.fields.has("server"));
    proxy.finish().await;
}

#[tokio::test]
async fn bytes_above_ascii_pass_in_values() {
    let app = Backend::start(|_| {
        let head = b"HTTP/1.1 200 OK\r\nx-name: caf\xe9\r\ncontent-length: 0\r\n\r\n";
        vec![Act::Read, Act::Send(head.to_vec())]
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    client
        .send(b"GET / HTTP/1.1\r\nhost: a\r\nx-name: \xc3\xa9\tend\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.field("x-name"), "caf\u{e9}");
    assert_eq!(app.only().field("x-name"), "\u{c3}\u{a9}\tend");
    proxy.finish().await;
}

#[tokio::test]
async fn a_request_that_may_go_no_further_is_answered_here() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let answer = proxy.request("OPTIONS", "*", "max-forwards: 0", b"").await;
    assert!((200..300).contains(&answer.status), "{answer:?}");
    assert_eq!(app.count(), 0);
    proxy.request("OPTIONS", "/", "max-forwards: 7", b"").await;
    assert_eq!(app.only().field("max-forwards"), "6");
    proxy.finish().await;
}

#[tokio::test]
async fn scheme_and_host_of_a_trusted_proxy_are_one_in_both_ways_to_say_them() {
    let app = Backend::start(identity("app")).await;
    let settings = format!("{ALL}\n[proxy]\ntrusted_proxies = [\"127.0.0.1\"]\n");
    // By its address: what holds of all requests does not of one that has only `Forwarded`.
    let proxy = Settings::new(&settings)
        .address("app", app.address())
        .start()
        .await;
    let lines = "x-forwarded-proto: https\nx-forwarded-host: outer.example";
    proxy.request("GET", "/", lines, b"").await;
    let seen = app.seen().pop().unwrap();
    let forwarded = "for=127.0.0.1;proto=https;host=outer.example";
    assert_eq!(seen.fields.all("forwarded"), [forwarded]);

    let lines = "forwarded: for=1.1.1.1;proto=https;host=outer.example";
    proxy.request("GET", "/", lines, b"").await;
    let seen = app.seen().pop().unwrap();
    assert_eq!(seen.fields.all("x-forwarded-proto"), ["https"]);
    assert_eq!(seen.fields.all("x-forwarded-host"), ["outer.example"]);
    proxy.finish().await;
}
