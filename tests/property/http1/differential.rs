//! hyper's server as a second reader of the same bytes.
//!
//! Whatever the codec accepts, hyper must read as the same request: method, target,
//! fields, body and trailers. Whatever hyper refuses is then refused by the codec as
//! well. Where the codec is stricter, the corpus says so case by case.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::collection::vec;
use proptest::prelude::*;
use sluicegate::semantics::Headers;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::corpus::{Ours, ours};

/// The first request as hyper read it.
#[derive(Debug)]
pub(crate) struct Seen {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
}

/// Gives the bytes to hyper and then closes; none if it refuses them or waits for more.
pub(crate) async fn hyper(bytes: &[u8]) -> Option<Seen> {
    let (mut client, server) = duplex(1 << 20);
    let seen = Rc::new(RefCell::new(None));
    let service = service_fn(|request: Request<Incoming>| {
        let seen = Rc::clone(&seen);
        async move {
            let (head, body) = request.into_parts();
            if let Ok(body) = body.collect().await {
                let trailers = body.trailers().cloned();
                let first = Seen {
                    method: head.method,
                    uri: head.uri,
                    headers: head.headers,
                    body: body.to_bytes().to_vec(),
                    trailers,
                };
                seen.borrow_mut().get_or_insert(first);
            }
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    client.write_all(bytes).await.unwrap();
    client.shutdown().await.unwrap();
    // Its verdict is what it handed to the service; how the connection ends is not.
    let mut connection = http1::Builder::new();
    let connection = connection
        .half_close(true)
        .serve_connection(TokioIo::new(server), service);
    let mut answer = Vec::new();
    let (_served, read) = tokio::join!(connection, client.read_to_end(&mut answer));
    read.unwrap();
    seen.take()
}

/// Checks that hyper read an accepted request as the codec did.
pub(crate) fn agree(name: &str, bytes: &[u8], ours: &Ours, hyper: Option<&Seen>) {
    let Ours::Accepted(request) = ours else {
        return;
    };
    let (head, body, _) = &**request;
    let text = bytes.escape_ascii();
    if Uri::from_maybe_shared(head.target.clone()).is_err() {
        // An absolute form whose authority is none is refused behind the codec; by hyper, too.
        let absolute = !head.target.starts_with(b"/");
        assert!(head.odd_target || absolute, "{name}: {text}");
        assert!(head.odd_target || hyper.is_none(), "{name}: {text}");
        return;
    }
    let seen = hyper.unwrap_or_else(|| panic!("{name}: hyper refuses what is accepted: {text}"));
    assert_eq!(seen.method, head.method, "{name}: {text}");
    let uri = Uri::from_maybe_shared(head.target.clone()).unwrap();
    assert_eq!(seen.uri, uri, "{name}: {text}");
    if head.target.starts_with(b"/") {
        assert_eq!(
            seen.uri.to_string().as_bytes(),
            head.target,
            "{name}: {text}"
        );
    }
    assert_eq!(seen.headers, head.headers.to_map(), "{name}: {text}");
    assert_eq!(
        seen.body.escape_ascii().to_string(),
        body.data.escape_ascii().to_string(),
        "{name}: {text}"
    );
    let trailers = body.trailers.iter().flat_map(Headers::to_fields);
    for (field, value) in trailers {
        let theirs = seen.trailers.as_ref().unwrap().get_all(&field);
        assert!(
            theirs.iter().any(|other| other == value),
            "{name}: {field}: {text}"
        );
    }
}

fn judge(bytes: &[u8]) -> bool {
    let ours = ours(bytes);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let hyper = runtime.block_on(hyper(bytes));
    agree("generated", bytes, &ours, hyper.as_ref());
    matches!(ours, Ours::Accepted(_))
}

#[test]
fn the_judge_sees_a_plain_request() {
    assert!(judge(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert!(judge(
        b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\n"
    ));
}

/// A valid request in parts, some of which are replaced or joined by bent ones.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        6 => Just("POST /a?b=c HTTP/1.1\r\n"),
        1 => prop::sample::select(LINES),
    ];
    let field = prop_oneof![
        6 => prop::sample::select(PLAIN_FIELDS),
        1 => prop::sample::select(BENT_FIELDS),
    ];
    let body = prop_oneof![
        4 => Just("Content-Length: 5\r\n\r\nhello"),
        4 => Just("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        4 => prop::sample::select(BENT_BODIES),
        1 => Just("\r\n"),
    ];
    let flip = proptest::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>()));
    let tail = prop_oneof![Just(""), Just("GET /next HTTP/1.1\r\nHost: a\r\n\r\n")];
    (line, vec(field, 0..4), body, tail, flip).prop_map(|(line, fields, body, tail, flip)| {
        let mut bytes = [line, &fields.concat(), body, tail].concat().into_bytes();
        if let Some((at, byte)) = flip {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn what_is_accepted_is_what_hyper_reads(bytes in request()) {
        judge(&bytes);
    }
}

const LINES: &[&str] = &[
    "GET / HTTP/1.1\r\n",
    "GET / HTTP/1.0\r\n",
    "OPTIONS * HTTP/1.1\r\n",
    "\r\nGET / HTTP/1.1\r\n",
    "GET http://a:80/x?y HTTP/1.1\r\n",
    "GET http://::80/x?y HTTP/1.1\r\n",
    "CONNECT a:443 HTTP/1.1\r\n",
    "GET /%00%2f\"{|}^ HTTP/1.1\r\n",
    "GET  / HTTP/1.1\r\n",
    "GET / HTTP/1.1 \r\n",
    "GET /#f HTTP/1.1\r\n",
    "GET / HTTP/1.1\n",
];

const PLAIN_FIELDS: &[&str] = &[
    "Host: a\r\n",
    "Accept: */*\r\n",
    "X: \t y \t\r\n",
    "X:\r\n",
    "X: \u{e9}\r\n",
    "Cookie: a=b\r\n",
    "Connection: keep-alive\r\n",
    "Connection: close\r\n",
    "Expect: 100-continue\r\n",
    "a_b: c\r\n",
];

const BENT_FIELDS: &[&str] = &[
    "Content-Length: 5\r\n",
    "Content-Length: 6\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Transfer-Encoding : chunked\r\n",
    "X: a\r\n b\r\n",
    "X: a\nY: b\r\n",
    "X: a\rb\r\n",
    " X: y\r\n",
    "Connection: upgrade\r\nUpgrade: x\r\n",
    "X\r\n",
    "content-length:5\r\n",
    "Transfer-Encoding:\x0bchunked\r\n",
    "Trailer: X\r\n",
    "Content-Length: 0\r\n",
];

const BENT_BODIES: &[&str] = &[
    "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n05\r\nhello\r\n00\r\nHost: b\r\nX: y\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n",
    "Transfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n5;\n\r\nhello\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
    "Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n",
    "Content-Length: 05\r\n\r\nhello",
    "Content-Length: 9\r\n\r\nhello",
    "Content-Length: 0\r\n\r\n",
    "Content-Length: 5, 5\r\n\r\nhello",
    "Content-Length: +5\r\n\r\nhello",
    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
];
