//! Tests over real sockets, with a proxy that is only pretended.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::*;
use crate::telemetry::events::Events;

/// Answers with what was asked; `/drain` waits until it is allowed to end.
#[derive(Default)]
struct Fake {
    may_drain: Notify,
}

impl Operations for Fake {
    fn live(&self) -> bool {
        true
    }
    fn ready(&self) -> Readiness {
        Readiness {
            ready: false,
            reasons: vec!["draining".to_owned()],
        }
    }
    fn metrics(&self) -> String {
        "a_total 1\n".to_owned()
    }
    fn status(&self) -> Value {
        json!({ "generation": 7 })
    }
    fn config(&self) -> Value {
        json!("config")
    }
    fn listeners(&self) -> Value {
        json!("listeners")
    }
    fn routes(&self) -> Value {
        json!("routes")
    }
    fn pools(&self) -> Value {
        json!("pools")
    }
    fn pool(&self, name: &str) -> Option<Value> {
        (name == "app").then(|| json!({ "name": name }))
    }
    fn connections(&self) -> Value {
        // Stands for a bug in the proxy.
        panic!("connections")
    }
    fn requests(&self, last: usize) -> Value {
        json!({ "last": last })
    }
    fn request(&self, id: &str) -> Option<Value> {
        (id == "1").then(|| json!({ "id": id }))
    }
    fn explain(&self, request: ExplainRequest) -> Result<Value, String> {
        if request.url.is_empty() {
            return Err("the URL is empty".to_owned());
        }
        Ok(json!({ "method": request.method, "url": request.url, "headers": request.headers }))
    }
    fn check(&self, text: String) -> Value {
        json!({ "bytes": text.len() })
    }
    fn diff(&self, text: String) -> Value {
        json!({ "diff": text })
    }
    fn reload(&self) -> BoxFuture<'_, Result<Value, Value>> {
        Box::pin(async { Err(json!({ "faults": ["proxy.toml:1:1"] })) })
    }
    fn drain(&self) -> BoxFuture<'_, Result<Value, Value>> {
        Box::pin(async {
            self.may_drain.notified().await;
            Ok(json!({ "draining": true }))
        })
    }
    fn endpoint(
        &self,
        pool: &str,
        address: &str,
        action: EndpointAction,
    ) -> Result<Value, OperationError> {
        match address {
            "unknown" => Err(OperationError::NotFound(format!("no endpoint {address}"))),
            "last" => Err(OperationError::Conflict("the last one".to_owned())),
            _ => Ok(json!({ "pool": pool, "endpoint": address, "action": action.to_string() })),
        }
    }
}

/// A running admin server; stopped when dropped.
struct Admin {
    address: AdminAddress,
    events: Arc<Events>,
    fake: Arc<Fake>,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
}

struct Answer {
    status: u16,
    headers: HashMap<String, String>,
    body: String,
}

impl Admin {
    fn start(token: Option<&str>) -> Self {
        Self::start_at(&"127.0.0.1:0".parse().unwrap(), token, 16)
    }

    fn start_at(address: &AdminAddress, token: Option<&str>, connections_max: usize) -> Self {
        let listener = AdminListener::bind(address).unwrap();
        let address = listener.address().clone();
        let settings = AdminSettings {
            token: token.map(str::to_owned),
            connections_max,
        };
        let (fake, events) = (Arc::<Fake>::default(), Arc::new(Events::new()));
        let server = AdminServer::new(
            listener,
            settings,
            Arc::clone(&fake) as Arc<dyn Operations>,
            Arc::clone(&events),
        );
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.unwrap().run(async {
            let _ = stopped.await;
        }));
        Self {
            address,
            events,
            fake,
            stop: Some(stop),
            task,
        }
    }

    async fn connect(&self) -> TcpStream {
        let AdminAddress::Tcp(address) = &self.address else {
            panic!("not TCP")
        };
        TcpStream::connect(address).await.unwrap()
    }

    /// Sends a request with some headers on a connection of its own.
    async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        exchange(self.connect().await, method, path, headers, body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", "").await
    }

    async fn post(&self, path: &str, body: &str) -> Answer {
        self.ask("POST", path, "authorization: Bearer secret\r\n", body)
            .await
    }
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Answer {
    let host = if headers.contains("host:") {
        ""
    } else {
        "host: localhost\r\n"
    };
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\n{host}{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    // A body that is refused may not be read to its end.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_ascii_lowercase(), value.to_owned())
    });
    Answer {
        status: status.parse().unwrap(),
        headers: headers.collect(),
        body: body.to_owned(),
    }
}

