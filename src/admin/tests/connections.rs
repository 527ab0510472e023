//! Sockets, their limits and their end; events as they happen.

use super::*;

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
    let address = tcp([127, 0, 0, 1]);
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
    let address = BindAddress::Unix(path.clone());
    let admin = Admin::start_at(&address, None, 4);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let stream = UnixStream::connect(&path).await.unwrap();
    let answer = exchange(stream, "GET", "/status", "host: any.example\r\n", "").await;
    assert_eq!((answer.status, admin.address), (200, address.clone()));
    let error = AdminListener::bind(&address, None).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    let file = directory.path().join("file");
    std::fs::write(&file, "kept").unwrap();
    assert!(AdminListener::bind(&BindAddress::Unix(file.clone()), None).is_err());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept");
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
async fn the_longest_silent_connection_makes_room() {
    let address = tcp([127, 0, 0, 1]);
    let admin = Admin::start_at(&address, None, 4);
    let mut watcher = admin.connect().await;
    let head = b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n";
    watcher.write_all(head).await.unwrap();
    assert!(first_line(&mut watcher).await.contains("200"));
    let mut silent = Vec::new();
    for start in ["", "GET /live HTT", "G", "", "", ""] {
        let mut stream = admin.connect().await;
        stream.write_all(start.as_bytes()).await.unwrap();
        silent.push(stream);
        assert_eq!(admin.get("/live").await.status, 200);
    }
    // The first of them are closed, and who watches is not.
    for mut stream in silent.drain(..3) {
        let mut rest = Vec::new();
        let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut rest));
        let _ = read.await.expect("it is closed");
    }
    let mut watcher = BufReader::new(watcher);
    admin.events.publish("reload", "proxy", json!({ "n": 1 }));
    assert_eq!(next_event(&mut watcher).await["what"]["n"], 1);
}

#[tokio::test]
async fn a_server_that_broke_off_serves_again_at_the_same_address() {
    let listener = AdminListener::bind(&tcp([127, 0, 0, 1]), None).unwrap();
    let BindAddress::Tcp(address) = *listener.address() else {
        panic!("not TCP")
    };
    let settings = AdminSettings {
        tokens: Tokens::default(),
        scope: Scope::Whole,
        connections_max: 4,
    };
    let fake = Arc::<Fake>::default();
    let mut server = AdminServer::new(listener, settings, fake, Arc::default()).unwrap();
    let ask = async || {
        let stream = TcpStream::connect(address).await.unwrap();
        exchange(stream, "GET", "/live", "", "").await.status
    };
    tokio::select! {
        () = server.run(std::future::pending()) => {}
        status = ask() => assert_eq!(status, 200),
    }
    let waits = TcpStream::connect(address).await;
    assert!(waits.is_ok(), "the socket stays open between two runs");
    tokio::select! {
        () = server.run(std::future::pending()) => {}
        status = ask() => assert_eq!(status, 200),
    }
}
