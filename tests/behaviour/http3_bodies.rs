//! Bodies over HTTP/3: of any size in bounded memory, held back by who does not read, at once where
//! they come in parts, whole where they answer an upload that still goes on.

use crate::harness::{Act, Backend, Gate, Peer, Seen, answer, answer_bytes};

use super::http3::{Offer, offered};

const CLIENT: &str = "http3_client.py";

#[tokio::test]
async fn events_of_a_stream_arrive_at_once_over_http3() {
    let gates = [Gate::new(), Gate::new()];
    let held = gates.clone();
    let app = Backend::start(move |_| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 0\n\n";
        vec![
            Act::Send(head.into()),
            Act::Wait(held[0].clone()),
            Act::Send(b"data: 1\n\n".to_vec()),
            Act::Wait(held[1].clone()),
            Act::Send(b"data: 2\n\n".to_vec()),
            Act::Close,
        ]
    })
    .await;
    // Also where answers are compressed, if the client likes that.
    let text = offered("").replace("[pools.app]", "compress = {}\n[pools.app]");
    let Some(offer) = Offer::start(&text, &app).await else {
        return;
    };
    let arguments = offer.arguments("events", &[]);
    let mut client = Peer::start(&offer.packages, CLIENT, &arguments).await;
    for (turn, gate) in gates.iter().enumerate() {
        assert_eq!(client.line().await, format!("data: {turn}"));
        gate.open();
    }
    assert_eq!(client.line().await, "data: 2");
    client.ended().await.expect("the client is content");
    offer.proxy.finish().await;
}

