//! Any bytes as a request head: no panic, the same verdict however they arrive, and
//! what is accepted survives its own encoding.

use bytes::BytesMut;
use sluicegate::http1::{HeadLimits, RequestHead, encode_request_head, parse_request_head};

/// Checks one input.
pub(crate) fn run(data: &[u8]) {
    let limits = HeadLimits {
        bytes_max: 512,
        headers_max: 16,
        target_max: 64,
    };
    let mut buffer = BytesMut::from(data);
    let whole = parse_request_head(&mut buffer, &mut 0, &limits);
    let trickled = trickle(data, &limits);
    match whole {
        Ok(Some(head)) => {
            let (other, taken) = trickled.expect("accepted at once but not in bytes");
            assert_eq!(head.headers.to_map(), other.headers.to_map());
            assert_eq!((&head.target, head.framing), (&other.target, other.framing));
            assert_eq!(taken, data.len() - buffer.len());
            assert!(taken <= limits.bytes_max + 2);
            assert!(head.headers.len() <= limits.headers_max);
            encodes_to_itself(&head);
        }
        Ok(None) => assert!(trickled.is_none() && buffer.len() == data.len()),
        Err(_) => assert!(trickled.is_none(), "refused at once but not in bytes"),
    }
}

/// Feeds one byte at a time; the head and how many bytes it took.
fn trickle(data: &[u8], limits: &HeadLimits) -> Option<(RequestHead, usize)> {
    let (mut buffer, mut scanned) = (BytesMut::new(), 0);
    for (at, byte) in data.iter().enumerate() {
        buffer.extend_from_slice(&[*byte]);
        if let Some(head) = parse_request_head(&mut buffer, &mut scanned, limits).ok()? {
            return Some((head, at + 1));
        }
    }
    None
}

fn encodes_to_itself(head: &RequestHead) {
    // An upgrade that HTTP/1.0 cannot ask for would become one in the encoding's 1.1.
    let mut headers = head.headers.clone();
    headers.remove("upgrade");
    let mut out = BytesMut::new();
    encode_request_head(
        &mut out,
        &head.method,
        &head.target,
        &headers,
        &head.framing,
    );
    let again = parse_request_head(&mut out, &mut 0, &HeadLimits::default());
    let again = again
        .expect("own encoding is refused")
        .expect("own encoding is cut short");
    assert!(out.is_empty());
    assert_eq!((&again.method, &again.target), (&head.method, &head.target));
    assert_eq!(again.framing, head.framing);
}
