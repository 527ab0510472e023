//! A reader that takes little at a time, but goes on, is not cut; one that has stopped is.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::harness::{
    Act, Backend, Client, End, Gate, Seen, Settings, answer, eventually,
    h2_frames::{DATA, END_STREAM, Frames, RESET, WINDOW_UPDATE},
    narrow, request_bytes,
};

/// Everybody is cut after a second.
const IMPATIENT: &str = r#"
    [listeners.web]
    address = "$web"
    timeouts = { body_idle = "1s" }
    [routes.all]
    pool = "app"
    body_max = false
    timeouts = { attempt = "1s", idle = "1s" }
    retry = { attempts = 1 }
    [pools.app]
    endpoints = ["$app"]
"#;

/// More than the buffers of the kernel hold.
const LARGE: usize = 6 * 1024 * 1024;
/// Less than these.
const MEDIUM: usize = 3 * 1024 * 1024;
/// Bytes that a slow reader reads at once, and its pause after each read: several times less than
/// would empty those buffers in the time allowed.
const SIP: usize = 16 * 1024;
const REST: Duration = Duration::from_millis(40);
const SLOW_FOR: Duration = Duration::from_secs(3);

fn large(_: &Seen) -> Vec<Act> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n");
    vec![
        Act::Read,
        Act::Send(head.into_bytes()),
        Act::Send(vec![b'x'; LARGE]),
    ]
}

/// Reads slowly for a while, then all that is left.
async fn sip(client: &mut Client, total: usize) {
    let begun = Instant::now();
    let mut read = 0;
    while begun.elapsed() < SLOW_FOR {
        read += client.bytes(SIP).await.expect("not cut").len();
        sleep(REST).await;
    }
    assert!(read < total, "too fast to be slow");
    client.bytes(total - read).await.expect("all of it");
}

