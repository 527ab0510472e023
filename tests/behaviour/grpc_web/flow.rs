//! Messages of a bridged call go on as they come, and no faster than the client reads them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::net::TcpListener;

use super::{BINARY, TEXT, bridge, head};
use crate::harness::{
    End, Gate, H2Act, H2Backend, Port, Settings, eventually, from_base64, message, to_base64,
};

#[tokio::test]
async fn messages_arrive_as_they_are_sent() {
    for kind in [BINARY, TEXT] {
        let gates = [Gate::new(), Gate::new()];
        let held = gates.clone();
        let app = H2Backend::start(move |_| {
            vec![
                H2Act::Read,
                head(),
                H2Act::Data(message(b"one")),
                H2Act::Wait(held[0].clone()),
                H2Act::Data(message(b"three")),
                H2Act::Wait(held[1].clone()),
                H2Act::Trailers(vec![("grpc-status", "0")]),
            ]
        })
        .await;
        let proxy = bridge(&app, "", "").await;
        let mut client = proxy.client().await;
        let request = format!(
            "POST /a.B/C HTTP/1.1\r\nhost: a\r\ncontent-type: {kind}\r\ncontent-length: 0\r\n\r\n"
        );
        client.send(request).await;
        assert_eq!(client.head().await.0, 200);
        // The next message is only sent when this one has come.
        for (bytes, gate) in [message(b"one"), message(b"three")].iter().zip(&gates) {
            let expected = chunk(kind, bytes);
            let came = client.bytes(expected.len()).await.unwrap();
            assert_eq!(came, expected, "{kind}");
            gate.open();
        }
        let end = chunk(kind, b"\x80\0\0\0\x0fgrpc-status:0\r\n");
        assert_eq!(client.bytes(end.len()).await.unwrap(), end, "{kind}");
        proxy.finish().await;
    }
}

/// Bytes as a chunk of a body, in the form that the content type says.
fn chunk(kind: &str, bytes: &[u8]) -> Vec<u8> {
    let bytes = match kind {
        TEXT => to_base64(bytes).into_bytes(),
        _ => bytes.to_vec(),
    };
    [format!("{:x}\r\n", bytes.len()).as_bytes(), &bytes, b"\r\n"].concat()
}

/// An endpoint that sends as much of an answer as it gets rid of.
async fn flood(port: &Port, total: usize, sent: Arc<AtomicUsize>) {
    let listener = TcpListener::bind(port.address()).await.unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            let sent = Arc::clone(&sent);
            tokio::spawn(async move {
                let head = http::Response::builder().header("content-type", "application/grpc");
                let mut body = respond
                    .send_response(head.body(()).unwrap(), false)
                    .unwrap();
                let part = Bytes::from(message(&[b'x'; 16379]));
                while sent.load(Ordering::SeqCst) < total {
                    body.reserve_capacity(part.len());
                    while body.capacity() < part.len() {
                        if std::future::poll_fn(|cx| body.poll_capacity(cx))
                            .await
                            .is_none()
                        {
                            return;
                        }
                    }
                    body.send_data(part.clone(), false).unwrap();
                    sent.fetch_add(part.len(), Ordering::SeqCst);
                }
                let status = ("grpc-status".parse().unwrap(), "0".parse().unwrap());
                body.send_trailers([status].into_iter().collect()).unwrap();
            });
        }
    });
}

#[tokio::test]
async fn an_answer_waits_for_a_client_that_does_not_read() {
    const TOTAL: usize = 32 << 20;
    let port = Port::take();
    let sent = Arc::new(AtomicUsize::new(0));
    flood(&port, TOTAL, Arc::clone(&sent)).await;
    let text = "[listeners.web]\naddress = \"$web\"\n\
                [routes.all]\npool = \"app\"\ngrpc_web = true\n\
                [routes.ping]\npath = \"/ping\"\nrespond = { body = \"pong\" }\n\
                [pools.app]\nendpoints = [\"$app\"]\nprotocol = \"h2\"\n";
    let settings = Settings::new(text).address("app", port.address());
    let proxy = settings.start().await;
    let mut client = proxy.client().await;
    let request = format!(
        "POST /a.B/C HTTP/1.1\r\nhost: a\r\ncontent-type: {TEXT}\r\ncontent-length: 0\r\n\r\n"
    );
    client.send(request).await;
    eventually("the endpoint sends", || async {
        (sent.load(Ordering::SeqCst) > 1 << 20).then_some(())
    })
    .await;
    for _ in 0..50 {
        assert_eq!(proxy.get("/ping").await.text(), "pong");
    }
    let ahead = sent.load(Ordering::SeqCst);
    assert!(
        ahead < TOTAL / 2,
        "{ahead} bytes are on their way to nobody"
    );
    let answer = client.answer().await;
    assert_eq!(answer.end, End::Complete);
    assert!(answer.body.len() > TOTAL / 3 * 4, "{}", answer.body.len());
    let end = from_base64(&answer.body[answer.body.len() - 28..]);
    assert!(end.ends_with(b"grpc-status:0\r\n"), "{end:?}");
    proxy.finish().await;
}
