//! Endpoints that authenticate a connection (NTLM, Negotiate): nobody else gets it.

use std::collections::HashSet;
use std::sync::Mutex;

use crate::harness::{Backend, Client, Seen, Settings, answer_bytes, eventually};

/// One worker, so that clients would meet each other's connections.
const TWO: &str = r#"
    [proxy]
    workers = 1
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    [pools.app]
    endpoints = ["$one", "$two"]
"#;

/// Lets a connection in after the three messages of NTLM, and everything on it from then on.
async fn guarded() -> Backend {
    let known: Mutex<HashSet<usize>> = Mutex::default();
    let begun: Mutex<HashSet<usize>> = Mutex::default();
    Backend::start(move |seen: &Seen| {
        let mut known = known.lock().unwrap();
        let mut begun = begun.lock().unwrap();
        let answer = match seen.field("authorization") {
            _ if known.contains(&seen.connection) => with(200, "x-a: b", "secret"),
            "NTLM one" => {
                begun.insert(seen.connection);
                with(401, "www-authenticate: NTLM two", "go on")
            }
            "NTLM three" if begun.contains(&seen.connection) => {
                known.insert(seen.connection);
                with(200, "x-a: b", "secret")
            }
            _ => with(401, "www-authenticate: NTLM", "who are you?"),
        };
        answer_bytes(&answer)
    })
    .await
}

fn with(status: u16, line: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\n{line}\r\ncontent-length: {length}\r\n\r\n{body}")
}

async fn ask(client: &mut Client, lines: &str) -> u16 {
    client.request("GET", "/", lines, b"").await.status
}

async fn log_in(client: &mut Client) {
    assert_eq!(ask(client, "").await, 401);
    assert_eq!(ask(client, "authorization: NTLM one").await, 401);
    assert_eq!(ask(client, "authorization: NTLM three").await, 200);
}

#[tokio::test]
async fn an_authenticated_connection_serves_its_client_and_nobody_else() {
    let (one, two) = (guarded().await, guarded().await);
    let proxy = Settings::new(TWO)
        .backend("one", &one)
        .backend("two", &two)
        .start()
        .await;
    let mut client = proxy.client().await;
    log_in(&mut client).await;
    let mut other = proxy.client().await;
    let mut third = proxy.h2_client().await;
    for _ in 0..4 {
        assert_eq!(ask(&mut client, "").await, 200, "it stays authenticated");
        assert_eq!(ask(&mut other, "").await, 401, "another client is not");
        assert_eq!(third.get("/").await.unwrap().status, 401, "nor over HTTP/2");
    }
    log_in(&mut other).await;
    assert_eq!(ask(&mut client, "").await, 200);
    proxy.finish().await;
}

#[tokio::test]
async fn an_authenticated_connection_ends_with_its_client() {
    let (one, two) = (guarded().await, guarded().await);
    let proxy = Settings::new(TWO)
        .backend("one", &one)
        .backend("two", &two)
        .start()
        .await;
    let mut client = proxy.client().await;
    log_in(&mut client).await;
    assert!(one.open() + two.open() > 0);
    drop(client);
    eventually("the connection is closed", async || {
        (one.open() + two.open() == 0).then_some(())
    })
    .await;
    let mut other = proxy.client().await;
    assert_eq!(ask(&mut other, "").await, 401);
    proxy.finish().await;
}

/// The proof came over HTTP/2, where all the streams of a client share its connection.
#[tokio::test]
async fn a_connection_authenticated_over_http2_is_used_once() {
    let (one, two) = (guarded().await, guarded().await);
    let proxy = Settings::new(TWO)
        .backend("one", &one)
        .backend("two", &two)
        .start()
        .await;
    let mut client = proxy.h2_client().await;
    for _ in 0..3 {
        let fields = [("authorization", "NTLM one")];
        let answer = client.request("GET", "/", &fields, b"").await.unwrap();
        assert_eq!(answer.status, 401);
    }
    let seen = one.seen().into_iter().chain(two.seen());
    assert!(seen.into_iter().all(|seen| seen.turn == 0));
    proxy.finish().await;
}

#[tokio::test]
async fn connections_kept_for_a_client_make_room_for_others() {
    let (one, two) = (guarded().await, guarded().await);
    let tight = TWO.replace("[pools.app]", "[pools.app]\nlimits = { connections = 2 }");
    let proxy = Settings::new(&tight)
        .backend("one", &one)
        .backend("two", &two)
        .start()
        .await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        let mut client = proxy.client().await;
        assert_eq!(ask(&mut client, "authorization: NTLM one").await, 401);
        clients.push(client);
    }
    proxy.finish().await;
}