#[tokio::test]
async fn a_client_that_reads_slowly_gets_all_of_it() {
    let app = Backend::start(large).await;
    let proxy = Settings::new(IMPATIENT).backend("app", &app).start().await;
    let mut client = Client::narrow(proxy.address("web")).await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(client.head().await.0, 200);
    sip(&mut client, LARGE).await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_client_that_stops_reading_is_cut() {
    let app = Backend::start(large).await;
    let proxy = Settings::new(IMPATIENT).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    client.send("GET /stops HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(client.head().await.0, 200);
    let stopped = Instant::now();
    let line = proxy
        .logged("of the client that stopped", |l| l["path"] == "/stops")
        .await;
    assert_eq!(line["reason"], "connection_write_timeout", "{line}");
    assert!(stopped.elapsed() < Duration::from_secs(4), "in time");
    let ejections = proxy.metric("sluicegate_ejections_total", &[]).await;
    assert!(ejections < 0.5, "not the endpoint's fault");
    proxy.finish().await;
}

#[tokio::test]
async fn streams_that_wait_for_their_turn_are_not_cut() {
    let app = Backend::start(large).await;
    let proxy = Settings::new(IMPATIENT).backend("app", &app).start().await;
    let wide = 1 << 24;
    let mut client = Frames::over(narrow(proxy.address("web")).await).await;
    client.settings(&[(4, wide)]).await;
    let all = (1_u32 << 30).to_be_bytes();
    client.send(WINDOW_UPDATE, 0, 0, &all).await;
    let streams = [1, 3, 5, 7];
    for stream in streams {
        client.get(stream, "/", &[]).await;
    }
    let begun = Instant::now();
    let (mut bytes, mut ended) = (0, 0);
    while ended < streams.len() {
        let frame = client.next().await.expect("the connection stays");
        assert_ne!(frame.kind, RESET, "after {bytes} bytes: {frame:?}");
        if frame.kind == DATA {
            bytes += frame.payload.len();
            ended += usize::from(frame.flags & END_STREAM != 0);
            if begun.elapsed() < SLOW_FOR {
                sleep(REST).await;
            }
        }
    }
    assert_eq!(bytes, streams.len() * LARGE);
    proxy.finish().await;
}

#[tokio::test]
async fn a_stream_that_its_client_gives_no_room_is_cut_beside_one_that_moves() {
    let app = Backend::start(large).await;
    let proxy = Settings::new(IMPATIENT).backend("app", &app).start().await;
    let mut client = Frames::connect(proxy.address("web"), &[]).await;
    let all = (1_u32 << 30).to_be_bytes();
    client.send(WINDOW_UPDATE, 0, 0, &all).await;
    client.get(1, "/", &[]).await;
    client.get(3, "/", &[]).await;
    let begun = Instant::now();
    loop {
        let frame = client.next().await.expect("the connection stays");
        if frame.kind == RESET {
            assert_eq!(frame.stream, 1, "{frame:?}");
            break;
        }
        if frame.kind == DATA && frame.stream == 3 {
            let room = u32::try_from(frame.payload.len()).unwrap();
            client.send(WINDOW_UPDATE, 0, 3, &room.to_be_bytes()).await;
            sleep(REST).await;
        }
        assert!(begun.elapsed() < Duration::from_secs(6), "never cut");
    }
    drop(client);
    proxy.finish().await;
}

#[tokio::test]
async fn a_tunnel_to_a_client_that_reads_slowly_is_not_idle() {
    let app = Backend::start(|_| {
        let head = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
        vec![
            Act::Send(head.to_vec()),
            Act::Send(vec![b'x'; LARGE]),
            Act::Stall,
        ]
    })
    .await;
    let proxy = Settings::new(IMPATIENT).backend("app", &app).start().await;
    let mut client = Client::narrow(proxy.address("web")).await;
    client
        .send("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n")
        .await;
    assert_eq!(client.head().await.0, 101);
    sip(&mut client, LARGE).await;
    assert_ne!(client.ended().await, End::Complete, "silent at last");
    proxy.finish().await;
}

/// Reads an upload slowly for a while, then all that is left, and answers.
fn slow_reader(seen: &Seen) -> Vec<Act> {
    let total: usize = seen.fields.get("content-length").unwrap().parse().unwrap();
    let sips = 60;
    let mut acts = Vec::new();
    for _ in 0..sips {
        acts.push(Act::ReadSome(SIP));
        acts.push(Act::Pause(REST));
    }
    acts.push(Act::ReadSome(total - sips * SIP));
    acts.push(Act::Send(
        b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nslow".to_vec(),
    ));
    acts
}

#[tokio::test]
async fn an_endpoint_that_reads_an_upload_slowly_has_its_time_after_it() {
    let app = Backend::start_narrow(slow_reader).await;
    let proxy = Settings::new(IMPATIENT).backend("app", &app).start().await;
    // One waits in the proxy, the other all in the kernel.
    for size in [2 * LARGE, MEDIUM] {
        let answer = proxy.request("POST", "/", "", &vec![b'x'; size]).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "slow"));
    }
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_that_stops_reading_an_upload_is_told_as_that() {
    let never = Gate::new();
    let held = never.clone();
    let app = Backend::start_narrow(move |seen| match seen.method.as_str() {
        "POST" => vec![Act::ReadSome(SIP), Act::Wait(held.clone())],
        _ => answer("well"),
    })
    .await;
    let proxy = Settings::new(IMPATIENT).backend("app", &app).start().await;
    for size in [2 * LARGE, MEDIUM] {
        let path = format!("/{size}");
        let mut client = proxy.client().await;
        // The answer may be lost to a client that goes on sending: the log tells it.
        let body = vec![b'x'; size];
        client.send(request_bytes("POST", &path, "", &body)).await;
        let line = proxy
            .logged("of the upload", |line| line["path"] == path.as_str())
            .await;
        assert_eq!(line["status"], 504, "{line}");
        assert_eq!(line["reason"], "connection_write_timeout", "{line}");
    }
    never.open();
    eventually("the connections are closed", || async {
        (app.open() == 0).then_some(())
    })
    .await;
    proxy.finish().await;
}
