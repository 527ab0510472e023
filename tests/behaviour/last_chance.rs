//! Clients that have connected before a listener leaves, or before the drain begins, are still
//! answered.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

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

/// Returns the answer to a GET before the connection ends.
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

/// Clients of a unix socket that connect again and again, each for one request.
struct Crowd {
    threads: Vec<JoinHandle<()>>,
    told: Arc<Told>,
}

#[derive(Default)]
struct Told {
    enough: AtomicBool,
    served: AtomicUsize,
    /// Results that were neither an answer nor a refusal to connect.
    lost: Mutex<Vec<String>>,
}

impl Crowd {
    fn gather(socket: &Path, request: &'static str) -> Self {
        let told = Arc::<Told>::default();
        let threads = (0..8).map(|_| {
            let (told, socket) = (Arc::clone(&told), socket.to_owned());
            std::thread::spawn(move || {
                while !told.enough.load(SeqCst) {
                    told.come(&socket, request);
                }
            })
        });
        Self {
            threads: threads.collect(),
            told,
        }
    }

    /// Waits until so many more are served.
    async fn are_served(&self, count: usize) {
        let before = self.told.served.load(SeqCst);
        eventually("clients are served", || async {
            (self.told.served.load(SeqCst) >= before + count).then_some(())
        })
        .await;
    }

    fn leave(self) -> Vec<String> {
        self.told.enough.store(true, SeqCst);
        for thread in self.threads {
            thread.join().expect("a client");
        }
        std::mem::take(&mut *self.told.lost.lock().expect("the list"))
    }
}

impl Told {
    fn come(&self, socket: &Path, request: &str) {
        let refused = [ErrorKind::NotFound, ErrorKind::ConnectionRefused];
        match UnixStream::connect(socket) {
            Ok(stream) => match exchange(stream, request) {
                Ok(text) if text.starts_with("HTTP/1.1 200") => {
                    self.served.fetch_add(1, SeqCst);
                }
                other => self.lost(format!("{other:?}")),
            },
            Err(error) if refused.contains(&error.kind()) => std::thread::yield_now(),
            Err(error) => self.lost(format!("connect: {error}")),
        }
    }

    fn lost(&self, what: String) {
        self.lost.lock().expect("the list").push(what);
    }
}

fn exchange(mut stream: UnixStream, request: &str) -> std::io::Result<String> {
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

#[tokio::test]
async fn who_could_connect_to_a_unix_listener_that_leaves_is_answered() {
    let with = |unix: &str| {
        format!(
            "[listeners.web]\naddress = \"$web\"\n{unix}\
             [routes.all]\nrespond = {{ status = 200, body = \"here\" }}\n"
        )
    };
    let (there, gone) = (with("[listeners.unix]\naddress = \"unix:s\"\n"), with(""));
    let mut proxy = Settings::new(&there).start().await;
    let socket = proxy.folder().join("s");
    let request = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let crowd = Crowd::gather(&socket, request);
    for _ in 0..4 {
        crowd.are_served(50).await;
        proxy.reload(&gone).await;
        proxy.reload(&there).await;
    }
    crowd.are_served(50).await;
    proxy.signal(Signal::TERM);
    proxy.exited().await;
    let lost = crowd.leave();
    assert!(lost.is_empty(), "{} lost: {:?}", lost.len(), lost.first());
}

#[tokio::test]
async fn who_could_connect_to_the_admin_socket_as_the_process_ends_is_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("admin");
    let text = format!(
        "[admin]\naddress = \"unix:{}\"\n[listeners.unix]\naddress = \"unix:s\"\n\
         [routes.all]\nrespond = {{ status = 200 }}\n",
        socket.display()
    );
    let request = "GET /live HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    for _ in 0..4 {
        let mut proxy = Settings::new(&text).launch();
        let crowd = Crowd::gather(&socket, request);
        crowd.are_served(50).await;
        proxy.signal(Signal::TERM);
        proxy.exited().await;
        let lost = crowd.leave();
        assert!(lost.is_empty(), "{} lost: {:?}", lost.len(), lost.first());
    }
}
