//! Response heads: framing by status and method, and what is refused.

use bytes::BytesMut;
use http::{Method, StatusCode, Version};
use sluicegate::http1::{Framing, HeadLimits, ResponseFault, ResponseHead, parse_response_head};

use super::parse_response;

fn accepted(bytes: &str) -> ResponseHead {
    match parse_response(bytes.as_bytes(), &Method::GET) {
        Ok(Some(head)) => head,
        other => panic!("{bytes:?}: {other:?}"),
    }
}

fn malformed(bytes: &str) {
    let verdict = parse_response(bytes.as_bytes(), &Method::GET).map(|head| head.is_some());
    assert_eq!(verdict, Err(ResponseFault::Malformed), "{bytes:?}");
}

fn framing(method: &Method, status: u16, lines: &str) -> Framing {
    let head = format!("HTTP/1.1 {status} X\r\n{lines}\r\n");
    match parse_response(head.as_bytes(), method) {
        Ok(Some(head)) => head.framing,
        other => panic!("{head:?}: {other:?}"),
    }
}

#[test]
fn a_plain_head_has_all_its_parts() {
    let mut buffer = BytesMut::from(
        "HTTP/1.1 404 Not \t Found\r\nServer: x\r\nSet-Cookie: a\r\nset-cookie: b\r\n\
         Content-Length: 3\r\n\r\nabc",
    );
    let head = parse_response_head(&mut buffer, &mut 0, &HeadLimits::default(), &Method::GET);
    let head = head.unwrap().unwrap();
    assert_eq!(head.status, StatusCode::NOT_FOUND);
    assert_eq!(head.version, Version::HTTP_11);
    assert_eq!(head.headers.to_map()["server"], "x");
    assert_eq!(head.headers.get_all("set-cookie").count(), 2);
    assert_eq!(head.framing, Framing::Length(3));
    assert!(head.keep_alive);
    assert_eq!(&buffer[..], b"abc");
}

#[test]
fn a_reason_may_be_missing_and_have_any_text() {
    for line in [
        "HTTP/1.1 200",
        "HTTP/1.1 200 ",
        "HTTP/1.1 200 \u{e9}\t OK",
        "HTTP/1.0 200 OK",
    ] {
        assert_eq!(accepted(&format!("{line}\r\n\r\n")).status, 200, "{line:?}");
    }
    assert_eq!(accepted("HTTP/1.1 999 x\r\n\r\n").status.as_u16(), 999);
}

#[test]
fn status_lines_are_strict() {
    for line in [
        "",
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1 20",
        "HTTP/1.1 2000",
        "HTTP/1.1 2xx",
        "HTTP/1.1  200 OK",
        "HTTP/1.1\t200 OK",
        "HTTP/1.2 200 OK",
        "HTTP/2.0 200 OK",
        "http/1.1 200 OK",
        "HTTP/1.1 099 OK",
        "HTTP/1.1 +20 OK",
        "HTTP/1.1 200\tOK",
        "HTTP/1.1 200OK",
        "HTTP/1.1 200 O\x01K",
        "HTTP/1.1 200 O\rK",
        " HTTP/1.1 200 OK",
        "ICY 200 OK",
        "HTTP/1.1 200 \x7f",
        "HTTP/1.1 -20",
    ] {
        malformed(&format!("{line}\r\nContent-Length: 0\r\n\r\n"));
    }
}

