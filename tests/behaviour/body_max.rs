//! `body_max`: 10 MiB where nothing is written, a size, or no bound.

use crate::harness::{
    Act, Answer, Backend, Client, H2Act, H2Backend, Proxy, Seen, Settings, WebCall, answer,
    h2_answer, h2_read, identity, message,
};

/// The default.
const MAX: usize = 10 << 20;
const MORE: usize = 11 << 20;

/// A route `all` with these lines, and further tables.
fn text(route: &str, tables: &str) -> String {
    format!(
        r#"
        [proxy]
        workers = 1
        [listeners.web]
        address = "$web"
        [routes.all]
        {route}
        [pools.app]
        endpoints = ["$app"]
        {tables}
        "#
    )
}

async fn started(route: &str, tables: &str, app: &Backend) -> Proxy {
    Settings::new(&text(route, tables))
        .backend("app", app)
        .start()
        .await
}

/// Announces so many bytes and sends none of them.
async fn announce(proxy: &Proxy, target: &str, lines: &str, length: usize) -> Answer {
    let mut client = proxy.client().await;
    let head =
        format!("POST {target} HTTP/1.1\r\nhost: a\r\n{lines}content-length: {length}\r\n\r\n");
    client.send(head).await;
    client.answer().await
}

/// Sends so many bytes without announcing how many.
async fn send_chunks(proxy: &Proxy, length: usize) -> Answer {
    let mut client = proxy.client().await;
    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    client.send(head).await;
    let body = vec![b'x'; length];
    for piece in body.chunks(1 << 20) {
        let size = format!("{:x}\r\n", piece.len());
        client
            .send([size.as_bytes(), piece, b"\r\n"].concat())
            .await;
    }
    client.send("0\r\n\r\n").await;
    client.answer().await
}

/// Status of a POST over HTTP/2 with so many bytes and these fields.
async fn send_h2(proxy: &Proxy, fields: &[(&str, &str)], length: usize) -> Answer {
    let mut client = proxy.h2_client().await;
    let body = vec![0; length];
    client.request("POST", "/", fields, &body).await.unwrap()
}

#[tokio::test]
async fn a_body_that_announces_more_than_10_mib_is_refused_at_once_by_default() {
    let app = Backend::start(identity("app")).await;
    let proxy = started("pool = \"app\"", "", &app).await;
    for lines in ["", "expect: 100-continue\r\n"] {
        let refused = announce(&proxy, "/", lines, MAX + 1).await;
        refused.assert_failure(413, "http_request_error");
        assert_eq!(refused.informational.len(), 0, "nobody wants the body");
        let sentence = "the request body is larger than body_max of the route, which is 10MiB";
        assert!(refused.text().contains(sentence), "{}", refused.text());
        let told = refused.field("proxy-status");
        assert!(
            told.contains(&format!("details=\"{sentence}\"")),
            "{told:?}"
        );
    }
    let mut client = proxy.h2_client().await;
    let length = (MAX + 1).to_string();
    let fields = [("content-length", length.as_str())];
    let (response, _stream) = client.open("POST", "/", &fields, false).await.unwrap();
    let refused = h2_read(response).await.unwrap();
    refused.assert_failure(413, "http_request_error");
    assert!(client.is_open());
    assert_eq!((app.count(), app.connections()), (0, 0));

    let fits = proxy.request("POST", "/", "", &vec![b'x'; MAX]).await;
    assert_eq!((fits.status, app.only().body.len()), (200, MAX));
    // Only operators learn which route it was, and what to do.
    let line = proxy
        .logged("of a refusal", |line| line["status"] == 413)
        .await;
    let detail = "body_max of route all is 10MiB by default; \
                  a larger size, or false, lets such bodies pass";
    assert_eq!(line["reason_detail"], detail, "{line}");
    let record = super::why::record(&proxy, &refused).await;
    assert_eq!(record["reason_detail"], detail, "{record}");
    proxy.finish().await;
}

