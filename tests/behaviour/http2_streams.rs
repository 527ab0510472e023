//! The streams of a connection to an endpoint that speaks HTTP/2: each ends with its exchange,
//! and none is in the way of the others.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::net::TcpListener;

use crate::harness::{
    Client, Gate, H2Act, H2Backend, Port, Proxy, Seen, Settings, h2_answer, h2_frames, h2_read,
    within,
};
use h2_frames::{DATA, END_HEADERS, END_STREAM, Frames, HEADERS, RESET, WINDOW_UPDATE};

const ONE_CONNECTION: &str = r#"
    [proxy]
    workers = 1
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    retry = { attempts = 1 }
    timeouts = { attempt = "8s", idle = "8s" }
    [pools.app]
    endpoints = ["$app"]
    protocol = "h2"
    limits = { connections = 1 }
"#;
const MAX_STREAMS: u16 = 3;
const INITIAL_WINDOW: u16 = 4;
const CANCEL: u32 = 8;
/// `:status 200` of the static table.
const OK: &[u8] = &[0x88];

/// A server whose connections the test plays frame by frame.
struct Server {
    port: Port,
    listener: TcpListener,
}

impl Server {
    async fn start() -> Self {
        let port = Port::take();
        let listener = TcpListener::bind(port.address()).await.unwrap();
        Self { port, listener }
    }

    fn address(&self) -> SocketAddr {
        self.port.address()
    }

    async fn accept(&self, settings: &[(u16, u32)]) -> Frames {
        let (stream, _) = within("a connection", self.listener.accept())
            .await
            .unwrap();
        Frames::accept(stream, settings).await.unwrap()
    }
}

async fn before(text: &str, app: SocketAddr) -> Proxy {
    Settings::new(text).address("app", app).start().await
}

/// Begins a request with a body of so many bytes, of which `now` are sent.
async fn upload(proxy: &Proxy, length: usize, now: &[u8]) -> Client {
    let mut client = proxy.raw_client().await;
    let head = format!("POST / HTTP/1.1\r\nhost: shop.example\r\ncontent-length: {length}\r\n\r\n");
    client.send(head).await;
    client.send(now).await;
    client
}

async fn respond(frames: &mut Frames, stream: u32) {
    let flags = END_HEADERS | END_STREAM;
    frames.send(HEADERS, flags, stream, OK).await;
}

#[tokio::test]
async fn clients_that_give_up_an_upload_that_waits_free_their_streams_at_once() {
    let server = Server::start().await;
    let proxy = before(ONE_CONNECTION, server.address()).await;
    let first = upload(&proxy, 100_000, b"").await;
    let mut frames = server
        .accept(&[(MAX_STREAMS, 2), (INITIAL_WINDOW, 0)])
        .await;
    let mut clients = vec![first, upload(&proxy, 100_000, &[7; 50_000]).await];
    for _ in 0..2 {
        frames.next_of(HEADERS).await.unwrap();
    }
    for turn in 0..3 {
        for client in clients.drain(..) {
            client.abort();
            let reset = frames.next_of(RESET).await.unwrap();
            assert_eq!(reset.number(0), CANCEL, "turn {turn}");
        }
        for _ in 0..2 {
            clients.push(upload(&proxy, 100_000, &[7; 50_000]).await);
            frames.next_of(HEADERS).await.unwrap();
        }
    }
    drop(clients);
    for _ in 0..2 {
        frames.next_of(RESET).await.unwrap();
    }
    let asked = proxy.get("/");
    let answered = async {
        let head = frames.next_of(HEADERS).await.unwrap();
        respond(&mut frames, head.stream).await;
    };
    assert_eq!(tokio::join!(asked, answered).0.status, 200);
    proxy.finish().await;
}

