//! Who has connected before a listener leaves, or before the drain begins, is still answered.

use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::harness::h2_frames::{DATA, Frames, GOAWAY, HEADERS};
use crate::harness::{Backend, Proxy, Settings, eventually, identity, within};

const TWO: &str = r#"
    [proxy]
    drain = { timeout = "30s" }
    [listeners.web]
    address = "$web"
    [listeners.other]
    address = "$other"
    protocols = ["http/1.1"]
    [routes.all]
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
"#;

async fn started() -> (Proxy, Backend) {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(TWO).backend("app", &app).start().await;
    (proxy, app)
}

/// Connections that say nothing yet, and that the proxy has taken.
async fn silent(proxy: &Proxy, name: &str, count: u32) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..count {
        let stream = TcpStream::connect(proxy.address(name)).await;
        streams.push(stream.expect("a connection"));
    }
    let listener = if name == "web" { "web" } else { "other" };
    eventually("the connections are taken", || async {
        let labels = [("listener", listener)];
        let open = proxy.metric("sluicegate_connections", &labels).await;
        (open > f64::from(count) - 0.5).then_some(())
    })
    .await;
    streams
}

/// Waits until so many connections are about to be closed.
async fn are_closing(proxy: &Proxy, count: usize) {
    eventually("the connections are closing", || async {
        let views = proxy.admin("GET", "/connections", "").await?.text();
        let views: serde_json::Value = serde_json::from_str(&views).ok()?;
        let closing = views.to_string().matches("\"closing\":true").count();
        (closing >= count).then_some(())
    })
    .await;
}

/// What a GET is answered with before the connection ends.
async fn answer_on(
    mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
) -> String {
    let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let _ = stream.write_all(request).await;
    let mut text = Vec::new();
    let read = within("the end", stream.read_to_end(&mut text)).await;
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(read.is_ok(), "{read:?} behind {text:?}");
    text
}

fn is_last(text: &str) -> bool {
    text.starts_with("HTTP/1.1 200") && text.contains("connection: close") && text.ends_with("app")
}

#[tokio::test]
async fn clients_that_have_not_spoken_when_the_drain_begins_are_answered() {
    let (mut proxy, _app) = started().await;
    let mut web = silent(&proxy, "web", 4).await;
    let other = silent(&proxy, "other", 4).await;
    proxy.signal(Signal::TERM);
    are_closing(&proxy, 8).await;
    let mut frames = Frames::over(web.pop().expect("a connection")).await;
    frames.settings(&[]).await;
    assert!(frames.get(1, "/", &[]).await);
    let answers: JoinSet<String> = web.into_iter().chain(other).map(answer_on).collect();
    for answer in answers.join_all().await {
        assert!(is_last(&answer), "{answer:?}");
    }
    let mut kinds = Vec::new();
    while let Some(frame) = frames.next().await {
        kinds.push(frame.kind);
    }
    for kind in [HEADERS, DATA, GOAWAY] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    proxy.exited().await;
}

#[tokio::test]
async fn clients_that_have_not_spoken_when_their_listener_leaves_are_answered() {
    let (mut proxy, _app) = started().await;
    let other = silent(&proxy, "other", 4).await;
    let at = TWO.find("[listeners.other]").expect("the listener");
    let end = TWO.find("[routes.all]").expect("the next");
    proxy
        .reload(&format!("{}{}", &TWO[..at], &TWO[end..]))
        .await;
    let answers: JoinSet<String> = other.into_iter().map(answer_on).collect();
    for answer in answers.join_all().await {
        assert!(is_last(&answer), "{answer:?}");
    }
    proxy.finish().await;
}
