//! Properties of every message, however it arrives, and of writing and reading it back.

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use proptest::collection::vec;
use proptest::prelude::*;
use sluicegate::http1::{
    BodyEncoder, Framing, HeadLimits, KeepAlive, RequestHead, encode_request_head,
    encode_response_head, parse_request_head, parse_response_head,
};
use sluicegate::semantics::Headers;

use super::{decode_parts, parse_request, parse_response};

const REQUEST: &str = "\r\nPOST /a/b?c=d HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: x/1 (y)\r\n\
    X-Long-Name-That-Is-Not-Known: some value, with \"quotes\"\r\nx-empty:\r\nCookie: a=b\r\n\
    Content-Length: 3\r\n\r\n";

fn same(one: &RequestHead, other: &RequestHead) -> bool {
    (
        &one.method,
        &one.target,
        one.headers.to_map(),
        one.framing,
        one.keep_alive,
    ) == (
        &other.method,
        &other.target,
        other.headers.to_map(),
        other.framing,
        other.keep_alive,
    )
}

#[test]
fn a_request_head_split_at_any_byte_is_the_same_head() {
    let whole = parse_request(REQUEST.as_bytes()).unwrap().unwrap();
    let limits = HeadLimits::default();
    for cut in 0..REQUEST.len() {
        let (first, second) = REQUEST.split_at(cut);
        let (mut buffer, mut scanned) = (BytesMut::from(first), 0);
        let early = parse_request_head(&mut buffer, &mut scanned, &limits);
        assert!(matches!(early, Ok(None)), "{cut}: {early:?}");
        buffer.extend_from_slice(second.as_bytes());
        buffer.extend_from_slice(b"abc");
        let head = parse_request_head(&mut buffer, &mut scanned, &limits);
        assert!(same(&head.unwrap().unwrap(), &whole), "{cut}");
        assert_eq!((&buffer[..], scanned), (&b"abc"[..], 0));
    }
}

#[test]
fn a_request_head_byte_by_byte_is_the_same_head() {
    let whole = parse_request(REQUEST.as_bytes()).unwrap().unwrap();
    let (mut buffer, mut scanned, mut head) = (BytesMut::new(), 0, None);
    for byte in REQUEST.bytes() {
        assert!(head.is_none());
        buffer.extend_from_slice(&[byte]);
        head = parse_request_head(&mut buffer, &mut scanned, &HeadLimits::default()).unwrap();
    }
    assert!(same(&head.unwrap(), &whole));
}

#[test]
fn a_response_head_split_at_any_byte_is_the_same_head() {
    let text = "HTTP/1.1 200 OK\r\nServer: x\r\nX-Other:  y \r\nContent-Length: 3\r\n\r\n";
    let whole = parse_response(text.as_bytes(), &Method::GET)
        .unwrap()
        .unwrap();
    for cut in 0..text.len() {
        let (mut buffer, mut scanned) = (BytesMut::from(&text[..cut]), 0);
        let mut parse = |buffer: &mut BytesMut| {
            parse_response_head(buffer, &mut scanned, &HeadLimits::default(), &Method::GET)
        };
        assert!(matches!(parse(&mut buffer), Ok(None)), "{cut}");
        buffer.extend_from_slice(&text.as_bytes()[cut..]);
        let head = parse(&mut buffer).unwrap().unwrap();
        assert_eq!((head.status, head.framing), (whole.status, whole.framing));
        assert_eq!(head.headers.to_map(), whole.headers.to_map());
    }
}

fn field() -> impl Strategy<Value = (HeaderName, HeaderValue)> {
    let name = prop_oneof![
        "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}",
        "[a-z-]{60,90}",
        Just("Accept".to_owned()),
        Just("cookie".to_owned()),
    ];
    let value = vec(prop_oneof![0x21_u8..0x7f, 0x80_u8..=0xff], 0..30);
    (name, value).prop_filter_map("the codec's own fields", |(name, value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let own = [
            "content-length",
            "transfer-encoding",
            "connection",
            "expect",
            "upgrade",
            "date",
        ];
        let value = HeaderValue::from_bytes(&value).ok()?;
        (!own.contains(&name.as_str())).then_some((name, value))
    })
}

