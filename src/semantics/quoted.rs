//! Quoted strings (RFC 9110 section 5.6.4) in lists and parameters.

/// Splits at the first `mark` that is not in quotes; the mark itself is removed. A quote that is
/// not closed reaches to the end.
pub(crate) fn split_unquoted(text: &[u8], mark: u8) -> (&[u8], &[u8]) {
    let mut quoted = false;
    let mut escaped = false;
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if byte == mark && !quoted => return (&text[..at], &text[at + 1..]),
            _ => {}
        }
    }
    (text, b"")
}

/// Returns the text between the quotes, with its escapes; all of it if there are none.
pub(crate) fn unquote(text: &[u8]) -> &[u8] {
    let inner = text
        .strip_prefix(b"\"")
        .and_then(|text| text.strip_suffix(b"\""));
    inner.unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_in_quotes_do_not_split() {
        for (text, first, rest) in [
            ("a,b,c", "a", "b,c"),
            ("\"a,b\",c", "\"a,b\"", "c"),
            ("\"a\\\",b\",c", "\"a\\\",b\"", "c"),
            ("a\\,b", "a\\", "b"),
            ("\"a,b", "\"a,b", ""),
            ("", "", ""),
        ] {
            let split = split_unquoted(text.as_bytes(), b',');
            assert_eq!(split, (first.as_bytes(), rest.as_bytes()), "{text}");
        }
        for (text, inner) in [("\"a\"", "a"), ("\"a", "\"a"), ("\"", "\""), ("a", "a")] {
            assert_eq!(unquote(text.as_bytes()), inner.as_bytes(), "{text}");
        }
    }
}