#[test]
fn lines_and_fields_are_strict() {
    for lines in [
        "X : y\r\n",
        " X: y\r\n",
        "X: a\r\n b\r\n",
        "X: a\nY: b\r\n",
        "X\r\n",
        ": y\r\n",
        "X: a\rb\r\n",
        "X: \0\r\n",
        "X\u{e9}: y\r\n",
        "X: y\n",
    ] {
        malformed(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n"));
    }
    malformed("HTTP/1.1 200 OK\nContent-Length: 0\n\n");
    malformed("\r\nHTTP/1.1 200 OK\r\n\r\n");
}

#[test]
fn what_is_no_answer_is_told_at_once() {
    for bytes in ["SSH-2.0-x", "<html>", "\x16\x03", "HTTP/2", "\r\n", "X"] {
        malformed(bytes);
    }
    for bytes in ["", "H", "HTTP/1.", "HTTP/1.1 200 OK\r\nX: y\r\n\r"] {
        assert!(
            matches!(parse_response(bytes.as_bytes(), &Method::GET), Ok(None)),
            "{bytes:?}"
        );
    }
}

#[test]
fn framing_follows_the_fields() {
    let get = Method::GET;
    assert_eq!(framing(&get, 200, ""), Framing::UntilClose);
    assert_eq!(
        framing(&get, 200, "Content-Length: 7\r\n"),
        Framing::Length(7)
    );
    assert_eq!(
        framing(&get, 200, "Content-Length: 0\r\n"),
        Framing::Length(0)
    );
    assert_eq!(
        framing(&get, 500, "Transfer-Encoding: Chunked\r\n"),
        Framing::Chunked
    );
    let equal = "Content-Length: 7\r\nContent-Length: 7, 7\r\n";
    assert_eq!(framing(&get, 200, equal), Framing::Length(7));
}

#[test]
fn some_answers_have_no_body_whatever_they_say() {
    let length = "Content-Length: 7\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";
    for status in [100, 101, 103, 199, 204, 304] {
        assert_eq!(framing(&Method::GET, status, ""), Framing::None, "{status}");
        assert_eq!(
            framing(&Method::GET, status, length),
            Framing::None,
            "{status}"
        );
    }
    for lines in ["", length, chunked] {
        assert_eq!(
            framing(&Method::HEAD, 200, lines),
            Framing::None,
            "{lines:?}"
        );
        assert_eq!(
            framing(&Method::CONNECT, 200, lines),
            Framing::None,
            "{lines:?}"
        );
    }
    assert_eq!(framing(&Method::CONNECT, 403, length), Framing::Length(7));
    assert_eq!(framing(&Method::GET, 304, chunked), Framing::None);
    // The length that HEAD or 304 announces stays readable.
    let head = parse_response(b"HTTP/1.1 304 X\r\nContent-Length: 7\r\n\r\n", &Method::GET);
    assert_eq!(
        head.unwrap().unwrap().headers.to_map()["content-length"],
        "7"
    );
    let repeated = b"HTTP/1.1 200 X\r\nContent-Length: 7, 7\r\nContent-Length: 7\r\n\r\n";
    let head = parse_response(repeated, &Method::HEAD).unwrap().unwrap();
    let lengths: Vec<_> = head.headers.get_all("content-length").collect();
    assert_eq!(lengths, ["7"]);
}

#[test]
fn ambiguous_framing_is_malformed() {
    for lines in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length:\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
    ] {
        malformed(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n"));
    }
    malformed("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    // HEAD does not excuse it: the next answer on the connection is at stake.
    let both = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
    let verdict = parse_response(both, &Method::HEAD).map(|head| head.is_some());
    assert_eq!(verdict, Err(ResponseFault::Malformed));
}

#[test]
fn the_connection_persists_as_the_answer_says() {
    for (head, keep_alive) in [
        ("HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n", true),
        (
            "HTTP/1.1 200 X\r\nContent-Length: 0\r\nConnection: x, Close\r\n\r\n",
            false,
        ),
        ("HTTP/1.0 200 X\r\nContent-Length: 0\r\n\r\n", false),
        (
            "HTTP/1.0 200 X\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
            true,
        ),
        ("HTTP/1.1 200 X\r\nConnection: keep-alive\r\n\r\n", false),
        (
            "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            false,
        ),
        ("HTTP/1.1 204 X\r\n\r\n", true),
        (
            "HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n\r\n",
            false,
        ),
    ] {
        assert_eq!(accepted(head).keep_alive, keep_alive, "{head:?}");
    }
}

#[test]
fn limits_hold_before_the_end_of_the_head() {
    let limits = HeadLimits {
        bytes_max: 40,
        headers_max: 2,
        target_max: 0,
    };
    let verdict = |bytes: &str| {
        let mut buffer = BytesMut::from(bytes);
        let head = parse_response_head(&mut buffer, &mut 0, &limits, &Method::GET);
        head.map(|head| head.is_some())
    };
    let too_large = Err(ResponseFault::TooLarge);
    assert_eq!(verdict("HTTP/1.1 200 X\r\nA:\r\nB:\r\n\r\n"), Ok(true));
    assert_eq!(
        verdict("HTTP/1.1 200 X\r\nA:\r\nB:\r\nC:\r\n\r\n"),
        too_large
    );
    assert_eq!(
        verdict("HTTP/1.1 200 X\r\nA: 012345678901234567890"),
        too_large
    );
    assert_eq!(
        verdict("HTTP/1.1 200 X\r\nA: 01234567890123456\r\n\r\n"),
        Ok(true)
    );
    assert_eq!(
        verdict("HTTP/1.1 200 X\r\nA: 012345678901234567\r\n\r\n"),
        too_large
    );
}

#[test]
fn a_coding_means_nothing_where_no_body_can_be() {
    for status in [101, 103, 204] {
        let head = format!("HTTP/1.1 {status} X\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(accepted(&head).framing, Framing::None, "{status}");
        malformed(&head.replace("1.1", "1.0"));
    }
}
