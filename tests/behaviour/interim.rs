//! Interim responses (1xx): what an endpoint says before its answer reaches clients that
//! understand it, at once, in order, and within bounds.

use crate::harness::h2_frames::{DATA, END_HEADERS, END_STREAM, Frames, HEADERS};
use crate::harness::{Act, Backend, Gate, H2Client, Proxy, Settings, answer_bytes};

const OUTCOMES: &str = "sluicegate_interim_responses_total";
const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\
     connection: x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\n\r\n";
const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

async fn before(app: &Backend) -> Proxy {
    Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
        "#,
    )
    .backend("app", app)
    .start()
    .await
}

#[tokio::test]
async fn early_hints_come_before_the_answer_is_there() {
    let gate = Gate::new();
    let wait = gate.clone();
    let app = Backend::start(move |_| {
        vec![
            Act::Send(HINTS.into()),
            Act::Wait(wait.clone()),
            Act::Send(ANSWER.into()),
        ]
    })
    .await;
    let proxy = before(&app).await;
    let mut client = proxy.client().await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let (status, fields) = client.head().await;
    assert_eq!(status, 103);
    let names: Vec<_> = fields.iter().map(|(name, _)| name.to_lowercase()).collect();
    assert_eq!(names, ["link"], "nothing that was for one hop");
    assert_eq!(fields.get("link"), Some("</a.css>; rel=preload"));
    gate.open();
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    assert_eq!(client.get("/again").await.informational, [103]);
    proxy
        .metric_becomes(OUTCOMES, &[("outcome", "forwarded")], 2.0)
        .await;
    proxy.finish().await;
}

#[tokio::test]
async fn several_in_one_packet_with_the_answer_keep_their_order() {
    let app = Backend::start(|_| {
        answer_bytes(&format!(
            "HTTP/1.1 102 Processing\r\n\r\n{HINTS}HTTP/1.1 100 Continue\r\n\r\n{HINTS}{ANSWER}"
        ))
    })
    .await;
    let proxy = before(&app).await;
    let mut client = proxy.client().await;
    for _ in 0..2 {
        let answer = client.request("POST", "/", "", b"body").await;
        assert_eq!(answer.status, 200);
        // 100 is between each two neighbours only.
        assert_eq!(answer.informational, [102, 103, 103]);
    }
    let expecting = client
        .request("POST", "/", "expect: 100-continue\n", b"body")
        .await;
    assert_eq!(expecting.status, 200);
    assert_eq!(
        expecting
            .informational
            .iter()
            .filter(|s| **s == 103)
            .count(),
        2
    );
    proxy.finish().await;
}

#[tokio::test]
async fn clients_that_cannot_take_them_get_the_answer_alone() {
    let app = Backend::start(|_| answer_bytes(&format!("{HINTS}{ANSWER}"))).await;
    let proxy = before(&app).await;
    let mut old = proxy.client().await;
    old.send("GET / HTTP/1.0\r\n\r\n").await;
    let answer = old.answer().await;
    assert_eq!((answer.status, answer.informational.len()), (200, 0));
    proxy
        .metric_becomes(OUTCOMES, &[("outcome", "dropped")], 1.0)
        .await;
    proxy.finish().await;
}

#[tokio::test]
async fn over_http2_they_come_on_the_stream_of_their_exchange() {
    let gate = Gate::new();
    let wait = gate.clone();
    let app = Backend::start(move |_| {
        vec![
            Act::Send(HINTS.into()),
            Act::Wait(wait.clone()),
            Act::Send(HINTS.repeat(20).into()),
            Act::Send(ANSWER.into()),
        ]
    })
    .await;
    let proxy = before(&app).await;
    let mut frames = Frames::connect(proxy.address("web"), &[]).await;
    for stream in [1, 3] {
        frames.get(stream, "/", &[]).await;
    }
    for _ in 0..2 {
        let hint = frames.next_of(HEADERS).await.expect("a hint");
        assert_eq!(hint.flags, END_HEADERS, "not the end");
    }
    gate.open();
    let mut heads = [0, 0];
    while let Some(frame) = frames.next().await {
        let Some(count) = heads.get_mut((frame.stream / 2) as usize) else {
            continue;
        };
        match frame.kind {
            HEADERS => *count += 1,
            DATA if frame.flags & END_STREAM != 0 => {
                // Eight in all, of which one came before, and the answer.
                assert_eq!(*count, 8, "stream {}", frame.stream);
                if heads == [8, 8] {
                    break;
                }
            }
            _ => {}
        }
    }
    let mut client: H2Client = proxy.h2_client().await;
    assert_eq!(client.get("/").await.unwrap().text(), "ok");
    let forwarded = [("outcome", "forwarded")];
    proxy.metric_becomes(OUTCOMES, &forwarded, 24.0).await;
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_that_never_stops_hinting_is_bounded() {
    let app = Backend::start(|seen| {
        let large = format!(
            "HTTP/1.1 103 Early Hints\r\nlink: <{}>\r\n\r\n",
            "x".repeat(10_000)
        );
        let hint = if seen.target == "/large" {
            &large
        } else {
            HINTS
        };
        answer_bytes(&format!("{}{ANSWER}", hint.repeat(20)))
    })
    .await;
    let proxy = before(&app).await;
    let mut client = proxy.client().await;
    for (target, count) in [("/", 8), ("/large", 1), ("/", 8)] {
        let answer = client.get(target).await;
        assert_eq!((answer.status, answer.informational.len()), (200, count));
    }
    proxy.finish().await;
}
