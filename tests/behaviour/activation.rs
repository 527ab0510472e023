//! Under a service manager: sockets come from it and outlive the process, and it is told
//! what the process does.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixDatagram, UnixStream};
use tokio::time::timeout;

use crate::harness::{Backend, Client, Settings, identity};

const ALL: &str = r#"
    [proxy]
    workers = 3
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
"#;

/// A listening socket as a manager holds it; its address is in use for everybody else.
fn held() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

#[tokio::test]
async fn a_client_that_comes_between_two_processes_is_served_by_the_second() {
    let app = Backend::start(identity("app")).await;
    let socket = held();
    let start = async || {
        Settings::new(ALL)
            .backend("app", &app)
            .address("web", socket.local_addr().unwrap())
            .socket(socket.try_clone().unwrap())
            .start()
            .await
    };
    let mut first = start().await;
    for _ in 0..10 {
        assert_eq!(first.get("/").await.text(), "app");
    }
    first.signal(Signal::TERM);
    assert!(first.exited().await.success());
    let mut client = Client::connect(socket.local_addr().unwrap()).await;
    client
        .send("GET /between HTTP/1.1\r\nhost: a\r\n\r\n")
        .await;
    let second = start().await;
    assert_eq!(client.answer().await.text(), "app");
    assert_eq!(app.count_of("GET", "/between"), 1);
    second.finish().await;
}

#[tokio::test]
async fn a_listener_that_leaves_and_returns_takes_the_same_socket_again() {
    let app = Backend::start(identity("app")).await;
    let socket = held();
    let mut proxy = Settings::new(ALL)
        .backend("app", &app)
        .address("web", socket.local_addr().unwrap())
        .socket(socket.try_clone().unwrap())
        .start()
        .await;
    assert_eq!(proxy.get("/").await.status, 200);
    proxy
        .reload(&ALL.replace("address = \"$web\"", "address = \"$other\""))
        .await;
    let mut other = proxy.client_of("other").await;
    assert_eq!(other.get("/").await.status, 200, "its own socket");
    // The kernel still takes connections for the socket, which wait there.
    let mut waiting = proxy.client().await;
    waiting.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    proxy.reload(ALL).await;
    assert_eq!(waiting.answer().await.text(), "app");
    proxy.finish().await;
}

#[tokio::test]
async fn the_file_of_a_unix_socket_that_was_given_stays() {
    let app = Backend::start(identity("app")).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("given.sock");
    let socket = UnixListener::bind(&path).unwrap();
    let text = ALL.replace("$web", &format!("unix:{}", path.display()));
    let mut proxy = Settings::new(&text)
        .backend("app", &app)
        .socket(socket)
        .start()
        .await;
    let mut stream = UnixStream::connect(&path).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    proxy.signal(Signal::TERM);
    assert!(proxy.exited().await.success());
    assert!(path.exists());
}

#[tokio::test]
async fn sockets_that_nobody_wants_or_another_process_was_given_change_nothing() {
    let app = Backend::start(identity("app")).await;
    let socket = held();
    let address = socket.local_addr().unwrap();
    let proxy = Settings::new(ALL)
        .backend("app", &app)
        .socket(socket)
        .start()
        .await;
    assert_eq!(proxy.get("/").await.text(), "app");
    let warning = proxy
        .log()
        .lines()
        .find(|line| line.contains("takes the socket that was given"))
        .map(str::to_owned);
    assert!(warning.is_some_and(|line| line.contains(&address.to_string())));
    let other = Settings::new(ALL)
        .backend("app", &app)
        .variable("LISTEN_FDS", "1")
        .variable("LISTEN_PID", "1")
        .start()
        .await;
    assert_eq!(other.get("/").await.text(), "app");
    other.finish().await;
    proxy.finish().await;
}

#[tokio::test]
async fn the_admin_api_takes_the_socket_that_has_its_address() {
    let app = Backend::start(identity("app")).await;
    let socket = held();
    // Nobody else can have this address: the API answers there by the given socket only.
    let proxy = Settings::new(ALL)
        .backend("app", &app)
        .address("admin", socket.local_addr().unwrap())
        .socket(socket.try_clone().unwrap())
        .start()
        .await;
    let answer = proxy.admin("GET", "/status", "").await.unwrap();
    assert_eq!(answer.status, 200);
    let log = proxy.log();
    assert!(!log.contains("takes the socket that was given"), "{log}");
    assert_eq!(proxy.get("/").await.text(), "app");
    proxy.finish().await;
}

#[tokio::test]
async fn the_admin_api_takes_a_unix_socket_and_leaves_its_file() {
    let app = Backend::start(identity("app")).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    let socket = UnixListener::bind(&path).unwrap();
    let text = format!("{ALL}\n[admin]\naddress = \"unix:{}\"", path.display());
    let mut proxy = Settings::new(&text)
        .backend("app", &app)
        .socket(socket.try_clone().unwrap())
        .launch();
    let mut stream = UnixStream::connect(&path).await.unwrap();
    let request = b"GET /live HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    proxy.signal(Signal::TERM);
    assert!(proxy.exited().await.success());
    assert!(path.exists());
}

/// The manager's end of the notifications.
struct Manager(UnixDatagram);

impl Manager {
    fn at(path: &Path) -> Self {
        Self(UnixDatagram::bind(path).unwrap())
    }

    /// The lines of the next message.
    async fn told(&self) -> Vec<String> {
        let mut buffer = [0; 1024];
        let receiving = timeout(Duration::from_secs(10), self.0.recv(&mut buffer));
        let length = receiving.await.expect("a message").unwrap();
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn the_manager_is_told_of_start_reload_and_stop() {
    let app = Backend::start(identity("app")).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = Manager::at(&path);
    let mut proxy = Settings::new(ALL)
        .backend("app", &app)
        .variable("NOTIFY_SOCKET", path.to_str().unwrap())
        .start()
        .await;
    assert_eq!(manager.told().await, ["READY=1", "STATUS=serving"]);
    proxy.signal(Signal::HUP);
    let reloading = manager.told().await;
    assert_eq!(reloading[0], "RELOADING=1");
    let time = reloading[1].strip_prefix("MONOTONIC_USEC=").unwrap();
    assert!(time.parse::<u64>().unwrap() > 0);
    assert_eq!(manager.told().await, ["READY=1", "STATUS=serving"]);
    proxy.replace("nonsense");
    // A file that may be half saved is read a second time.
    for status in [
        "STATUS=the saved file has errors",
        "STATUS=the last reload failed",
    ] {
        assert_eq!(manager.told().await[0], "RELOADING=1");
        let ready = manager.told().await;
        assert_eq!(ready[0], "READY=1");
        assert!(ready[1].starts_with(status), "{ready:?}");
    }
    proxy.signal(Signal::TERM);
    let stopping = manager.told().await;
    assert_eq!(stopping[0], "STOPPING=1");
    // The drain timeout of 30 s, and a margin.
    assert_eq!(stopping[1], "EXTEND_TIMEOUT_USEC=40000000");
    assert!(proxy.exited().await.success());
}

#[tokio::test]
async fn a_manager_that_does_not_listen_changes_nothing() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL)
        .backend("app", &app)
        .variable("NOTIFY_SOCKET", "/nowhere/notify")
        .start()
        .await;
    assert_eq!(proxy.get("/").await.text(), "app");
    proxy.finish().await;
}
