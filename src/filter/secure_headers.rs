//! Header fields that make browsers careful, on every answer of a route.

use crate::{
    exchange::{Exchange, Response, Scheme},
    semantics::Value,
};

/// Adds those fields that an answer does not have: a value of the endpoint, or of
/// `headers_response`, is there for a reason and stays.
#[derive(Debug)]
pub struct SecureHeaders;

impl SecureHeaders {
    #[expect(clippy::unused_self, reason = "a member like the others")]
    pub(super) fn on_response(&self, exchange: &Exchange, response: &mut Response) {
        // Over plain HTTP it must not be sent (RFC 6797 section 7.2).
        let strict = (exchange.scheme() == Scheme::Https).then_some(STRICT);
        for (name, value) in FIELDS.iter().chain(&strict) {
            if !response.headers.contains(*name) {
                response.headers.append(*name, Value::from_static(value));
            }
        }
    }
}

/// For a year; subdomains are another matter.
const STRICT: (&str, &str) = ("Strict-Transport-Security", "max-age=31536000");
const FIELDS: [(&str, &str); 3] = [
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "SAMEORIGIN"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
];
