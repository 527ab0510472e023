//! A client that sends what costs it nothing loses its connection, and only that
//! (RFC 9113 section 10.5).

use std::time::Duration;

use crate::harness::{Backend, H2Client, Proxy, Settings, answer, eventually, h2_frames, identity};
use h2_frames::{CONTINUATION, END_HEADERS, END_STREAM, Frames, HEADERS, PING, RESET, SETTINGS};

const ALL: &str = r#"
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
"#;

/// Waits for the end of a flooded connection, its metric, and proof that others are served.
async fn ended_as(proxy: &Proxy, mut flood: Frames, reason: &str) {
    let end = async { while flood.next().await.is_some() {} };
    let end = tokio::time::timeout(Duration::from_secs(10), end).await;
    assert!(end.is_ok(), "the flooded connection is ended: {reason}");
    let labels = [("listener", "web"), ("reason", reason)];
    proxy
        .metric_becomes("sluicegate_http2_floods_total", &labels, 1.0)
        .await;
    assert_eq!(proxy.get("/").await.text(), "app", "{reason}");
}

async fn started() -> (Proxy, Backend) {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    (proxy, app)
}

#[tokio::test]
async fn floods_of_frames_that_ask_for_nothing_end_their_connection() {
    let (proxy, _app) = started().await;
    let web = proxy.address("web");
    for (kind, payload, count, reason) in [
        (PING, &[0; 8][..], 11_000, "pings"),
        (SETTINGS, &[], 200, "settings"),
        (2, &[0, 0, 0, 0, 1], 1500, "priorities"),
    ] {
        let mut flood = Frames::connect(web, &[]).await;
        let (mut reader, mut writer) = flood.split();
        let stream = u32::from(kind == 2);
        let write = async {
            for _ in 0..count {
                if !writer.send(kind, 0, stream, payload).await {
                    break;
                }
            }
        };
        // What is answered is read: not the full socket shall end it, but the count.
        tokio::join!(write, reader.drained());
        ended_as(&proxy, flood, reason).await;
    }
    proxy.finish().await;
}

