//! Request lines, and the limits that are told before a head is complete.

use bytes::BytesMut;
use http::Version;
use sluicegate::{
    failure::BadRequest::{self, *},
    http1::{HeadLimits, parse_request_head},
};

use super::parse_request;
use super::request::{accepted, refused};

/// A head with this target.
fn targeting(method: &str, target: &str) -> Vec<u8> {
    format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()
}

#[test]
fn one_empty_line_before_the_head_is_skipped() {
    let head = accepted(b"\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(head.target, "/x");
    assert_eq!(refused(b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"), RequestLine);
    assert_eq!(refused(b"\nGET / HTTP/1.1\r\n\r\n"), RequestLine);
    assert_eq!(refused(b" \r\nGET / HTTP/1.1\r\n\r\n"), RequestLine);
}

#[test]
fn request_lines_have_exactly_three_parts() {
    for line in [
        "",
        "GET",
        "GET /",
        "GET / ",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        " GET / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET /a b HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET /\tHTTP/1.1",
        "GET / HTTP/1.1\t",
        "GET  HTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/1",
        "GET / HTTP/1.10",
        "GET / HTTP/11.1",
        "GET / HTTP/ 1.1",
        "GET / HTTP/1,1",
        "GET / HTTP/+1.1",
        "GET / HTTPS/1.1",
        "G(T / HTTP/1.1",
        "G\u{e9}T / HTTP/1.1",
        "\"GET\" / HTTP/1.1",
        "GET / HTTP/1.1\r",
        "GET /\u{b}HTTP/1.1",
        "\r",
        "GET: / HTTP/1.1",
    ] {
        let head = format!("{line}\r\nHost: a\r\n\r\n");
        assert_eq!(refused(head.as_bytes()), RequestLine, "{line:?}");
    }
}

#[test]
fn methods_are_tokens_of_any_case() {
    for method in [
        "get",
        "PROPFIND",
        "M-SEARCH",
        "a!#$%&'*+-.^_`|~0",
        "CONNECTX",
        "TRACE",
    ] {
        assert_eq!(accepted(&targeting(method, "/")).method.as_str(), method);
    }
    for byte in 0..=u8::MAX {
        let head = [b"G", &[byte][..], b" / HTTP/1.1\r\n\r\n"].concat();
        let token = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        // A space only moves the border between the parts.
        let fits = parse_request(&head).is_ok();
        assert_eq!(fits, token, "{byte:#x}");
    }
}

#[test]
fn versions_other_than_1_0_and_1_1_are_not_supported() {
    for version in ["0.9", "1.2", "2.0", "3.0", "9.9", "0.0"] {
        let head = format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n");
        assert_eq!(refused(head.as_bytes()), Version, "{version}");
    }
    assert_eq!(refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Version);
    assert_eq!(
        accepted(b"GET / HTTP/1.0\r\n\r\n").version,
        Version::HTTP_10
    );
}

#[test]
fn targets_have_no_spaces_control_bytes_or_fragments() {
    for byte in 0..=u8::MAX {
        let head = [b"GET /", &[byte][..], b"x HTTP/1.1\r\n\r\n"].concat();
        let verdict = parse_request(&head).map(|head| head.map(|head| head.target));
        match byte {
            b' ' | b'\t' | b'\n' => assert_eq!(verdict, Err(RequestLine), "{byte:#x}"),
            b'#' => assert_eq!(verdict, Err(Target), "{byte:#x}"),
            0x21..=0x7e | 0x80.. => {
                let target = [b'/', byte, b'x'];
                assert_eq!(verdict.unwrap().unwrap(), &target[..], "{byte:#x}");
            }
            _ => assert_eq!(verdict, Err(Target), "{byte:#x}"),
        }
    }
}

#[test]
fn the_form_of_a_target_fits_its_method() {
    for (method, target) in [
        ("GET", "/"),
        ("GET", "//"),
        ("GET", "/?"),
        ("GET", "/a\"?b={|}^`"),
        ("GET", "/a`<>?\"\\"),
        ("OPTIONS", "*"),
        ("OPTIONS", "/"),
        ("GET", "http://a"),
        ("GET", "http://a/b?c"),
        ("GET", "HTTPS://a:443/"),
        ("GET", "x+y-z.1://a/"),
        ("GET", "http://u@a/"),
        ("GET", "http://[::1]:80/"),
        ("CONNECT", "a:443"),
        ("CONNECT", "[::1]:443"),
    ] {
        assert_eq!(
            accepted(&targeting(method, target)).target,
            target,
            "{method}"
        );
    }
    for (method, target) in [
        ("GET", "*"),
        ("GET", "a"),
        ("GET", "a:80"),
        ("GET", "?a"),
        ("GET", "http:/a"),
        ("GET", "http:a"),
        ("GET", "http://"),
        ("GET", "http:///a"),
        ("GET", "http://?a"),
        ("GET", "://a"),
        ("GET", "1http://a"),
        ("GET", "ht%74p://a"),
        ("OPTIONS", "**"),
        ("OPTIONS", "*/"),
        ("CONNECT", "/"),
        ("CONNECT", "a"),
        ("CONNECT", "a:"),
        ("CONNECT", ":443"),
        ("CONNECT", "http://a:443"),
        ("CONNECT", "u@a:443"),
        ("CONNECT", "a:+44"),
        ("CONNECT", "a:443443"),
        ("CONNECT", "a:443/"),
        ("CONNECT", "*"),
    ] {
        assert_eq!(
            refused(&targeting(method, target)),
            Target,
            "{method} {target}"
        );
    }
}

#[test]
fn bytes_that_begin_no_method_are_refused_at_once() {
    assert_eq!(refused(b"\x16\x03\x01\x02"), RequestLine);
    assert_eq!(refused(b"\0"), RequestLine);
    assert_eq!(refused(b" "), RequestLine);
    assert_eq!(refused(b"\rG"), RequestLine);
    assert_eq!(parse_request(b"\r").map(drop), Ok(()));
    assert_eq!(parse_request(b"").map(drop), Ok(()));
}

const SMALL: HeadLimits = HeadLimits {
    bytes_max: 100,
    headers_max: 3,
    target_max: 10,
};

fn limited(bytes: &[u8]) -> Result<bool, BadRequest> {
    let mut buffer = BytesMut::from(bytes);
    parse_request_head(&mut buffer, &mut 0, &SMALL).map(|head| head.is_some())
}

#[test]
fn a_long_target_is_told_before_its_end() {
    assert_eq!(limited(b"GET /123456789 HTTP/1.1\r\n\r\n"), Ok(true));
    assert_eq!(
        limited(b"GET /1234567890 HTTP/1.1\r\n\r\n"),
        Err(TargetTooLong)
    );
    assert_eq!(limited(b"GET /1234567890"), Err(TargetTooLong));
    assert_eq!(limited(b"GET /123456789"), Ok(false));
    assert_eq!(limited(b"GET /123456789 HTTP/1"), Ok(false));
    let long = [&b"GET /"[..], &[b'a'; 200]].concat();
    assert_eq!(limited(&long), Err(TargetTooLong));
    let whole = [&long[..], b" HTTP/1.1\r\n\r\n"].concat();
    assert_eq!(limited(&whole), Err(TargetTooLong));
}

#[test]
fn a_large_head_is_told_before_its_end() {
    let head = |value: usize| {
        let value = "v".repeat(value);
        format!("GET / HTTP/1.1\r\nX: {value}\r\n\r\n").into_bytes()
    };
    let exact = 100 - head(0).len();
    assert_eq!(limited(&head(exact)), Ok(true));
    assert_eq!(limited(&head(exact + 1)), Err(HeadTooLarge));
    assert_eq!(limited(&head(exact + 1)[..100]), Err(HeadTooLarge));
    assert_eq!(limited(&head(exact)[..99]), Ok(false));
    assert_eq!(limited(&[b'G'; 100]), Err(HeadTooLarge));
}

#[test]
fn too_many_fields_are_refused() {
    assert_eq!(
        limited(b"GET / HTTP/1.1\r\nA:\r\nB:\r\nA:\r\n\r\n"),
        Ok(true)
    );
    let four = b"GET / HTTP/1.1\r\nA:\r\nB:\r\nA:\r\nA:\r\n\r\n";
    assert_eq!(limited(four), Err(TooManyHeaders));
}
