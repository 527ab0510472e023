//! HTTP/2 on either side says the same as HTTP/1.1 (RFC 9113 section 8).

use crate::harness::{Backend, End, H2Act, H2Backend, H2Fault, Seen, Settings};
use crate::harness::{answer, h2_answer, h2_read, identity};

const H1: &str = r#"
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
"#;

const H2: &str = r#"
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
    protocol = "h2"
    ejection = false
"#;

#[tokio::test]
async fn a_client_may_speak_http2_by_prior_knowledge() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(H1).backend("app", &app).start().await;
    let mut client = proxy.h2_client().await;
    let fields = [("cookie", "a=1"), ("cookie", "b=2"), ("x-a", "b")];
    let answer = client
        .request("POST", "/x?y", &fields, b"body")
        .await
        .unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "app"));
    assert!(answer.fields.has("x-request-id") && answer.fields.has("date"));
    for name in ["connection", "transfer-encoding", "keep-alive"] {
        assert!(!answer.fields.has(name), "{name} has no place in HTTP/2");
    }
    let seen = app.only();
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("POST", "/x?y")
    );
    assert_eq!(seen.field("host"), "shop.example");
    assert_eq!(seen.fields.all("cookie"), ["a=1; b=2"], "crumbs are joined");
    assert_eq!(seen.body, b"body");
    proxy.finish().await;
}

#[tokio::test]
async fn streams_do_not_wait_for_each_other() {
    let gate = crate::harness::Gate::new();
    let held = gate.clone();
    let app = Backend::start(move |seen| match seen.target.as_str() {
        "/slow" => {
            let wait = crate::harness::Act::Wait(held.clone());
            [vec![wait], answer("slow")].concat()
        }
        other => answer(other),
    })
    .await;
    let proxy = Settings::new(H1).backend("app", &app).start().await;
    let mut client = proxy.h2_client().await;
    let (slow, _stream) = client.open("GET", "/slow", &[], true).await.unwrap();
    for n in 0..20 {
        let target = format!("/{n}");
        assert_eq!(client.get(&target).await.unwrap().text(), target);
    }
    gate.open();
    assert_eq!(h2_read(slow).await.unwrap().text(), "slow");
    proxy.finish().await;
}

#[tokio::test]
async fn an_authority_that_differs_from_host_is_refused() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(H1).backend("app", &app).start().await;
    let mut client = proxy.h2_client().await;
    match client
        .request("GET", "/", &[("host", "other.example")], b"")
        .await
    {
        Ok(answer) => answer.assert_failure(400, "http_request_error"),
        Err(fault) => assert!(matches!(fault, H2Fault::Reset(_)), "{fault:?}"),
    }
    assert_eq!(app.count(), 0);
    let same = client
        .request("GET", "/", &[("host", "shop.example")], b"")
        .await;
    assert_eq!(same.unwrap().status, 200);
    proxy.finish().await;
}

#[tokio::test]
async fn a_length_that_the_body_does_not_keep_never_reaches_its_end_upstream() {
    let one = Backend::start(identity("one")).await;
    let two = H2Backend::start(|_| h2_answer("two")).await;
    for (config, address) in [(H1, one.address()), (H2, two.address())] {
        let proxy = Settings::new(config).address("app", address).start().await;
        for (method, length) in [("POST", "0"), ("GET", "0"), ("POST", "3"), ("POST", "50")] {
            let mut client = proxy.h2_client().await;
            let fields = [("content-length", length)];
            let result = client.request(method, "/", &fields, b"twelve bytes").await;
            match result {
                Ok(answer) => assert_eq!(answer.status, 400, "{method} {length}: {answer:?}"),
                Err(fault) => assert!(matches!(fault, H2Fault::Reset(_)), "{fault:?}"),
            }
        }
        proxy.finish().await;
    }
    let seen = [one.seen(), two.seen()].concat();
    assert!(seen.iter().all(|seen| !seen.complete), "{seen:?}");
}