#[tokio::test]
async fn a_body_of_unknown_length_is_refused_once_it_brings_more() {
    let app = Backend::start(identity("app")).await;
    let proxy = started("pool = \"app\"", "", &app).await;
    let one = send_chunks(&proxy, MAX + 1).await;
    let two = send_h2(&proxy, &[], MAX + 1).await;
    for refused in [one, two] {
        refused.assert_failure(413, "http_request_error");
        assert!(refused.text().contains("10MiB"), "{}", refused.text());
    }
    assert!(app.seen().iter().all(|seen| !seen.complete));
    for fits in [
        send_chunks(&proxy, MAX).await,
        send_h2(&proxy, &[], MAX).await,
    ] {
        assert_eq!(fits.status, 200, "the limit itself is allowed");
    }
    let whole = app.seen().into_iter().filter(|seen| seen.complete);
    let lengths: Vec<usize> = whole.map(|seen| seen.body.len()).collect();
    assert_eq!(lengths, [MAX, MAX]);
    proxy.finish().await;
}

#[tokio::test]
async fn false_lets_bodies_of_any_size_pass() {
    let app = Backend::start(identity("app")).await;
    for (route, tables) in [
        ("pool = \"app\"\nbody_max = false", ""),
        ("pool = \"app\"", "[defaults.routes]\nbody_max = false"),
        (
            "pool = \"app\"\nuse = [\"uploads\"]",
            "[policies.uploads]\nbody_max = false\n[defaults.routes]\nbody_max = \"1KiB\"",
        ),
    ] {
        let proxy = started(route, tables, &app).await;
        let whole = proxy.request("POST", "/", "", &vec![b'x'; MORE]).await;
        assert_eq!(whole.status, 200, "{route} {tables}");
        assert_eq!(send_chunks(&proxy, MORE).await.status, 200);
        assert_eq!(send_h2(&proxy, &[], MORE).await.status, 200);
        proxy.finish().await;
    }
    assert!(app.seen().iter().all(|seen| seen.body.len() == MORE));
}

#[tokio::test]
async fn a_size_of_defaults_or_policies_holds_where_a_route_has_no_other() {
    let app = Backend::start(identity("app")).await;
    let tables = r#"
        [defaults.routes]
        body_max = "2KiB"
        [policies.small]
        body_max = "1KiB"
        [routes.own]
        path = "/own"
        pool = "app"
        use = ["small"]
        body_max = "3KiB"
        [routes.small]
        path = "/small"
        pool = "app"
        use = ["small"]
    "#;
    let proxy = started("pool = \"app\"", tables, &app).await;
    for (target, max, size) in [
        ("/", 2048, "2KiB"),
        ("/own", 3072, "3KiB"),
        ("/small", 1024, "1KiB"),
    ] {
        let fits = proxy.request("POST", target, "", &vec![b'x'; max]).await;
        assert_eq!(fits.status, 200, "{target}");
        let refused = announce(&proxy, target, "", max + 1).await;
        refused.assert_failure(413, "http_request_error");
        assert!(refused.text().contains(&format!("which is {size}\n")));
    }
    let detail = "body_max of route own is 3KiB; a larger size, or false, lets such bodies pass";
    proxy
        .logged(detail, |line| line["reason_detail"] == detail)
        .await;
    proxy.finish().await;
}

