//! Failures of gRPC-Web calls: reported where the client looks, or the answer is cut.

use super::{BINARY, TEXT, body, bridge, call, head, ok};
use crate::harness::{
    Answer, End, Gate, H2Act, H2Backend, Port, Proxy, Settings, WebCall, message, to_base64,
};

/// The end of a call: one that is whole and tells of a failure did not end well.
fn end_as_told(answer: &Answer) -> End {
    let failed = answer.end == End::Complete && WebCall::read(answer).status() != "0";
    if failed { End::Closed } else { answer.end }
}

/// Returns the end of the answer to a call over HTTP/1.1; a reset may overtake all of it.
async fn end_of_call(proxy: &Proxy, path: &str, kind: &str) -> End {
    let mut client = proxy.client().await;
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: {kind}\r\ncontent-length: 0\r\n\r\n"
    );
    client.send(request).await;
    match client.try_answer_to("POST").await {
        Ok(answer) => end_as_told(&answer),
        Err(end) => end,
    }
}

#[tokio::test]
async fn a_request_that_is_no_sequence_of_messages_is_refused() {
    let app = H2Backend::start(|_| ok("0")).await;
    let proxy = bridge(&app, "", "ejection = { consecutive = 1 }").await;
    let trailers = [&message(b"hi")[..], b"\x80\0\0\0\x03a:b"].concat();
    let cases: [(&str, Vec<u8>, &str); 6] = [
        (TEXT, b"AAAA!AJoaQ==".to_vec(), "base64"),
        (TEXT, b"AAAAAAJoaR==".to_vec(), "base64"),
        (TEXT, b"AAAAAAJoaQ".to_vec(), "middle"),
        (TEXT, to_base64(&trailers).into_bytes(), "messages"),
        (BINARY, trailers, "messages"),
        (BINARY, message(b"hi")[..6].to_vec(), "middle"),
    ];
    let refused = cases.len();
    for (kind, body, why) in cases {
        let answer = call(&proxy, "/a.B/C", kind, "", &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let told = answer.field("proxy-status");
        assert!(told.contains("error=http_request_error"), "{told}");
        let web = WebCall::read(&answer);
        assert_eq!(web.status(), "13", "{answer:?}");
        let said = web.trailers.get("grpc-message").unwrap_or_default();
        assert!(said.contains(why), "{said}");
        assert!(said.contains(answer.field("x-request-id")), "{said}");
    }
    assert!(
        app.seen().iter().all(|seen| !seen.complete),
        "{:?}",
        app.seen()
    );
    let labels = [("reason", "http_request_error")];
    let name = "sluicegate_requests_total";
    proxy.metric_becomes(name, &labels, refused as f64).await;
    assert!(proxy.metric("sluicegate_ejections_total", &[]).await < 0.5);
    proxy.finish().await;
}

#[tokio::test]
async fn failures_of_the_proxy_are_told_in_the_frame() {
    let dead = Port::take();
    let text = r#"
        [listeners.web]
        address = "$web"
        [routes.dead]
        path_prefix = "/dead.Service"
        pool = "dead"
        grpc_web = true
        body_max = "1KiB"
        [pools.dead]
        endpoints = ["$dead"]
        protocol = "h2"
    "#;
    let settings = Settings::new(text).address("dead", dead.address());
    let proxy = settings.start().await;
    let path = "/dead.Service/Call";
    for kind in [BINARY, TEXT] {
        let answer = call(&proxy, path, kind, "", &body(kind, b"hi")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(WebCall::read(&answer).status(), "14");
        let told = answer.field("proxy-status");
        assert!(told.contains("error=connection_refused"), "{told}");
    }
    for kind in [BINARY, TEXT] {
        let answer = call(&proxy, path, kind, "", &body(kind, &[0; 8000])).await;
        assert_eq!(WebCall::read(&answer).status(), "8", "{answer:?}");
    }
    // Before there is a route there is only HTTP.
    let answer = call(&proxy, "/none.Service/Call", BINARY, "", b"").await;
    answer.assert_failure(404, "destination_not_found");
    proxy.finish().await;
}

#[tokio::test]
async fn deadlines_hold_and_are_told_where_a_message_ends() {
    let app = H2Backend::start(|seen| {
        let wait = H2Act::Wait(Gate::new());
        match seen.target.as_str() {
            "/silent" => vec![H2Act::Read, wait],
            "/between" => vec![H2Act::Read, head(), H2Act::Data(message(b"ok")), wait],
            _ => vec![
                H2Act::Read,
                head(),
                H2Act::Data(message(b"ok")[..6].to_vec()),
                wait,
            ],
        }
    })
    .await;
    let proxy = bridge(&app, "", "ejection = { consecutive = 1 }").await;
    for kind in [BINARY, TEXT] {
        for (path, messages) in [("/silent", 0), ("/between", 1)] {
            let answer = call(&proxy, path, kind, "grpc-timeout: 300m", b"").await;
            assert_eq!((answer.status, answer.end), (200, End::Complete), "{path}");
            let web = WebCall::read(&answer);
            assert_eq!(
                (web.status(), web.messages.len()),
                ("4", messages),
                "{path}"
            );
        }
        // In the middle of a message a status would be taken for the rest of it.
        let answer = call(&proxy, "/within", kind, "grpc-timeout: 300m", b"").await;
        assert_ne!(answer.end, End::Complete, "{answer:?}");
    }
    assert!(
        app.seen()
            .iter()
            .all(|seen| seen.fields.has("grpc-timeout"))
    );
    let line = proxy
        .logged("the call", |line| line["path"] == "/within")
        .await;
    assert_eq!(line["reason"], "http_response_timeout");
    assert_eq!(line["grpc_status"], "4");
    assert!(proxy.metric("sluicegate_ejections_total", &[]).await < 0.5);
    proxy.finish().await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_never_ends_as_if_it_were_whole() {
    let app = H2Backend::start(|seen| {
        let whole = H2Act::Data(message(b"ok"));
        let part = H2Act::Data(message(b"ok")[..6].to_vec());
        let forged = H2Act::Data(b"\x80\0\0\0\x0fgrpc-status:0\r\n".to_vec());
        let fine = H2Act::Trailers(vec![("grpc-status", "0")]);
        let rest = match seen.target.as_str() {
            "/reset" => vec![whole, H2Act::Wait(Gate::new())],
            "/part" => vec![part, fine],
            "/forged" => vec![forged, fine],
            _ => vec![whole, H2Act::End],
        };
        [vec![H2Act::Read, head()], rest].concat()
    })
    .await;
    let proxy = bridge(&app, "timeouts = { idle = \"300ms\" }", "ejection = false").await;
    for (path, word) in [
        ("/reset", "connection_read_timeout"),
        ("/part", "http_response_incomplete"),
        ("/forged", "http_protocol_error"),
    ] {
        for kind in [BINARY, TEXT] {
            assert_ne!(
                end_of_call(&proxy, path, kind).await,
                End::Complete,
                "{path}"
            );
            let mut client = proxy.h2_client().await;
            let fields = [("content-type", kind)];
            let answer = client.request("POST", path, &fields, b"").await;
            assert_ne!(
                answer.map_or(End::Reset, |answer| end_as_told(&answer)),
                End::Complete,
                "{path}"
            );
        }
        let labels = [("pool", "app"), ("reason", word)];
        let name = "sluicegate_attempts_total";
        proxy.metric_becomes(name, &labels, 4.0).await;
    }
    // An end without a status is one that nobody knows.
    let answer = call(&proxy, "/silent", BINARY, "", b"").await;
    let web = WebCall::read(&answer);
    assert_eq!((web.status(), web.messages.len()), ("2", 1));
    let labels = [("pool", "app"), ("reason", "grpc:unknown")];
    proxy
        .metric_becomes("sluicegate_attempts_total", &labels, 1.0)
        .await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_client_can_tell_that_its_answer_was_reset_in_the_middle() {
    let gate = Gate::new();
    let held = gate.clone();
    let app = H2Backend::start(move |_| {
        vec![
            H2Act::Read,
            head(),
            H2Act::Data(message(b"ok")),
            H2Act::Wait(held.clone()),
            H2Act::Reset(h2::Reason::INTERNAL_ERROR),
        ]
    })
    .await;
    let proxy = bridge(&app, "", "").await;
    let mut client = proxy.client().await;
    let request = format!(
        "POST /a.B/C HTTP/1.1\r\nhost: a\r\ncontent-type: {BINARY}\r\ncontent-length: 0\r\n\r\n"
    );
    client.send(request).await;
    client.head().await;
    client.bytes(12).await.unwrap();
    gate.open();
    // What came is delivered; the last chunk is missing.
    assert_eq!(client.ended().await, End::Closed);
    let line = proxy.logged("the call", |line| line["status"] == 200).await;
    assert_eq!(line["reason"], "http_response_incomplete");
    proxy.finish().await;
}
