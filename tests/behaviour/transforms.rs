//! A filter may change the bodies of requests and answers: they pass whole, in time and with
//! their trailers, whatever the protocols.

use std::mem;

use bytes::{Buf, Bytes};
use http::HeaderMap;
use sluicegate::{
    exchange::{Exchange, Failure, Request, Response},
    filter::{Filter, LocalBoxFuture, Verdict},
    semantics::{Headers, Transform, Value},
};

use crate::harness::{
    Act, Answer, Authority, Backend, Client, End, H2Act, H2Backend, H2Client, Inside, LargeBackend,
    LargeClient, Protocol, Seen, answer, dial, eventually, h2_answer, h2_read, whole,
};

/// Puts the length in front of each piece, which makes another body of it.
#[derive(Debug, Default)]
struct Pack {
    announced: bool,
}

impl Transform for Pack {
    fn data(&mut self, input: &mut Bytes) -> Result<Bytes, Failure> {
        self.announced = !self.announced;
        Ok(if self.announced {
            let length = u32::try_from(input.len()).unwrap();
            Bytes::copy_from_slice(&length.to_be_bytes())
        } else {
            mem::take(input)
        })
    }
}

/// Makes of it what it was. A body that ends in the middle of a piece has lost some of it.
#[derive(Debug, Default)]
struct Unpack {
    length: Vec<u8>,
    left: usize,
}

impl Transform for Unpack {
    fn data(&mut self, input: &mut Bytes) -> Result<Bytes, Failure> {
        if self.left == 0 {
            self.length.push(input.get_u8());
            if let Ok(length) = <[u8; 4]>::try_from(&self.length[..]) {
                self.left = u32::from_be_bytes(length) as usize;
                self.length.clear();
            }
            return Ok(Bytes::new());
        }
        let piece = input.split_to(self.left.min(input.len()));
        self.left -= piece.len();
        Ok(piece)
    }

    fn end(&mut self, trailers: &mut Headers) -> Result<Bytes, Failure> {
        if self.left > 0 || !self.length.is_empty() {
            return Err(Failure::Internal);
        }
        if !trailers.contains("x-unpacked") {
            trailers.append("X-Unpacked", Value::from_static("yes"));
        }
        Ok(Bytes::new())
    }
}

/// Has every body pass through both.
#[derive(Debug)]
struct Change;

impl Filter for Change {
    fn on_request<'a>(
        &'a self,
        _exchange: &'a mut Exchange,
        request: &'a mut Request,
    ) -> LocalBoxFuture<'a, Result<Verdict, Failure>> {
        request.transform(Pack::default());
        request.transform(Unpack::default());
        Box::pin(async { Ok(Verdict::Continue) })
    }

    fn on_response<'a>(
        &'a self,
        _exchange: &'a mut Exchange,
        response: &'a mut Response,
    ) -> LocalBoxFuture<'a, Result<(), Failure>> {
        response.transform(Pack::default());
        response.transform(Unpack::default());
        Box::pin(async { Ok(()) })
    }
}

async fn started(one: std::net::SocketAddr, two: std::net::SocketAddr) -> Inside {
    let tables = format!(
        r#"
        [routes.one]
        path_prefix = "/one"
        pool = "one"
        body_max = false
        [routes.two]
        path_prefix = "/two"
        pool = "two"
        body_max = false
        [pools.one]
        endpoints = ["{one}"]
        ejection = false
        [pools.two]
        endpoints = ["{two}"]
        protocol = "h2"
        ejection = false
        "#
    );
    Inside::start(&tables, Change).await
}

async fn of_both<One, Two>(one: One, two: Two) -> (Inside, Backend, H2Backend)
where
    One: Fn(&Seen) -> Vec<Act> + Send + Sync + 'static,
    Two: Fn(&Seen) -> Vec<H2Act> + Send + Sync + 'static,
{
    let (one, two) = (Backend::start(one).await, H2Backend::start(two).await);
    let proxy = started(one.address(), two.address()).await;
    (proxy, one, two)
}

const TARGETS: [&str; 2] = ["/one", "/two"];
const HALF: usize = 30_000;
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n";

fn last(one: &Backend, two: &H2Backend, target: &str) -> Seen {
    let seen = if target == "/one" {
        one.seen()
    } else {
        two.seen()
    };
    seen.into_iter().next_back().unwrap()
}

