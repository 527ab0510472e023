//! Uploads that stop: the side that stopped answers for it, and nobody else.

use serde_json::Value;

use super::{becomes, start, told};
use crate::harness::{
    Act, Backend, Gate, Proxy, Seen, answer, eventually, h2_read, identity, request_bytes,
};

/// The candidate takes part in the comparison only with users who did not ask for it.
const HALF: &str = r#"
    steps = [{ share = "50%", hold = "1h" }]
    gate = { volume_min = 1000 }
    [routes.up]
    path_prefix = "/up"
    rollout = "orders"
    body_max = false
    timeouts = { idle = "300ms" }
    retry = { attempts = 1 }
"#;

/// Waits until so many requests of the candidate are compared; returns its figures.
async fn compared(proxy: &Proxy, requests: u64) -> Value {
    eventually("the requests are compared", || async {
        let told = told(proxy).await;
        let figures = &told["versions"]["candidate"]["rollout"];
        (figures["requests"].as_u64()? >= requests).then(|| figures.clone())
    })
    .await
}

/// A client stops within its upload: before a head and behind an early one, over HTTP/1.1 and
/// HTTP/2.
async fn stop_sending(proxy: &Proxy, line: &str) {
    let head =
        format!("POST /up/h1 HTTP/1.1\r\nhost: a\r\n{line}\r\ncontent-length: 10\r\n\r\nhalf");
    let mut client = proxy.client().await;
    client.send(head).await;
    client
        .answer()
        .await
        .assert_failure(408, "http_request_error");
    let mut early = proxy.raw_client().await;
    let head =
        format!("POST /up/early HTTP/1.1\r\nhost: a\r\n{line}\r\ncontent-length: 10\r\n\r\nhalf");
    early.send(head).await;
    assert_eq!(early.head().await.0, 200);
    let mut h2 = proxy.h2_client().await;
    let fields = [
        ("content-length", "10"),
        ("x-user", line.strip_prefix("x-user: ").unwrap()),
    ];
    let opened = h2.open("POST", "/up/h2", &fields, false).await;
    let (response, mut stream) = opened.unwrap();
    stream.send_data("half".into(), false).unwrap();
    assert_eq!(h2_read(response).await.unwrap().status, 408);
}

#[tokio::test]
async fn an_upload_that_stops_counts_against_the_version_only_if_it_stopped_reading() {
    let never = Gate::new();
    let held = never.clone();
    let new = Backend::start_narrow(move |seen: &Seen| match seen.target.as_str() {
        "/up/unread" => vec![Act::ReadSome(16 * 1024), Act::Wait(held.clone())],
        "/up/early" => vec![
            Act::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nearly".to_vec()),
            Act::Read,
            Act::Send(b"rest".to_vec()),
        ],
        _ if seen.method == "POST" => [vec![Act::Read], answer("2")].concat(),
        _ => identity("2")(seen),
    })
    .await;
    let old = Backend::start(identity("1")).await;
    let proxy = start(HALF, &old, &new).await;
    becomes(&proxy, "running").await;
    // Users whom the share has given to the candidate.
    let (mut users, mut asked) = (Vec::new(), 0);
    while users.len() < 6 {
        let line = format!("x-user: user-{asked}\n");
        asked += 1;
        if proxy.request("GET", "/", &line, b"").await.text() == "2" {
            users.push(line);
        }
    }
    assert_eq!(compared(&proxy, 6).await["requests"], 6);

    for line in &users {
        stop_sending(&proxy, line.trim_end()).await;
    }
    eventually("all of them have ended", || async {
        let ended = proxy.access_log().into_iter();
        let ended = ended.filter(|line| line["path"].as_str().unwrap().starts_with("/up/"));
        (ended.count() == 18).then_some(())
    })
    .await;
    assert_eq!(proxy.request("GET", "/", &users[0], b"").await.text(), "2");
    // Those that were answered before they stopped were answered well; the others count for nobody.
    let figures = compared(&proxy, 13).await;
    assert_eq!(
        (&figures["requests"], &figures["failures"]),
        (&13.into(), &0.into()),
        "{figures}"
    );

    // The endpoint stops reading.
    let body = vec![b'x'; 12 * 1024 * 1024];
    let mut client = proxy.client().await;
    let line = format!("{}\r\n", users[1].trim_end());
    client
        .send(request_bytes("POST", "/up/unread", &line, &body))
        .await;
    let logged = proxy
        .logged("of the upload", |line| line["path"] == "/up/unread")
        .await;
    assert_eq!(logged["reason"], "connection_write_timeout", "{logged}");
    let figures = compared(&proxy, 14).await;
    assert_eq!(
        (&figures["requests"], &figures["failures"]),
        (&14.into(), &1.into()),
        "{figures}"
    );
    never.open();
    proxy.finish().await;
}
