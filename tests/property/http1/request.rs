//! Request heads: what is accepted, and which rule each refusal names.

use bytes::BytesMut;
use http::{Method, Version};
use sluicegate::{
    failure::BadRequest::{self, *},
    http1::{Framing, HeadLimits, RequestHead, parse_request_head},
};

use super::parse_request;

pub(crate) fn accepted(bytes: &[u8]) -> RequestHead {
    match parse_request(bytes) {
        Ok(Some(head)) => head,
        other => panic!("{:?}: {other:?}", bytes.escape_ascii().to_string()),
    }
}

pub(crate) fn refused(bytes: &[u8]) -> BadRequest {
    match parse_request(bytes) {
        Err(rule) => rule,
        other => panic!("{:?}: {other:?}", bytes.escape_ascii().to_string()),
    }
}

/// A head with these lines between the request line and the empty line.
fn with(lines: &str) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n").into_bytes()
}

#[test]
fn a_plain_head_has_all_its_parts() {
    let mut buffer = BytesMut::from(
        "GET /a%2Fb?q=1 HTTP/1.1\r\nHost: shop.example\r\nX-Empty:\r\nAccept: \t */* \t\r\n\r\nrest",
    );
    let mut scanned = 0;
    let head = parse_request_head(&mut buffer, &mut scanned, &HeadLimits::default());
    let head = head.unwrap().unwrap();
    assert_eq!(head.method, Method::GET);
    assert_eq!(head.target, "/a%2Fb?q=1");
    assert_eq!(head.version, Version::HTTP_11);
    assert_eq!(head.headers.len(), 3);
    assert_eq!(head.headers.to_map()["host"], "shop.example");
    assert_eq!(head.headers.to_map()["x-empty"], "");
    assert_eq!(head.headers.to_map()["accept"], "*/*");
    assert_eq!(head.framing, Framing::None);
    assert!(head.keep_alive && !head.upgrade && !head.expect_continue);
    assert_eq!((&buffer[..], scanned), (&b"rest"[..], 0));
}

#[test]
fn repeated_fields_keep_their_order() {
    let head = accepted(&with("X-A: 1\r\nCookie: a\r\nx-a: 2\r\nX-A: 3"));
    let values: Vec<_> = head.headers.get_all("x-a").collect();
    assert_eq!(values, ["1", "2", "3"]);
}

#[test]
fn field_lines_are_a_token_a_colon_and_a_value() {
    for line in [
        "X",
        "X y: z",
        "X : y",
        "X\t: y",
        " X: y",
        "\tX: y",
        ": y",
        ":",
        "X\u{e9}: y",
        "X(: y",
        "\"X\": y",
        "X/: y",
        "X@: y",
        "X: a\r\n folded",
        "X: a\r\n\tfolded",
        "X: a\rb",
        "X: a\r\r",
        "X: \0",
        "X: a\x7f",
        "X: \x01",
        "X: \x0b",
        "X\0: y",
        "X\r: y",
        "Content-Length : 5",
        "Transfer-Encoding\x0b: chunked",
        "[X]: y",
        "{X}: y",
        "X=: y",
    ] {
        assert_eq!(refused(&with(line)), Header, "{line:?}");
    }
    for first in [" Host: a", "\tHost: a", ": a", "Host : a"] {
        let head = format!("GET / HTTP/1.1\r\n{first}\r\n\r\n");
        assert_eq!(refused(head.as_bytes()), Header, "{first:?}");
    }
}

#[test]
fn values_have_every_byte_but_controls() {
    for byte in 0..=u8::MAX {
        let head = [b"GET / HTTP/1.1\r\nX: a", &[byte][..], b"b\r\n\r\n"].concat();
        let verdict = parse_request(&head);
        if byte == b'\t' || (byte >= b' ' && byte != 0x7f) {
            let value = [b'a', byte, b'b'];
            assert_eq!(
                verdict.unwrap().unwrap().headers.to_map()["x"].as_bytes(),
                value
            );
        } else {
            assert_eq!(verdict.map(drop), Err(Header), "{byte:#x}");
        }
    }
}

#[test]
fn only_crlf_ends_a_line() {
    assert_eq!(refused(b"GET / HTTP/1.1\nHost: a\n\n"), RequestLine);
    assert_eq!(refused(b"GET / HTTP/1.1\nHost: a\r\n\r\n"), RequestLine);
    assert_eq!(refused(b"GET / HTTP/1.1\r\nHost: a\n\r\n"), Header);
    assert_eq!(refused(b"GET / HTTP/1.1\r\nHost: a\r\n\n"), Header);
    assert_eq!(refused(b"GET / HTTP/1.1\r\nX: a\nY: b\r\n\r\n"), Header);
    // Told before the rest comes.
    assert_eq!(refused(b"GET / HTTP/1.1\r\nHost: a\n"), Header);
}