#[tokio::test]
async fn streams_that_are_reset_as_fast_as_they_open_end_their_connection() {
    let app = Backend::start(|seen| match seen.target.as_str() {
        "/flood" => vec![crate::harness::Act::Read, crate::harness::Act::Stall],
        _ => answer("app"),
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut flood = Frames::connect(proxy.address("web"), &[]).await;
    for n in 0..10_000_u32 {
        let stream = 2 * n + 1;
        let cancel = 8_u32.to_be_bytes();
        let sent =
            flood.get(stream, "/flood", &[]).await && flood.send(RESET, 0, stream, &cancel).await;
        if !sent {
            break;
        }
    }
    ended_as(&proxy, flood, "resets").await;
    eventually("what the flood began is over", || async {
        (app.open() <= 2).then_some(())
    })
    .await;
    proxy.finish().await;
}

#[tokio::test]
async fn streams_that_are_reset_as_they_open_are_not_begun() {
    let (proxy, app) = started().await;
    let mut flood = Frames::connect(proxy.address("web"), &[]).await;
    // Fewer than end the connection.
    let streams: Vec<u32> = (1..3001).step_by(2).collect();
    let frames: Vec<_> = streams
        .iter()
        .flat_map(|&stream| {
            let head = h2_frames::get_block("/flood");
            let cancel = 8_u32.to_be_bytes().to_vec();
            [
                (HEADERS, END_STREAM | END_HEADERS, stream, head),
                (RESET, 0, stream, cancel),
            ]
        })
        .collect();
    assert!(flood.send_all(&frames).await);
    // What stays is served, on this connection as on others.
    assert!(flood.get(3001, "/", &[]).await);
    let answer = flood.next_of(HEADERS).await.expect("an answer");
    assert_eq!(answer.stream, 3001);
    assert_eq!(proxy.get("/").await.text(), "app");
    let begun = proxy.metric("sluicegate_requests_total", &[]).await;
    // Where the bytes happen to be cut between the two frames, one may begin.
    assert!(begun < 20.0, "{begun} of 1502 requests began");
    assert!(app.connections() < 20);
    proxy.finish().await;
}

#[tokio::test]
async fn a_head_without_an_end_and_a_head_that_expands_end_their_connection() {
    let (proxy, app) = started().await;
    let web = proxy.address("web");

    let mut endless = Frames::connect(web, &[]).await;
    endless
        .send(HEADERS, END_STREAM, 1, &h2_frames::get_block("/"))
        .await;
    for _ in 0..1000 {
        if !endless.send(CONTINUATION, 0, 1, &[]).await {
            break;
        }
    }
    ended_as(&proxy, endless, "continuations").await;

    // One field in the table, then named by one byte each time: 1.5 MiB from 15 KiB.
    let mut bomb = Frames::connect(web, &[]).await;
    let mut block = h2_frames::get_block("/");
    let value = "a".repeat(100);
    block.push(0x40);
    block.extend(&h2_frames::literal("x-bomb", &value)[1..]);
    block.extend(std::iter::repeat_n(0xbe, 15_000));
    bomb.send(HEADERS, END_STREAM | END_HEADERS, 1, &block)
        .await;
    ended_as(&proxy, bomb, "headers").await;
    assert_eq!(
        app.seen()
            .iter()
            .filter(|seen| seen.fields.has("x-bomb"))
            .count(),
        0
    );
    proxy.finish().await;
}

#[tokio::test]
async fn a_connection_that_has_lived_long_enough_is_told_to_go_in_two_steps() {
    let app = Backend::start(identity("app")).await;
    let text = ALL.replace("\"$web\"", "\"$web\"\ntimeouts = { lifetime = \"300ms\" }");
    let proxy = Settings::new(&text).backend("app", &app).start().await;
    let mut frames = Frames::connect(proxy.address("web"), &[]).await;
    assert!(frames.get(1, "/", &[]).await);
    let first = frames.next_of(h2_frames::GOAWAY).await.expect("a GOAWAY");
    assert_eq!((first.number(0), first.number(4)), (0x7fff_ffff, 0));
    // A request on its way when the first one came is still answered.
    assert!(frames.get(3, "/", &[]).await);
    // The second one may come before the answer or behind it.
    let (mut answers, mut second) = (Vec::new(), None);
    while let Some(frame) = frames.next().await {
        match frame.kind {
            HEADERS => answers.push(frame.stream),
            h2_frames::GOAWAY => second = Some((frame.number(0), frame.number(4))),
            _ => {}
        }
    }
    assert_eq!((&answers[..], second), (&[3][..], Some((3, 0))));

    let mut client = proxy.client().await;
    let first = client.get("/").await;
    assert_ne!(first.field("connection"), "close");
    tokio::time::sleep(Duration::from_millis(400)).await;
    let last = client.get("/").await;
    assert_eq!((last.status, last.field("connection")), (200, "close"));
    proxy.finish().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_not_buffered_for() {
    const PIECE: usize = 1024 * 1024;
    let app = Backend::start(|_| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 64 * PIECE);
        let mut acts = vec![crate::harness::Act::Send(head.into())];
        acts.extend((0..64).map(|_| crate::harness::Act::Send(vec![b'x'; PIECE])));
        acts
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let before = proxy.metric("process_resident_memory_bytes", &[]).await;
    let mut clients: Vec<H2Client> = Vec::new();
    let mut streams = Vec::new();
    for _ in 0..4 {
        let mut client = proxy.h2_client().await;
        for _ in 0..4 {
            let (answer, _) = client.open("GET", "/", &[], true).await.unwrap();
            streams.push(answer.await.unwrap());
        }
        clients.push(client);
    }
    // 16 streams of 64 MiB: all that is kept is a window and a buffer for each.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let after = proxy.metric("process_resident_memory_bytes", &[]).await;
    let grown = (after - before) / 1_048_576.0;
    assert!(grown < 48.0, "{grown} MiB more for 1 GiB that nobody reads");
    drop((streams, clients));
    proxy.finish().await;
}