#[tokio::test]
async fn what_can_be_read_is_read() {
    let admin = Admin::start(None);
    for (path, expected) in [
        ("/live", json!({ "live": true })),
        ("/status", json!({ "generation": 7 })),
        ("/config", json!("config")),
        ("/listeners", json!("listeners")),
        ("/routes", json!("routes")),
        ("/pools", json!("pools")),
        ("/pools/app", json!({ "name": "app" })),
        ("/requests", json!({ "last": 100 })),
        ("/requests?a=b&last=7", json!({ "last": 7 })),
        ("/requests?last=99999", json!({ "last": 1000 })),
        ("/requests/1", json!({ "id": "1" })),
    ] {
        let answer = admin.get(path).await;
        assert_eq!((answer.status, answer.json()), (200, expected), "{path}");
        assert_eq!(answer.headers["content-type"], "application/json");
        assert_eq!(answer.headers["cache-control"], "no-store");
    }
    let ready = admin.get("/ready").await;
    assert_eq!(ready.status, 503);
    assert_eq!(
        ready.json(),
        json!({ "ready": false, "reasons": ["draining"] })
    );
    let metrics = admin.get("/metrics").await;
    assert_eq!(metrics.body, "a_total 1\n");
    assert_eq!(
        metrics.headers["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
}

#[tokio::test]
async fn what_is_wrong_is_said_as_json() {
    let admin = Admin::start(Some("secret"));
    for (method, path, status, word) in [
        ("GET", "/pools/x", 404, "no pool"),
        ("GET", "/requests/x", 404, "no recent request"),
        ("GET", "/requests?last=x", 400, "last must be"),
        ("GET", "/nothing", 404, "nothing at"),
        ("PUT", "/status", 405, "GET, HEAD"),
        ("GET", "/reload", 405, "POST"),
        ("POST", "/reload", 401, "Authorization"),
        ("GET", "/connections", 500, "bug"),
    ] {
        let answer = admin.ask(method, path, "", "").await;
        assert_eq!(answer.status, status, "{method} {path}");
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(word), "{error}");
    }
    let unknown = admin.get("/nothing").await.json();
    let endpoints = unknown["endpoints"].as_array().unwrap();
    assert!(endpoints.contains(&json!("POST /pools/{pool}/endpoints/{address}/drain")));
    assert_eq!(
        admin.ask("PUT", "/status", "", "").await.headers["allow"],
        "GET, HEAD"
    );
    let unauthorized = admin.ask("POST", "/drain", "", "").await;
    assert!(unauthorized.headers["www-authenticate"].starts_with("Bearer"));
}

#[tokio::test]
async fn head_answers_as_get_without_the_body() {
    let admin = Admin::start(None);
    let (get, head) = (
        admin.get("/status").await,
        admin.ask("HEAD", "/status", "", "").await,
    );
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.headers["content-length"], get.body.len().to_string());
    let events = admin.ask("HEAD", "/events", "", "").await;
    assert_eq!(events.headers["content-type"], "text/event-stream");
}