#[tokio::test]
async fn trailers_follow_a_body_that_is_changed() {
    let (proxy, one, two) = of_both(
        |_| {
            let answer = format!("{CHUNKED}0\r\nX-Sum: 1\r\n\r\n");
            vec![Act::Read, Act::Send(answer.into_bytes())]
        },
        |_| {
            vec![
                H2Act::Read,
                H2Act::Head(200, vec![]),
                H2Act::Data(b"hi".to_vec()),
                H2Act::Trailers(vec![("x-sum", "1")]),
            ]
        },
    )
    .await;
    for target in TARGETS {
        let mut client = Client::connect(proxy.address()).await;
        client
            .send(format!(
                "POST {target} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\
                 2\r\nho\r\n0\r\nX-Sum: 2\r\n\r\n"
            ))
            .await;
        let answers = client.answer().await;
        let mut both = H2Client::connect(proxy.address()).await;
        let (response, mut body) = both.open("POST", target, &[], false).await.unwrap();
        let first = last(&one, &two, target);
        body.send_data(Bytes::from_static(b"ho"), false).unwrap();
        let trailers = [("x-sum".parse().unwrap(), "2".parse().unwrap())];
        body.send_trailers(HeaderMap::from_iter(trailers)).unwrap();
        let other = h2_read(response).await.unwrap();
        for answer in [answers, other] {
            assert_eq!((answer.end, answer.text().as_str()), (End::Complete, "hi"));
            assert_eq!(answer.trailers.get("x-sum"), Some("1"), "{target}");
            assert_eq!(answer.trailers.get("x-unpacked"), Some("yes"), "{target}");
        }
        for seen in [first, last(&one, &two, target)] {
            assert!(seen.complete && seen.body == b"ho", "{target}: {seen:?}");
            assert_eq!(seen.trailers.get("x-sum"), Some("2"), "{target}");
            assert_eq!(seen.trailers.get("x-unpacked"), Some("yes"), "{target}");
        }
    }
    proxy.finish().await;
}

/// The client sends the rest only when it has the beginning of the answer.
#[tokio::test]
async fn a_request_goes_on_behind_an_early_answer_that_is_changed() {
    let (proxy, one, two) = of_both(
        |_| {
            let begun = Act::Send(CHUNKED.into());
            vec![begun, Act::Read, Act::Send(b"0\r\n\r\n".to_vec())]
        },
        |_| {
            vec![
                H2Act::Head(200, vec![]),
                H2Act::Data(b"hi".to_vec()),
                H2Act::Read,
                H2Act::End,
            ]
        },
    )
    .await;
    let whole = vec![b'x'; 2 * HALF];
    for target in TARGETS {
        let mut client = Client::connect(proxy.address()).await;
        let length = whole.len();
        client
            .send(format!(
                "POST {target} HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n"
            ))
            .await;
        client.send(&whole[..HALF]).await;
        assert_eq!(client.head().await.0, 200, "{target}");
        assert_eq!(client.bytes(7).await.unwrap(), b"2\r\nhi\r\n");
        client.send(&whole[HALF..]).await;
        eventually("the request is whole", async || {
            let seen = last(&one, &two, target);
            (seen.complete && seen.body == whole).then_some(())
        })
        .await;

        let mut client = H2Client::connect(proxy.address()).await;
        let (response, mut body) = client.open("POST", target, &[], false).await.unwrap();
        let half = Bytes::copy_from_slice(&whole[..HALF]);
        body.send_data(half.clone(), false).unwrap();
        let mut answer = response.await.unwrap().into_body();
        assert_eq!(answer.data().await.unwrap().unwrap(), "hi");
        body.send_data(half, true).unwrap();
        assert!(answer.data().await.is_none(), "{target}");
        let seen = last(&one, &two, target);
        assert!(seen.complete && seen.body == whole, "{target}");
    }
    proxy.finish().await;
}