#[tokio::test]
async fn an_upload_that_the_endpoint_does_not_take_ends_with_its_time() {
    let text = ONE_CONNECTION.replace("idle = \"8s\"", "idle = \"1s\"");
    let server = Server::start().await;
    let proxy = before(&text, server.address()).await;
    let mut client = upload(&proxy, 100_000, &[7; 100_000]).await;
    let mut frames = server.accept(&[(INITIAL_WINDOW, 1000)]).await;
    let data = frames.next_of(DATA).await.unwrap();
    assert_eq!(data.payload.len(), 1000);
    let reset = frames.next_of(RESET).await.unwrap();
    assert_eq!(reset.number(0), CANCEL);
    client
        .answer()
        .await
        .assert_failure(504, "connection_write_timeout");
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_that_answers_early_has_a_true_beginning_of_the_upload() {
    let server = Server::start().await;
    let proxy = before(ONE_CONNECTION, server.address()).await;
    let body: Vec<u8> = (0_u32..400_000).flat_map(u32::to_be_bytes).collect();
    let mut client = upload(&proxy, body.len(), &body[..40_000]).await;
    let mut frames = server.accept(&[]).await;
    let stream = frames.next_of(HEADERS).await.unwrap().stream;
    let mut seen = Vec::new();
    while seen.len() < 40_000 {
        seen.extend(frames.next_of(DATA).await.unwrap().payload);
    }
    respond(&mut frames, stream).await;
    let more = 0x7000_0000_u32.to_be_bytes();
    frames.send(WINDOW_UPDATE, 0, stream, &more).await;
    frames.send(WINDOW_UPDATE, 0, 0, &more).await;
    let sent = async {
        assert_eq!(client.answer().await.status, 200);
        client.send(&body[40_000..]).await;
    };
    let ended = async {
        loop {
            let frame = frames.next().await.unwrap();
            match frame.kind {
                DATA => seen.extend(frame.payload),
                RESET => return frame.number(0),
                _ => {}
            }
        }
    };
    let (reason, ()) = within("the end of the stream", async { tokio::join!(ended, sent) }).await;
    assert_eq!(reason, CANCEL);
    assert!(body.starts_with(&seen), "what came has no hole");
    proxy.finish().await;
}

#[tokio::test]
async fn clients_that_do_not_read_leave_the_others_their_room() {
    let app = H2Backend::start(|seen: &Seen| {
        if seen.target != "/large" {
            return h2_answer("small");
        }
        vec![
            H2Act::Head(200, vec![]),
            H2Act::Data(vec![7; 8 << 20]),
            H2Act::End,
        ]
    })
    .await;
    let proxy = before(ONE_CONNECTION, app.address()).await;
    let mut stuck = Vec::new();
    for _ in 0..24 {
        let mut client = proxy.raw_client().await;
        client.send("GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert_eq!(client.head().await.0, 200);
        stuck.push(client);
    }
    for _ in 0..20 {
        assert_eq!(proxy.get("/").await.text(), "small");
    }
    assert_eq!(app.connections(), 1);
    drop(stuck);
    proxy.finish().await;
}

#[tokio::test]
async fn a_connection_that_has_fallen_silent_is_found_out_and_left() {
    let text = ONE_CONNECTION
        .replace("attempt = \"8s\"", "attempt = \"1500ms\"")
        .replace("limits = { connections = 1 }", "");
    let server = Server::start().await;
    let proxy = before(&text, server.address()).await;
    let asked = proxy.get("/");
    let answered = async {
        let mut frames = server.accept(&[]).await;
        let head = frames.next_of(HEADERS).await.unwrap();
        respond(&mut frames, head.stream).await;
        frames
    };
    let (first, mut silent) = tokio::join!(asked, answered);
    assert_eq!(first.status, 200);
    // From here on nobody reads it, as if it had vanished.
    let late = proxy.get("/").await;
    late.assert_failure(504, "http_response_timeout");
    let asked = proxy.get("/");
    let answered = async {
        let mut frames = server.accept(&[]).await;
        let head = frames.next_of(HEADERS).await.unwrap();
        respond(&mut frames, head.stream).await;
        frames
    };
    let (next, _alive) = tokio::join!(asked, answered);
    assert_eq!(next.status, 200, "on a connection of its own");
    proxy
        .metric_becomes("sluicegate_upstream_connections", &[], 1.0)
        .await;
    while silent.next().await.is_some() {}
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_that_is_only_slow_keeps_its_connection() {
    let text = ONE_CONNECTION
        .replace("attempt = \"8s\"", "attempt = \"1500ms\"")
        .replace("limits = { connections = 1 }", "");
    let gate = Gate::new();
    let held = gate.clone();
    let app = H2Backend::start(move |seen: &Seen| {
        let mut acts = h2_answer("app");
        if seen.target == "/slow" {
            acts.insert(0, H2Act::Wait(held.clone()));
        }
        acts
    })
    .await;
    let proxy = before(&text, app.address()).await;
    for _ in 0..4 {
        let late = proxy.get("/slow").await;
        late.assert_failure(504, "http_response_timeout");
        assert_eq!(proxy.get("/").await.status, 200);
    }
    gate.open();
    // Until it has answered the PING, another one may be opened in its place.
    assert!(app.connections() <= 2, "{}", app.connections());
    assert_eq!(app.open(), app.connections(), "none was closed");
    proxy.finish().await;
}

#[tokio::test]
async fn only_the_senders_own_framing_goes_on() {
    let server = Server::start().await;
    let proxy = before(ONE_CONNECTION, server.address()).await;
    let mut client = proxy.h2_client().await;
    let opened = client.open("POST", "/", &[], false).await;
    let (answer, mut stream) = opened.unwrap();
    stream.send_data(Bytes::new(), true).unwrap();
    let mut frames = server.accept(&[]).await;
    let head = frames.next_of(HEADERS).await.unwrap();
    assert_eq!(head.flags & END_STREAM, 0, "the end comes behind the head");
    let end = frames.next_of(DATA).await.unwrap();
    assert_eq!((end.flags & END_STREAM, end.payload.len()), (END_STREAM, 0));
    respond(&mut frames, head.stream).await;
    assert_eq!(h2_read(answer).await.unwrap().status, 200);
    proxy.finish().await;

    let app = H2Backend::start(|_: &Seen| h2_answer("app")).await;
    let proxy = before(ONE_CONNECTION, app.address()).await;
    let mut client = proxy.h2_client().await;
    for ends_with_head in [true, false] {
        let opened = client.open("POST", "/", &[], ends_with_head).await;
        let (answer, mut stream) = opened.unwrap();
        if !ends_with_head {
            stream.send_data(Bytes::new(), true).unwrap();
        }
        assert_eq!(h2_read(answer).await.unwrap().status, 200);
    }
    let stated = proxy.request("POST", "/", "", b"").await;
    assert_eq!(stated.status, 200);
    let lengths: Vec<_> = app
        .seen()
        .iter()
        .map(|seen| seen.fields.get("content-length").map(str::to_owned))
        .collect();
    assert_eq!(lengths, [None, None, Some("0".to_owned())]);
    proxy.finish().await;
}

#[tokio::test]
async fn a_request_of_http10_without_a_host_names_the_endpoint() {
    let app = H2Backend::start(|_: &Seen| h2_answer("app")).await;
    let proxy = before(ONE_CONNECTION, app.address()).await;
    let mut client = proxy.raw_client().await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
    let seen = app.seen();
    let authority = seen[0].fields.get(":authority");
    assert_eq!(authority, Some(app.address().to_string().as_str()));
    proxy.finish().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_told_as_such() {
    let app = H2Backend::start(|seen: &Seen| {
        let length: usize = seen.target[1..].parse().unwrap();
        vec![
            H2Act::Head(200, vec![("x-long", "x".repeat(length))]),
            H2Act::End,
        ]
    })
    .await;
    let proxy = before(ONE_CONNECTION, app.address()).await;
    for length in [70_000, 150_000, 250_000] {
        let answer = proxy.get(&format!("/{length}")).await;
        answer.assert_failure(502, "http_response_header_section_size");
        assert_eq!(proxy.get("/60000").await.status, 200);
    }
    assert_eq!(app.connections(), 1);
    proxy.finish().await;
}

#[tokio::test]
async fn interim_answers_of_an_endpoint_reach_the_client() {
    let server = Server::start().await;
    let proxy = before(ONE_CONNECTION, server.address()).await;
    let play = async {
        let mut frames = server.accept(&[]).await;
        loop {
            let head = frames.next_of(HEADERS).await.unwrap();
            let hints = [
                h2_frames::literal(":status", "103"),
                h2_frames::literal("link", "</a.css>"),
            ];
            let hints = hints.concat();
            frames.send(HEADERS, END_HEADERS, head.stream, &hints).await;
            frames.send(HEADERS, END_HEADERS, head.stream, &hints).await;
            respond(&mut frames, head.stream).await;
        }
    };
    let ask = async {
        let mut client = proxy.client().await;
        for _ in 0..2 {
            let answer = client.get("/").await;
            assert_eq!(answer.informational, [103, 103]);
            assert_eq!(answer.status, 200);
        }
    };
    tokio::select! {
        () = play => {}
        () = ask => {}
    }
    proxy.finish().await;
}

#[tokio::test]
async fn an_idle_connection_makes_room_for_one_to_another_endpoint() {
    let first = H2Backend::start(|_: &Seen| h2_answer("first")).await;
    let second = H2Backend::start(|_: &Seen| h2_answer("second")).await;
    let text = ONE_CONNECTION.replace("[\"$app\"]", "[\"$app\", \"$other\"]");
    let settings = Settings::new(&text).address("app", first.address());
    let settings = settings.address("other", second.address());
    let proxy = settings.start().await;
    let mut seen = Vec::new();
    for _ in 0..6 {
        let answer = proxy.get("/").await;
        assert_eq!(answer.status, 200);
        seen.push(answer.text());
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen, ["first", "second"]);
    proxy.finish().await;
}
