//! Fields after a body.
//!
//! Trailers pass in both directions, as gRPC needs, but a field that decides how a
//! message is framed, routed, authorised or cached comes too late there: a receiver that
//! merged it into the head would be led to another reading. Such fields are dropped.
//! Source: RFC 9110 section 6.5.1, RFC 9112 section 7.1.2.

use http::{HeaderMap, HeaderName};
use smallvec::SmallVec;

/// Drops what must not come as a trailer; says how many fields these were by name.
pub fn strip(trailers: &mut HeaderMap) -> usize {
    let forbidden: SmallVec<[HeaderName; 4]> = trailers
        .keys()
        .filter(|name| is_forbidden(name))
        .cloned()
        .collect();
    for name in &forbidden {
        trailers.remove(name);
    }
    forbidden.len()
}

/// Whether a field must not come as a trailer.
pub fn is_forbidden(name: &HeaderName) -> bool {
    let name = name.as_str();
    FORBIDDEN.binary_search(&name).is_ok()
        || name.starts_with("if-")
        || name.starts_with("x-forwarded-")
        || name.starts_with("x-sluicegate-")
}

/// In alphabetical order.
const FORBIDDEN: [&str; 42] = [
    "age",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "expires",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "location",
    "max-forwards",
    "pragma",
    "proxy",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "retry-after",
    "set-cookie",
    "strict-transport-security",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "x-http-method-override",
    "x-original-url",
    "x-real-ip",
    "x-request-id",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_can_be_searched() {
        assert!(FORBIDDEN.is_sorted());
    }

    #[test]
    fn what_decides_about_the_message_is_dropped() {
        let mut trailers = HeaderMap::new();
        for name in [
            "grpc-status",
            "digest",
            "x-checksum",
            "server-timing",
            "etag",
        ] {
            trailers.append(name, "1".parse().unwrap());
        }
        let kept = trailers.clone();
        for name in [
            "content-length",
            "host",
            "if-match",
            "x-forwarded-for",
            "set-cookie",
            "te",
        ] {
            trailers.append(name, "1".parse().unwrap());
            trailers.append(name, "2".parse().unwrap());
        }
        assert_eq!(strip(&mut trailers), 6);
        assert_eq!(trailers, kept);
    }
}
