//! Streams that wait for room in their connection (section 5.2) get their turn, whatever
//! becomes of the others.

use std::collections::HashSet;

use super::{get, send, window};
use crate::harness::h2_frames::{DATA, END_STREAM, Frames, HEADERS, RESET};
use crate::harness::{Act, Backend, Gate, Proxy, Settings, answer};

const MANY: &str = r#"
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
"#;

async fn started(app: &Backend) -> Proxy {
    Settings::new(MANY).backend("app", app).start().await
}

/// The streams that end of their own, until all of `wanted` have.
async fn ended(frames: &mut Frames, wanted: impl IntoIterator<Item = u32>) {
    let mut wanted: HashSet<u32> = wanted.into_iter().collect();
    while !wanted.is_empty() {
        let data = frames.next_of(DATA).await;
        let data = data.unwrap_or_else(|| panic!("the connection ended before {wanted:?}"));
        if data.flags & END_STREAM != 0 {
            wanted.remove(&data.stream);
        }
    }
}

#[tokio::test]
async fn streams_that_are_cancelled_while_they_wait_take_nobody_elses_turn() {
    let app = Backend::start(|seen| match seen.target.as_str() {
        "/large" => answer(&"x".repeat(65_535)),
        _ => answer(&"y".repeat(10_000)),
    })
    .await;
    let proxy = started(&app).await;
    // Room on every stream, none on the connection behind the first answer.
    let mut frames = Frames::connect(proxy.address("web"), &[(4, 1_000_000)]).await;
    send(&mut frames, &[get(1, "/large")]).await;
    ended(&mut frames, [1]).await;
    let waiting: Vec<u32> = (0..20).map(|n| 2 * n + 3).collect();
    for stream in &waiting {
        send(&mut frames, &[get(*stream, "/")]).await;
        assert_eq!(
            frames.next_of(HEADERS).await.expect("a head").stream,
            *stream
        );
    }
    // All in one write: nobody has a turn in between.
    let cancel = 8_u32.to_be_bytes().to_vec();
    let resets = waiting[..8]
        .iter()
        .map(|stream| (RESET, 0, *stream, cancel.clone()));
    let all: Vec<_> = resets.chain([window(0, 1_000_000)]).collect();
    frames.send_all(&all).await;
    ended(&mut frames, waiting[8..].iter().copied()).await;
    proxy.finish().await;
}

#[tokio::test]
async fn the_end_of_a_stream_needs_no_window_and_no_room() {
    const EXACT: usize = 100_000;
    const PIECE: usize = 1024 * 1024;
    let gate = Gate::new();
    let held = gate.clone();
    let app = Backend::start(move |seen| match seen.target.as_str() {
        "/exact" => {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            let body = format!("{EXACT:x}\r\n{}\r\n", "x".repeat(EXACT));
            vec![
                Act::Send(format!("{head}{body}").into_bytes()),
                Act::Wait(held.clone()),
                Act::Send(b"0\r\n\r\n".to_vec()),
            ]
        }
        _ => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 32 * PIECE);
            let mut acts = vec![Act::Send(head.into_bytes())];
            acts.extend((0..32).map(|_| Act::Send(vec![b'y'; PIECE])));
            acts
        }
    })
    .await;
    let proxy = started(&app).await;
    let exact = u32::try_from(EXACT).expect("a small number");
    let mut frames = Frames::connect(proxy.address("web"), &[(4, exact)]).await;
    send(&mut frames, &[window(0, 0x7000_0000), get(1, "/exact")]).await;
    let mut come = 0;
    while come < EXACT {
        come += frames.next_of(DATA).await.expect("data").payload.len();
    }
    // Another stream fills the socket and what the proxy keeps for it.
    send(&mut frames, &[get(3, "/"), window(3, 0x7000_0000)]).await;
    frames.next_of(HEADERS).await.expect("a head");
    proxy
        .settled_metric("process_resident_memory_bytes", &[])
        .await;
    gate.open();
    // The connection to the endpoint is idle again: the end has come to the proxy.
    proxy
        .metric_becomes("sluicegate_idle_connections", &[], 1.0)
        .await;
    ended(&mut frames, [1]).await;
    drop(frames);
    proxy.finish().await;
}
