//! Violations that end the connection.

use std::time::Duration;

use tokio::net::TcpSocket;

use super::{
    ALL, COMPRESSION_ERROR, Case, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, PADDED, PROTOCOL_ERROR,
    STREAM_CLOSED, WHOLE, WITH_PRIORITY, end_of, get, one, post, send, setting, started, window,
};
use crate::harness::h2_frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, PING, PRIORITY,
    PUSH_PROMISE, RESET, SETTINGS, WINDOW_UPDATE, get_block,
};
use crate::harness::{Backend, Proxy, Settings, answer, within};

/// Each case ends its connection for its reason, and no other.
async fn each_ends_its_connection(cases: Vec<Case>) {
    let (proxy, _app, gate) = started().await;
    for (what, sent, reason) in cases {
        let mut frames = Frames::connect(proxy.address("web"), &[]).await;
        send(&mut frames, &sent).await;
        assert_eq!(end_of(&mut frames).await, reason, "{what}");
    }
    gate.open();
    assert_eq!(proxy.get("/").await.text(), "app");
    proxy.finish().await;
}

#[tokio::test]
async fn frames_that_do_not_have_the_size_of_their_kind() {
    let no_length = (DATA, PADDED, 1, Vec::new());
    let cases = vec![
        ("padding", vec![post(1, "/wait"), no_length]),
        ("a head", one(HEADERS, WHOLE | WITH_PRIORITY, 1, &[0; 4])),
        ("a priority", one(PRIORITY, 0, 1, &[0; 4])),
        ("a reset", vec![get(1, "/"), (RESET, 0, 1, vec![0; 3])]),
        ("half a setting", one(SETTINGS, 0, 0, &[0; 5])),
        ("settings in an answer", one(SETTINGS, 1, 0, &[0; 6])),
        ("a ping", one(PING, 0, 0, &[0; 7])),
        ("a window", one(WINDOW_UPDATE, 0, 0, &[0; 3])),
        ("more than was agreed on", one(PING, 0, 0, &[0; 16_385])),
    ];
    let cases = cases.into_iter();
    let cases = cases.map(|(what, sent)| (what, sent, FRAME_SIZE_ERROR));
    each_ends_its_connection(cases.collect()).await;
}

#[tokio::test]
async fn frames_on_streams_that_they_cannot_be_of() {
    let cases = vec![
        ("data of none", one(DATA, 0, 0, b"x")),
        ("data of an idle one", one(DATA, 0, 1, b"x")),
        ("a head of none", vec![get(0, "/")]),
        ("a head of a stream of the server", vec![get(2, "/")]),
        ("a priority of none", one(PRIORITY, 0, 0, &[0; 5])),
        ("a reset of none", one(RESET, 0, 0, &[0; 4])),
        ("a reset of an idle one", one(RESET, 0, 1, &[0; 4])),
        ("settings of one", one(SETTINGS, 0, 1, &[])),
        ("a push", one(PUSH_PROMISE, 0, 1, &[0, 0, 0, 2])),
        ("a ping of one", one(PING, 0, 1, &[0; 8])),
        ("a farewell of one", one(GOAWAY, 0, 1, &[0; 8])),
        ("a window of an idle one", vec![window(1, 1)]),
        ("the rest of nothing", one(CONTINUATION, 0, 1, &[])),
    ];
    let cases = cases.into_iter();
    let cases = cases.map(|(what, sent)| (what, sent, PROTOCOL_ERROR));
    each_ends_its_connection(cases.collect()).await;
}

#[tokio::test]
async fn settings_and_windows_out_of_bounds() {
    let set = |name, value| (SETTINGS, 0, 0, setting(name, value));
    each_ends_its_connection(vec![
        ("neither push nor none", vec![set(2, 2)], PROTOCOL_ERROR),
        ("a window", vec![set(4, 1 << 31)], FLOW_CONTROL_ERROR),
        ("small frames", vec![set(5, 16_383)], PROTOCOL_ERROR),
        ("large frames", vec![set(5, 1 << 24)], PROTOCOL_ERROR),
        ("no wider window", vec![window(0, 0)], PROTOCOL_ERROR),
        (
            "a wide window",
            vec![window(0, STREAM_MAX)],
            FLOW_CONTROL_ERROR,
        ),
        (
            "a window of a stream that the settings widen too far",
            vec![get(1, "/wait"), window(1, 0x7fff_0000), set(4, 0x2_0000)],
            FLOW_CONTROL_ERROR,
        ),
    ])
    .await;
}

