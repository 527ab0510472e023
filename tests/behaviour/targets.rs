//! A target has one verdict, whatever the protocol, and reaches the endpoint byte for byte.

use crate::harness::h2_frames::{Frames, HEADERS};
use crate::harness::{Backend, Settings, identity};

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