#[tokio::test]
async fn the_default_holds_for_every_way_to_a_pool_and_for_nothing_else() {
    let app = Backend::start(identity("app")).await;
    let tables = r#"
        [routes.split]
        path = "/split"
        split = { app = 1 }
        [routes.rollout]
        path = "/rollout"
        rollout = "next"
        [rollouts.next]
        pool = "app"
        baseline = "^1"
        candidate = "^2"
        steps = [{ share = "50%", hold = "1h" }]
        [routes.cached]
        path = "/cached"
        pool = "app"
        cache = {}
        concurrency = { max = 1 }
        [routes.own]
        path = "/own"
        respond = { body = "own" }
    "#;
    let other = Backend::start(identity("other")).await;
    let text = text("pool = \"app\"", tables).replace(
        "[\"$app\"]",
        "[{ address = \"$app\", version = \"1.0.0\" }, { address = \"$b\", version = \"2.0.0\" }]",
    );
    let proxy = Settings::new(&text)
        .backend("app", &app)
        .backend("b", &other)
        .start()
        .await;
    for target in ["/split", "/rollout", "/cached"] {
        let refused = announce(&proxy, target, "", MAX + 1).await;
        refused.assert_failure(413, "http_request_error");
    }
    let answered = announce(&proxy, "/own", "", MAX + 1).await;
    assert_eq!((answered.status, answered.text().as_str()), (200, "own"));
    assert_eq!((app.count(), other.count()), (0, 0));
    proxy.finish().await;
}

#[tokio::test]
async fn the_413_has_what_the_filters_of_the_route_put_on_answers() {
    let app = Backend::start(identity("app")).await;
    let route = "pool = \"app\"\ncors = { origins = [\"https://shop.example\"] }\n\
                 error_pages = { \"4xx\" = {} }";
    let proxy = started(route, "", &app).await;
    let lines = "origin: https://shop.example\r\naccept: application/json\r\n";
    let refused = announce(&proxy, "/", lines, MAX + 1).await;
    assert_eq!(refused.status, 413, "{refused:?}");
    let allowed = refused.field("access-control-allow-origin");
    assert_eq!(allowed, "https://shop.example", "the page may read it");
    let problem: serde_json::Value = serde_json::from_slice(&refused.body).unwrap();
    let detail = "the request body is larger than body_max of the route, which is 10MiB";
    assert_eq!(problem["detail"], detail, "{problem}");
    proxy.finish().await;
}

const GRPC: [(&str, &str); 2] = [("content-type", "application/grpc"), ("te", "trailers")];

/// The end of a call that went well.
fn ok(_: &Seen) -> Vec<H2Act> {
    let kind = ("content-type", "application/grpc".to_owned());
    vec![
        H2Act::Read,
        H2Act::Head(200, vec![kind]),
        H2Act::Trailers(vec![("grpc-status", "0")]),
    ]
}

/// A pool with HTTP/2 and this route.
async fn calls(route: &str, app: &H2Backend) -> Proxy {
    let text = text(route, "protocol = \"h2\"");
    let settings = Settings::new(&text).address("app", app.address());
    settings.start().await
}

#[tokio::test]
async fn a_stream_of_messages_has_no_default_and_may_have_a_bound() {
    let app = H2Backend::start(ok).await;
    let proxy = calls("pool = \"app\"", &app).await;
    let call = send_h2(&proxy, &GRPC, MORE).await;
    assert_eq!(call.trailers.get("grpc-status"), Some("0"), "{call:?}");
    assert_eq!(app.seen()[0].body.len(), MORE);
    // Other requests to the same pool have it.
    let refused = send_h2(&proxy, &[], MORE).await;
    refused.assert_failure(413, "http_request_error");
    proxy.finish().await;

    // The number of the default, but written.
    let proxy = calls("pool = \"app\"\nbody_max = \"10MiB\"", &app).await;
    let call = send_h2(&proxy, &GRPC, MORE).await;
    let told = call.fields.get("grpc-status");
    assert_eq!((call.status, told), (200, Some("8")), "{call:?}");
    let message = call.field("grpc-message");
    assert!(message.contains("body_max of the route, which is 10MiB"));
    proxy.finish().await;
}

