//! A client that stands still holds little, and holds up nobody else.

use std::cell::Cell;
use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::harness::h2_frames::{Frames, WINDOW_UPDATE};
use crate::harness::{
    Act, Authority, Backend, Client, H2Backend, H2Client, LargeBackend, Protocol, Proxy, Settings,
    answer, eventually, h2_answer,
};

const ALL: &str = r#"
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    body_max = false
    [pools.app]
    endpoints = ["$app"]
"#;

/// An endpoint whose answers are larger than what all sockets on the way hold.
async fn endless() -> LargeBackend {
    let unused = Authority::new("unused").issue("unused", &[]).server(&[]);
    LargeBackend::start(Protocol::Http1, unused).await
}

/// KiB that the proxy has more, once that stands still but for trifles.
async fn grown_since(proxy: &Proxy, before: u64) -> u64 {
    const TRIFLE: u64 = 512 * 1024;
    let (last, since) = (Cell::new(0), Cell::new(Instant::now()));
    let now = eventually("the memory of the proxy settles", || async {
        let now = proxy.memory();
        if now.abs_diff(last.get()) > TRIFLE {
            last.set(now);
            since.set(Instant::now());
        }
        (since.get().elapsed() > Duration::from_secs(1)).then_some(now)
    });
    now.await.saturating_sub(before) / 1024
}

#[tokio::test]
async fn a_reader_of_http1_that_is_stuck_holds_a_quarter_of_a_mebibyte() {
    const CLIENTS: u64 = 60;
    let app = endless().await;
    let proxy = Settings::new(ALL)
        .address("app", app.address())
        .start()
        .await;
    for _ in 0..20 {
        proxy.get("/down/10").await;
    }
    let before = proxy.memory();
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = proxy.raw_client().await;
        client
            .send("GET /down/64000000 HTTP/1.1\r\nhost: a\r\n\r\n")
            .await;
        assert_eq!(client.head().await.0, 200);
        clients.push(client);
    }
    let each = grown_since(&proxy, before).await / CLIENTS;
    assert!(each <= 320, "{each} KiB for each client that does not read");
    clients.into_iter().for_each(Client::abort);
    proxy.finish().await;
}

#[tokio::test]
async fn readers_of_http2_that_are_stuck_share_the_budget_of_their_connection() {
    const CONNECTIONS: u64 = 4;
    let app = endless().await;
    let proxy = Settings::new(ALL)
        .address("app", app.address())
        .start()
        .await;
    for _ in 0..20 {
        proxy.get("/down/10").await;
    }
    // What the windows of each stream and of the connection are opened to.
    for (streams, window, most) in [
        (1, 1_000_000, 350),
        (1, 0x7000_0000, 450),
        (60, 0, 1_800),
        (60, 1_000_000, 1_800),
        (60, 0x7000_0000, 1_800),
    ] {
        let before = proxy.memory();
        let mut all = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut frames = Frames::connect(proxy.address("web"), &[(4, window)]).await;
            if window > 1_000_000 {
                let wider = window.to_be_bytes();
                assert!(frames.send(WINDOW_UPDATE, 0, 0, &wider).await);
            }
            for n in 0..streams {
                assert!(frames.get(2 * n + 1, "/down/64000000", &[]).await);
            }
            all.push(frames);
        }
        let each = grown_since(&proxy, before).await / CONNECTIONS;
        assert!(
            each <= most,
            "{each} KiB for each connection with {streams} streams that are not read"
        );
    }
    proxy.finish().await;
}

#[tokio::test]
async fn stalled_uploads_leave_the_others_on_their_connection_all_the_window_they_need() {
    const LENGTH: usize = 16 * 1024 * 1024;
    let app = Backend::start(|seen| match seen.target.as_str() {
        "/stall" => vec![Act::Stall],
        _ => answer("read"),
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let before = proxy.memory();
    let mut client = proxy.h2_client().await;
    let mut stalled = Vec::new();
    // More than the socket of the endpoint holds, and the windows behind it.
    let body = Bytes::from(vec![b'x'; LENGTH]);
    for _ in 0..20 {
        let (answer, mut stream) = client.open("POST", "/stall", &[], false).await.unwrap();
        stream.send_data(body.clone(), true).unwrap();
        stalled.push((answer, stream));
    }
    let grown = grown_since(&proxy, before).await;
    assert!(
        grown < 20 * 1024,
        "{grown} KiB for 20 uploads that nobody reads"
    );
    let large = vec![b'x'; 3_000_000];
    for _ in 0..2 {
        let answer = client.request("POST", "/read", &[], &large).await.unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "read"));
    }
    drop((stalled, client));
    proxy.finish().await;
}

