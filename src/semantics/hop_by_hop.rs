//! Hop-by-hop fields: they are for one connection only and must not be passed on.
//!
//! Applied to a request before the proxy adds its own fields, and to a response as received from
//! the endpoint. Source: RFC 9110 section 7.6.1, and for `Proxy` the "httpoxy" reports
//! (CVE-2016-5385 and related ones).

use http::HeaderName;
use smallvec::SmallVec;

use super::headers::{AsName, Headers, Known, Names, Value};

/// Fields that frame a message or belong to a connection: the proxy writes them itself, and they
/// cannot be configured.
pub const FRAMING: [&str; 8] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Treatment of `Upgrade`: kept only if the exchange is about to switch protocols, or is answered
/// with 426, which names those that the client must switch to (RFC 9110 section 15.5.22).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switching {
    /// No: `Upgrade` is removed.
    No,
    /// Yes: `Upgrade` is kept, and `Connection: upgrade` with it.
    Yes,
}

/// Strips a request. Only `trailers` is kept of `TE`.
pub fn strip_request(headers: &mut Headers, switching: Switching) {
    if headers.contains(Known::Te) {
        keep_te_trailers(headers);
    }
    strip(headers, switching, OF_REQUESTS);
}

/// Strips a response.
pub fn strip_response(headers: &mut Headers, switching: Switching) {
    strip(headers, switching, OF_RESPONSES);
}

fn strip(headers: &mut Headers, switching: Switching, always: Names) {
    if headers.contains(Known::Connection) {
        strip_named(headers, switching);
    }
    headers.remove_all(always.with(match switching {
        Switching::No => CONNECTION_AND_UPGRADE,
        Switching::Yes => CONNECTION,
    }));
    if headers.contains(Known::Upgrade) {
        headers.insert(Known::Connection, Value::from_static("upgrade"));
    }
}

/// Tells whether a field name has an underscore, which some servers read as a dash.
pub fn has_underscore(headers: &Headers) -> bool {
    // No known name has one.
    headers.unknown_names().any(is_underscored)
}

/// Removes the fields whose name has an underscore; returns the number of names.
pub fn drop_underscores(headers: &mut Headers) -> usize {
    let mut count = 0;
    loop {
        let name = headers.unknown_names().find(|name| is_underscored(name));
        let Some(name) = name.map(SmallVec::<[u8; 64]>::from_slice) else {
            return count;
        };
        headers.remove(&name[..]);
        count += 1;
    }
}

/// Tells whether the list of tokens in a field (`Connection`, `Upgrade`, `TE`) contains this one.
pub fn has_token(headers: &Headers, name: impl AsName, token: &str) -> bool {
    headers
        .get_all(name)
        .flat_map(tokens)
        .any(|found| found.eq_ignore_ascii_case(token.as_bytes()))
}

/// Returns the comma-separated items of a field value without surrounding white space.
pub(super) fn tokens(value: Value<'_>) -> impl Iterator<Item = &[u8]> {
    value
        .as_bytes()
        .split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty())
}

/// Removes the fields that Connection names, as far as a peer may name them.
fn strip_named(headers: &mut Headers, switching: Switching) {
    let is_common = |value: Value<'_>| is_common_option(value.as_bytes());
    // Nearly all have one option, and this one names no field.
    if headers.get_all(Known::Connection).all(is_common) {
        return;
    }
    let named: SmallVec<[HeaderName; 2]> = headers
        .get_all(Known::Connection)
        .flat_map(tokens)
        .filter(|token| !is_common_option(token))
        // What is no field name is no field either.
        .filter_map(|token| HeaderName::from_bytes(token).ok())
        .collect();
    for name in &named {
        let known = name.as_name().known;
        let kept_here = known == Some(Known::Te)
            || (known == Some(Known::Upgrade) && switching == Switching::Yes);
        if !kept_here && !is_protected(name.as_str()) {
            headers.remove(name);
        }
    }
}

/// Returns true for the usual options; they name no field, or one that is removed anyway.
fn is_common_option(token: &[u8]) -> bool {
    [&b"close"[..], b"keep-alive", b"upgrade"]
        .iter()
        .any(|option| token.eq_ignore_ascii_case(option))
}