/// Returns true if the client can tell that this is not the endpoint's answer: it broke off or,
/// before any of it had left, became a failure.
fn is_no_whole(answer: &Answer) -> bool {
    answer.status == 502 || answer.end != End::Complete
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_ended_cleanly_however_it_is_changed() {
    let (proxy, one, two) = of_both(
        |seen| match seen.method.as_str() {
            "GET" => vec![Act::Send(CHUNKED.into()), Act::Close],
            _ => vec![Act::Read],
        },
        |seen| match seen.method.as_str() {
            "GET" => vec![
                H2Act::Head(200, vec![]),
                H2Act::Data(b"hi".to_vec()),
                H2Act::Reset(h2::Reason::INTERNAL_ERROR),
            ],
            _ => vec![H2Act::Read],
        },
    )
    .await;
    for target in TARGETS {
        let mut client = Client::connect(proxy.address()).await;
        let request = format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n");
        client.send(request).await;
        let cut = client.try_answer_to("GET").await.ok();
        assert!(
            cut.as_ref().is_none_or(is_no_whole),
            "1.1 {target}: {cut:?}"
        );
        let mut client = H2Client::connect(proxy.address()).await;
        let cut = client.get(target).await.ok();
        assert!(cut.as_ref().is_none_or(is_no_whole), "h2 {target}: {cut:?}");

        let mut client = Client::connect(proxy.address()).await;
        let head = format!("POST {target} HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n");
        client.send(format!("{head}four")).await;
        let arrived = async || {
            let seen = last(&one, &two, target);
            (seen.method == "POST").then_some(())
        };
        eventually("the endpoint has its head", arrived).await;
        client.abort();
        let mut client = H2Client::connect(proxy.address()).await;
        let (response, mut body) = client.open("POST", target, &[], false).await.unwrap();
        body.send_data(Bytes::from_static(b"four"), false).unwrap();
        body.send_reset(h2::Reason::CANCEL);
        assert!(h2_read(response).await.is_err());
    }
    let (uploads_one, uploads_two) = (one.seen(), two.seen());
    for seen in uploads_one.iter().chain(&uploads_two) {
        assert!(seen.method == "GET" || !seen.complete, "{seen:?}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn the_length_of_a_body_that_is_changed_is_not_told() {
    let (proxy, _one, _two) = of_both(|_| answer("fine"), |_| h2_answer("fine")).await;
    for target in TARGETS {
        let mut client = Client::connect(proxy.address()).await;
        for method in ["HEAD", "GET", "HEAD", "GET"] {
            let request = format!("{method} {target} HTTP/1.1\r\nhost: a\r\n\r\n");
            client.send(request).await;
            let answer = client.answer_to(method).await;
            assert!(!answer.fields.has("content-length"), "{answer:?}");
            let text = if method == "GET" { "fine" } else { "" };
            assert_eq!((answer.status, answer.text().as_str()), (200, text));
        }
        let mut client = H2Client::connect(proxy.address()).await;
        let answer = client.get(target).await.unwrap();
        assert!(!answer.fields.has("content-length"), "{answer:?}");
        assert_eq!((answer.status, answer.text().as_str()), (200, "fine"));
    }
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_that_are_changed_pass_whole_and_no_faster_than_they_are_read() {
    let issued = Authority::new("test authority").issue("app", &["127.0.0.1"]);
    let start = async |protocol: Protocol| {
        LargeBackend::start(protocol, issued.server(&protocol.alpn())).await
    };
    let (one, two) = (start(Protocol::Http1).await, start(Protocol::Http2).await);
    let proxy = started(one.address(), two.address()).await;
    for protocol in [Protocol::Http1, Protocol::Http2] {
        for (target, backend) in [("/one", &one), ("/two", &two)] {
            let client =
                async || LargeClient::over(dial(proxy.address(), None).await, protocol).await;
            let pair = format!("{protocol:?} {target}");
            let (mut slow, mut quick) = (client().await, client().await);
            let up = format!("{target}/up");
            assert_eq!(quick.upload(&up, LARGE).await, Ok(whole(LARGE)), "{pair}");
            let before = backend.sent();
            let down = format!("{target}/down/{LARGE}");
            let coming = slow.ask(&down).await.unwrap();
            assert_eq!(quick.download(&down).await, Ok(whole(LARGE)), "{pair}");
            let ahead = backend.sent() - before - LARGE;
            assert!(
                ahead < AHEAD_MAX,
                "{pair}: {ahead} bytes before they are read"
            );
            assert_eq!(slow.check(coming).await, Ok(whole(LARGE)), "{pair}");
        }
    }
    proxy.finish().await;
}

const LARGE: u64 = 100 << 20;
/// Room for what lies in sockets and windows.
const AHEAD_MAX: u64 = 32 << 20;
