//! gRPC-Web becomes gRPC on the way to the endpoint, and its answer gRPC-Web again.

mod faults;
mod flow;

use crate::harness::{
    Answer, End, H2Act, H2Backend, Proxy, Seen, Settings, WebCall, message, to_base64,
};

const BINARY: &str = "application/grpc-web+proto";
const TEXT: &str = "application/grpc-web-text";

async fn bridge(app: &H2Backend, route: &str, pool: &str) -> Proxy {
    let text = format!(
        "[listeners.web]\naddress = \"$web\"\n\
         [routes.all]\npool = \"app\"\ngrpc_web = true\n{route}\n\
         [pools.app]\nendpoints = [\"$app\"]\nprotocol = \"h2\"\n{pool}\n"
    );
    let settings = Settings::new(&text).address("app", app.address());
    settings.start().await
}

/// A message in the form that the content type says.
fn body(kind: &str, bytes: &[u8]) -> Vec<u8> {
    match kind {
        TEXT => to_base64(&message(bytes)).into_bytes(),
        _ => message(bytes),
    }
}

/// A call over HTTP/1.1, with these further header lines.
async fn call(proxy: &Proxy, path: &str, kind: &str, lines: &str, body: &[u8]) -> Answer {
    let lines = format!("content-type: {kind}\n{lines}");
    proxy.request("POST", path, &lines, body).await
}

fn head() -> H2Act {
    let kind = ("content-type", "application/grpc".to_owned());
    H2Act::Head(200, vec![kind])
}

/// A call that answers and ends with this status in its trailers.
fn ok(status: &'static str) -> Vec<H2Act> {
    let trailers = vec![("grpc-status", status), ("x-tail", "end")];
    vec![
        H2Act::Read,
        head(),
        H2Act::Data(message(b"ok")),
        H2Act::Trailers(trailers),
    ]
}

