//! The chunked coding: strict lines, bounded extensions and trailers.

use bytes::BytesMut;
use sluicegate::http1::{BodyDecoder, BodyFault, Decoded, Framing, HeadLimits};

use super::{Body, decode, decode_parts};

fn whole(bytes: &[u8]) -> Result<Body, BodyFault> {
    decode_parts(Framing::Chunked, &[bytes]).map(|(body, _)| body)
}

fn text(bytes: &str) -> String {
    let body = whole(bytes.as_bytes()).unwrap_or_else(|fault| panic!("{bytes:?}: {fault:?}"));
    assert!(body.done, "{bytes:?}");
    String::from_utf8(body.data).unwrap()
}

fn fault(bytes: &str) {
    assert_eq!(whole(bytes.as_bytes()), Err(BodyFault::Chunk), "{bytes:?}");
}

#[test]
fn chunks_become_their_data() {
    assert_eq!(text("0\r\n\r\n"), "");
    assert_eq!(
        text("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"),
        "hello world"
    );
    assert_eq!(text("0000000000000005\r\nhello\r\n000\r\n\r\n"), "hello");
    assert_eq!(text("a\r\n0123456789\r\n0\r\n\r\n"), "0123456789");
    assert_eq!(text("A\r\n0123456789\r\n0\r\n\r\n"), "0123456789");
    assert_eq!(text("2\r\n\r\n\r\n0\r\n\r\n"), "\r\n");
}

#[test]
fn what_follows_the_body_stays() {
    let parts: [&[u8]; 1] = [b"1\r\na\r\n0\r\n\r\nGET / HTTP/1.1\r\n"];
    let (body, left) = decode_parts(Framing::Chunked, &parts).unwrap();
    assert!(body.done);
    assert_eq!(left, "GET / HTTP/1.1\r\n");
}

#[test]
fn sizes_are_plain_hexadecimal() {
    for bytes in [
        "\r\n",
        ";\r\n",
        "g\r\n",
        "-1\r\n",
        "+1\r\n",
        "0x1\r\n",
        " 1\r\n",
        "1 \r\n",
        "1\t\r\n",
        "1 ;a\r\n",
        "_1\r\n",
        "1_0\r\n",
        "1.0\r\n",
        "00000000000000001\r\n",
        "\u{661}\r\n",
        "10000000000000000\r\n",
        "ffffffffffffffffff\r\n",
        "1,\r\n",
        "1\0\r\n",
        "\n",
        "\r\r\n",
    ] {
        fault(bytes);
    }
    // The largest size is read and then waited for.
    let body = whole(b"ffffffffffffffff\r\nabc").unwrap();
    assert!(!body.done);
    assert_eq!(body.data, b"abc");
}

#[test]
fn only_crlf_ends_a_line_of_the_coding() {
    for bytes in [
        "1\na\r\n0\r\n\r\n",
        "1\ra\r\n0\r\n\r\n",
        "1\r\na\n0\r\n\r\n",
        "1\r\na0\r\n\r\n",
        "1\r\na\r0\r\n\r\n",
        "1\r\nab\r\n0\r\n\r\n",
        "0\n\n",
        "0\r\n\n",
        "1\r\r\na\r\n0\r\n\r\n",
        "1;a\nb\r\n",
        "1;a\rb\r\n",
        "1\r\na\n\r0\r\n\r\n",
        "0\r\nX: y\n\r\n",
        "0\r\nX: y\r\n\n",
    ] {
        fault(bytes);
    }
}

#[test]
fn faults_are_told_before_the_line_ends() {
    for bytes in [
        "g",
        "1x",
        "1 ",
        "1\rx",
        "1;a\n",
        "1\r\nax",
        "0\r\n\n",
        "00000000000000000",
    ] {
        fault(bytes);
    }
}

