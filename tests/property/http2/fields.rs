//! Heads of requests, and what of them is kept.

use sluicegate::http1::HeadLimits;
use sluicegate::http2::hpack::{Decoder, Encoder};
use sluicegate::http2::request::{ConnectProtocol, HeadFault, RequestHead, read_request};
use sluicegate::semantics::Known;

const GET: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "https"),
    (":path", "/a?b=c"),
    (":authority", "shop.example"),
];

fn limits() -> HeadLimits {
    HeadLimits {
        bytes_max: 1000,
        headers_max: 10,
        target_max: 100,
    }
}

fn read(fields: &[(&str, &str)]) -> Result<RequestHead, HeadFault> {
    let mut block = Vec::new();
    let mut encoder = Encoder::new();
    encoder.begin(&mut block);
    for (name, value) in fields {
        encoder.field(None, name.as_bytes(), value.as_bytes(), false, &mut block);
    }
    read_request(&mut Decoder::new(4096), &block, &limits())
}

fn with(more: &[(&str, &str)]) -> Result<RequestHead, HeadFault> {
    read(&[&GET[..], more].concat())
}

#[test]
fn a_head_is_what_it_says() {
    let head = with(&[("x-a", "one"), ("content-length", "12"), ("x-a", "two")]).unwrap();
    assert_eq!(
        (head.method.as_str(), head.target.to_string().as_str()),
        ("GET", "/a?b=c")
    );
    assert_eq!((head.protocol, head.content_length), (None, Some(12)));
    let fields: Vec<_> = head
        .headers
        .iter()
        .map(|(name, value)| (name, value.as_bytes()))
        .collect();
    assert_eq!(
        fields,
        [
            (&b"host"[..], &b"shop.example"[..]),
            (b"x-a", b"one"),
            (b"content-length", b"12"),
            (b"x-a", b"two"),
        ]
    );
}

#[test]
fn a_host_that_says_the_same_is_not_kept_and_another_is() {
    for (host, kept) in [
        ("shop.example", 1),
        ("SHOP.example", 1),
        ("shop.example.", 1),
        ("shop.example:1", 2),
        ("other.example", 2),
        ("@", 2),
    ] {
        let head = with(&[("host", host)]).unwrap();
        assert_eq!(head.headers.get_all(Known::Host).count(), kept, "{host}");
    }
    let head = read(&[GET[0], GET[1], GET[2], ("host", "a")]).unwrap();
    assert_eq!(head.headers.get(Known::Host).unwrap().as_bytes(), b"a");
}

#[test]
fn connects_are_told_apart() {
    let plain = read(&[(":method", "CONNECT"), (":authority", "a:443")]).unwrap();
    assert_eq!(
        (plain.target.to_string().as_str(), plain.protocol),
        ("a:443", None)
    );
    for (protocol, expected) in [
        ("websocket", ConnectProtocol::WebSocket),
        ("x", ConnectProtocol::Other),
    ] {
        let fields = [
            (":method", "CONNECT"),
            (":protocol", protocol),
            GET[1],
            GET[2],
            GET[3],
        ];
        assert_eq!(read(&fields).unwrap().protocol, Some(expected));
    }
}

#[test]
fn what_is_over_a_limit_is_told_from_what_floods() {
    let long = "x".repeat(900);
    assert_eq!(with(&[("x-a", &long)]).unwrap_err(), HeadFault::TooLarge);
    let fields = [("x-a", long.as_str()); 5];
    assert_eq!(with(&fields).unwrap_err(), HeadFault::Flood);
    // One line more than the limit tells whoever counts.
    let many = [("a", "b"); 15];
    assert_eq!(with(&many).unwrap().headers.len(), limits().headers_max + 1);
}

#[test]
fn what_was_over_a_limit_is_remembered_all_the_same() {
    let mut decoder = Decoder::new(4096);
    let mut encoder = Encoder::new();
    let mut block = Vec::new();
    let long = "x".repeat(600);
    for (name, value) in [
        GET[0],
        GET[1],
        GET[2],
        GET[3],
        ("x-a", &long),
        ("x-b", &long),
    ] {
        encoder.field(None, name.as_bytes(), value.as_bytes(), false, &mut block);
    }
    let first = read_request(&mut decoder, &block, &limits());
    assert_eq!(first.unwrap_err(), HeadFault::TooLarge);
    block.clear();
    for (name, value) in [GET[0], GET[1], GET[2], GET[3], ("x-b", &long)] {
        encoder.field(None, name.as_bytes(), value.as_bytes(), false, &mut block);
    }
    assert!(block.len() < 10, "all of it is in the table");
    let second = read_request(&mut decoder, &block, &limits()).unwrap();
    assert_eq!(
        second.headers.get("x-b").unwrap().as_bytes(),
        long.as_bytes()
    );
}
