//! Rights to change something, and the records of changes.

use super::*;

#[tokio::test]
async fn changes_land_in_the_events_with_who_and_what() {
    let admin = Admin::start(Some("secret"));
    let reload = admin.post("/reload", "").await;
    assert_eq!(reload.status, 409);
    assert_eq!(reload.json()["result"], "failed");
    assert_eq!(reload.json()["error"], "proxy.toml:1:1");
    let drain = admin
        .post("/pools/app/endpoints/10.0.0.1:80/drain", "")
        .await;
    let expected =
        json!({ "pool": "app", "endpoint": "10.0.0.1:80", "action": "drain", "lasting": true });
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
async fn an_upgrade_takes_no_body_or_a_whole_one() {
    let admin = Admin::start(Some("secret"));
    for (body, status, told) in [
        ("", 409, "\"error\":\"no\""),
        ("{\"binary\":\"/opt/new\"}", 409, "\"binary\":\"/opt/new\""),
        ("{\"binari\":\"/opt/new\"}", 400, "binary"),
        ("{\"timeout_ms\":50001}", 400, "50000"),
    ] {
        let answer = admin.post("/upgrade", body).await;
        assert_eq!(answer.status, status, "{body}");
        let text = answer.json().to_string();
        assert!(text.contains(told), "{body}: {text}");
    }
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
    // Such a page may make a browser read, and cannot see what comes.
    let read = admin.ask("GET", "/status", &foreign, "").await;
    assert_eq!(read.status, 200);
    let mut names = read.headers.keys();
    assert!(!names.any(|name| name.starts_with("access-control-")));
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
        let listener = AdminListener::bind(&tcp([0, 0, 0, 0]), None).unwrap();
        let settings = AdminSettings {
            tokens: tokens(token),
            scope: Scope::Whole,
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
    let listener = AdminListener::bind(&tcp([0, 0, 0, 0]), None).unwrap();
    let BindAddress::Tcp(address) = *listener.address() else {
        panic!("not TCP")
    };
    let settings = AdminSettings {
        tokens: tokens(Some("old")),
        scope: Scope::Whole,
        connections_max: 4,
    };
    let fake = Arc::<Fake>::default();
    let mut server = AdminServer::new(listener, settings, fake, Arc::default()).unwrap();
    let control = server.control();
    tokio::spawn(async move { server.run(std::future::pending()).await });
    let status = async |token: &str| {
        let stream = TcpStream::connect(("127.0.0.1", address.port()))
            .await
            .unwrap();
        let token = format!("authorization: Bearer {token}\r\n");
        exchange(stream, "GET", "/status", &token, "").await.status
    };
    assert_eq!((status("old").await, status("new").await), (200, 401));
    control.set_tokens(tokens(Some("new"))).unwrap();
    assert_eq!((status("old").await, status("new").await), (401, 200));
    assert!(control.set_tokens(tokens(None)).is_err());
    assert_eq!(status("new").await, 200);
}
