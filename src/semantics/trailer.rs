//! Trailer fields.
//!
//! Trailers pass in both directions, as gRPC needs, but a field that decides how a message is
//! framed, routed, authorised or cached comes too late there: a receiver that merged it into the
//! head would read the message differently. Such fields are dropped. Source: RFC 9110 section
//! 6.5.1, RFC 9112 section 7.1.2.

use super::Headers;

/// Drops fields that must not be sent as trailers, and the names that are `owned` by the
/// configuration.
///
/// The one filter for trailers, for all protocols. `owned` gets the names as written.
pub fn strip(trailers: &mut Headers, owned: impl Fn(&[u8]) -> bool) {
    trailers.retain(|name| !is_forbidden(name) && !owned(name));
}

/// Drops names that have an underscore; returns their number.
pub fn strip_underscores(trailers: &mut Headers) -> usize {
    trailers.retain(|name| !name.contains(&b'_'))
}

/// Returns true if a field must not be sent as a trailer; the name is case-insensitive.
pub fn is_forbidden(name: &[u8]) -> bool {
    let lower = || name.iter().map(u8::to_ascii_lowercase);
    let found = FORBIDDEN.binary_search_by(|forbidden| forbidden.bytes().cmp(lower()));
    found.is_ok()
        || FORBIDDEN_PREFIXES.iter().any(|prefix| {
            let start = name.get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
        })
}

const FORBIDDEN_PREFIXES: [&str; 6] = [
    "access-control-",
    "if-",
    "proxy-auth",
    "sec-",
    "x-forwarded-",
    "x-sluicegate-",
];

/// In alphabetical order.
const FORBIDDEN: [&str; 54] = [
    "age",
    "authorization",
    "cache-control",
    "clear-site-data",
    "connection",
    "content-encoding",
    "content-length",
    "content-location",
    "content-range",
    "content-security-policy",
    "content-type",
    "cookie",
    "date",
    "expect",
    "expires",
    "forwarded",
    "grpc-encoding",
    "grpc-previous-rpc-attempts",
    "grpc-timeout",
    "host",
    "http2-settings",
    "idempotency-key",
    "keep-alive",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "proxy",
    "proxy-connection",
    "range",
    "refresh",
    "retry-after",
    "set-cookie",
    "strict-transport-security",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "true-client-ip",
    "upgrade",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-real-ip",
    "x-request-id",
    "x-rewrite-url",
];

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::semantics::headers::fields;

    #[test]
    fn the_list_can_be_searched() {
        assert!(FORBIDDEN.is_sorted());
    }

    #[test]
    fn what_decides_about_the_message_is_dropped() {
        let kept = [
            ("grpc-status", "1"),
            ("Digest", "1"),
            ("X-Checksum", "1"),
            ("server-timing", "1"),
            ("etag", "1"),
        ];
        let mut trailers = fields(&kept);
        for name in [
            "content-length",
            "Host",
            "IF-Match",
            "X-Forwarded-For",
            "set-cookie",
            "TE",
        ] {
            trailers.append(name, HeaderValue::from_static("1"));
            trailers.append(name, HeaderValue::from_static("2"));
        }
        strip(&mut trailers, |_| false);
        assert_eq!(trailers, fields(&kept));
    }

    #[test]
    fn what_the_configuration_owns_is_dropped_as_well() {
        let mut trailers = fields(&[("x-user", "1"), ("x-sum", "1"), ("x_sum", "1")]);
        strip(&mut trailers, |name| name == b"x-user");
        assert_eq!(strip_underscores(&mut trailers), 1);
        assert_eq!(trailers, fields(&[("x-sum", "1")]));
    }
}