#[tokio::test]
async fn who_holds_places_without_sending_is_the_first_to_lose_them() {
    let app = Backend::start(|_| answer("app")).await;
    let text = format!("{ALL}    limits = {{ connections = 40 }}\n");
    let proxy = Settings::new(&text).backend("app", &app).start().await;
    let mut idle = Vec::new();
    for _ in 0..2 {
        let mut client = proxy.h2_client().await;
        for _ in 0..20 {
            idle.push(client.open("POST", "/", &[], false).await.unwrap());
        }
    }
    eventually("no place is left", || async {
        (app.open() == 40).then_some(())
    })
    .await;
    let mut others = JoinSet::new();
    for _ in 0..8 {
        let mut client = proxy.client().await;
        others.spawn(async move {
            for _ in 0..5 {
                assert_eq!(client.get("/").await.status, 200);
                let answer = client.request("POST", "/", "", b"body").await;
                assert_eq!(answer.status, 200);
            }
        });
    }
    while let Some(served) = others.join_next().await {
        served.unwrap();
    }
    let line = proxy
        .logged("one that lost its place", |line| line["status"] == 408)
        .await;
    assert_eq!(line["reason"], "http_request_error");
    drop(idle);
    proxy.finish().await;
}

/// Clients of HTTP/2 that hold heads without a body, and renew them for ever.
fn hold_heads(proxy: &Proxy, clients: usize) -> JoinSet<()> {
    const HEADS: usize = 128;
    let mut holders = JoinSet::new();
    let address = proxy.address("web");
    for _ in 0..clients {
        holders.spawn(async move {
            let mut client = H2Client::connect(address).await;
            let mut heads = VecDeque::new();
            let mut pace = tokio::time::interval(Duration::from_millis(10));
            loop {
                pace.tick().await;
                // The oldest are reset, a few at a time.
                heads.drain(..heads.len().saturating_sub(HEADS - 4));
                while heads.len() < HEADS {
                    match client.open("POST", "/", &[], false).await {
                        Ok(head) => heads.push_back(head),
                        // The proxy bounds resets, too.
                        Err(_) => {
                            client = H2Client::connect(address).await;
                            heads.clear();
                        }
                    }
                }
            }
        });
    }
    holders
}

/// Requests that can be served at once; how they were answered is told by what it panics with.
async fn served(proxy: &Proxy, clients: usize, rounds: usize) {
    let mut honest = JoinSet::new();
    for _ in 0..clients {
        let mut client = proxy.client().await;
        honest.spawn(async move {
            for _ in 0..rounds {
                assert_eq!(client.get("/").await.status, 200);
                let answer = client.request("POST", "/", "", b"body").await;
                assert_eq!(answer.status, 200);
            }
        });
    }
    while let Some(ended) = honest.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_without_a_body_take_no_place_from_requests_that_can_be_served() {
    for workers in [1, 2] {
        let app = Backend::start(|_| answer("app")).await;
        let text = format!(
            "{ALL}    limits = {{ connections = 40 }}\n    [proxy]\n    workers = {workers}\n"
        );
        let proxy = Settings::new(&text).backend("app", &app).start().await;
        let mut holders = hold_heads(&proxy, 8);
        eventually("no place is left", || async {
            (app.open() == 40).then_some(())
        })
        .await;
        served(&proxy, 8, 5).await;
        holders.shutdown().await;
        proxy.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_without_a_body_take_no_stream_from_requests_that_can_be_served() {
    let app = H2Backend::start_with_streams(20, |_| h2_answer("app")).await;
    let text = format!(
        "{ALL}    protocol = \"h2\"\n    limits = {{ connections = 2 }}\n    [proxy]\n    workers = 1\n"
    );
    let settings = Settings::new(&text).address("app", app.address());
    let proxy = settings.start().await;
    let mut holders = hold_heads(&proxy, 8);
    eventually("no stream is left", || async {
        (app.seen().len() >= 40).then_some(())
    })
    .await;
    served(&proxy, 8, 5).await;
    holders.shutdown().await;
    proxy.finish().await;
}
