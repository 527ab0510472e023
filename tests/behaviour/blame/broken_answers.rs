//! Answers that their endpoint cuts: the client gets what came, and can tell that it is not all.

use crate::harness::{Act, Backend, End, Settings, answer};

const ALL: &str = r#"
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
"#;

/// Half of an answer: more than one read, less than the buffers of the kernel.
const HALF: usize = 1024 * 1024;

fn cut(seen: &crate::harness::Seen) -> Vec<Act> {
    let (head, body) = match seen.target.as_str() {
        "/length" => (format!("content-length: {}", 2 * HALF), vec![b'x'; HALF]),
        "/chunked" => {
            let mut chunk = format!("{HALF:x}\r\n").into_bytes();
            chunk.extend(vec![b'x'; HALF]);
            chunk.extend(b"\r\n");
            ("transfer-encoding: chunked".to_owned(), chunk)
        }
        "/nonsense" => {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n";
            return vec![Act::Read, Act::Send(head.into()), Act::Stall];
        }
        _ => return answer("next"),
    };
    let head = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n");
    vec![
        Act::Read,
        Act::Send(head.into_bytes()),
        Act::Send(body),
        Act::Close,
    ]
}

#[tokio::test]
async fn what_came_of_a_cut_answer_is_delivered_and_then_ends_short() {
    let app = Backend::start(cut).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    for target in ["/length", "/chunked"] {
        let mut client = proxy.raw_client().await;
        client
            .send(format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n"))
            .await;
        // It reads only when all is over, so that a reset would take everything.
        let line = proxy
            .logged("of the cut answer", |line| line["path"] == target)
            .await;
        assert_eq!(line["reason"], "http_response_incomplete", "{line}");
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.body.len()), (200, HALF), "{target}");
        assert_eq!(answer.end, End::Closed, "{target}");
        let mut h2 = proxy.h2_client().await;
        let answer = h2.get(target).await.unwrap();
        assert_eq!((answer.status, answer.body.len()), (200, HALF), "{target}");
        assert_eq!(answer.end, End::Reset, "{target} over HTTP/2");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn an_http_1_0_client_gets_what_came_and_then_a_reset() {
    let app = Backend::start(cut).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.raw_client().await;
    client
        .send("GET /chunked HTTP/1.0\r\nhost: a\r\n\r\n")
        .await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.body.len()), (200, HALF));
    assert_eq!(answer.end, End::Reset, "its end would be that of the body");
    proxy.finish().await;
}

#[tokio::test]
async fn an_answer_that_breaks_before_any_of_it_left_is_a_502() {
    let app = Backend::start(cut).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    let answer = client.get("/nonsense").await;
    answer.assert_failure(502, "http_protocol_error");
    assert_eq!(
        client.get("/next").await.text(),
        "next",
        "on the same connection"
    );
    let mut h2 = proxy.h2_client().await;
    let answer = h2.get("/nonsense").await.unwrap();
    answer.assert_failure(502, "http_protocol_error");
    assert_eq!(h2.get("/next").await.unwrap().text(), "next");
    proxy.finish().await;
}
