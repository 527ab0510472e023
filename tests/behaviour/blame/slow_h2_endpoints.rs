//! An HTTP/2 endpoint that takes an upload slowly, with all the room of flow control for it, is
//! not cut; one that has stopped is, whatever else moves on its connection.

use std::{future::Future, time::Duration};

use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep},
};

use crate::harness::{
    Client, Port, Proxy, Settings,
    h2_frames::{DATA, END_HEADERS, END_STREAM, Frames, HEADERS, WINDOW_UPDATE},
    listen, request_bytes,
};

/// Everybody is cut after a second.
const IMPATIENT: &str = r#"
    [proxy]
    workers = 1
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    body_max = false
    timeouts = { attempt = "1s", idle = "1s" }
    retry = { attempts = 1 }
    [pools.app]
    endpoints = ["$app"]
    protocol = "h2"
"#;

/// More than the buffers of the kernel hold.
const LARGE: usize = 12 * 1024 * 1024;
/// Less than these.
const MEDIUM: usize = 3 * 1024 * 1024;
/// Between two frames of at most 16 KiB: several times less than empties those buffers in the
/// time allowed.
const REST: Duration = Duration::from_millis(40);
const SLOW_FOR: Duration = Duration::from_secs(3);
const WINDOW: u32 = 1 << 24;
/// `SETTINGS_INITIAL_WINDOW_SIZE`.
const INITIAL_WINDOW: u16 = 4;
/// `:status: 200`, from the static table.
const OK: [u8; 1] = [0x88];

/// An endpoint that serves each connection with `serve`, and reads no more than that does.
async fn endpoint<F, S>(settings: &'static [(u16, u32)], serve: F) -> (Proxy, JoinHandle<()>, Port)
where
    F: Fn(Frames) -> S + Send + 'static,
    S: Future<Output = Option<()>> + Send + 'static,
{
    let port = Port::take();
    let listener: TcpListener = listen(port.address(), true).unwrap();
    let task = tokio::spawn(async move {
        let mut served = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            if let Some(mut frames) = Frames::accept(stream, settings).await {
                let room = (1_u32 << 30).to_be_bytes();
                frames.send(WINDOW_UPDATE, 0, 0, &room).await;
                served.spawn(serve(frames));
            }
        }
    });
    let proxy = Settings::new(IMPATIENT)
        .address("app", port.address())
        .start()
        .await;
    (proxy, task, port)
}

/// Reads an upload slowly for a while, then all that is left. Answers behind it, the head as
/// soon as the request has begun if that is to be `early`.
async fn slow(mut frames: Frames, early: bool) -> Option<()> {
    let mut begun = None;
    loop {
        let frame = frames.next().await?;
        match frame.kind {
            HEADERS if early => {
                frames.send(HEADERS, END_HEADERS, frame.stream, &OK).await;
                frames.send(DATA, 0, frame.stream, b"early").await;
            }
            DATA => {
                if begun.get_or_insert_with(Instant::now).elapsed() < SLOW_FOR {
                    sleep(REST).await;
                }
                if frame.flags & END_STREAM != 0 {
                    begun = None;
                    if !early {
                        frames.send(HEADERS, END_HEADERS, frame.stream, &OK).await;
                    }
                    frames.send(DATA, END_STREAM, frame.stream, b"slow").await;
                }
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn an_h2_endpoint_that_reads_an_upload_slowly_has_its_time_after_it() {
    let (proxy, task, _port) =
        endpoint(&[(INITIAL_WINDOW, WINDOW)], |frames| slow(frames, false)).await;
    // One waits in the proxy, the other all in the kernel.
    for size in [LARGE, MEDIUM] {
        let answer = proxy.request("POST", "/", "", &vec![b'x'; size]).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "slow"));
    }
    proxy.finish().await;
    task.abort();
}

#[tokio::test]
async fn an_h2_endpoint_that_reads_slowly_behind_its_early_head_is_not_idle() {
    let (proxy, task, _port) =
        endpoint(&[(INITIAL_WINDOW, WINDOW)], |frames| slow(frames, true)).await;
    for size in [LARGE, MEDIUM] {
        let answer = proxy.request("POST", "/", "", &vec![b'x'; size]).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "earlyslow"));
    }
    proxy.finish().await;
    task.abort();
}

/// Sends an upload of which nobody expects an answer; the log tells how it ended.
async fn upload(proxy: &Proxy, path: &str, size: usize) -> Client {
    let mut client = proxy.client().await;
    let body = vec![b'x'; size];
    client.send(request_bytes("POST", path, "", &body)).await;
    client
}

#[tokio::test]
async fn an_h2_endpoint_that_stops_reading_an_upload_is_told_as_that() {
    let (proxy, task, _port) = endpoint(&[(INITIAL_WINDOW, WINDOW)], |mut frames| async move {
        frames.next_of(DATA).await?;
        std::future::pending().await
    })
    .await;
    for size in [LARGE, MEDIUM] {
        let path = format!("/{size}");
        let _client = upload(&proxy, &path, size).await;
        let line = proxy
            .logged("of the upload", |line| line["path"] == path.as_str())
            .await;
        assert_eq!(line["status"], 504, "{line}");
        assert_eq!(line["reason"], "connection_write_timeout", "{line}");
    }
    proxy.finish().await;
    task.abort();
}

#[tokio::test]
async fn a_stream_that_its_h2_endpoint_gives_no_room_is_cut_beside_one_that_moves() {
    // Every other stream gets room for more.
    let (proxy, task, _port) = endpoint(&[], |mut frames| async move {
        let mut stuck = None;
        loop {
            let frame = frames.next().await?;
            if frame.kind == HEADERS {
                stuck.get_or_insert(frame.stream);
            }
            if frame.kind == DATA && stuck != Some(frame.stream) {
                let room = u32::try_from(frame.payload.len()).unwrap();
                let room = room.to_be_bytes();
                frames.send(WINDOW_UPDATE, 0, frame.stream, &room).await;
                sleep(REST).await;
            }
        }
    })
    .await;
    let _stuck = upload(&proxy, "/stuck", MEDIUM).await;
    let mut moves = proxy.client().await;
    let head = format!("POST /moves HTTP/1.1\r\nhost: a\r\ncontent-length: {LARGE}\r\n\r\n");
    moves.send(head).await;
    let begun = Instant::now();
    let sending = tokio::spawn(async move {
        for _ in 0..LARGE / 4096 {
            moves.send([b'x'; 4096]).await;
        }
        moves
    });
    let line = proxy
        .logged("of the upload", |line| line["path"] == "/stuck")
        .await;
    assert_eq!(line["reason"], "connection_write_timeout", "{line}");
    assert!(begun.elapsed() < Duration::from_secs(5), "in time");
    sending.abort();
    // The rest of it is of no interest.
    task.abort();
    proxy.finish().await;
}
