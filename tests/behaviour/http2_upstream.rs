//! Endpoints that speak HTTP/2: connections are shared within what the endpoint allows, and
//! a connection that goes away costs no request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;

use crate::harness::{
    Gate, H2Act, H2Backend, Port, Proxy, Seen, Settings, eventually, h2_answer, h2_frames, h2_read,
};
use h2_frames::Frames;

const ONE_WORKER: &str = r#"
    [proxy]
    workers = 1
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    timeouts = { attempt = "5s" }
    [pools.app]
    endpoints = ["$app"]
    protocol = "h2"
"#;

fn held_by(gate: &Gate) -> impl Fn(&Seen) -> Vec<H2Act> + Send + Sync + 'static {
    let gate = gate.clone();
    move |_| [vec![H2Act::Wait(gate.clone())], h2_answer("app")].concat()
}

/// Sends so many requests at once, lets them wait together at the gate, and has them answered.
async fn burst(proxy: &Proxy, app: &H2Backend, gate: &Gate, count: usize) {
    let mut client = proxy.h2_client().await;
    let mut answers = Vec::new();
    for n in 0..count {
        let target = format!("/{n}");
        let (answer, _) = client.open("GET", &target, &[], true).await.unwrap();
        answers.push(tokio::spawn(h2_read(answer)));
    }
    eventually("all requests have arrived", || async {
        (app.seen().len() == count).then_some(())
    })
    .await;
    gate.open();
    for answer in answers {
        assert_eq!(answer.await.unwrap().unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_burst_on_a_cold_pool_opens_one_connection() {
    let gate = Gate::new();
    let app = H2Backend::start(held_by(&gate)).await;
    let settings = Settings::new(ONE_WORKER).address("app", app.address());
    let proxy = settings.start().await;
    burst(&proxy, &app, &gate, 80).await;
    assert_eq!(app.connections(), 1);
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_that_takes_few_streams_gets_connections_and_no_stream_too_many() {
    let gate = Gate::new();
    let app = H2Backend::start_with_streams(4, held_by(&gate)).await;
    let settings = Settings::new(ONE_WORKER).address("app", app.address());
    let proxy = settings.start().await;
    burst(&proxy, &app, &gate, 18).await;
    assert_eq!(app.connections(), 5);
    for connection in 0..5 {
        let seen = app.seen();
        let carried = seen.iter().filter(|seen| seen.connection == connection);
        assert!(carried.count() <= 4, "connection {connection}");
    }
    let retries = proxy.metric("sluicegate_retries_total", &[]).await;
    assert!(retries < 0.5, "no stream was refused: {retries} retries");
    proxy.finish().await;
}

#[tokio::test]
async fn requests_wait_for_a_stream_when_no_connection_may_be_opened() {
    let gate = Gate::new();
    gate.open();
    let app = H2Backend::start_with_streams(2, held_by(&gate)).await;
    let text = format!(
        "{ONE_WORKER}limits = {{ connections = 1, queue = 100, queue_timeout = \"5s\" }}\n"
    );
    let proxy = Settings::new(&text)
        .address("app", app.address())
        .start()
        .await;
    let mut client = proxy.h2_client().await;
    let mut answers = Vec::new();
    for _ in 0..40 {
        let (answer, _) = client.open("GET", "/", &[], true).await.unwrap();
        answers.push(tokio::spawn(h2_read(answer)));
    }
    for answer in answers {
        assert_eq!(answer.await.unwrap().unwrap().status, 200);
    }
    assert_eq!(app.connections(), 1);
    proxy.finish().await;
}

/// A server whose first connection takes `streams` requests, answers the first of them and
/// says GOAWAY for this reason behind it; later connections answer everything.
async fn leaves_after_one(streams: usize, reason: u32) -> (Port, Arc<AtomicUsize>) {
    let port = Port::take();
    let listener = TcpListener::bind(port.address()).await.unwrap();
    let answered = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&answered);
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                let mut frames = Frames::accept(stream, &[]).await?;
                if number == 0 {
                    for _ in 0..streams {
                        frames.next_of(h2_frames::HEADERS).await?;
                    }
                    let last = [1_u32.to_be_bytes(), reason.to_be_bytes()].concat();
                    frames.send(h2_frames::GOAWAY, 0, 0, &last).await;
                    answer(&mut frames, 1, &count).await;
                }
                while let Some(head) = frames.next().await {
                    if head.kind == h2_frames::HEADERS && number > 0 {
                        answer(&mut frames, head.stream, &count).await;
                    }
                }
                Some(())
            });
        }
    });
    (port, answered)
}

/// Answers 200 without a body.
async fn answer(frames: &mut Frames, stream: u32, count: &AtomicUsize) {
    count.fetch_add(1, Ordering::SeqCst);
    let flags = h2_frames::END_HEADERS | h2_frames::END_STREAM;
    frames
        .send(h2_frames::HEADERS, flags, stream, &[0x88])
        .await;
}