#[tokio::test]
async fn answers_are_compressed_over_http3() {
    let app = Backend::start(|_: &Seen| {
        let body = "all work and no play ".repeat(5000);
        answer_bytes(&format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
    })
    .await;
    let text = offered("").replace("[pools.app]", "compress = {}\n[pools.app]");
    let Some(offer) = Offer::start(&text, &app).await else {
        return;
    };
    offer.run(CLIENT, "compressed", &[]).await;
    offer.proxy.finish().await;
}

#[tokio::test]
async fn an_early_answer_is_whole_while_the_upload_goes_on() {
    let app = Backend::start(|seen: &Seen| match seen.target.as_str() {
        // Without reading the body.
        "/refused" => {
            let head = "HTTP/1.1 413 Content Too Large\r\ncontent-length: 1000000\r\n\r\n";
            vec![
                Act::Send([head.as_bytes(), &[b'n'; 1_000_000]].concat()),
                Act::Stall,
            ]
        }
        "/bounded" => vec![Act::Read, Act::Stall],
        target => answer(target),
    })
    .await;
    let text = offered("").replace(
        "[pools.app]",
        "[routes.bounded]\npath = \"/bounded\"\nbody_max = \"100KiB\"\npool = \"app\"\n[pools.app]",
    );
    let Some(offer) = Offer::start(&text, &app).await else {
        return;
    };
    offer.run(CLIENT, "uploads", &[]).await;
    offer.proxy.finish().await;
}

/// Bodies too large for a client in Python.
#[cfg(feature = "http3")]
mod large {
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use crate::harness::{
        Authority, H3Client, LargeBackend, Protocol, Proxy, Settings, whole, within,
    };
    use crate::http3::offered;

    /// The proxy before an endpoint for large bodies.
    struct Stage {
        proxy: Proxy,
        app: LargeBackend,
        authority: Authority,
    }

    impl Stage {
        async fn set(workers: usize) -> Self {
            let authority = Authority::new("test authority");
            let shop = authority.issue("shop", &["shop.example"]);
            let app = LargeBackend::start(Protocol::Http1, shop.server(&[])).await;
            // On a busy machine the kernel takes its time with a body that was held.
            let patient = "body_max = false\ntimeouts = { total = \"2m\" }\n[pools.app]";
            let text = offered("").replace("[pools.app]", patient);
            let text = format!("[proxy]\nworkers = {workers}\n{text}");
            let settings = Settings::new(&text).address("app", app.address());
            shop.write(settings.folder(), "a");
            let proxy = settings.start().await;
            let stage = Self {
                proxy,
                app,
                authority,
            };
            // A little first, so that code and tables are in memory before it counts.
            let client = stage.client().await;
            assert_eq!(client.upload("/up", WINDOW).await, whole(WINDOW));
            let coming = client.ask(&format!("/down/{WINDOW}")).await;
            assert_eq!(coming.check().await, whole(WINDOW));
            stage.proxy.forget_memory_peak();
            stage
        }

        async fn client(&self) -> H3Client {
            let tls = self.authority.client(None, &["h3"]);
            let window = u32::try_from(WINDOW).unwrap();
            H3Client::connect(self.proxy.address("web"), tls, window).await
        }

        /// Fails if the proxy has taken more memory than this since `before`.
        fn grew_by_less(&self, before: u64, most: u64) {
            let grown = self.proxy.memory_peak().saturating_sub(before);
            assert!(grown < most, "{grown} bytes more");
        }
    }

    /// Waits until nothing moves any more; returns how much has moved.
    async fn come_to_rest(moved: impl Fn() -> u64) -> u64 {
        let mut last = (moved(), Instant::now());
        while last.0 == 0 || last.1.elapsed() < STILL {
            sleep(Duration::from_millis(10)).await;
            let now = moved();
            if now != last.0 {
                last = (now, Instant::now());
            }
        }
        last.0
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn large_bodies_pass_over_http3_in_bounded_memory() {
        let stage = Stage::set(1).await;
        let client = stage.client().await;
        let before = stage.proxy.memory();
        let sent = within("the upload", client.upload("/up", LARGE)).await;
        assert_eq!(sent, whole(LARGE));
        stage.grew_by_less(before, BODY_MAX);
        let coming = client.ask(&format!("/down/{LARGE}")).await;
        assert_eq!(within("the download", coming.check()).await, whole(LARGE));
        stage.grew_by_less(before, BODY_MAX);
        drop(client);
        stage.proxy.finish().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_client_that_does_not_read_holds_its_endpoint_back_over_http3() {
        let stage = Stage::set(1).await;
        let client = stage.client().await;
        let before = stage.proxy.memory();
        let sent = stage.app.sent();
        let coming = client.ask(&format!("/down/{HELD}")).await;
        let rest = come_to_rest(|| stage.app.sent() - sent);
        let moved = within("the transfer comes to rest", rest).await;
        assert!(moved < HELD / 2, "{moved} bytes went somewhere");
        stage.grew_by_less(before, HELD_MAX);
        // Others on the connection go on.
        let other = client.ask(&format!("/down/{WINDOW}")).await;
        assert_eq!(within("the other", other.check()).await, whole(WINDOW));
        assert_eq!(within("the rest", coming.check()).await, whole(HELD));
        drop(client);
        stage.proxy.finish().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_endpoint_that_does_not_read_holds_its_client_back_over_http3() {
        let stage = Stage::set(1).await;
        let client = stage.client().await;
        let before = stage.proxy.memory();
        let counter = client.sent();
        let upload = client.upload("/held", HELD);
        let held = async {
            let rest = come_to_rest(|| counter.load(Ordering::Relaxed));
            let moved = within("the transfer comes to rest", rest).await;
            assert!(moved < HELD / 2, "{moved} bytes went somewhere");
            stage.grew_by_less(before, HELD_MAX);
            let other = client.ask(&format!("/down/{WINDOW}")).await;
            assert_eq!(within("the other", other.check()).await, whole(WINDOW));
            stage.app.release();
        };
        let (sent, ()) = tokio::join!(upload, held);
        assert_eq!(sent, whole(HELD));
        drop(client);
        stage.proxy.finish().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_body_goes_on_while_its_client_moves_from_port_to_port() {
        let stage = Stage::set(4).await;
        let client = stage.client().await;
        let name = "sluicegate_connections_accepted_total";
        let before = stage.proxy.metric(name, &[("listener", "web")]).await;
        let mut coming = client.ask(&format!("/down/{MOVED}")).await;
        let mut part = 0;
        while within("the next part", coming.read()).await {
            part += 1;
            if part % 16 == 0 {
                client.move_away();
            }
        }
        assert!(part > 64, "{part} parts");
        assert_eq!(coming.check().await, whole(MOVED));
        let after = stage.proxy.metric(name, &[("listener", "web")]).await;
        assert!((after - before).abs() < 0.1, "{after} after {before}");
        drop(client);
        stage.proxy.finish().await;
    }

    /// Bytes that a client reads ahead, and has on their way.
    const WINDOW: u64 = 1 << 20;
    const LARGE: u64 = 50 << 20;
    /// Maximum memory for one body on its way: the windows of both sides, read buffers, and room for
    /// the allocator, which takes memory in blocks.
    const BODY_MAX: u64 = 12 << 20;
    /// A body that is held back: far more than all sockets on the way can hold.
    const HELD: u64 = 24 << 20;
    const HELD_MAX: u64 = 6 << 20;
    const MOVED: u64 = 4 << 20;
    /// Time without movement after which a transfer is at rest.
    const STILL: Duration = Duration::from_millis(300);
}