/// It says so in its head, and ends behind it.
#[tokio::test]
async fn a_body_of_no_bytes_may_end_behind_its_head() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(H1).backend("app", &app).start().await;
    for method in ["POST", "GET"] {
        let mut client = proxy.h2_client().await;
        let fields = [("content-length", "0")];
        let (response, mut body) = client.open(method, "/", &fields, false).await.unwrap();
        body.send_data(bytes::Bytes::new(), true).unwrap();
        assert_eq!(h2_read(response).await.unwrap().status, 200);
        assert!(app.seen().pop().unwrap().complete);
    }
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_may_speak_http2() {
    let app = H2Backend::start(|seen: &Seen| match seen.target.as_str() {
        "/trailers" => vec![
            H2Act::Read,
            H2Act::Head(200, vec![("x-a", "b".to_owned())]),
            H2Act::Data(b"data".to_vec()),
            H2Act::Trailers(vec![("x-sum", "4")]),
        ],
        _ => h2_answer("h2"),
    })
    .await;
    let proxy = Settings::new(H2)
        .address("app", app.address())
        .start()
        .await;
    let mut client = proxy.client().await;
    let answer = client.request("POST", "/x?y", "x-up: 1", b"body").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "h2"));
    let seen = app.seen().remove(0);
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("POST", "/x?y")
    );
    assert_eq!(
        (seen.field(":authority"), seen.field("x-up")),
        ("shop.example", "1")
    );
    assert_eq!(seen.body, b"body");
    assert!(!seen.fields.has("connection") && !seen.fields.has("transfer-encoding"));

    let lines = "te: trailers";
    let answer = client.request("GET", "/trailers", lines, b"").await;
    assert_eq!(
        (answer.text().as_str(), answer.end),
        ("data", End::Complete)
    );
    assert_eq!(answer.trailers.get("x-sum"), Some("4"));
    let mut h2 = proxy.h2_client().await;
    let answer = h2
        .request("GET", "/trailers", &[("te", "trailers")], b"")
        .await
        .unwrap();
    assert_eq!(answer.trailers.get("x-sum"), Some("4"));
    assert!(app.connections() <= 4, "{} connections", app.connections());
    proxy.finish().await;
}

#[tokio::test]
async fn a_stream_that_the_endpoint_refused_is_tried_again_whatever_the_method() {
    let refused = std::sync::atomic::AtomicBool::new(false);
    let app = H2Backend::start(move |_| {
        if refused.swap(true, std::sync::atomic::Ordering::SeqCst) {
            h2_answer("second")
        } else {
            vec![H2Act::Reset(h2::Reason::REFUSED_STREAM)]
        }
    })
    .await;
    let proxy = Settings::new(H2)
        .address("app", app.address())
        .start()
        .await;
    let answer = proxy.request("POST", "/", "", b"pay").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "second"));
    assert_eq!(app.seen().len(), 2);
    proxy.finish().await;
}

#[tokio::test]
async fn an_answer_that_the_endpoint_reset_is_never_ended_cleanly() {
    let app = H2Backend::start(|_| {
        vec![
            H2Act::Read,
            H2Act::Head(200, Vec::new()),
            H2Act::Data(b"half".to_vec()),
            H2Act::Reset(h2::Reason::INTERNAL_ERROR),
        ]
    })
    .await;
    let proxy = Settings::new(H2)
        .address("app", app.address())
        .start()
        .await;
    let mut client = proxy.client().await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    match client.try_answer_to("GET").await {
        Ok(answer) if answer.status == 200 => assert_ne!(answer.end, End::Complete),
        Ok(answer) => assert_eq!(answer.status, 502, "{answer:?}"),
        Err(_) => {}
    }
    let mut h2 = proxy.h2_client().await;
    match h2.get("/").await {
        Ok(answer) if answer.status == 200 => assert_eq!(answer.end, End::Reset),
        Ok(answer) => assert_eq!(answer.status, 502, "{answer:?}"),
        Err(fault) => assert!(matches!(fault, H2Fault::Reset(_)), "{fault:?}"),
    }
    assert!(h2.is_open());
}

