//! Any bytes as a response head: no panic, the same verdict however they arrive, and
//! what is accepted survives its own encoding.

use bytes::BytesMut;
use http::{Method, Version};
use sluicegate::http1::{
    Framing, HeadLimits, KeepAlive, ResponseHead, encode_response_head, parse_response_head,
};

/// Checks one input.
pub(crate) fn run(data: &[u8]) {
    let limits = HeadLimits {
        bytes_max: 512,
        headers_max: 16,
        target_max: 0,
    };
    for method in [Method::GET, Method::HEAD] {
        let mut buffer = BytesMut::from(data);
        let whole = parse_response_head(&mut buffer, &mut 0, &limits, &method);
        let trickled = trickle(data, &limits, &method);
        match whole {
            Ok(Some(head)) => {
                let (other, taken) = trickled.expect("accepted at once but not in bytes");
                assert_eq!(head.headers.to_map(), other.headers.to_map());
                assert_eq!((head.status, head.framing), (other.status, other.framing));
                assert_eq!(taken, data.len() - buffer.len());
                encodes_to_itself(&head, &method);
            }
            Ok(None) => assert!(trickled.is_none() && buffer.len() == data.len()),
            Err(_) => assert!(trickled.is_none(), "refused at once but not in bytes"),
        }
    }
}

/// Feeds one byte at a time; the head and how many bytes it took.
fn trickle(data: &[u8], limits: &HeadLimits, method: &Method) -> Option<(ResponseHead, usize)> {
    let (mut buffer, mut scanned) = (BytesMut::new(), 0);
    for (at, byte) in data.iter().enumerate() {
        buffer.extend_from_slice(&[*byte]);
        if let Some(head) = parse_response_head(&mut buffer, &mut scanned, limits, method).ok()? {
            return Some((head, at + 1));
        }
    }
    None
}

fn encodes_to_itself(head: &ResponseHead, method: &Method) {
    let mut out = BytesMut::new();
    encode_response_head(
        &mut out,
        Version::HTTP_11,
        head.status,
        &head.headers,
        &head.framing,
        KeepAlive::Keep,
        None,
    );
    let again = parse_response_head(&mut out, &mut 0, &HeadLimits::default(), method);
    let again = again
        .expect("own encoding is refused")
        .expect("own encoding is cut short");
    assert!(out.is_empty());
    assert_eq!((again.status, again.framing), (head.status, head.framing));
    if head.framing == Framing::UntilClose {
        assert!(!again.keep_alive);
    }
}
