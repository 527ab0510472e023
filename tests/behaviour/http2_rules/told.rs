//! Refusals on a stream are answered, counted and logged as over HTTP/1.1; input that never ends is
//! not waited for.

use std::time::Duration;

use tokio::time::Instant;

use super::{ALL, PROTOCOL_ERROR, block, post, send, started};
use crate::harness::h2_frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, RESET, get_block, literal,
};
use crate::harness::{Backend, Proxy, Settings, answer, eventually, within};

/// Status 400 in the static table of HPACK.
const STATUS_400: u8 = 0x80 | 12;

async fn refused(proxy: &Proxy) -> f64 {
    let labels = [("status_class", "4xx"), ("reason", "http_request_error")];
    proxy.metric("sluicegate_requests_total", &labels).await
}

#[tokio::test]
async fn a_malformed_request_is_answered_counted_and_logged() {
    let (proxy, app, _gate) = started().await;
    let mut frames = Frames::connect(proxy.address("web"), &[]).await;
    let fields = [
        ":method GET|:scheme http|:authority a",
        "...|x-A 1",
        "...|connection close",
        "...|host shop.example|host shop.example",
        "...|content-length 5",
        ":method GET|:scheme http|:path x|:authority a",
    ];
    let mut stream = 1;
    for fields in fields {
        for flags in [END_HEADERS | END_STREAM, END_HEADERS] {
            frames.send(HEADERS, flags, stream, &block(fields)).await;
            if flags == END_HEADERS && fields.contains("content-length") {
                frames.send(DATA, END_STREAM, stream, b"1234").await;
            }
            let head = frames.next_of(HEADERS).await.expect("an answer");
            assert_eq!(
                (head.stream, head.payload[0]),
                (stream, STATUS_400),
                "{fields}"
            );
            while frames.next_of(DATA).await.expect("its body").flags & END_STREAM == 0 {}
            let reset = frames.next_of(RESET).await.expect("a reset");
            assert_eq!(
                (reset.stream, reset.number(0)),
                (stream, PROTOCOL_ERROR),
                "{fields}"
            );
            stream += 2;
        }
    }
    assert!(frames.get(stream, "/", &[]).await);
    assert_eq!(
        frames.next_of(HEADERS).await.expect("an answer").stream,
        stream
    );
    eventually("each has its line", || async {
        let lines = proxy.access_log();
        let lines = lines.iter().filter(|line| {
            line["status"] == 400
                && line["reason"] == "http_request_error"
                && line["protocol"] == "HTTP/2.0"
        });
        (lines.count() == 12).then_some(())
    })
    .await;
    assert!((refused(&proxy).await - 12.0).abs() < 0.5);
    assert!(app.seen().iter().all(|seen| seen.target == "/"));
    drop(frames);
    proxy.finish().await;
}

#[tokio::test]
async fn a_fault_that_ends_the_connection_is_logged_too() {
    let (proxy, _app, _gate) = started().await;
    let mut frames = Frames::connect(proxy.address("web"), &[]).await;
    // An index that no table has.
    frames
        .send(HEADERS, END_HEADERS, 1, &[0xff, 0xff, 0x01])
        .await;
    super::end_of(&mut frames).await;
    proxy
        .logged("a broken connection", |line| line["status"] == 400)
        .await;
    proxy.finish().await;
}

#[tokio::test]
async fn cookies_that_are_cut_up_count_as_the_line_that_they_are() {
    let app = Backend::start(|_| answer("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut frames = Frames::connect(proxy.address("web"), &[]).await;
    let mut block = get_block("/");
    let cookies: Vec<String> = (0..300).map(|n| format!("name{n}=value{n}")).collect();
    block.extend(literal("x-before", "1"));
    for cookie in &cookies {
        block.extend(literal("cookie", cookie));
    }
    block.extend(literal("x-behind", "1"));
    assert!(
        frames
            .send(HEADERS, END_HEADERS | END_STREAM, 1, &block)
            .await
    );
    assert_eq!(
        frames.next_of(DATA).await.expect("an answer").payload,
        b"app"
    );
    let seen = app.only();
    assert_eq!(seen.fields.get("cookie"), Some(cookies.join("; ").as_str()));
    assert!(seen.fields.has("x-before") && seen.fields.has("x-behind"));
    drop(frames);
    proxy.finish().await;
}

#[tokio::test]
async fn a_head_that_never_ends_is_not_waited_for() {
    let app = Backend::start(|_| answer("app")).await;
    let text = ALL.replace("limits", "timeouts = { head = \"500ms\" }\n    limits");
    let proxy = Settings::new(&text).backend("app", &app).start().await;
    let head = get_block("/");
    for drip in [false, true] {
        let mut frames = Frames::connect(proxy.address("web"), &[]).await;
        send(&mut frames, &[super::get(1, "/")]).await;
        assert_eq!(frames.next_of(HEADERS).await.expect("an answer").stream, 1);
        let began = Instant::now();
        frames.send(HEADERS, END_STREAM, 3, &head[..10]).await;
        if drip {
            while frames.send(CONTINUATION, 0, 3, &[]).await {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        } else {
            within("the end", async { while frames.next().await.is_some() {} }).await;
        }
        assert!(
            began.elapsed() < Duration::from_secs(8),
            "{:?}",
            began.elapsed()
        );
    }
    // A frame of which a part comes.
    let mut frames = Frames::connect(proxy.address("web"), &[]).await;
    frames
        .send_bytes(&[0, 0, 40, HEADERS, END_HEADERS, 0, 0])
        .await;
    within("the end of the connection", async {
        while frames.next().await.is_some() {}
    })
    .await;
    eventually("each has its line", || async {
        let lines = proxy.access_log();
        let lines = lines.iter().filter(|line| line["status"] == 408);
        (lines.count() == 3).then_some(())
    })
    .await;
    // Bodies have a time of their own.
    let mut frames = Frames::connect(proxy.address("web"), &[]).await;
    send(&mut frames, &[post(1, "/")]).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    frames.send(DATA, END_STREAM, 1, b"late").await;
    assert_eq!(
        frames.next_of(DATA).await.expect("an answer").payload,
        b"app"
    );
    drop(frames);
    proxy.finish().await;
}
