//! Windows of HTTP/2 as a peer may misuse them (RFC 9113 section 6.9): opened for ever
//! without a byte that can move.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::interval;

use crate::harness::{
    Backend, Port, Proxy, Settings, answer,
    h2_frames::{DATA, END_HEADERS, Frames, HEADERS, RESET, WINDOW_UPDATE},
    within,
};

const IMPATIENT: &str = r#"
    [proxy]
    workers = 1
    [listeners.web]
    address = "$web"
    timeouts = { body_idle = "1s" }
    [routes.all]
    pool = "app"
    retry = { attempts = 1 }
    timeouts = { attempt = "9s", idle = "1s" }
    [pools.app]
    endpoints = ["$app"]
    ejection = false
"#;
const INITIAL_WINDOW: u16 = 4;
const WINDOW_MAX: u32 = 0x7fff_ffff;
/// `:status 200` of the static table.
const OK: &[u8] = &[0x88];
/// Default window.
const WINDOW: usize = 65_535;

/// An endpoint of HTTP/2 that the test plays frame by frame, and the proxy in front of it.
async fn played(
    settings: &[(u16, u32)],
    ask: impl AsyncFnOnce(&Proxy),
    play: impl AsyncFnOnce(Frames),
) {
    let port = Port::take();
    let listener = TcpListener::bind(port.address()).await.unwrap();
    let proxy = Settings::new(&format!("{IMPATIENT}    protocol = \"h2\"\n"))
        .address("app", port.address())
        .start()
        .await;
    let played = async {
        let (stream, _) = within("a connection", listener.accept()).await.unwrap();
        play(Frames::accept(stream, settings).await.unwrap()).await;
    };
    tokio::join!(ask(&proxy), played);
    proxy.finish().await;
}

/// Opens a window for ever, by one, until the peer ends the stream or the connection.
async fn trickle(frames: &mut Frames, stream: u32) {
    let what = "the end of a stream on which nothing moves";
    let mut pace = interval(Duration::from_millis(50));
    within(what, async {
        loop {
            pace.tick().await;
            let sent = frames
                .send(WINDOW_UPDATE, 0, stream, &1_u32.to_be_bytes())
                .await;
            if !sent || frames.try_next_of(RESET).await.is_some() {
                return;
            }
        }
    })
    .await;
}

/// Reads so many bytes of bodies.
async fn take(frames: &mut Frames, mut bytes: usize) {
    while bytes > 0 {
        bytes -= frames.next_of(DATA).await.unwrap().payload.len();
    }
}

#[tokio::test]
async fn windows_that_open_without_room_keep_no_upload() {
    // The connection's window is used up, or that of the stream.
    for (settings, stream, room) in [
        (&[(INITIAL_WINDOW, WINDOW_MAX)][..], 1, WINDOW),
        (&[(INITIAL_WINDOW, 1000)][..], 0, 1000),
    ] {
        for early in [false, true] {
            let ask = async |proxy: &Proxy| {
                let mut client = proxy.client().await;
                let head = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 200000\r\n\r\n";
                client.send(head).await;
                client.send(vec![b'x'; 200_000]).await;
                if early {
                    assert_eq!(client.head().await.0, 200);
                    client.ended().await;
                } else {
                    let reply = client.answer().await;
                    reply.assert_failure(504, "connection_write_timeout");
                }
            };
            played(settings, ask, async |mut frames: Frames| {
                frames.next_of(HEADERS).await.unwrap();
                if early {
                    frames.send(HEADERS, END_HEADERS, 1, OK).await;
                }
                take(&mut frames, room).await;
                trickle(&mut frames, stream).await;
            })
            .await;
        }
    }
}

/// A client that takes a large answer as far as its windows let it.
async fn large(settings: &[(u16, u32)], room: usize) -> (Proxy, Backend, Frames) {
    let body = "x".repeat(300_000);
    let app = Backend::start(move |_| answer(&body)).await;
    let proxy = Settings::new(IMPATIENT).backend("app", &app).start().await;
    let web: SocketAddr = proxy.address("web");
    let mut frames = Frames::connect(web, settings).await;
    frames.get(1, "/", &[]).await;
    take(&mut frames, room).await;
    (proxy, app, frames)
}

#[tokio::test]
async fn windows_that_open_without_room_keep_no_answer() {
    for (settings, stream, room) in [
        (&[(INITIAL_WINDOW, WINDOW_MAX >> 1)][..], 1, WINDOW),
        (&[(INITIAL_WINDOW, 1000)][..], 0, 1000),
    ] {
        let (proxy, _app, mut frames) = large(settings, room).await;
        trickle(&mut frames, stream).await;
        let line = proxy.logged("the answer", |line| line["path"] == "/").await;
        assert_eq!(line["reason"], "connection_write_timeout", "{line}");
        proxy.finish().await;
    }
}
