//! Rules of a protocol switch, on both sides of the proxy.
//!
//! A connection becomes a tunnel only if the client offered a protocol, the endpoint accepted one
//! of those in a 101, and no body was under way; anything else could be used to pass a second
//! request around the proxy. Source: RFC 9110 section 7.8, RFC 6455 section 4, CVE-2026-2833.

use http::{HeaderValue, Method, StatusCode, Version};
use smallvec::SmallVec;

use super::{
    headers::{AsValue, Headers, Known, Value},
    hop_by_hop::{has_token, tokens},
    websocket::Handshake,
};
use crate::failure::Failure;

/// The protocols that a client offers to switch to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    lines: SmallVec<[HeaderValue; 1]>,
    /// The handshake made by the proxy for a client whose request has none (RFC 8441).
    made: Option<Handshake>,
}

/// Presence of a request body, by its framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestBody {
    /// Neither Content-Length above 0 nor Transfer-Encoding.
    Absent,
    /// Present, but possibly empty.
    Present,
}

impl Offer {
    /// Reads the offer of a request. `None` if it has no valid one: another version than HTTP/1.1,
    /// `Upgrade` not named in `Connection`, only protocols that carry HTTP itself (`h2c`, which is
    /// ignored by RFC 9113 section 3.1, or `TLS/1.2`), WebSocket with another method than GET, or a
    /// request body.
    pub fn read(
        version: Version,
        method: &Method,
        headers: &Headers,
        body: RequestBody,
    ) -> Option<Self> {
        if version != Version::HTTP_11 || !headers.contains(Known::Upgrade) {
            return None;
        }
        if body == RequestBody::Present || !has_token(headers, Known::Connection, "upgrade") {
            return None;
        }
        let offer = Self {
            lines: headers
                .get_all(Known::Upgrade)
                .map(Value::to_header_value)
                .collect(),
            made: None,
        };
        if offer.protocols().next().is_none() || (offer.is_websocket() && *method != Method::GET) {
            return None;
        }
        Some(offer)
    }

    /// Makes the offer of a client that asked for a WebSocket over HTTP/2.
    pub fn made(handshake: Handshake) -> Self {
        Self {
            lines: smallvec::smallvec![HeaderValue::from_static("websocket")],
            made: Some(handshake),
        }
    }

    /// Returns true if the status would mislead the client: over HTTP/2 any success means that the
    /// stream is now a WebSocket.
    pub fn is_misled_by(&self, status: StatusCode) -> bool {
        self.made.is_some() && status.is_success()
    }

    /// Tells whether WebSocket is among the protocols.
    pub fn is_websocket(&self) -> bool {
        self.offers(b"websocket")
    }

    /// Checks a 101 of the endpoint: `Connection: upgrade`, and one of the protocols offered.
    ///
    /// # Errors
    /// [`Failure::UpgradeFailed`] if the answer is not a valid 101.
    pub fn check_answer(&self, status: StatusCode, headers: &Headers) -> Result<(), Failure> {
        if status != StatusCode::SWITCHING_PROTOCOLS
            || !has_token(headers, Known::Connection, "upgrade")
        {
            return Err(Failure::UpgradeFailed);
        }
        let mut taken = headers.get_all(Known::Upgrade).flat_map(tokens).peekable();
        // Several are allowed: the layers of one protocol stack, all of them offered.
        let named = taken.peek().is_some();
        let proven = self
            .made
            .as_ref()
            .is_none_or(|handshake| handshake.is_accepted(headers));
        if named && proven && taken.all(|protocol| self.offers(protocol)) {
            return Ok(());
        }
        Err(Failure::UpgradeFailed)
    }

    fn offers(&self, protocol: &[u8]) -> bool {
        self.protocols()
            .any(|offered| offered.eq_ignore_ascii_case(protocol))
    }

    fn protocols(&self) -> impl Iterator<Item = &[u8]> {
        let lines = self.lines.iter().map(HeaderValue::as_value);
        let offered = lines.flat_map(tokens);
        offered.filter(|protocol| !carries_http(protocol))
    }
}

/// Returns true if the protocol is another form of HTTP, which would bypass the proxy.
fn carries_http(protocol: &[u8]) -> bool {
    let name = protocol.split(|&byte| byte == b'/').next();
    name.is_some_and(|name| {
        [&b"h2c"[..], b"h2", b"h3", b"http", b"tls"]
            .iter()
            .any(|other| name.eq_ignore_ascii_case(other))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::headers::fields;

    fn headers(connection: &str, upgrade: &str) -> Headers {
        fields(&[("connection", connection), ("upgrade", upgrade)])
    }

    fn read(connection: &str, upgrade: &str) -> Option<Offer> {
        let headers = headers(connection, upgrade);
        Offer::read(
            Version::HTTP_11,
            &Method::GET,
            &headers,
            RequestBody::Absent,
        )
    }

    #[test]
    fn an_offer_needs_both_fields_and_http_1_1() {
        assert!(
            read("keep-alive, Upgrade", "WebSocket")
                .unwrap()
                .is_websocket()
        );
        assert!(!read("upgrade", "foo/2").unwrap().is_websocket());
        assert_eq!(read("close", "websocket"), None);
        for plain in ["h2c", "H2C, h2", "TLS/1.2", "HTTP/2.0", ""] {
            assert_eq!(read("upgrade", plain), None, "{plain}");
        }
        assert_eq!(read("upgrade", ","), None);
        let headers = headers("upgrade", "websocket");
        for (version, method) in [
            (Version::HTTP_10, Method::GET),
            (Version::HTTP_11, Method::POST),
        ] {
            let offer = Offer::read(version, &method, &headers, RequestBody::Absent);
            assert_eq!(offer, None);
        }
    }

    #[test]
    fn an_offer_with_a_body_is_ignored() {
        let headers = headers("upgrade", "websocket");
        let offer = Offer::read(
            Version::HTTP_11,
            &Method::GET,
            &headers,
            RequestBody::Present,
        );
        assert_eq!(offer, None);
    }

    #[test]
    fn only_what_was_offered_can_be_accepted() {
        let offer = read("upgrade", "websocket, foo, h2c").unwrap();
        let check = |status, connection, upgrade| {
            offer
                .check_answer(status, &headers(connection, upgrade))
                .is_ok()
        };
        let switching = StatusCode::SWITCHING_PROTOCOLS;
        assert!(check(switching, "Upgrade", "WebSocket"));
        assert!(check(switching, "upgrade", "foo"));
        assert!(!check(switching, "upgrade", "bar"));
        assert!(!check(switching, "upgrade", "websocket, bar"));
        assert!(!check(switching, "upgrade", "h2c"));
        assert!(!check(switching, "upgrade", ""));
        assert!(!check(switching, "close", "websocket"));
        assert!(!check(StatusCode::OK, "upgrade", "websocket"));
        assert!(offer.check_answer(switching, &Headers::new()).is_err());
    }
}
