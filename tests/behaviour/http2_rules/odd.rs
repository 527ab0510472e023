//! Input that is only odd, and input that is only large.

use super::{ALL, PADDED, WHOLE, WITH_PRIORITY, post, send, setting, started, window};
use crate::harness::h2_frames::{
    DATA, END_HEADERS, END_STREAM, Frames, HEADERS, PING, PRIORITY, RESET, SETTINGS, get_block,
    literal,
};
use crate::harness::{Backend, Settings};

#[tokio::test]
async fn what_is_only_odd_is_borne() {
    let (proxy, _app, _gate) = started().await;
    let mut frames = Frames::connect(proxy.address("web"), &[]).await;
    let mut padded = vec![4, 0, 0, 0, 0, 9];
    padded.extend(get_block("/"));
    padded.extend([0; 4]);
    let sent = [
        (99, 0xff, 0, b"a kind that is not known".to_vec()),
        (99, 0, 7, Vec::new()),
        (SETTINGS, 0, 0, setting(0xbeef, 7)),
        (SETTINGS, 1, 0, Vec::new()),
        (PRIORITY, 0, 9, vec![0, 0, 0, 3, 1]),
        (PING, 1, 0, b"no ping!".to_vec()),
        (HEADERS, WHOLE | PADDED | WITH_PRIORITY, 1, padded),
    ];
    send(&mut frames, &sent).await;
    let answer = frames.next_of(DATA).await.expect("an answer");
    assert_eq!((answer.stream, &answer.payload[..]), (1, &b"app"[..]));
    let late = [
        window(1, 5),
        (RESET, 0, 1, vec![0; 4]),
        // The highest bit of a stream has no meaning.
        (HEADERS, WHOLE, 0x8000_0003, get_block("/")),
    ];
    send(&mut frames, &late).await;
    let answer = frames.next_of(DATA).await.expect("an answer");
    assert_eq!(answer.stream, 3);
    // A body in pieces of every kind.
    let mut post = post(5, "/");
    post.3.extend(literal("content-length", "8"));
    let body = [
        post,
        (DATA, 0, 5, Vec::new()),
        (DATA, PADDED, 5, b"\x03body\0\0\0".to_vec()),
        (DATA, PADDED, 5, b"\x02\0\0".to_vec()),
        (DATA, END_STREAM, 5, b"more".to_vec()),
    ];
    send(&mut frames, &body).await;
    let answer = frames.next_of(DATA).await.expect("an answer");
    assert_eq!(answer.stream, 5);
    proxy.finish().await;
}

#[tokio::test]
async fn long_heads_go_in_several_frames_both_ways() {
    let app = Backend::start(|seen| {
        let echoed = seen.field("x-long").to_owned();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-long: {echoed}\r\n\r\n");
        crate::harness::answer_bytes(&head)
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.h2_client().await;
    // Bytes that no code makes shorter.
    let long: String = (0..40_000)
        .map(|n| if n % 3 == 0 { '~' } else { '{' })
        .collect();
    let answer = client.request("GET", "/", &[("x-long", &long)], b"").await;
    let answer = answer.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.fields.get("x-long").map(str::len), Some(long.len()));
    assert_eq!(answer.fields.get("x-long"), Some(long.as_str()));
    proxy.finish().await;
}

#[tokio::test]
async fn who_waits_for_leave_to_send_a_body_gets_it() {
    let (proxy, app, _gate) = started().await;
    let mut frames = Frames::connect(proxy.address("web"), &[]).await;
    let mut post = post(1, "/");
    post.3.extend(literal("expect", "100-continue"));
    post.3.extend(literal("content-length", "4"));
    send(&mut frames, &[post]).await;
    let leave = frames.next_of(HEADERS).await.expect("leave");
    assert_eq!(leave.flags, END_HEADERS, "not the end");
    // `:status` with the name of the eighth field, and 100 in whatever form.
    assert_eq!(leave.payload[0], 0x48, "{:x?}", leave.payload);
    send(&mut frames, &[(DATA, END_STREAM, 1, b"body".to_vec())]).await;
    let answer = frames.next_of(DATA).await.expect("an answer");
    assert_eq!(&answer.payload[..], b"app");
    assert_eq!(app.only().body, b"body");
    proxy.finish().await;
}

#[tokio::test]
async fn who_says_everything_at_once_need_say_nothing_more() {
    let (proxy, _app, _gate) = started().await;
    let block = get_block("/");
    let length = u8::try_from(block.len()).unwrap();
    let said = [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        &[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0],
        &[0, 0, length, HEADERS, WHOLE, 0, 0, 0, 1],
        &block,
    ];
    let mut client = proxy.raw_client().await;
    client.send(said.concat()).await;
    let mut heard = Vec::new();
    while !heard.ends_with(b"app") {
        let byte = client.bytes(1).await;
        heard.extend(byte.expect("the rest of an answer"));
    }
    drop(client);
    proxy.finish().await;
}