#[tokio::test]
async fn questions_with_a_body_change_nothing_and_need_no_token() {
    let admin = Admin::start(None);
    let explain = |body: &'static str| admin.ask("POST", "/explain", "", body);
    let answer = explain(r#"{"url":"http://a/","headers":{"x":"1"}}"#).await;
    let expected = json!({ "method": "GET", "url": "http://a/", "headers": [["x", "1"]] });
    assert_eq!(answer.json(), expected);
    let answer = explain(r#"{"url":"/","headers":[["x","1"],["x","2"]],"source":"::1"}"#).await;
    assert_eq!(answer.json()["headers"], json!([["x", "1"], ["x", "2"]]));
    for bad in [
        "",
        "{}",
        r#"{"url":1}"#,
        r#"{"url":"/","extra":1}"#,
        r#"{"url":""}"#,
    ] {
        let answer = explain(bad).await;
        assert_eq!(answer.status, 400, "{bad}");
        assert!(answer.json()["error"].is_string());
    }
    let check = admin.ask("POST", "/check", "", "[listeners]\n").await;
    assert_eq!(check.json(), json!({ "bytes": 12 }));
    let diff = admin.ask("POST", "/diff", "", "x").await;
    assert_eq!(diff.json(), json!({ "diff": "x" }));
    assert_eq!(admin.events.last(10).len(), 0);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let admin = Admin::start(None);
    let max = 1024 * 1024;
    let whole = admin.ask("POST", "/check", "", &"a".repeat(max)).await;
    assert_eq!(whole.json(), json!({ "bytes": max }));
    // Announced, and found out while reading.
    let mut stream = admin.connect().await;
    let head = b"POST /check HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1048577\r\n\r\n";
    stream.write_all(head).await.unwrap();
    assert!(first_line(&mut stream).await.contains("413"));
    let mut stream = admin.connect().await;
    let head =
        b"POST /check HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n100001\r\n";
    stream.write_all(head).await.unwrap();
    stream.write_all(&vec![b'a'; max + 1]).await.unwrap();
    assert!(first_line(&mut stream).await.contains("413"));
}

#[tokio::test]
async fn changes_land_in_the_events_with_who_and_what() {
    let admin = Admin::start(Some("secret"));
    let reload = admin.post("/reload", "").await;
    assert_eq!(reload.status, 409);
    let report = json!({ "faults": ["proxy.toml:1:1"], "error": "reload was not done" });
    assert_eq!(reload.json(), report);
    let drain = admin
        .post("/pools/app/endpoints/10.0.0.1:80/drain", "")
        .await;
    let expected = json!({ "pool": "app", "endpoint": "10.0.0.1:80", "action": "drain" });
    assert_eq!((drain.status, drain.json()), (200, expected));
    assert_eq!(
        admin
            .post("/pools/app/endpoints/unknown/eject", "")
            .await
            .status,
        404
    );
    assert_eq!(
        admin
            .post("/pools/app/endpoints/last/eject", "")
            .await
            .status,
        409
    );
    let events = admin.events.last(10);
    assert_eq!(events.len(), 4);
    assert!(events[1].who.starts_with("admin API, 127.0.0.1:"));
    let what =
        json!({ "action": "drain", "pool": "app", "endpoint": "10.0.0.1:80", "status": 200 });
    assert_eq!((events[1].kind.as_str(), &events[1].what), ("admin", &what));
}

#[tokio::test]
async fn a_change_goes_on_when_the_client_goes_away() {
    let admin = Admin::start(Some("secret"));
    let (mut events, mut stream) = (admin.events.watch_after(0).1, admin.connect().await);
    let head = b"POST /drain HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer secret\r\n\r\n";
    stream.write_all(head).await.unwrap();
    // An answer on a later connection lets the server read the head, then the end.
    assert_eq!(admin.get("/live").await.status, 200);
    drop(stream);
    assert_eq!(admin.get("/live").await.status, 200);
    admin.fake.may_drain.notify_one();
    let event = timeout(Duration::from_secs(20), events.recv())
        .await
        .unwrap();
    assert_eq!(event.unwrap().what["action"], "drain");
}

#[tokio::test]
async fn strangers_are_refused_over_the_wire() {
    let admin = Admin::start(Some("secret"));
    let rebound = admin
        .ask("GET", "/status", "host: evil.example\r\n", "")
        .await;
    assert_eq!(rebound.status, 421);
    let token = "authorization: Bearer secret\r\n";
    let foreign = format!("{token}origin: http://evil.example\r\n");
    assert_eq!(admin.ask("POST", "/reload", &foreign, "").await.status, 403);
    let wrong = "authorization: Bearer secreT\r\n";
    assert_eq!(admin.ask("GET", "/status", wrong, "").await.status, 401);
    // Who may not read learns only whether it is ready.
    let ready = admin
        .ask("GET", "/ready", "host: evil.example\r\n", "")
        .await;
    assert_eq!(
        (ready.status, ready.json()),
        (503, json!({ "ready": false }))
    );
    assert!(admin.events.last(10).is_empty());
}

#[tokio::test]
async fn a_public_address_needs_a_token() {
    let new = |token: Option<&str>| {
        let listener = AdminListener::bind(&"0.0.0.0:0".parse().unwrap()).unwrap();
        let settings = AdminSettings {
            token: token.map(str::to_owned),
            connections_max: 1,
        };
        assert!(!format!("{settings:?}").contains("secret"));
        AdminServer::new(listener, settings, Arc::<Fake>::default(), Arc::default()).map(|_| ())
    };
    assert!(matches!(
        new(None),
        Err(SettingsError::PublicWithoutToken(_))
    ));
    assert_eq!(new(Some(" ")), Err(SettingsError::EmptyToken));
    assert_eq!(new(Some("secret")), Ok(()));
}

#[tokio::test]
async fn another_token_counts_from_the_next_request_on() {
    let listener = AdminListener::bind(&"0.0.0.0:0".parse().unwrap()).unwrap();
    let AdminAddress::Tcp(address) = *listener.address() else {
        panic!("not TCP")
    };
    let settings = AdminSettings {
        token: Some("old".to_owned()),
        connections_max: 4,
    };
    let fake = Arc::<Fake>::default();
    let server = AdminServer::new(listener, settings, fake, Arc::default()).unwrap();
    let control = server.control();
    tokio::spawn(server.run(std::future::pending()));
    let status = async |token: &str| {
        let stream = TcpStream::connect(("127.0.0.1", address.port()))
            .await
            .unwrap();
        let token = format!("authorization: Bearer {token}\r\n");
        exchange(stream, "GET", "/status", &token, "").await.status
    };
    assert_eq!((status("old").await, status("new").await), (200, 401));
    control.set_token(Some("new".to_owned())).unwrap();
    assert_eq!((status("old").await, status("new").await), (401, 200));
    assert!(control.set_token(None).is_err());
    assert_eq!(status("new").await, 200);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_ends_the_connection() {
    let admin = Admin::start(None);
    let mut stream = admin.connect().await;
    stream.write_all(b"GET /live HTT").await.unwrap();
    let before = tokio::time::Instant::now();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(before.elapsed() < Duration::from_secs(60));
    assert!(!answer.starts_with(b"HTTP/1.1 2"));
}

#[tokio::test]
async fn events_are_streamed_from_the_one_last_seen() {
    let admin = Admin::start(None);
    admin.events.publish("reload", "proxy", json!({ "n": 1 }));
    admin.events.publish("reload", "proxy", json!({ "n": 2 }));
    let mut stream = BufReader::new(admin.connect().await);
    let head = b"GET /events HTTP/1.1\r\nhost: localhost\r\nlast-event-id: 1\r\n\r\n";
    stream.write_all(head).await.unwrap();
    assert_eq!(next_event(&mut stream).await["id"], 2);
    admin
        .events
        .publish("ejection\nid: 9", "proxy", json!({ "text": "a\nb" }));
    let event = next_event(&mut stream).await;
    assert_eq!(
        (&event["id"], &event["what"]["text"]),
        (&json!(3), &json!("a\nb"))
    );

    let list = admin
        .ask("GET", "/events?last=2", "accept: application/json\r\n", "")
        .await;
    let ids: Vec<_> = list
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["id"].clone())
        .collect();
    assert_eq!(ids, [2, 3]);
}

#[tokio::test]
async fn those_who_watch_leave_room_and_are_let_go_at_the_end() {
    let address = "127.0.0.1:0".parse().unwrap();
    let mut admin = Admin::start_at(&address, None, 2);
    let mut watcher = admin.connect().await;
    let head = b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n";
    watcher.write_all(head).await.unwrap();
    assert!(first_line(&mut watcher).await.contains("200"));
    assert_eq!(admin.get("/events").await.status, 503);
    assert_eq!(admin.get("/live").await.status, 200);
    admin.stop.take().unwrap().send(()).unwrap();
    let mut rest = Vec::new();
    let read = timeout(Duration::from_secs(20), watcher.read_to_end(&mut rest));
    read.await.unwrap().unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "the stream ends cleanly");
    timeout(Duration::from_secs(20), admin.task)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_unix_socket_is_private_and_a_stale_one_is_replaced() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let address: AdminAddress = format!("unix:{}", path.display()).parse().unwrap();
    let admin = Admin::start_at(&address, None, 4);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let stream = UnixStream::connect(&path).await.unwrap();
    let answer = exchange(stream, "GET", "/status", "host: any.example\r\n", "").await;
    assert_eq!((answer.status, admin.address), (200, address.clone()));
    let error = AdminListener::bind(&address).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    let file = directory.path().join("file");
    std::fs::write(&file, "kept").unwrap();
    assert!(AdminListener::bind(&AdminAddress::Unix(file.clone())).is_err());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept");
}

#[tokio::test]
async fn the_index_and_the_document_name_every_entry() {
    let admin = Admin::start(None);
    let (index, document) = (
        admin.get("/").await.body,
        admin.get("/openapi.json").await.json(),
    );
    let paths = document["paths"].as_object().unwrap();
    let mut ids = std::collections::HashSet::new();
    for entry in router::ENTRIES {
        assert!(index.contains(entry.path), "{}", entry.path);
        let operation = &paths[entry.path][entry.verb.name().to_ascii_lowercase()];
        assert_eq!(operation["summary"], entry.summary);
        let id = operation["operationId"].as_str().unwrap().to_owned();
        assert!(ids.insert(id), "the id is used twice");
        let parameters = operation["parameters"].as_array().map_or(0, Vec::len);
        assert!(parameters >= entry.parameters().count());
    }
}

#[tokio::test]
async fn nonsense_is_answered_or_cut_and_the_server_goes_on() {
    let admin = Admin::start(None);
    for nonsense in [
        &b"\x16\x03\x01\x00\xff"[..],
        b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
    ] {
        let mut stream = admin.connect().await;
        stream.write_all(nonsense).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"),
            "{answer:?}"
        );
    }
    assert_eq!(admin.get("/live").await.status, 200);
}

async fn first_line(stream: &mut TcpStream) -> String {
    let mut line = String::new();
    let mut reader = BufReader::with_capacity(1, stream);
    timeout(Duration::from_secs(20), reader.read_line(&mut line))
        .await
        .unwrap()
        .unwrap();
    line
}

/// Reads up to the next `data:` line, through chunk sizes, head and comments.
async fn next_event(stream: &mut BufReader<TcpStream>) -> Value {
    loop {
        let mut line = String::new();
        let read = timeout(Duration::from_secs(20), stream.read_line(&mut line));
        assert_ne!(read.await.unwrap().unwrap(), 0, "the stream ended");
        assert!(!line.starts_with("id: 9"), "a field was smuggled in");
        if let Some(data) = line.strip_prefix("data: ") {
            return serde_json::from_str(data).unwrap();
        }
    }
}