#[test]
fn extensions_are_read_over_within_a_bound_for_the_whole_body() {
    assert_eq!(text("1;a=b;c=\"d e\"\r\na\r\n0;x\r\n\r\n"), "a");
    for bytes in ["1;\0\r\n", "1;\x7f\r\n", "1;\u{e9}\r\n", "1;a\x01\r\n"] {
        fault(bytes);
    }
    let limit = 4096;
    let line = |extension: usize| format!("1;{}\r\na\r\n", "x".repeat(extension - 1));
    assert_eq!(text(&format!("{}0\r\n\r\n", line(limit))), "a");
    fault(&line(limit + 1));
    fault(&format!("1;{}", "x".repeat(limit)));
    assert_eq!(
        text(&format!("{}0\r\n\r\n", line(limit / 2).repeat(2))),
        "aa"
    );
    fault(&format!("{}{}", line(limit / 2).repeat(2), line(2)));
    fault(&line(8).repeat(513));
}

#[test]
fn trailers_come_after_the_data() {
    let body = whole(b"1\r\na\r\n0\r\nGrpc-Status: 0\r\nX: 1\r\nx: 2\r\n\r\n").unwrap();
    assert!(body.done);
    let trailers = body.trailers.unwrap();
    assert_eq!(trailers.get("grpc-status").unwrap(), "0");
    let names: Vec<_> = trailers.iter().map(|(name, _)| name).collect();
    assert_eq!(names, [&b"Grpc-Status"[..], b"X", b"x"]);
}

#[test]
fn fields_that_frame_route_or_authenticate_are_no_trailers() {
    for name in [
        "Content-Length",
        "Transfer-Encoding",
        "Host",
        "Authorization",
        "Cookie",
        "Set-Cookie",
        "Connection",
        "Trailer",
        "TE",
        "Content-Type",
        "Content-Encoding",
        "Expect",
        "Location",
        "Proxy-Authorization",
        "Cache-Control",
        "Forwarded",
        "X-Forwarded-For",
        "Upgrade",
    ] {
        let bytes = format!("0\r\n{name}: 1\r\nX-Kept: 2\r\n\r\n");
        let trailers = whole(bytes.as_bytes()).unwrap().trailers.unwrap();
        assert_eq!(trailers.len(), 1, "{name}");
        let alone = format!("0\r\n{name}: 1\r\n\r\n");
        assert_eq!(whole(alone.as_bytes()).unwrap().trailers, None, "{name}");
    }
}

#[test]
fn trailer_lines_are_as_strict_as_a_head() {
    for line in [
        "X",
        "X : y",
        " X: y",
        "X: a\r\n b",
        ": y",
        "X: \0",
        "X: a\rb",
    ] {
        fault(&format!("0\r\n{line}\r\n\r\n"));
    }
}

#[test]
fn trailers_are_bounded_in_bytes_and_number() {
    let limits = HeadLimits {
        bytes_max: 20,
        headers_max: 2,
        target_max: 0,
    };
    let verdict = |bytes: &str| {
        let mut decoder = BodyDecoder::new(Framing::Chunked, &limits);
        let mut body = Body::default();
        decode(&mut decoder, &mut BytesMut::from(bytes), &mut body).map(|()| body.done)
    };
    let too_large = Err(BodyFault::TrailersTooLarge);
    assert_eq!(verdict("0\r\nA: 1\r\nB: 2\r\n\r\n"), Ok(true));
    assert_eq!(verdict("0\r\nA:\r\nB:\r\nC:\r\n\r\n"), too_large);
    assert_eq!(verdict("0\r\nA: 0123456789012\r\n\r\n"), Ok(true));
    assert_eq!(verdict("0\r\nA: 01234567890123\r\n\r\n"), too_large);
    assert_eq!(verdict("0\r\nA: 012345678901234567"), too_large);
}

#[test]
fn data_is_split_off_the_buffer_without_a_copy() {
    let mut decoder = BodyDecoder::new(Framing::Chunked, &HeadLimits::default());
    let mut buffer = BytesMut::from("5\r\nhello\r\n0\r\n\r\n");
    let at = buffer[3..].as_ptr();
    let Ok(Decoded::Data(data)) = decoder.decode(&mut buffer) else {
        panic!("no data");
    };
    assert_eq!((data.as_ptr(), &data[..]), (at, &b"hello"[..]));
}