#[test]
fn one_length_in_digits_frames_a_body() {
    assert_eq!(
        accepted(&with("Content-Length: 5")).framing,
        Framing::Length(5)
    );
    assert_eq!(
        accepted(&with("Content-Length:0")).framing,
        Framing::Length(0)
    );
    assert_eq!(
        accepted(&with("content-LENGTH: 007")).framing,
        Framing::Length(7)
    );
    let max = Framing::Length(u64::MAX / 2);
    assert_eq!(
        accepted(&with("Content-Length: 9223372036854775807")).framing,
        max
    );
    for lines in [
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5, 5",
        "Content-Length: 5,",
        "Content-Length: 5\r\ncontent-length: 6",
        "Content-Length: +5",
        "Content-Length: -0",
        "Content-Length:",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length: 5;a",
        "Content-Length: 18446744073709551616",
        "Content-Length: 5.0",
        "Content-Length: \u{b2}",
        "Content-Length: 99999999999999999999999999999999",
        "Content-Length: ,5",
    ] {
        assert_eq!(refused(&with(lines)), ContentLength, "{lines:?}");
    }
}

#[test]
fn chunked_alone_is_the_only_coding() {
    assert_eq!(
        accepted(&with("Transfer-Encoding: chunked")).framing,
        Framing::Chunked
    );
    assert_eq!(
        accepted(&with("transfer-encoding:\tCHUNKED ")).framing,
        Framing::Chunked
    );
    for lines in [
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked-",
        "Transfer-Encoding: chunke",
    ] {
        assert_eq!(refused(&with(lines)), UnknownCoding, "{lines:?}");
    }
    for lines in [
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding:",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: chunked,",
        "Transfer-Encoding: ,chunked",
        "Transfer-Encoding: chunked;a=b",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked chunked",
        "Transfer-Encoding: \u{e9}chunked",
    ] {
        assert_eq!(refused(&with(lines)), TransferEncoding, "{lines:?}");
    }
}

#[test]
fn a_coding_never_meets_a_length_or_http_1_0() {
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: gzip\r\nContent-Length: 0",
        "Transfer-Encoding: chunked\r\nContent-Length: x",
    ] {
        assert_eq!(refused(&with(lines)), TransferEncoding, "{lines:?}");
    }
    for coding in ["chunked", "gzip", "identity"] {
        let head = format!("POST / HTTP/1.0\r\nTransfer-Encoding: {coding}\r\n\r\n");
        assert_eq!(refused(head.as_bytes()), TransferEncoding, "{coding}");
    }
}

#[test]
fn the_connection_persists_as_the_version_and_the_options_say() {
    for (version, lines, keep_alive) in [
        ("1.1", "", true),
        ("1.0", "", false),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: CLOSE\r\n", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: close, keep-alive\r\n", false),
        (
            "1.1",
            "Connection: keep-alive\r\nConnection: x ,\tclose\r\n",
            false,
        ),
        ("1.1", "Connection: closed\r\n", true),
        ("1.0", "Connection: xkeep-alive\r\n", false),
        ("1.1", "Proxy-Connection: close\r\n", true),
    ] {
        let head = format!("GET / HTTP/{version}\r\n{lines}\r\n");
        assert_eq!(
            accepted(head.as_bytes()).keep_alive,
            keep_alive,
            "{version} {lines:?}"
        );
    }
}

#[test]
fn an_upgrade_needs_both_fields_http_1_1_and_no_body() {
    let both = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket";
    assert!(accepted(&with(both)).upgrade);
    assert!(accepted(&with(&format!("{both}\r\nContent-Length: 0"))).upgrade);
    assert!(!accepted(&with("Upgrade: websocket")).upgrade);
    assert!(!accepted(&with("Connection: upgrade")).upgrade);
    let old = format!("GET / HTTP/1.0\r\n{both}\r\n\r\n");
    assert!(!accepted(old.as_bytes()).upgrade);
    for body in ["Content-Length: 1", "Transfer-Encoding: chunked"] {
        assert!(!accepted(&with(&format!("{both}\r\n{body}"))).upgrade);
    }
}

#[test]
fn the_only_expectation_is_100_continue() {
    let with_body = |expect: &str| with(&format!("Content-Length: 1\r\n{expect}"));
    assert!(accepted(&with_body("Expect: 100-Continue")).expect_continue);
    assert!(
        !accepted(&with("Expect: 100-continue")).expect_continue,
        "nothing to wait for"
    );
    let old = b"POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n";
    assert!(!accepted(old).expect_continue);
    for expect in [
        "Expect: 200-ok",
        "Expect:",
        "Expect: 100-continue, x",
        "Expect: 100-continue\r\nExpect: y",
        "Expect: y\r\nExpect: 100-continue",
    ] {
        assert_eq!(refused(&with_body(expect)), Expectation, "{expect:?}");
    }
}
