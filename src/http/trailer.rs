//! Fields after a body.
//!
//! Trailers pass in both directions, as gRPC needs, but a field that decides how a
//! message is framed, routed, authorised or cached comes too late there: a receiver that
//! merged it into the head would be led to another reading. Such fields are dropped.
//! Source: RFC 9110 section 6.5.1, RFC 9112 section 7.1.2.

use http::{HeaderMap, HeaderName};
use smallvec::SmallVec;

/// Drops what must not come as a trailer, and the names that are `owned` by the configuration.
///
/// The one filter for trailers, whatever the protocols on both sides.
pub fn strip(trailers: &mut HeaderMap, owned: impl Fn(&HeaderName) -> bool) {
    remove(trailers, |name| is_forbidden(name) || owned(name));
}

/// Drops names that have an underscore; says how many these were.
pub fn strip_underscores(trailers: &mut HeaderMap) -> usize {
    remove(trailers, |name| name.as_str().contains('_'))
}

/// Whether a field must not come as a trailer.
pub fn is_forbidden(name: &HeaderName) -> bool {
    let name = name.as_str();
    FORBIDDEN.binary_search(&name).is_ok()
        || FORBIDDEN_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

fn remove(trailers: &mut HeaderMap, unwanted: impl Fn(&HeaderName) -> bool) -> usize {
    let names: SmallVec<[HeaderName; 4]> = trailers
        .keys()
        .filter(|name| unwanted(name))
        .cloned()
        .collect();
    for name in &names {
        trailers.remove(name);
    }
    names.len()
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
        strip(&mut trailers, |_| false);
        assert_eq!(trailers, kept);
    }

    #[test]
    fn what_the_configuration_owns_is_dropped_as_well() {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-user", "1".parse().unwrap());
        trailers.insert("x-sum", "1".parse().unwrap());
        trailers.insert("x_sum", "1".parse().unwrap());
        strip(&mut trailers, |name| name == "x-user");
        assert_eq!(strip_underscores(&mut trailers), 1);
        let names: Vec<_> = trailers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x-sum"]);
    }
}
