//! A target has one verdict, whatever the protocol, and reaches the endpoint byte for byte.

use std::collections::BTreeSet;

use crate::harness::h2_frames::{END_HEADERS, END_STREAM, Frames, HEADERS, get_block};
use crate::harness::{Backend, H2Act, H2Backend, Proxy, Settings, identity};

const ALL: &str = r#"
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    [routes.moved]
    path_prefix = "/moved"
    rewrite = { strip_prefix = "/moved" }
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
"#;

/// The first byte of a field block with this status.
fn indexed(status: u16) -> u8 {
    match status {
        200 => 0x88,
        400 => 0x8c,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_target_has_the_same_verdict_over_both_protocols() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut frames = Frames::connect(proxy.address("web"), &[]).await;
    let mut stream = 1;
    let mut targets: Vec<(String, u16)> = Vec::new();
    for odd in [
        "\"", "<", ">", "`", "^", "|", "{", "}", "é", "\u{80}", "[", "'",
    ] {
        targets.push((format!("/a{odd}b"), 200));
        targets.push((format!("/a?b{odd}c"), 200));
    }
    for refused in ["/a#b", "/a?b#c", "/a\\b"] {
        targets.push((refused.to_owned(), 400));
    }
    targets.push(("/a?b\\c".to_owned(), 200));
    for (target, status) in targets {
        let before = app.count();
        let mut client = proxy.raw_client().await;
        client
            .send(format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n"))
            .await;
        assert_eq!(client.answer().await.status, status, "1.1 {target:?}");
        frames.get(stream, &target, &[]).await;
        let head = frames.next_of(HEADERS).await.unwrap();
        assert_eq!(head.stream, stream);
        assert_eq!(head.payload[0], indexed(status), "h2 {target:?}");
        stream += 2;
        let seen = app.seen().split_off(before);
        assert_eq!(seen.len(), if status == 200 { 2 } else { 0 });
        let bytes: String = target.bytes().map(char::from).collect();
        for seen in seen {
            assert_eq!(seen.target, bytes, "byte for byte");
        }
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_query_stays_as_it_came_behind_a_path_that_is_rewritten() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let answer = proxy.get("/moved/x?a=\"<b>\"").await;
    assert_eq!(answer.status, 200);
    assert_eq!(app.only().target, "/x?a=\"<b>\"");
    proxy.finish().await;
}

/// The status of a GET of these bytes, over HTTP/1.1 or HTTP/2; each on a connection of its own,
/// since a refusal may end it.
async fn status_of(proxy: &Proxy, version: u8, target: &[u8]) -> u16 {
    if version == 1 {
        let mut client = proxy.raw_client().await;
        let request = [b"GET ", target, b" HTTP/1.1\r\nhost: a\r\n\r\n"].concat();
        client.send(request).await;
        return client.answer().await.status;
    }
    let mut frames = Frames::connect(proxy.address("web"), &[]).await;
    // The path is written over a text of the same length.
    let mut block = get_block(&"~".repeat(target.len()));
    let at = block.iter().position(|byte| *byte == b'~').unwrap();
    block[at..at + target.len()].copy_from_slice(target);
    frames
        .send(HEADERS, END_HEADERS | END_STREAM, 1, &block)
        .await;
    let head = frames.next_of(HEADERS).await.unwrap();
    match head.payload[0] {
        0x88 => 200,
        0x8c => 400,
        other => panic!("{other:#x} for {target:?}"),
    }
}

#[tokio::test]
async fn each_byte_of_a_target_has_one_verdict_for_all_pairs_of_protocols() {
    let one = Backend::start(identity("app")).await;
    let two = H2Backend::start(|_| vec![H2Act::Head(200, Vec::new()), H2Act::End]).await;
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.one]
        path_prefix = "/1"
        pool = "one"
        [routes.two]
        path_prefix = "/2"
        pool = "two"
        [pools.one]
        endpoints = ["$one"]
        [pools.two]
        endpoints = ["$two"]
        protocol = "h2"
        "#,
    )
    .backend("one", &one)
    .address("two", two.address())
    .start()
    .await;
    // `?` begins the query, and `%` needs digits behind it.
    let bytes = (0..=255_u8).filter(|byte| !b"?%".contains(byte));
    // What an HTTP/2 endpoint gets percent-encoded, in the path and in the query.
    let mut encoded = [BTreeSet::new(), BTreeSet::new()];
    for byte in bytes {
        for (place, before) in [&b"/a"[..], b"/a?b"].iter().enumerate() {
            let refused = byte <= b' ' || byte == 0x7f || byte == b'#';
            // It could be a slash.
            let refused = refused || (byte == b'\\' && place == 0);
            for (pool, version) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
                let prefix = format!("/{pool}");
                let target = [prefix.as_bytes(), before, &[byte], b"c"].concat();
                let seen = || match pool {
                    1 => one.seen().last().map(|it| (one.count(), it.target.clone())),
                    _ => two
                        .seen()
                        .last()
                        .map(|it| (two.seen().len(), it.target.clone())),
                };
                let count = seen().map_or(0, |(count, _)| count);
                let status = status_of(&proxy, version, &target).await;
                let expected = if refused { 400 } else { 200 };
                assert_eq!(
                    status, expected,
                    "{version} to {pool}: {byte:#x} at {place}"
                );
                if refused {
                    assert_eq!(seen().map_or(0, |(count, _)| count), count);
                    continue;
                }
                let (_, arrived) = seen().unwrap();
                let sent: String = target.iter().copied().map(char::from).collect();
                if arrived != sent {
                    let text = sent.replace(char::from(byte), &format!("%{byte:02X}"));
                    assert_eq!(
                        (pool, arrived),
                        (2, text),
                        "{version}: {byte:#x} at {place}"
                    );
                    encoded[place].insert(byte);
                }
            }
        }
    }
    // The crate `http`, by which requests to such endpoints are made, holds no others raw.
    let high = 0x80..=0xff_u8;
    let path: BTreeSet<u8> = b"<>`".iter().copied().chain(high.clone()).collect();
    let query: BTreeSet<u8> = b"\"<>".iter().copied().chain(high).collect();
    assert_eq!(encoded, [path, query]);
    proxy.finish().await;
}
