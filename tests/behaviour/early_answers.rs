//! An answer that is complete before its request reaches the client, and says what becomes of
//! the connection.

use std::future::poll_fn;
use std::time::Duration;

use tokio::time::Instant;

use crate::harness::h2_frames::{
    DATA, END_HEADERS, END_STREAM, Frames, HEADERS, PING, RESET, get_block, literal,
};
use crate::harness::{Act, Backend, End, Gate, Proxy, Settings, answer, within};

const ALL: &str = r#"
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    body_max = false
    [routes.fixed]
    path = "/fixed"
    respond = { status = 413 }
    [pools.app]
    endpoints = ["$app"]
"#;

/// An endpoint that answers at once and reads no byte of a body.
async fn started() -> (Proxy, Backend) {
    let never = Gate::new();
    let app = Backend::start(move |seen| {
        let status = match (seen.method.as_str(), seen.target.as_str()) {
            ("GET", _) => return answer("app"),
            (_, "/static") => "405 Method Not Allowed",
            (_, "/fine") => "200 OK",
            _ => "413 Content Too Large",
        };
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno");
        vec![Act::Send(head.into_bytes()), Act::Wait(never.clone())]
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    (proxy, app)
}

fn post_block(target: &str) -> Vec<u8> {
    let mut block = get_block(target);
    block[0] = 0x83;
    block
}

/// Status and exit code of one run of curl with these arguments.
async fn curl(proxy: &Proxy, target: &str, arguments: &[&str]) -> (String, Option<i32>) {
    let url = format!("http://{}{target}", proxy.address("web"));
    let mut command = std::process::Command::new("curl");
    let quiet = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "-m", "9"];
    command.args(quiet).args(arguments).arg(url);
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = within("the end of curl", output)
        .await
        .expect("no panic")
        .expect("curl");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (text, output.status.code())
}

#[tokio::test]
async fn over_http2_the_reset_does_not_come_with_the_answer() {
    let (proxy, _app) = started().await;
    let mut frames = Frames::connect(proxy.address("web"), &[]).await;
    let block = post_block("/upload");
    frames.send(HEADERS, END_HEADERS, 1, &block).await;
    while frames.next_of(DATA).await.expect("the answer").flags & END_STREAM == 0 {}
    let answered = Instant::now();
    // What is within the window is thrown away.
    for _ in 0..15 {
        assert!(frames.send(DATA, 0, 1, &[b'x'; 16_384]).await);
    }
    // Others go on.
    assert!(frames.get(3, "/", &[]).await);
    assert_eq!(frames.next_of(HEADERS).await.expect("an answer").stream, 3);
    let reset = frames.next_of(RESET).await.expect("a reset");
    assert_eq!((reset.stream, reset.number(0)), (1, 0), "{reset:?}");
    assert!(answered.elapsed() > Duration::from_millis(500));
    // Who comes to an end meanwhile is not reset.
    frames.send(HEADERS, END_HEADERS, 5, &block).await;
    while frames.next_of(DATA).await.expect("the answer").stream != 5 {}
    frames.send(DATA, END_STREAM, 5, b"x").await;
    assert!(frames.get(7, "/", &[]).await);
    assert_eq!(frames.next_of(HEADERS).await.expect("an answer").stream, 7);
    drop(frames);
    proxy.finish().await;
}

#[tokio::test]
async fn who_ends_behind_a_whole_answer_hears_of_it() {
    let (proxy, _app) = started().await;
    let mut frames = Frames::connect(proxy.address("web"), &[]).await;
    let mut block = post_block("/upload");
    block.extend(literal("content-length", "1000"));
    frames.send(HEADERS, END_HEADERS, 1, &block).await;
    while frames.next_of(DATA).await.expect("the answer").flags & END_STREAM == 0 {}
    // Fewer than announced: the client has given its upload up.
    frames.send(DATA, END_STREAM, 1, b"x").await;
    let next = frames.next().await.expect("a frame");
    assert_eq!((next.kind, next.flags), (PING, 0), "{next:?}");
    drop(frames);
    proxy.finish().await;
}

#[tokio::test]
async fn who_gives_an_upload_up_behind_the_head_of_an_answer_gets_the_rest_of_it() {
    let gate = Gate::new();
    let held = gate.clone();
    let app = Backend::start(move |_| {
        let head = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 4\r\n\r\nno".to_vec();
        vec![
            Act::Send(head),
            Act::Wait(held.clone()),
            Act::Send(b"pe".to_vec()),
            Act::Stall,
        ]
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut frames = Frames::connect(proxy.address("web"), &[]).await;
    let mut block = post_block("/upload");
    block.extend(literal("content-length", "1000"));
    frames.send(HEADERS, END_HEADERS, 1, &block).await;
    assert_eq!(frames.next_of(DATA).await.expect("data").payload, b"no");
    frames.send(DATA, END_STREAM, 1, b"x").await;
    // What follows is read behind that.
    assert!(frames.send(PING, 0, 0, b"in order").await);
    while frames.next_of(PING).await.expect("an answer").payload != b"in order" {}
    gate.open();
    let rest = frames.next().await.expect("the rest");
    assert_eq!((rest.kind, &rest.payload[..]), (DATA, &b"pe"[..]));
    assert_eq!(rest.flags & END_STREAM, END_STREAM);
    // The endpoint has not been told that the body is whole.
    let seen = app.only();
    assert!(!seen.complete, "{seen:?}");
    drop(frames);
    proxy.finish().await;
}

#[tokio::test]
async fn who_gives_up_requests_that_are_answered_is_no_flood() {
    let (proxy, _app) = started().await;
    let mut frames = Frames::connect(proxy.address("web"), &[]).await;
    let block = post_block("/upload");
    let mut last = 1;
    for _ in 0..25 {
        let streams: Vec<u32> = (0..100).map(|n| last + 2 * n).collect();
        last += 200;
        let head = |stream: &u32| (HEADERS, END_HEADERS, *stream, block.clone());
        let heads: Vec<_> = streams.iter().map(head).collect();
        assert!(frames.send_all(&heads).await);
        for _ in &streams {
            while frames.next_of(DATA).await.expect("the answer").flags & END_STREAM == 0 {}
        }
        let cancel = 8_u32.to_be_bytes().to_vec();
        let reset = |stream: &u32| (RESET, 0, *stream, cancel.clone());
        let resets: Vec<_> = streams.iter().map(reset).collect();
        assert!(frames.send_all(&resets).await);
    }
    drop(frames);
    proxy.finish().await;
}

#[tokio::test]
async fn curl_gets_each_answer_that_comes_before_its_upload_ends() {
    let (proxy, _app) = started().await;
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large");
    std::fs::write(&large, vec![b'x'; 30 * 1024 * 1024]).unwrap();
    let large = format!("@{}", large.display());
    for version in ["--http2-prior-knowledge", "--http1.1"] {
        for _ in 0..40 {
            let (status, _) = curl(&proxy, "/static", &[version, "-d", "x"]).await;
            assert_eq!(status, "405", "{version}");
        }
        for _ in 0..4 {
            let post = [version, "-H", "expect:", "--data-binary", &large];
            let (status, code) = curl(&proxy, "/upload", &post).await;
            assert_eq!((&*status, code), ("413", Some(0)), "{version}");
            let chunked = [version, "-H", "expect:", "-H", "transfer-encoding: chunked"];
            let chunked = [&chunked[..], &["--data-binary", &large]].concat();
            let (status, code) = curl(&proxy, "/upload", &chunked).await;
            assert_eq!((&*status, code), ("413", Some(0)), "{version}, chunked");
        }
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_client_of_http2_may_go_on_to_the_end_of_its_upload() {
    let (proxy, _app) = started().await;
    for target in ["/fine", "/upload"] {
        let mut client = proxy.h2_client().await;
        let opened = client.open("POST", target, &[], false).await;
        let (response, mut upload) = opened.expect("a stream");
        let answered = response.await.expect("an answer");
        assert_eq!(answered.status(), if target == "/fine" { 200 } else { 413 });
        // All of it, within the windows that open for it; a reset would end this early.
        let mut left = 4 * 1024 * 1024;
        while left > 0 {
            upload.reserve_capacity(left);
            let room = poll_fn(|cx| upload.poll_capacity(cx));
            let room = within("room for more", room).await.expect("no reset");
            let room = room.expect("no reset").min(left);
            upload
                .send_data(vec![b'x'; room].into(), room == left)
                .expect("no reset");
            left -= room;
        }
    }
    proxy.finish().await;
}

#[tokio::test]
async fn who_reads_only_behind_a_whole_upload_gets_the_answer() {
    const LENGTH: usize = 30 * 1024 * 1024;
    let (proxy, _app) = started().await;
    for chunked in [false, true] {
        let mut client = proxy.raw_client().await;
        let framing = if chunked {
            "transfer-encoding: chunked".to_owned()
        } else {
            format!("content-length: {LENGTH}")
        };
        let head = format!("POST /upload HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n");
        client.send(&head).await;
        let piece = [
            b"10000\r\n".to_vec(),
            vec![b'x'; 0x1_0000],
            b"\r\n".to_vec(),
        ]
        .concat();
        for _ in 0..LENGTH / 0x1_0000 {
            let piece = if chunked {
                &piece[..]
            } else {
                &piece[7..0x1_0007]
            };
            client.send(piece).await;
        }
        if chunked {
            client.send("0\r\n\r\n").await;
        }
        let answer = client.answer_to("POST").await;
        assert_eq!((answer.status, answer.end), (413, End::Complete));
        assert_eq!(answer.field("connection"), "close");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn an_early_answer_says_whether_the_connection_goes_on() {
    let (proxy, app) = started().await;
    for (target, fields, sent, rest, goes_on) in [
        ("/", "content-length: 5", "he", "llo", true),
        ("/", "content-length: 1000000", "he", "", false),
        ("/", CHUNKED, "2\r\nhe\r\n", "", false),
        ("/", CHUNKED, "2\r\nhe\r\n0\r\n\r\n", "", true),
        // Nobody knows whether the body follows.
        (
            "/fixed",
            "content-length: 5\r\nexpect: 100-continue",
            "",
            "",
            false,
        ),
    ] {
        let mut client = proxy.client().await;
        let head = format!("POST {target} HTTP/1.1\r\nhost: a\r\n{fields}\r\n\r\n{sent}");
        client.send(&head).await;
        let answer = client.answer_to("POST").await;
        assert_eq!(answer.status, 413, "{fields}");
        if goes_on {
            assert_ne!(answer.field("connection"), "close", "{fields}");
            client.send(rest).await;
            assert_eq!(client.get("/").await.text(), "app", "{fields}");
        } else {
            assert_eq!(answer.field("connection"), "close", "{fields}");
        }
    }
    drop(app);
    proxy.finish().await;
}

const CHUNKED: &str = "transfer-encoding: chunked";
