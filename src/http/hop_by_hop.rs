//! Fields that are for one connection only and must not be passed on.
//!
//! Applied to a request before the proxy adds its own fields, and to a response as it
//! comes from the endpoint. Source: RFC 9110 section 7.6.1, and for `Proxy` the
//! "httpoxy" reports (CVE-2016-5385 and kin).

use http::header::{CONNECTION, TE, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

/// Whether the exchange is about to switch protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switching {
    /// No: `Upgrade` goes.
    No,
    /// Yes: `Upgrade` stays, and `Connection: upgrade` with it.
    Yes,
}

/// Strips a request. Of `TE` only `trailers` stays.
pub fn strip_request(headers: &mut HeaderMap, switching: Switching) {
    let found = Found::scan(headers, Direction::Request);
    if found.te {
        keep_te_trailers(headers);
    }
    found.strip(headers, switching);
}

/// Strips a response.
pub fn strip_response(headers: &mut HeaderMap, switching: Switching) {
    let found = Found::scan(headers, Direction::Response);
    if found.te {
        headers.remove(TE);
    }
    found.strip(headers, switching);
}

/// Tells whether a field name has an underscore, which some servers read as a dash.
pub fn has_underscore(headers: &HeaderMap) -> bool {
    headers.keys().any(is_underscored)
}

/// Removes the fields whose name has an underscore; says how many names these were.
pub fn drop_underscores(headers: &mut HeaderMap) -> usize {
    let names: SmallVec<[HeaderName; 4]> = headers
        .keys()
        .filter(|name| is_underscored(name))
        .cloned()
        .collect();
    for name in &names {
        headers.remove(name);
    }
    names.len()
}

/// Tells whether the list of tokens in a field (`Connection`, `Upgrade`, `TE`) has this one.
pub fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .flat_map(tokens)
        .any(|found| found.eq_ignore_ascii_case(token.as_bytes()))
}

/// The comma-separated items of a field value without surrounding white space.
pub(super) fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value
        .as_bytes()
        .split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Response,
}

/// Which of the fields are there: one pass instead of a hash lookup for each, and for most
/// requests all that there is to do.
#[derive(Default)]
struct Found {
    connection: bool,
    te: bool,
    upgrade: bool,
    /// Those that always go.
    others: SmallVec<[HeaderName; 2]>,
}

impl Found {
    fn scan(headers: &HeaderMap, direction: Direction) -> Self {
        let mut found = Self::default();
        for name in headers.keys() {
            match name.as_str() {
                "connection" => found.connection = true,
                "te" => found.te = true,
                "upgrade" => found.upgrade = true,
                "transfer-encoding"
                | "keep-alive"
                | "proxy-connection"
                | "proxy-authenticate"
                | "proxy-authorization"
                | "proxy-authentication-info"
                | "http2-settings" => found.others.push(name.clone()),
                "proxy" if direction == Direction::Request => found.others.push(name.clone()),
                _ => {}
            }
        }
        found
    }

    fn strip(self, headers: &mut HeaderMap, switching: Switching) {
        if self.connection {
            strip_connection(headers, switching);
        }
        for name in &self.others {
            headers.remove(name);
        }
        match switching {
            Switching::No if self.upgrade => {
                headers.remove(UPGRADE);
            }
            Switching::Yes if self.upgrade => {
                headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            }
            Switching::No | Switching::Yes => {}
        }
    }
}

/// Removes Connection and what it names, as far as a peer may name it.
fn strip_connection(headers: &mut HeaderMap, switching: Switching) {
    let lines: SmallVec<[HeaderValue; 2]> = headers.get_all(CONNECTION).iter().cloned().collect();
    headers.remove(CONNECTION);
    for token in lines.iter().flat_map(tokens) {
        if is_common_option(token) {
            continue;
        }
        // What is no field name is no field either.
        let Ok(name) = HeaderName::from_bytes(token) else {
            continue;
        };
        let kept_here = name == TE || (name == UPGRADE && switching == Switching::Yes);
        if !kept_here && !is_protected(name.as_str()) {
            headers.remove(name);
        }
    }
}

/// The options of nearly all requests; they name no field, or one that goes anyway.
fn is_common_option(token: &[u8]) -> bool {
    [&b"close"[..], b"keep-alive", b"upgrade"]
        .iter()
        .any(|option| token.eq_ignore_ascii_case(option))
}

/// Fields that are for every recipient or that the proxy itself relies on: a client that
/// could strip them would choose what the endpoint believes.
fn is_protected(name: &str) -> bool {
    PROTECTED.contains(&name)
        || PROTECTED_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

fn keep_te_trailers(headers: &mut HeaderMap) {
    if has_token(headers, &TE, "trailers") {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    } else {
        headers.remove(TE);
    }
}

fn is_underscored(name: &HeaderName) -> bool {
    // Names are too short for a wider search to pay.
    name.as_str().bytes().any(|byte| byte == b'_')
}

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

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
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
        assert!(!request.contains_key(CONNECTION));
    }

    #[test]
    fn te_keeps_trailers_and_nothing_else() {
        let mut request = headers(&[("te", "gzip, Trailers;q=1, trailers"), ("connection", "TE")]);
        strip_request(&mut request, Switching::No);
        assert_eq!(request, headers(&[("te", "trailers")]));
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
        assert_eq!(
            request,
            headers(&[("connection", "upgrade"), ("upgrade", "websocket")])
        );
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
