//! Header names and values, and request methods.

use http::{HeaderName, HeaderValue, Method};

use super::Mismatch;

/// Parses a header name; its case is folded.
///
/// # Errors
///
/// Refuses a text that is not a token (RFC 9110 section 5.6.2).
pub fn name(text: &str) -> Result<HeaderName, Mismatch> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| {
        Mismatch::new(
            format!("{text:?} is not a header name"),
            "letters, digits and \"-\", such as \"x-request-id\"",
        )
    })
}

/// Parses a header value.
///
/// # Errors
///
/// Refuses control bytes, which could end the header early.
pub fn value(text: &str) -> Result<HeaderValue, Mismatch> {
    HeaderValue::from_str(text).map_err(|_| {
        Mismatch::new(
            format!("{text:?} is not a header value"),
            "visible ASCII, spaces and tabs on one line",
        )
    })
}

/// Parses a request method; methods are case-sensitive.
///
/// # Errors
///
/// Refuses a text that is not a token, and known methods written in lower case.
pub fn method(text: &str) -> Result<Method, Mismatch> {
    let upper = text.to_ascii_uppercase();
    if upper != text && KNOWN_METHODS.contains(&upper.as_str()) {
        let message = format!("\"{text}\" is not a method: methods are case-sensitive");
        return Err(Mismatch::new(message, format!("did you mean \"{upper}\"?")));
    }
    Method::from_bytes(text.as_bytes())
        .map_err(|_| Mismatch::new(format!("{text:?} is not a method"), "such as \"GET\""))
}

const KNOWN_METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_only() {
        assert_eq!(name("X-Tenant").unwrap(), "x-tenant");
        assert!(name("x tenant").is_err());
        assert!(value("a\r\nb: c").is_err());
        assert_eq!(method("PURGE").unwrap().as_str(), "PURGE");
        assert!(method("get").is_err());
        assert!(method("G T").is_err());
    }
}
