//! `idle` of a route: no byte in either direction, and what that says of the endpoint.

use std::time::Duration;

use tokio::time::sleep;

use crate::harness::{Act, Backend, End, H2Act, H2Backend, Proxy, Seen, Settings, h2_read};

/// Ejects after three failures in a row.
const IMPATIENT: &str = r#"
    [proxy]
    workers = 1
    [listeners.web]
    address = "$web"
    timeouts = { body_idle = "600ms" }
    [routes.all]
    pool = "app"
    timeouts = { idle = "600ms" }
    retry = { attempts = 1 }
    [pools.app]
    endpoints = ["$app", "$other"]
    ejection = { consecutive = 3 }
"#;

async fn start(text: &str, script: fn(&Seen) -> Vec<Act>) -> (Proxy, [Backend; 2]) {
    let pair = [Backend::start(script).await, Backend::start(script).await];
    let proxy = Settings::new(text)
        .backend("app", &pair[0])
        .backend("other", &pair[1])
        .start()
        .await;
    (proxy, pair)
}

async fn ejections(proxy: &Proxy) -> u32 {
    // Each is judged at its end.
    proxy
        .metric_becomes("sluicegate_requests_in_flight", &[], 0.0)
        .await;
    let ejections = proxy.metric("sluicegate_ejections_total", &[]).await;
    format!("{ejections:.0}").parse().unwrap()
}

/// Answers at once, reads the request, and ends the answer after it.
fn early(_: &Seen) -> Vec<Act> {
    vec![
        Act::Send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nearly\r\n".to_vec()),
        Act::Read,
        Act::Send(b"4\r\nlate\r\n0\r\n\r\n".to_vec()),
    ]
}

/// The same over HTTP/2.
fn early_h2(_: &Seen) -> Vec<H2Act> {
    vec![
        H2Act::Head(200, vec![]),
        H2Act::Data(b"early".to_vec()),
        H2Act::Read,
        H2Act::Data(b"late".to_vec()),
        H2Act::End,
    ]
}

async fn start_h2(script: fn(&Seen) -> Vec<H2Act>) -> (Proxy, [H2Backend; 2]) {
    let pair = [
        H2Backend::start(script).await,
        H2Backend::start(script).await,
    ];
    let proxy = Settings::new(&format!("{IMPATIENT}\nprotocol = \"h2\""))
        .address("app", pair[0].address())
        .address("other", pair[1].address())
        .start()
        .await;
    (proxy, pair)
}

#[tokio::test]
async fn an_upload_that_flows_behind_an_early_head_is_not_idle() {
    let (proxy, _pair) = start(IMPATIENT, early).await;
    flows_on(&proxy).await;
    proxy.finish().await;
    let (proxy, _pair) = start_h2(early_h2).await;
    flows_on(&proxy).await;
    proxy.finish().await;
}

async fn flows_on(proxy: &Proxy) {
    let pieces = 20;
    let mut client = proxy.client().await;
    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    client.send(head).await;
    let mut h2 = proxy.h2_client().await;
    let (response, mut stream) = h2.open("POST", "/", &[], false).await.unwrap();
    for _ in 0..pieces {
        client.send("5\r\npiece\r\n").await;
        stream.send_data("piece".into(), false).unwrap();
        sleep(Duration::from_millis(100)).await;
    }
    client.send("0\r\n\r\n").await;
    stream.send_data(Vec::new().into(), true).unwrap();
    for answer in [client.answer().await, h2_read(response).await.unwrap()] {
        assert_eq!(answer.text(), "earlylate", "{answer:?}");
        assert_eq!(answer.end, End::Complete, "{answer:?}");
    }
}

#[tokio::test]
async fn an_upload_that_stops_behind_an_early_head_is_the_clients_fault() {
    let (proxy, _pair) = start(IMPATIENT, early).await;
    stops(&proxy).await;
    proxy.finish().await;
    let (proxy, _pair) = start_h2(early_h2).await;
    stops(&proxy).await;
    proxy.finish().await;
}