/// A call that ends at once with this status and these further fields.
fn trailers_only(status: &str, more: &[(&'static str, &str)]) -> Vec<H2Act> {
    let mut fields = vec![
        ("content-type", "application/grpc".to_owned()),
        ("content-length", "0".to_owned()),
        ("grpc-status", status.to_owned()),
    ];
    let more = more.iter();
    fields.extend(more.map(|(name, value)| (*name, (*value).to_owned())));
    vec![H2Act::Read, H2Act::Head(200, fields), H2Act::End]
}

#[tokio::test]
async fn a_call_is_bridged_in_either_form_over_either_version() {
    let app = H2Backend::start(|_| ok("0")).await;
    let proxy = bridge(&app, "", "").await;
    let hi = message(b"hi");
    let cut: Vec<String> = hi.chunks(4).map(to_base64).collect();
    for (kind, accept, body, answered) in [
        (BINARY, "*/*", hi.clone(), BINARY),
        ("application/grpc-web", "*/*", hi.clone(), BINARY),
        (
            TEXT,
            TEXT,
            to_base64(&hi).into_bytes(),
            "application/grpc-web-text+proto",
        ),
        (TEXT, BINARY, cut.concat().into_bytes(), BINARY),
        (BINARY, TEXT, hi.clone(), "application/grpc-web-text+proto"),
    ] {
        let lines = format!("accept: {accept}\naccept-encoding: gzip, br\nx-grpc-web: 1");
        let over_http1 = call(&proxy, "/a.B/C", kind, &lines, &body).await;
        let length = body.len().to_string();
        let fields = [
            ("content-type", kind),
            ("accept", accept),
            ("accept-encoding", "gzip, br"),
            ("x-grpc-web", "1"),
            ("content-length", &length),
        ];
        let mut client = proxy.h2_client().await;
        let over_http2 = client.request("POST", "/a.B/C", &fields, &body).await;
        for answer in [over_http1, over_http2.unwrap()] {
            assert_eq!((answer.status, answer.end), (200, End::Complete));
            assert_eq!(answer.field("content-type"), answered, "{kind} {accept}");
            let web = WebCall::read(&answer);
            assert_eq!(web.messages, [b"ok"]);
            assert_eq!(
                (web.status(), web.trailers.get("x-tail")),
                ("0", Some("end"))
            );
        }
    }
    for seen in app.seen() {
        assert_eq!(seen.field("content-type"), "application/grpc+proto");
        assert_eq!(seen.field("te"), "trailers");
        for name in ["accept", "accept-encoding", "content-length"] {
            assert!(!seen.fields.has(name), "{name}: {seen:?}");
        }
        assert_eq!((&seen.body, seen.complete), (&hi, true));
    }
    let line = proxy
        .logged("a call", |line| line["protocol"] == "HTTP/1.1")
        .await;
    assert_eq!(line["status"], 200);
    assert_eq!(line["grpc_status"], "0");
    proxy.finish().await;
}

#[tokio::test]
async fn a_body_of_unknown_length_is_bridged() {
    let app = H2Backend::start(|_| ok("0")).await;
    let proxy = bridge(&app, "", "").await;
    let mut client = proxy.client().await;
    let text = to_base64(&message(b"hello"));
    let (first, rest) = text.split_at(5);
    let request = format!(
        "POST /a.B/C HTTP/1.1\r\nhost: a\r\ncontent-type: {TEXT}\r\n\
         transfer-encoding: chunked\r\n\r\n5\r\n{first}\r\n{:x}\r\n{rest}\r\n0\r\n\r\n",
        rest.len()
    );
    // Twice: the connection is good for another call.
    for _ in 0..2 {
        client.send(&request).await;
        assert_eq!(WebCall::read(&client.answer().await).status(), "0");
    }
    assert!(app.seen().iter().all(|seen| seen.body == message(b"hello")));
    // A call need not have a message at all.
    let empty = call(&proxy, "/a.B/C", TEXT, "", b"").await;
    assert_eq!(WebCall::read(&empty).status(), "0");
    proxy.finish().await;
}

#[tokio::test]
async fn a_call_that_is_all_head_has_its_status_in_the_frame() {
    let app = H2Backend::start(|seen| match seen.target.as_str() {
        "/fine" => trailers_only("0", &[]),
        _ => trailers_only("5", &[("grpc-message", "no%20such"), ("x-why", "gone")]),
    })
    .await;
    let proxy = bridge(&app, "", "").await;
    for kind in [BINARY, TEXT] {
        let answer = call(&proxy, "/none", kind, "", &body(kind, b"")).await;
        assert_eq!((answer.status, answer.end), (200, End::Complete));
        assert_eq!(
            answer.field("content-length"),
            answer.body.len().to_string()
        );
        let web = WebCall::read(&answer);
        assert_eq!((web.status(), web.messages.len()), ("5", 0));
        assert_eq!(web.trailers.get("grpc-message"), Some("no%20such"));
        assert_eq!(web.trailers.get("x-why"), Some("gone"));
        let answer = call(&proxy, "/fine", kind, "", &body(kind, b"")).await;
        assert_eq!(WebCall::read(&answer).status(), "0");
    }
    let line = proxy
        .logged("the call", |line| line["path"] == "/none")
        .await;
    assert_eq!(line["grpc_status"], "5");
    proxy.finish().await;
}

#[tokio::test]
async fn calls_are_judged_and_tried_again_like_those_of_grpc() {
    let app = H2Backend::start(|seen| {
        let again = seen.fields.get("grpc-previous-rpc-attempts");
        match (seen.target.as_str(), again) {
            (_, Some("1")) => ok("0"),
            ("/never", _) => trailers_only("14", &[("grpc-retry-pushback-ms", "-1")]),
            ("/late", _) => ok("14"),
            _ => trailers_only("14", &[]),
        }
    })
    .await;
    let retry = "retry = { attempts = 3, on = [\"grpc:unavailable\"] }";
    let proxy = bridge(&app, retry, "ejection = false").await;
    for (path, expected, attempts) in [("/now", "0", 2), ("/never", "14", 1), ("/late", "14", 1)] {
        let body = to_base64(&message(b"hi")).into_bytes();
        let answer = call(&proxy, path, TEXT, "", &body).await;
        assert_eq!(
            WebCall::read(&answer).status(),
            expected,
            "{path}: {answer:?}"
        );
        let seen = app.seen().into_iter().filter(|seen| seen.target == path);
        let bodies: Vec<_> = seen.map(|seen| seen.body).collect();
        assert_eq!(bodies, vec![message(b"hi"); attempts], "{path}");
    }
    let labels = [("pool", "app"), ("reason", "grpc:unavailable")];
    proxy
        .metric_becomes("sluicegate_attempts_total", &labels, 3.0)
        .await;
    proxy.finish().await;
}

#[tokio::test]
async fn only_grpc_web_where_a_route_asks_for_it_is_bridged() {
    fn script(seen: &Seen) -> Vec<H2Act> {
        match seen.target.as_str() {
            "/page" => crate::harness::h2_answer("<p>"),
            _ => ok("0"),
        }
    }
    let app = H2Backend::start(script).await;
    let proxy = bridge(&app, "", "").await;
    let mut client = proxy.h2_client().await;
    let native = [("content-type", "application/grpc"), ("te", "trailers")];
    let answer = client
        .request("POST", "/a.B/C", &native, &message(b"hi"))
        .await;
    let answer = answer.unwrap();
    assert_eq!(answer.trailers.get("grpc-status"), Some("0"), "{answer:?}");
    // An answer that is none of gRPC passes as it is.
    let page = call(&proxy, "/page", BINARY, "", b"").await;
    assert_eq!(
        (page.field("content-type"), page.text().as_str()),
        ("", "<p>")
    );
    proxy.finish().await;

    let text = "[listeners.web]\naddress = \"$web\"\n[routes.all]\npool = \"app\"\n\
                [pools.app]\nendpoints = [\"$app\"]\nprotocol = \"h2\"\n";
    let settings = Settings::new(text).address("app", app.address());
    let proxy = settings.start().await;
    let body = to_base64(&message(b"hi"));
    call(&proxy, "/plain", TEXT, "", body.as_bytes()).await;
    let seen = app.seen().pop().unwrap();
    assert_eq!(seen.field("content-type"), TEXT);
    assert_eq!(seen.body, body.as_bytes());
    proxy.finish().await;
}
