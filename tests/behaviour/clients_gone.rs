//! A client that leaves costs nobody anything, and is nobody's failure but his.

use crate::harness::{Act, Backend, End, Gate, Settings, answer, eventually, identity};

const ALL: &str = r#"
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
"#;

#[tokio::test]
async fn a_client_that_goes_away_is_499_in_the_log_and_cancels_the_endpoint() {
    let app = Backend::start(|_| vec![Act::Read, Act::Stall]).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    client.send("GET /gone HTTP/1.1\r\nhost: a\r\n\r\n").await;
    app.has_seen(1).await;
    client.abort();
    let line = proxy
        .logged("of the client that left", |l| l["path"] == "/gone")
        .await;
    assert_eq!(line["status"], 499, "{line}");
    assert_eq!(line["reason"], "client_gone", "{line}");
    eventually("the connection to the endpoint is closed", || async {
        (app.open() == 0).then_some(())
    })
    .await;
    assert_eq!(app.count(), 1, "not tried again");
    proxy.finish().await;
}

#[tokio::test]
async fn an_http2_client_that_resets_its_stream_cancels_the_endpoint() {
    let app = Backend::start(|seen| match seen.target.as_str() {
        "/gone" => vec![Act::Read, Act::Stall],
        _ => answer("app"),
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.h2_client().await;
    let (response, mut stream) = client.open("GET", "/gone", &[], true).await.unwrap();
    app.has_seen(1).await;
    stream.send_reset(h2::Reason::CANCEL);
    drop(response);
    let line = proxy
        .logged("of the stream that was reset", |l| l["path"] == "/gone")
        .await;
    assert_eq!(line["status"], 499, "{line}");
    eventually("the connection to the endpoint is closed", || async {
        (app.open() == 0).then_some(())
    })
    .await;
    assert_eq!(client.get("/").await.unwrap().text(), "app");
    proxy.finish().await;
}

#[tokio::test]
async fn a_client_that_closes_its_half_still_gets_its_answer() {
    let gate = Gate::new();
    let held = gate.clone();
    let app = Backend::start(move |_| {
        [vec![Act::Read, Act::Wait(held.clone())], answer("late")].concat()
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    client.half_close().await;
    app.has_seen(1).await;
    gate.open();
    assert_eq!(client.answer().await.text(), "late");
    assert_ne!(client.ended().await, End::Reset);
    proxy.finish().await;
}

#[tokio::test]
async fn a_body_that_stays_short_of_its_length_never_reaches_its_end_upstream() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    client
        .send("POST /short HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf")
        .await;
    app.has_seen(1).await;
    client.abort();
    eventually("the exchange ends at the endpoint too", || async {
        (app.open() == 0).then_some(())
    })
    .await;
    assert!(!app.only().complete);
    let line = proxy
        .logged("of the short body", |l| l["path"] == "/short")
        .await;
    assert_eq!(line["status"], 499, "{line}");
    proxy.finish().await;
}

#[tokio::test]
async fn an_upload_that_http2_resets_never_reaches_its_end_upstream() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.h2_client().await;
    let (response, mut stream) = client.open("POST", "/short", &[], false).await.unwrap();
    stream.send_data("half".into(), false).unwrap();
    app.has_seen(1).await;
    stream.send_reset(h2::Reason::CANCEL);
    drop(response);
    eventually("the exchange ends at the endpoint too", || async {
        (app.open() == 0).then_some(())
    })
    .await;
    assert!(!app.only().complete);
    let line = proxy
        .logged("of the short upload", |l| l["path"] == "/short")
        .await;
    assert_eq!(line["status"], 499, "{line}");
    assert_eq!(client.get("/").await.unwrap().text(), "app");
    proxy.finish().await;
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_its_answer_stops_the_endpoint() {
    let app = Backend::start(|_| {
        let start = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n";
        vec![Act::Read, Act::Send(start.to_vec()), Act::Stall]
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    client.send("GET /left HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(client.head().await.0, 200);
    client.abort();
    eventually("the connection to the endpoint is closed", || async {
        (app.open() == 0).then_some(())
    })
    .await;
    let line = proxy
        .logged("of the answer cut", |l| l["path"] == "/left")
        .await;
    assert_eq!(line["reason"], "client_gone", "{line}");
    let ejections = proxy.metric("sluicegate_ejections_total", &[]).await;
    assert!(ejections < 0.5, "not the endpoint's failure");
    proxy.finish().await;
}