async fn stops(proxy: &Proxy) {
    let mut clients = Vec::new();
    let mut h2 = proxy.h2_client().await;
    let mut streams = Vec::new();
    for _ in 0..8 {
        let mut client = proxy.client().await;
        client
            .send("POST /stops HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf")
            .await;
        clients.push(client);
        let (response, stream) = h2.open("POST", "/stops", &[], false).await.unwrap();
        streams.push((response, stream));
    }
    for mut client in clients {
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.end), (200, End::Closed));
    }
    for (response, _stream) in streams {
        let answer = h2_read(response).await.unwrap();
        assert_eq!((answer.status, answer.end), (200, End::Reset));
    }
    let line = proxy
        .logged("of such an upload", |line| line["path"] == "/stops")
        .await;
    assert_eq!(line["reason"], "http_request_error", "{line}");
    assert_eq!(ejections(proxy).await, 0);
}

/// Twelve clients of streams on which nothing happens; what is logged of the last.
async fn quiet_streams(proxy: &Proxy) {
    let mut clients = Vec::new();
    let mut h2 = proxy.h2_client().await;
    let mut streams = Vec::new();
    for _ in 0..6 {
        let mut client = proxy.client().await;
        client.send("GET /events HTTP/1.1\r\nhost: a\r\n\r\n").await;
        clients.push(client);
        streams.push(h2.open("GET", "/events", &[], true).await.unwrap().0);
    }
    for mut client in clients {
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "event"));
        assert_ne!(answer.end, End::Complete);
    }
    for response in streams {
        let answer = h2_read(response).await.unwrap();
        assert_eq!((answer.text().as_str(), answer.end), ("event", End::Reset));
    }
    let line = proxy
        .logged("of a quiet stream", |line| line["path"] == "/events")
        .await;
    assert_eq!(line["reason"], "connection_read_timeout", "{line}");
}

#[tokio::test]
async fn streams_that_are_quiet_until_idle_eject_nobody() {
    let (proxy, _pair) = start(IMPATIENT, |_| {
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nevent\r\n";
        vec![Act::Read, Act::Send(head.to_vec()), Act::Stall]
    })
    .await;
    quiet_streams(&proxy).await;
    assert_eq!(ejections(&proxy).await, 0);
    proxy.finish().await;
    let forever = crate::harness::Gate::new();
    let held = forever.clone();
    let script = move |_: &Seen| {
        vec![
            H2Act::Head(200, vec![]),
            H2Act::Data(b"event".to_vec()),
            H2Act::Wait(held.clone()),
        ]
    };
    let pair = [
        H2Backend::start(script.clone()).await,
        H2Backend::start(script).await,
    ];
    let proxy = Settings::new(&format!("{IMPATIENT}\nprotocol = \"h2\""))
        .address("app", pair[0].address())
        .address("other", pair[1].address())
        .start()
        .await;
    quiet_streams(&proxy).await;
    assert_eq!(ejections(&proxy).await, 0);
    proxy.finish().await;
}

#[tokio::test]
async fn answers_that_fall_silent_before_their_length_count_as_failures() {
    let (proxy, pair) = start(IMPATIENT, |_| {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
        vec![Act::Read, Act::Send(head.to_vec()), Act::Stall]
    })
    .await;
    let gets = (0..8).map(|_| proxy.get("/"));
    let answers: Vec<_> = futures_of(gets).await;
    assert!(answers.iter().all(|end| *end != End::Complete));
    proxy
        .metric_becomes("sluicegate_ejections_total", &[], 1.0)
        .await;
    drop(pair);
    proxy.finish().await;
}

/// All at once; how each body ended.
async fn futures_of<F>(gets: impl Iterator<Item = F>) -> Vec<End>
where
    F: Future<Output = crate::harness::Answer>,
{
    let mut ends = Vec::new();
    let mut gets: Vec<_> = gets.map(Box::pin).collect();
    std::future::poll_fn(|cx| {
        gets.retain_mut(|get| match get.as_mut().poll(cx) {
            std::task::Poll::Ready(answer) => {
                ends.push(answer.end);
                false
            }
            std::task::Poll::Pending => true,
        });
        if gets.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    ends
}
