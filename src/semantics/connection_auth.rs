//! Authentication of a connection instead of a request: NTLM, and Negotiate with it.
//!
//! A client authenticates the whole connection with these, and the next request on it is taken as
//! authenticated no matter who sends it. So such a connection belongs to one client. Source: RFC
//! 4559 section 6, and the behaviour of IIS, nginx and HAProxy.

use super::headers::{Headers, Known, Value};

/// Returns true if a request brings credentials that apply to its connection.
pub fn claims(request: &Headers) -> bool {
    // One comparison for nearly all: most have no such field.
    request.contains(Known::Authorization)
        && request.get_all(Known::Authorization).any(|value| {
            let scheme = value.as_bytes().split(u8::is_ascii_whitespace).next();
            scheme.is_some_and(is_of_connection)
        })
}

/// Returns true if a response asks for such credentials.
pub fn challenges(response: &Headers) -> bool {
    response.contains(Known::WwwAuthenticate)
        && response.get_all(Known::WwwAuthenticate).any(names_scheme)
}

/// Returns true if the value names such a scheme: at the start of a list item, followed by a blank
/// or alone.
fn names_scheme(value: Value<'_>) -> bool {
    let mut items = value.as_bytes().split(|&byte| byte == b',');
    items.any(|item| {
        let first = item.trim_ascii().split(u8::is_ascii_whitespace).next();
        first.is_some_and(is_of_connection)
    })
}

fn is_of_connection(scheme: &[u8]) -> bool {
    scheme.eq_ignore_ascii_case(b"ntlm") || scheme.eq_ignore_ascii_case(b"negotiate")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::headers::fields;

    #[test]
    fn credentials_for_a_connection_are_told_from_others() {
        for (value, expected) in [
            ("NTLM TlRMTVNTUAAB", true),
            ("negotiate YII=", true),
            ("Negotiate", true),
            ("NTLM\tTlRMTVNTUAAB", true),
            ("Basic bnRsbQ==", false),
            ("Bearer NTLM", false),
            ("NTLMX a", false),
        ] {
            assert_eq!(claims(&fields(&[("authorization", value)])), expected);
        }
        assert!(!claims(&fields(&[("x", "NTLM a")])));
    }

    #[test]
    fn challenges_are_found_in_every_place() {
        for (value, expected) in [
            ("NTLM", true),
            ("Basic realm=\"a\", Negotiate", true),
            ("negotiate abc=", true),
            ("Basic realm=\"ntlm\"", false),
            ("Bearer", false),
        ] {
            let one = fields(&[("www-authenticate", "Basic"), ("www-authenticate", value)]);
            assert_eq!(challenges(&one), expected, "{value}");
        }
    }
}