#[tokio::test]
async fn a_listener_that_does_not_speak_http2_refuses_its_preface() {
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        protocols = ["http/1.1"]
        [routes.all]
        respond = { status = 200, body = "ok" }
        "#,
    )
    .start()
    .await;
    let mut client = proxy.raw_client().await;
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 505);
    client.ended().await;
    assert_eq!(proxy.get("/").await.text(), "ok");
    proxy.finish().await;
}

#[tokio::test]
async fn limits_hold_for_http2_too() {
    let app = Backend::start(identity("app")).await;
    let text = H1.replace(
        "address = \"$web\"",
        "address = \"$web\"\nlimits = { head = \"4KiB\", headers = 20, target = \"1KiB\", streams = 3 }",
    );
    let proxy = Settings::new(&text).backend("app", &app).start().await;
    let mut client = proxy.h2_client().await;
    let long = format!("/{}", "a".repeat(1100));
    let answer = client.get(&long).await.unwrap();
    answer.assert_failure(414, "http_request_error");
    let names: Vec<String> = (0..30).map(|n| format!("x-{n}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "y")).collect();
    let wide = "b".repeat(5000);
    for fields in [many, vec![("x-wide", wide.as_str())]] {
        match client.request("GET", "/", &fields, b"").await {
            Ok(answer) => assert_eq!(answer.status, 431, "{answer:?}"),
            Err(fault) => assert!(matches!(fault, H2Fault::Reset(_)), "{fault:?}"),
        }
    }
    assert_eq!(app.count(), 0);
    assert_eq!(client.get("/").await.unwrap().text(), "app");
    assert!(
        client.streams_max() <= 3,
        "{} streams",
        client.streams_max()
    );
    proxy.finish().await;
}

#[tokio::test]
async fn a_flood_of_resets_hurts_only_its_own_connection() {
    let app = Backend::start(|seen| match seen.target.as_str() {
        "/flood" => vec![crate::harness::Act::Read, crate::harness::Act::Stall],
        _ => answer("app"),
    })
    .await;
    let proxy = Settings::new(H1).backend("app", &app).start().await;
    let mut flood = proxy.h2_client().await;
    for _ in 0..2000 {
        let Ok((response, mut stream)) = flood.open("GET", "/flood", &[], true).await else {
            break;
        };
        stream.send_reset(h2::Reason::CANCEL);
        drop(response);
    }
    let mut other = proxy.h2_client().await;
    assert_eq!(other.get("/").await.unwrap().text(), "app");
    assert_eq!(proxy.get("/").await.text(), "app");
    drop(flood);
    crate::harness::eventually("what the flood began is over", || async {
        (app.open() <= 2).then_some(())
    })
    .await;
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_that_goes_away_politely_costs_no_request() {
    let app = H2Backend::start(|seen| {
        let mut acts = h2_answer("app");
        if seen.turn % 3 == 2 {
            acts.push(H2Act::GoAway);
        }
        acts
    })
    .await;
    let text = format!("[proxy]\nworkers = 1\n{H2}");
    let proxy = Settings::new(&text)
        .address("app", app.address())
        .start()
        .await;
    let mut client = proxy.client().await;
    for n in 0..30 {
        let method = if n % 2 == 0 { "POST" } else { "GET" };
        let answer = client.request(method, &format!("/{n}"), "", b"body").await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "app"), "{n}");
    }
    assert!(app.connections() >= 5, "{} connections", app.connections());
    let mut targets: Vec<String> = app.seen().into_iter().map(|seen| seen.target).collect();
    targets.sort();
    targets.dedup();
    assert_eq!(
        (targets.len(), app.seen().len()),
        (30, 30),
        "each was sent once"
    );
    proxy.finish().await;
}
