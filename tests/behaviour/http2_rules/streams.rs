//! Violations that end only a stream.

use super::{
    Case, FLOW_CONTROL_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, STREAM_CLOSED, WHOLE, WITH_PRIORITY,
    block, get, post, send, started, window,
};
use crate::harness::h2_frames::{
    DATA, END_HEADERS, END_STREAM, Frames, HEADERS, RESET, get_block, literal,
};

/// Each case resets its stream for its reason, and the next stream is served.
async fn each_ends_its_stream(cases: Vec<Case>) {
    let (proxy, app, gate) = started().await;
    for (what, sent, reason) in cases {
        let mut frames = Frames::connect(proxy.address("web"), &[]).await;
        send(&mut frames, &sent).await;
        let reset = frames.next_of(RESET).await.expect(what);
        assert_eq!((reset.stream, reset.number(0)), (1, reason), "{what}");
        send(&mut frames, &[get(3, "/next")]).await;
        let answer = frames.next_of(DATA).await.expect(what);
        assert_eq!(
            (answer.stream, &answer.payload[..]),
            (3, &b"app"[..]),
            "{what}"
        );
    }
    gate.open();
    let seen = app.seen().into_iter();
    let odd = seen.filter(|seen| seen.target != "/wait" && seen.target != "/next");
    assert_eq!(odd.count(), 0, "nothing malformed is passed on");
    proxy.finish().await;
}

#[tokio::test]
async fn heads_that_are_malformed() {
    let heads = [
        ":scheme http|:path /|:authority a",
        ":method GET|:path /|:authority a",
        ":method GET|:scheme http|:authority a",
        ":method GET|:scheme http|:path |:authority a",
        ":method GET|:scheme http|:path x/y|:authority a",
        ":method GET|:scheme 1http|:path /|:authority a",
        ":method G(T|:scheme http|:path /|:authority a",
        ":method GET|:scheme http|x y|:path /|:authority a",
        ":method GET|:protocol websocket|:scheme http|:path /|:authority a",
        ":method CONNECT|:protocol websocket|:scheme http|:authority a",
        ":method CONNECT|:path /|:authority a",
        "...|:path /x",
        "...|x y|:scheme http",
        "...|:status 200",
        "...|:x y",
        "...|X-A y",
        "...|Accept y",
        "...|x(a y",
        "...| y",
        "...|x a\r\nb: c",
        "...|x a\0b",
        "...|x  a",
        "...|x a ",
        "...|connection close",
        "...|upgrade websocket",
        "...|transfer-encoding chunked",
        "...|keep-alive 1",
        "...|proxy-connection close",
        "...|te gzip",
        "...|content-length +0",
        "...|content-length 0|content-length 0",
        "...|content-length 5",
    ];
    let cases = heads.map(|head| {
        let sent = vec![(HEADERS, WHOLE, 1, block(head))];
        (head, sent, PROTOCOL_ERROR)
    });
    each_ends_its_stream(cases.to_vec()).await;
}

#[tokio::test]
async fn bodies_that_are_malformed() {
    let body = |length: &str, data: &[u8], flags: u8| {
        let mut post = post(1, "/wait");
        post.3.extend(literal("content-length", length));
        vec![post, (DATA, flags, 1, data.to_vec())]
    };
    let trailers = |flags: u8, fields: &str| {
        let trailers = (HEADERS, END_HEADERS | flags, 1, block(fields));
        vec![post(1, "/wait"), trailers]
    };
    let cases = vec![
        ("less than its length", body("5", b"four", END_STREAM)),
        ("more than its length", body("3", b"four", 0)),
        ("trailers that are not its end", trailers(0, "x y")),
        ("a path in trailers", trailers(END_STREAM, ":path /")),
        ("upper case in trailers", trailers(END_STREAM, "X y")),
    ];
    let cases = cases.into_iter();
    let cases = cases.map(|(what, sent)| (what, sent, PROTOCOL_ERROR));
    each_ends_its_stream(cases.collect()).await;
}

#[tokio::test]
async fn frames_that_do_not_fit_the_stream() {
    let itself = [&[0, 0, 0, 1, 9][..], &get_block("/wait")].concat();
    let itself = (HEADERS, WHOLE | WITH_PRIORITY, 1, itself);
    let wait = || get(1, "/wait");
    let data = (DATA, 0, 1, b"more".to_vec());
    let trailers = (HEADERS, WHOLE, 1, block("x y"));
    each_ends_its_stream(vec![
        ("it depends on itself", vec![itself], PROTOCOL_ERROR),
        (
            "no wider window",
            vec![wait(), window(1, 0)],
            PROTOCOL_ERROR,
        ),
        (
            "a wide window",
            vec![wait(), window(1, 0x7fff_ffff)],
            FLOW_CONTROL_ERROR,
        ),
        ("data behind its end", vec![wait(), data], STREAM_CLOSED),
        (
            "trailers behind its end",
            vec![wait(), trailers],
            STREAM_CLOSED,
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_stream_too_many_may_be_tried_again() {
    let (proxy, app, gate) = started().await;
    let mut frames = Frames::connect(proxy.address("web"), &[]).await;
    for n in 0..21 {
        send(&mut frames, &[get(2 * n + 1, "/wait")]).await;
    }
    let reset = frames.next_of(RESET).await.expect("a reset");
    assert_eq!((reset.stream, reset.number(0)), (41, REFUSED_STREAM));
    gate.open();
    let mut ends = 0;
    while ends < 20 {
        let data = frames.next_of(DATA).await.expect("an answer");
        assert_ne!(data.stream, 41);
        ends += u8::from(data.flags & END_STREAM != 0);
    }
    send(&mut frames, &[get(43, "/wait")]).await;
    assert_eq!(frames.next_of(DATA).await.expect("an answer").stream, 43);
    assert_eq!(app.seen().len(), 21);
    proxy.finish().await;
}