#[tokio::test]
async fn what_a_goaway_leaves_out_is_sent_again_and_what_it_names_is_not() {
    // NO_ERROR and ENHANCE_YOUR_CALM: the reason changes nothing about what was processed.
    for reason in [0, 11] {
        let (port, answered) = leaves_after_one(12, reason).await;
        // No retry is needed for it, and none of it is the endpoint's failure.
        let text = ONE_WORKER.replace("timeouts =", "retry = { attempts = 1 }\ntimeouts =");
        let settings = Settings::new(&text).address("app", port.address());
        let proxy = settings.start().await;
        let mut client = proxy.h2_client().await;
        let mut answers = Vec::new();
        for _ in 0..12 {
            let opened = client.open("POST", "/", &[], true).await;
            answers.push(tokio::spawn(h2_read(opened.unwrap().0)));
        }
        for answer in answers {
            assert_eq!(answer.await.unwrap().unwrap().status, 200, "{reason}");
        }
        assert_eq!(answered.load(Ordering::SeqCst), 12, "{reason}");
        let ejections = proxy.metric("sluicegate_ejections_total", &[]).await;
        assert!(ejections < 0.5, "{reason}: the endpoint is not to blame");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn an_endpoint_that_never_sends_its_settings_is_late_to_connect() {
    let port = Port::take();
    let listener = TcpListener::bind(port.address()).await.unwrap();
    let deaf = tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            open.push(listener.accept().await);
        }
    });
    let text = format!("{ONE_WORKER}timeouts = {{ connect = \"300ms\" }}\n");
    let settings = Settings::new(&text).address("app", port.address());
    let proxy = settings.start().await;
    let answer = proxy.request("POST", "/", "", b"pay").await;
    answer.assert_failure(504, "connection_timeout");
    deaf.abort();
    proxy.finish().await;
}

/// Starts a client's requests, which a server frame by frame is to see.
async fn requests(proxy: &Proxy, count: usize) -> Vec<tokio::task::JoinHandle<u16>> {
    let mut client = proxy.h2_client().await;
    let mut answers = Vec::new();
    for _ in 0..count {
        let (answer, _) = client.open("GET", "/", &[], true).await.unwrap();
        let answer = async move { h2_read(answer).await.unwrap().status };
        answers.push(tokio::spawn(answer));
    }
    answers
}

/// The streams of so many requests.
async fn heads(frames: &mut Frames, count: usize) -> Vec<u32> {
    let mut streams = Vec::new();
    while streams.len() < count {
        let head = frames.next_of(h2_frames::HEADERS).await.unwrap();
        streams.push(head.stream);
    }
    streams
}

/// Asserts that no request comes before the answer to a ping.
async fn no_head(frames: &mut Frames) {
    frames.send(h2_frames::PING, 0, 0, b"anything").await;
    loop {
        let frame = frames.next().await.unwrap();
        assert_ne!(frame.kind, h2_frames::HEADERS, "a stream too many");
        if frame.kind == h2_frames::PING {
            return;
        }
    }
}

#[tokio::test]
async fn an_endpoint_may_take_more_or_fewer_streams_at_any_time() {
    const MAX_STREAMS: u16 = 3;
    let port = Port::take();
    let listener = TcpListener::bind(port.address()).await.unwrap();
    let text = format!(
        "{ONE_WORKER}limits = {{ connections = 1, queue = 100, queue_timeout = \"30s\" }}\n"
    );
    let settings = Settings::new(&text).address("app", port.address());
    let proxy = settings.start().await;
    let gauge = "sluicegate_requests_in_flight";

    let first = requests(&proxy, 6).await;
    let (stream, _) = listener.accept().await.unwrap();
    let mut frames = Frames::accept(stream, &[(MAX_STREAMS, 4)]).await.unwrap();
    let mut streams = heads(&mut frames, 4).await;
    proxy.metric_becomes(gauge, &[], 6.0).await;
    no_head(&mut frames).await;
    // More: those who wait are told, though nothing has ended.
    frames.settings(&[(MAX_STREAMS, 6)]).await;
    streams.extend(heads(&mut frames, 2).await);

    // Fewer: what is open goes on, and then there is one at a time.
    frames.settings(&[(MAX_STREAMS, 1)]).await;
    let second = requests(&proxy, 3).await;
    proxy.metric_becomes(gauge, &[], 9.0).await;
    no_head(&mut frames).await;
    let answered = AtomicUsize::new(0);
    for stream in streams {
        answer(&mut frames, stream, &answered).await;
    }
    for _ in 0..3 {
        let head = heads(&mut frames, 1).await;
        no_head(&mut frames).await;
        answer(&mut frames, head[0], &answered).await;
    }
    for answer in first.into_iter().chain(second) {
        assert_eq!(answer.await.unwrap(), 200);
    }
    let retries = proxy.metric("sluicegate_retries_total", &[]).await;
    assert!(retries < 0.5, "no stream was refused: {retries} retries");
    proxy.finish().await;
}