#[tokio::test]
async fn field_blocks_that_are_cut_up_padded_or_coded_wrong() {
    let begun = || (HEADERS, END_STREAM, 1, get_block("/"));
    let coded = |bytes: &[u8]| {
        let block = [&get_block("/")[..], bytes].concat();
        vec![(HEADERS, WHOLE, 1, block)]
    };
    let other = (CONTINUATION, END_HEADERS, 3, Vec::new());
    let padding = (DATA, PADDED, 1, b"\x05data".to_vec());
    let large = one(HEADERS, WHOLE, 1, &[0x3f, 0xe2, 0x1f]);
    each_ends_its_connection(vec![
        (
            "padded too far",
            one(HEADERS, WHOLE | PADDED, 1, b"\xff\x82"),
            PROTOCOL_ERROR,
        ),
        (
            "data padded too far",
            vec![post(1, "/wait"), padding],
            PROTOCOL_ERROR,
        ),
        (
            "a ping within",
            vec![begun(), (PING, 0, 0, vec![0; 8])],
            PROTOCOL_ERROR,
        ),
        (
            "data within",
            vec![begun(), (DATA, 0, 1, vec![0; 5000])],
            PROTOCOL_ERROR,
        ),
        ("the rest of another", vec![begun(), other], PROTOCOL_ERROR),
        ("no index", coded(&[0x80]), COMPRESSION_ERROR),
        (
            "an index of nothing",
            coded(&[0xff, 0x10]),
            COMPRESSION_ERROR,
        ),
        (
            "a text that breaks off",
            coded(&[0x00, 0x05, b'x']),
            COMPRESSION_ERROR,
        ),
        ("a table too large", large, COMPRESSION_ERROR),
    ])
    .await;
}

#[tokio::test]
async fn heads_on_streams_that_have_been() {
    let (proxy, _app, _gate) = started().await;
    for skipped in [true, false] {
        let mut frames = Frames::connect(proxy.address("web"), &[]).await;
        send(&mut frames, &[get(3, "/")]).await;
        let answer = frames.next_of(DATA).await.expect("an answer");
        assert_eq!((answer.stream, answer.flags), (3, END_STREAM));
        send(&mut frames, &[get(if skipped { 1 } else { 3 }, "/")]).await;
        assert_eq!(end_of(&mut frames).await, STREAM_CLOSED);
    }
    proxy.finish().await;
}

#[tokio::test]
async fn the_preface_comes_first_and_settings_behind_it() {
    let (proxy, _app, _gate) = started().await;
    let mut frames = Frames::without_settings(proxy.address("web")).await;
    send(&mut frames, &[(PING, 0, 0, vec![0; 8])]).await;
    assert_eq!(end_of(&mut frames).await, PROTOCOL_ERROR);
    proxy.finish().await;
}

/// The highest number of a stream, and the widest window.
const STREAM_MAX: u32 = 0x7fff_ffff;

/// A client that has asked for more than the sockets hold and does not read it yet.
async fn not_reading(proxy: &Proxy) -> Frames {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_send_buffer_size(16 * 1024).expect("a size");
    socket.set_recv_buffer_size(16 * 1024).expect("a size");
    let stream = socket.connect(proxy.address("web")).await;
    let mut frames = Frames::over(stream.expect("a connection")).await;
    frames.settings(&[(4, 0x7fff_ffff)]).await;
    send(&mut frames, &[window(0, 0x7000_0000), get(1, "/large")]).await;
    // Until the proxy cannot write any more.
    tokio::time::sleep(Duration::from_millis(300)).await;
    frames
}

async fn large() -> (Proxy, Backend) {
    let app = Backend::start(|seen| match seen.target.as_str() {
        "/large" => answer(&"x".repeat(8 * 1024 * 1024)),
        _ => answer("taken"),
    })
    .await;
    (Settings::new(ALL).backend("app", &app).start().await, app)
}

#[tokio::test]
async fn who_reads_only_when_all_is_written_is_still_told() {
    let (proxy, _app) = large().await;
    let mut frames = not_reading(&proxy).await;
    // More than the sockets hold: it goes out only when the proxy reads.
    for _ in 0..40 {
        let sent = frames.send(DATA, 0, 0, &[0; 16_384]);
        assert!(within("a frame", sent).await, "the connection is reset");
    }
    assert_eq!(end_of(&mut frames).await, PROTOCOL_ERROR);
    proxy.finish().await;
}

#[tokio::test]
async fn who_reads_only_when_all_is_written_is_served() {
    let (proxy, app) = large().await;
    let mut frames = not_reading(&proxy).await;
    let streams = [3, 5, 7];
    for stream in streams {
        send(&mut frames, &[post(stream, "/")]).await;
        for piece in 0..15 {
            let end = if piece == 14 { END_STREAM } else { 0 };
            let sent = frames.send(DATA, end, stream, &[b'x'; 16_384]);
            assert!(within("a frame", sent).await, "the connection is reset");
        }
    }
    let mut answered = Vec::new();
    while answered.len() < streams.len() {
        let data = frames.next_of(DATA).await.expect("data");
        if data.stream != 1 && !data.payload.is_empty() {
            assert_eq!(data.payload, b"taken");
            answered.push(data.stream);
        }
    }
    answered.sort_unstable();
    assert_eq!(answered, streams);
    assert_eq!(app.count_of("POST", "/"), 3);
    proxy.finish().await;
}
