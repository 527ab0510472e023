//! Percent-encoding of parts of a path or query (RFC 3986 section 2.1).

use std::fmt::Write as _;

/// Returns a text as one segment of a path, or one value of a query.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(byte.into());
            }
            // Writing to a text does not fail.
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_unreserved_is_encoded() {
        assert_eq!(encode("a-B_9.~"), "a-B_9.~");
        assert_eq!(encode("a b/\u{e9}&=+%"), "a%20b%2F%C3%A9%26%3D%2B%25");
    }
}
