//! What gRPC asks of a proxy that answers itself.
//!
//! Source: "gRPC over HTTP/2" and "HTTP to gRPC status code mapping" of the gRPC
//! documentation.

use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};

use crate::exchange::Failure;

/// Whether the content type says gRPC.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| {
        let rest = kind.as_bytes().strip_prefix(b"application/grpc");
        // `application/grpc-web` is another protocol.
        rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
    })
}

/// The gRPC status that stands for a failure.
pub fn status_of(failure: Failure) -> u16 {
    if failure == Failure::ResponseTimeout {
        return DEADLINE_EXCEEDED;
    }
    match failure.status() {
        StatusCode::BAD_REQUEST => INTERNAL,
        StatusCode::UNAUTHORIZED => UNAUTHENTICATED,
        StatusCode::FORBIDDEN => PERMISSION_DENIED,
        StatusCode::NOT_FOUND => UNIMPLEMENTED,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => UNAVAILABLE,
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            RESOURCE_EXHAUSTED
        }
        _ => UNKNOWN,
    }
}

/// Encodes a status message: everything but visible ASCII, and `%`.
pub fn percent_encode(message: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut text = String::with_capacity(message.len());
    for byte in message.bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    text
}

const UNKNOWN: u16 = 2;
const DEADLINE_EXCEEDED: u16 = 4;
const PERMISSION_DENIED: u16 = 7;
const RESOURCE_EXHAUSTED: u16 = 8;
const UNIMPLEMENTED: u16 = 12;
const INTERNAL: u16 = 13;
const UNAVAILABLE: u16 = 14;
const UNAUTHENTICATED: u16 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_grpc_itself_is_taken_for_it() {
        for (kind, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;x=y", true),
            ("application/grpc-web", false),
            ("application/json", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, kind.parse().unwrap());
            assert_eq!(is_grpc(&headers), expected, "{kind}");
        }
    }

    #[test]
    fn failures_have_the_status_of_the_mapping() {
        assert_eq!(status_of(Failure::RouteNotFound), UNIMPLEMENTED);
        assert_eq!(status_of(Failure::ConnectRefused), UNAVAILABLE);
        assert_eq!(status_of(Failure::ResponseTimeout), DEADLINE_EXCEEDED);
        assert_eq!(status_of(Failure::NoEndpoint), UNAVAILABLE);
    }

    #[test]
    fn messages_are_percent_encoded() {
        assert_eq!(percent_encode("100% ü"), "100%25 %C3%BC");
    }
}