/// Returns true for fields that are for every recipient or that the proxy itself relies on: a
/// client that could strip them would control what the endpoint believes.
fn is_protected(name: &str) -> bool {
    PROTECTED.contains(&name)
        || PROTECTED_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

fn keep_te_trailers(headers: &mut Headers) {
    if has_token(headers, Known::Te, "trailers") {
        headers.insert(Known::Te, Value::from_static("trailers"));
    } else {
        headers.remove(Known::Te);
    }
}

fn is_underscored(name: &[u8]) -> bool {
    // Names are too short for a wider search to pay.
    name.contains(&b'_')
}

const CONNECTION: Names = Names::of(&[Known::Connection]);
const CONNECTION_AND_UPGRADE: Names = CONNECTION.with(Names::of(&[Known::Upgrade]));

/// Fields always removed from a message.
const OF_BOTH: Names = Names::of(&[
    Known::TransferEncoding,
    Known::KeepAlive,
    Known::ProxyConnection,
    Known::ProxyAuthenticate,
    Known::ProxyAuthorization,
    Known::ProxyAuthenticationInfo,
    Known::Http2Settings,
]);
const OF_REQUESTS: Names = OF_BOTH.with(Names::of(&[Known::Proxy]));
const OF_RESPONSES: Names = OF_BOTH.with(Names::of(&[Known::Te]));

const PROTECTED: [&str; 20] = [
    "authorization",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "host",
    "max-forwards",
    "origin",
    "proxy-status",
    "set-cookie",
    "trailer",
    "traceparent",
    "tracestate",
    "via",
    "x-real-ip",
    "x-request-id",
];

const PROTECTED_PREFIXES: [&str; 2] = ["x-forwarded-", "x-sluicegate-"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::headers::{fields as headers, sorted};

    fn names(headers: &Headers) -> Vec<String> {
        sorted(headers).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn connection_and_what_it_names_go() {
        let mut request = headers(&[
            ("host", "a"),
            ("connection", "close, X-One"),
            ("connection", "x-two,, bad name"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("x-three", "3"),
            ("keep-alive", "5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic x"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "x"),
            ("proxy", "http://evil"),
        ]);
        strip_request(&mut request, Switching::No);
        assert_eq!(names(&request), ["host", "x-three"]);
    }

    #[test]
    fn connection_cannot_strip_what_the_proxy_relies_on() {
        let lines = [
            (
                "connection",
                "Host, Content-Length, AUTHORIZATION, cookie, x-forwarded-for, X-Forwarded-Whatever, forwarded, via, x-request-id, x-sluicegate-a",
            ),
            ("host", "a"),
            ("content-length", "0"),
            ("authorization", "a"),
            ("cookie", "a"),
            ("x-forwarded-for", "a"),
            ("x-forwarded-whatever", "a"),
            ("forwarded", "a"),
            ("via", "a"),
            ("x-request-id", "a"),
            ("x-sluicegate-a", "a"),
        ];
        let mut request = headers(&lines);
        strip_request(&mut request, Switching::No);
        assert_eq!(request.len(), lines.len() - 1);
        assert!(!request.contains(Known::Connection));
    }

    #[test]
    fn te_keeps_trailers_and_nothing_else() {
        let mut request = headers(&[("te", "gzip, Trailers;q=1, trailers"), ("connection", "TE")]);
        strip_request(&mut request, Switching::No);
        assert_eq!(request.len(), 1);
        assert_eq!(request.get(Known::Te).unwrap(), "trailers");
        let mut request = headers(&[("te", "gzip")]);
        strip_request(&mut request, Switching::No);
        assert!(request.is_empty());
    }

    #[test]
    fn an_upgrade_stays_only_when_switching() {
        let lines = [
            ("connection", "Upgrade, x-a"),
            ("upgrade", "websocket"),
            ("x-a", "1"),
        ];
        let mut request = headers(&lines);
        strip_request(&mut request, Switching::Yes);
        let expected = headers(&[("connection", "upgrade"), ("upgrade", "websocket")]);
        assert_eq!(sorted(&request), sorted(&expected));
        let mut response = headers(&lines);
        strip_response(&mut response, Switching::No);
        assert!(response.is_empty());
    }

    #[test]
    fn a_response_loses_the_challenge_of_a_proxy() {
        let mut response = headers(&[
            ("proxy-authenticate", "Basic"),
            ("set-cookie", "a"),
            ("te", "x"),
        ]);
        strip_response(&mut response, Switching::No);
        assert_eq!(names(&response), ["set-cookie"]);
    }

    #[test]
    fn underscored_names_are_found_and_dropped() {
        let mut request = headers(&[
            ("x_forwarded_for", "1"),
            ("x_forwarded_for", "2"),
            ("x-a", "a_b"),
        ]);
        assert!(has_underscore(&request));
        assert_eq!(drop_underscores(&mut request), 1);
        assert!(!has_underscore(&request));
        assert_eq!(names(&request), ["x-a"]);
    }
}
