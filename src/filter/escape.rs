//! Values within a text, so that they are nothing but values there.

use crate::{config::value::Placeholder, semantics::accept::Spoken};

/// Kind of text that values stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The value of a field, which is checked as a whole.
    Field,
    /// The target of a redirect.
    Target,
    /// A body.
    Body(Spoken),
}

/// Escapes the value of a placeholder, which the text has from `start` on.
pub(super) fn value(text: &mut Vec<u8>, start: usize, place: &Placeholder, form: Form) {
    match form {
        Form::Field => {}
        Form::Target => {
            let plain = match place {
                Placeholder::Host
                | Placeholder::HostPort
                | Placeholder::Scheme
                | Placeholder::Listener
                | Placeholder::Route
                | Placeholder::Pool
                | Placeholder::Endpoint
                | Placeholder::ClientIp => return,
                // Escaped by the client already, as far as a path needs it.
                Placeholder::Path | Placeholder::Group(_) if text[..start].contains(&b'?') => {
                    |byte: &u8| is_unreserved(byte) || matches!(byte, b'/' | b'%')
                }
                Placeholder::Path | Placeholder::Group(_) | Placeholder::Query => is_of_target,
                _ => is_unreserved,
            };
            percent_encode(text, start, plain);
        }
        Form::Body(kind) => {
            let value = String::from_utf8_lossy(&text[start..]).into_owned();
            text.truncate(start);
            let mut escaped = String::with_capacity(value.len());
            push(&mut escaped, &value, kind);
            text.extend_from_slice(escaped.as_bytes());
        }
    }
}

/// Adds a value to a text of this kind.
pub(super) fn push(text: &mut String, value: &str, kind: Spoken) {
    for it in value.chars() {
        match (kind, it) {
            (Spoken::Html, '&') => text.push_str("&amp;"),
            (Spoken::Html, '<') => text.push_str("&lt;"),
            (Spoken::Html, '>') => text.push_str("&gt;"),
            (Spoken::Html, '"') => text.push_str("&quot;"),
            (Spoken::Html, '\'') => text.push_str("&#39;"),
            (Spoken::Json, '"' | '\\') => text.extend(['\\', it]),
            (Spoken::Html | Spoken::Json, it) if it.is_control() => text.push(' '),
            (_, it) => text.push(it),
        }
    }
}

/// Escapes what is not `plain` (RFC 3986 section 2.1).
fn percent_encode(text: &mut Vec<u8>, start: usize, plain: fn(&u8) -> bool) {
    if text[start..].iter().all(plain) {
        return;
    }
    let value = text.split_off(start);
    for byte in value {
        if plain(&byte) {
            text.push(byte);
        } else {
            let digit = |half: u8| HEX[usize::from(half)];
            text.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

/// Returns true for bytes that mean nothing but themselves in any part of a target.
fn is_unreserved(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Returns true for bytes that clients write plainly in path and query, RFC 3986 or not, and that no
/// receiver reads as more.
fn is_of_target(byte: &u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(
            byte,
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | b'#'
        )
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::template::Fill;

    fn escaped(before: &str, place: &str, value_text: &str, form: Form) -> String {
        let mut text = format!("{before}{value_text}").into_bytes();
        let place = Placeholder::from_name(place).unwrap();
        value(&mut text, before.len(), &place, form);
        String::from_utf8(text[before.len()..].to_vec()).unwrap()
    }

    #[test]
    fn in_a_redirect_a_value_ends_no_part_of_the_target() {
        for (before, place, text, expected) in [
            (
                "/x?a=",
                "query:a",
                "b&c=d#e /é",
                "b%26c%3Dd%23e%20%2F%C3%A9",
            ),
            ("https://", "header:x", "evil.example/", "evil.example%2F"),
            ("", "cookie:x", "//evil", "%2F%2Fevil"),
            ("", "header:x", "a\r\nb: c", "a%0D%0Ab%3A%20c"),
            ("/", "path.1", "a/b%20c;d=e", "a/b%20c;d=e"),
            ("/?to=", "path.1", "a/b%20c&d=e", "a/b%20c%26d%3De"),
            ("/?to=", "path", "/a&b", "/a%26b"),
            ("", "path", "/a&b", "/a&b"),
            ("/a", "query", "?a[]=1&b=\"", "?a[]=1&b=%22"),
            ("https://", "host_port", "[::1]:80", "[::1]:80"),
        ] {
            let found = escaped(before, place, text, Form::Target);
            assert_eq!(found, expected, "{before} {place} {text}");
        }
    }

    #[test]
    fn in_a_body_a_value_is_text() {
        let html = Form::Body(Spoken::Html);
        assert_eq!(escaped("", "header:x", "<b>", html), "&lt;b&gt;");
        let json = Form::Body(Spoken::Json);
        assert_eq!(escaped("", "query:x", "\"a\n", json), "\\\"a ");
        let plain = Form::Body(Spoken::Plain);
        assert_eq!(escaped("", "query:x", "<b>", plain), "<b>");
    }
}