#[tokio::test]
async fn calls_of_grpc_web_have_no_default_either() {
    let app = H2Backend::start(ok).await;
    let kind = "content-type: application/grpc-web+proto\n";
    for bridged in ["grpc_web = true", ""] {
        let proxy = calls(&format!("pool = \"app\"\n{bridged}"), &app).await;
        let body = message(&vec![0; MORE]);
        let answer = proxy.request("POST", "/", kind, &body).await;
        assert_eq!(answer.status, 200, "{bridged}: {answer:?}");
        if !bridged.is_empty() {
            assert_eq!(WebCall::read(&answer).status(), "0");
        }
        let seen = app.seen();
        assert_eq!(seen.last().unwrap().body.len(), MORE + 5, "{bridged}");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn a_content_type_of_grpc_lifts_no_bound_where_there_is_no_grpc() {
    let app = Backend::start(identity("app")).await;
    let proxy = started("pool = \"app\"", "", &app).await;
    for kind in ["application/grpc", "application/grpc-web+proto"] {
        let lines = format!("content-type: {kind}\r\n");
        let refused = announce(&proxy, "/", &lines, MAX + 1).await;
        assert!(refused.field("proxy-status").contains("body_max"), "{kind}");
    }
    assert_eq!(app.count(), 0);
    proxy.finish().await;
}

#[tokio::test]
async fn the_bytes_of_a_tunnel_are_no_body() {
    let app = Backend::start(|_| {
        let head =
            "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: echo\r\n\r\n";
        vec![Act::Send(head.into()), Act::Echo]
    })
    .await;
    for bound in ["", "body_max = \"1KiB\""] {
        let proxy = started(&format!("pool = \"app\"\n{bound}"), "", &app).await;
        let mut client = proxy.client().await;
        let ask = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
        client.send(ask).await;
        assert_eq!(client.answer().await.status, 101);
        let piece = vec![b'x'; 1 << 16];
        for _ in 0..MORE / piece.len() {
            client.send(&piece).await;
            assert_eq!(client.bytes(piece.len()).await.unwrap().len(), piece.len());
        }
        drop(client);
        proxy.finish().await;
    }
}

#[tokio::test]
async fn a_reload_changes_the_bound_for_the_next_request() {
    let app = Backend::start(|_| answer("app")).await;
    let mut proxy = started("pool = \"app\"", "", &app).await;
    let body = vec![b'x'; MORE];
    for (bound, status) in [
        ("body_max = false", 200),
        ("", 413),
        ("body_max = \"11MiB\"", 200),
    ] {
        proxy
            .reload(&text(&format!("pool = \"app\"\n{bound}"), ""))
            .await;
        let answer = match status {
            413 => announce(&proxy, "/", "", MORE).await,
            _ => proxy.request("POST", "/", "", &body).await,
        };
        assert_eq!(answer.status, status, "{bound}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn the_configuration_and_explain_tell_the_bound() {
    let app = H2Backend::start(|_| h2_answer("app")).await;
    for (bound, shown, bytes) in [
        ("", serde_json::json!("10MiB"), Some(MAX)),
        ("body_max = false", false.into(), None),
        ("body_max = \"2KiB\"", "2KiB".into(), Some(2048)),
    ] {
        let proxy = calls(&format!("pool = \"app\"\n{bound}"), &app).await;
        let config = proxy.admin("GET", "/config", "").await.unwrap();
        let config: serde_json::Value = serde_json::from_slice(&config.body).unwrap();
        assert_eq!(config["routes"]["all"]["body_max"], shown, "{bound}");
        let mut client = Client::connect(proxy.address("admin")).await;
        let lines = "host: localhost\r\ncontent-type: application/json";
        let asked = b"{\"method\": \"GET\", \"url\": \"http://a/\"}";
        let told = client.request("POST", "/explain", lines, asked).await;
        let told: serde_json::Value = serde_json::from_slice(&told.body).unwrap();
        let policies = &told["policies"];
        assert_eq!(policies["body_max"], serde_json::json!(bytes), "{told}");
        assert_eq!(policies["body_max_is_default"], bound.is_empty(), "{told}");
        proxy.finish().await;
    }
}
