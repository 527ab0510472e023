//! Flow control (section 5.2).

use std::time::Duration;

use super::{ALL, FLOW_CONTROL_ERROR, get, post, send, started, window};
use crate::harness::h2_frames::{DATA, END_STREAM, Frames, PING, RESET};
use crate::harness::{Act, Backend, Settings, answer, h2_read, within};

#[tokio::test]
async fn who_sends_more_than_the_window_is_stopped() {
    let (proxy, _app, gate) = started().await;
    // What the endpoint does not read fills the window of a stream.
    let mut frames = Frames::connect(proxy.address("web"), &[]).await;
    send(&mut frames, &[get(1, "/wait"), post(3, "/wait")]).await;
    let piece = vec![b'x'; 16_384];
    let mut reset = None;
    for _ in 0..2000 {
        if !frames.send(DATA, 0, 3, &piece).await {
            break;
        }
        reset = frames.try_next_of(RESET).await;
        if reset.is_some() {
            break;
        }
    }
    let reset = reset.expect("a reset");
    assert_eq!((reset.stream, reset.number(0)), (3, FLOW_CONTROL_ERROR));
    gate.open();
    proxy.finish().await;
}

#[tokio::test]
async fn data_waits_for_the_window_of_its_stream_and_of_the_connection() {
    let app = Backend::start(|_| answer(&"x".repeat(100_000))).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    // INITIAL_WINDOW_SIZE
    let mut frames = Frames::connect(proxy.address("web"), &[(4, 10)]).await;
    send(&mut frames, &[get(1, "/")]).await;
    let data = frames.next_of(DATA).await.expect("data");
    assert_eq!((data.payload.len(), data.flags), (10, 0));
    send(&mut frames, &[window(1, 7)]).await;
    assert_eq!(frames.next_of(DATA).await.expect("data").payload.len(), 7);
    // Smaller than what was sent: a window below zero.
    frames.settings(&[(4, 5)]).await;
    send(&mut frames, &[window(1, 5)]).await;
    send(&mut frames, &[window(1, 3)]).await;
    assert_eq!(frames.next_of(DATA).await.expect("data").payload.len(), 3);
    frames.settings(&[(4, 200_000)]).await;
    let mut come = 20;
    while come < 65_535 {
        let data = frames.next_of(DATA).await.expect("data");
        assert!(data.payload.len() <= 16_384);
        come += data.payload.len();
    }
    assert_eq!(come, 65_535, "the window of the connection");
    send(&mut frames, &[window(0, 100_000)]).await;
    while come < 100_000 {
        let data = frames.next_of(DATA).await.expect("data");
        come += data.payload.len();
        assert_eq!(data.flags & END_STREAM != 0, come == 100_000);
    }
    proxy.finish().await;
}

#[tokio::test]
async fn bodies_that_nobody_reads_take_nothing_off_the_window_that_all_share() {
    let app = Backend::start(|seen| match seen.target.as_str() {
        "/read" => answer("read"),
        // Answers at once and lets the body be.
        _ => vec![Act::Send(
            b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno".to_vec(),
        )],
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.h2_client().await;
    for _ in 0..20 {
        let (response, mut stream) = client.open("POST", "/", &[], false).await.unwrap();
        // Some 4 MiB in all, of a window of 1 MiB.
        stream.reserve_capacity(200_000);
        let _ = stream.send_data(vec![b'x'; 200_000].into(), false);
        let answer = h2_read(response).await.unwrap();
        assert_eq!(answer.status, 403);
    }
    let large = vec![b'x'; 3_000_000];
    let answer = client.request("POST", "/read", &[], &large).await.unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "read"));
    proxy.finish().await;
}

#[tokio::test]
async fn who_stops_reading_a_stream_loses_that_stream() {
    let app = Backend::start(|_| answer(&"x".repeat(100_000))).await;
    let text = ALL.replace("limits", "timeouts = { body_idle = \"300ms\" }\n    limits");
    let proxy = Settings::new(&text).backend("app", &app).start().await;
    // INITIAL_WINDOW_SIZE
    let mut frames = Frames::connect(proxy.address("web"), &[(4, 10)]).await;
    send(&mut frames, &[get(1, "/")]).await;
    assert_eq!(frames.next_of(DATA).await.expect("data").payload.len(), 10);
    let reset = frames.next_of(RESET).await.expect("a reset");
    assert_eq!(reset.stream, 1);
    let line = proxy
        .logged("the stalled client", |line| line["status"] == 499)
        .await;
    assert_eq!(line["reason"], "connection_write_timeout", "{line}");
    send(&mut frames, &[get(3, "/")]).await;
    assert_eq!(frames.next_of(DATA).await.expect("data").stream, 3);
    proxy.finish().await;
}

#[tokio::test]
async fn pings_do_not_keep_streams_that_the_window_of_the_connection_holds() {
    let app = Backend::start(|_| answer(&"x".repeat(100_000))).await;
    let text = ALL.replace("limits", "timeouts = { body_idle = \"400ms\" }\n    limits");
    let proxy = Settings::new(&text).backend("app", &app).start().await;
    // Each stream has room (INITIAL_WINDOW_SIZE); the connection has it for less than one.
    let mut frames = Frames::connect(proxy.address("web"), &[(4, 1_000_000)]).await;
    send(&mut frames, &[get(1, "/"), get(3, "/"), get(5, "/")]).await;
    let resets = async {
        let mut reset = Vec::new();
        // Few enough to be no flood.
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        while reset.len() < 3 {
            ticks.tick().await;
            frames.send(PING, 0, 0, b"12345678").await;
            loop {
                let frame = frames.next().await.expect("a frame");
                match frame.kind {
                    PING => break,
                    RESET => reset.push(frame.stream),
                    _ => {}
                }
            }
        }
        reset.sort_unstable();
        reset
    };
    let reset = within("the streams are reset", resets).await;
    assert_eq!(reset, [1, 3, 5]);
    proxy.finish().await;
}