fn headers() -> impl Strategy<Value = HeaderMap> {
    vec(field(), 0..30).prop_map(|fields| fields.into_iter().collect())
}

fn framing() -> impl Strategy<Value = Framing> {
    prop_oneof![
        Just(Framing::None),
        (0..=u64::MAX / 2).prop_map(Framing::Length),
        Just(Framing::Chunked),
    ]
}

/// The map as it comes back: with the framing field that the encoder added.
fn with_framing(mut headers: HeaderMap, framing: Framing) -> HeaderMap {
    match framing {
        Framing::Length(length) => {
            headers.insert("content-length", length.into());
        }
        Framing::Chunked => {
            headers.insert("transfer-encoding", HeaderValue::from_static("chunked"));
        }
        Framing::None | Framing::UntilClose => {}
    }
    headers
}

proptest! {
    #[test]
    fn an_encoded_request_parses_to_itself(
        headers in headers(), framing in framing(), target in "/[!\"$-;=@-Z^_a-~\\[\\]]{0,20}[?][!$-;=?-Z^-~\\[\\]]{0,20}",
    ) {
        let mut out = BytesMut::new();
        encode_request_head(&mut out, &Method::PUT, target.as_bytes(), &Headers::from(&headers), &framing);
        let head = parse_request(&out).unwrap().unwrap();
        prop_assert_eq!(&head.method, Method::PUT);
        prop_assert_eq!(&head.target, target.as_bytes());
        prop_assert_eq!(head.framing, framing);
        let mut expected = with_framing(headers, framing);
        // Only one Host is written; that there is only one is checked where it is read.
        if let Some(host) = expected.get("host").cloned() {
            expected.insert("host", host);
        }
        prop_assert_eq!(head.headers.to_map(), expected);
    }

    #[test]
    fn an_encoded_response_parses_to_itself(
        headers in headers(), framing in framing(), status in 200_u16..1000,
    ) {
        let status = StatusCode::from_u16(status).unwrap();
        let framing = if framing == Framing::None { Framing::UntilClose } else { framing };
        let mut out = BytesMut::new();
        encode_response_head(
            &mut out, Version::HTTP_11, status, &Headers::from(&headers), &framing, KeepAlive::Keep, None,
        );
        let head = parse_response(&out, &Method::GET).unwrap().unwrap();
        prop_assert_eq!(head.status, status);
        if status == 204 {
            prop_assert_eq!(head.framing, Framing::None);
        } else {
            prop_assert_eq!(head.keep_alive, framing != Framing::UntilClose);
            let bodiless = status == 304;
            prop_assert_eq!(head.framing, if bodiless { Framing::None } else { framing });
            let mut expected = with_framing(headers, framing);
            if framing == Framing::UntilClose {
                expected.insert("connection", HeaderValue::from_static("close"));
            }
            prop_assert_eq!(head.headers.to_map(), expected);
        }
    }

    #[test]
    fn a_chunked_body_arrives_whole_however_it_is_split(
        parts in vec(vec(any::<u8>(), 0..300), 0..6),
        trailer in proptest::option::of("[a-z]{1,10}"),
        cuts in vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut encoder = BodyEncoder::new(Framing::Chunked);
        let mut wire = BytesMut::new();
        for part in &parts {
            encoder.frame(&mut wire, part).unwrap();
        }
        let trailers = trailer.map(|value| {
            Headers::from_iter([(HeaderName::from_static("x-sum"), value.parse().unwrap())])
        });
        encoder.finish(&mut wire, trailers.as_ref()).unwrap();
        wire.extend_from_slice(b"next");

        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(wire.len())).collect();
        cuts.extend([0, wire.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|ends| &wire[ends[0]..ends[1]]).collect();
        let (body, left) = decode_parts(Framing::Chunked, &pieces).unwrap();
        prop_assert!(body.done);
        prop_assert_eq!(body.data, parts.concat());
        prop_assert_eq!(body.trailers, trailers);
        prop_assert_eq!(left, "next");
    }
}
