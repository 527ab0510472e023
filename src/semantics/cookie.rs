//! Cookies between the versions of HTTP.
//!
//! HTTP/2 and HTTP/3 clients may send each cookie on a line of its own, which compresses better;
//! HTTP/1 allows one line only. Source: RFC 9113 section 8.2.3, RFC 6265 section 5.4.

use std::iter;

use http::HeaderValue;
use memchr::memchr;

use super::headers::{Headers, Known};

/// Joins several Cookie lines into one, in their order. Call it before a request goes to an
/// endpoint over HTTP/1; does nothing to a single line.
pub fn join_lines(headers: &mut Headers) {
    let mut lines = headers.get_all(Known::Cookie);
    let (Some(first), Some(second)) = (lines.next(), lines.next()) else {
        return;
    };
    let mut joined = first.as_bytes().to_vec();
    for line in [second].into_iter().chain(lines) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(line.as_bytes());
    }
    // Valid values joined by valid bytes.
    if let Ok(mut value) = HeaderValue::try_from(joined) {
        value.set_sensitive(first.is_sensitive());
        headers.insert(Known::Cookie, value);
    }
}

/// Returns the value of the first cookie of this name, without a copy.
pub fn find<'a>(headers: &'a Headers, name: &str) -> Option<&'a [u8]> {
    pairs(headers).find_map(|pair| value_of(pair, name))
}

/// Returns all cookies as they are written, `name=value`.
pub fn pairs(headers: &Headers) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(Known::Cookie);
    lines.flat_map(|line| split(line.as_bytes()))
}

/// Splits a line into its cookies, `name=value`.
pub fn split(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    let pairs = iter::from_fn(move || {
        let line = rest?;
        // A sealed session is long.
        let (pair, after) = match memchr(b';', line) {
            Some(at) => (&line[..at], Some(&line[at + 1..])),
            None => (line, None),
        };
        rest = after;
        Some(pair.trim_ascii())
    });
    pairs.filter(|pair| !pair.is_empty())
}

/// Returns the value of a cookie if it has this name.
pub fn value_of<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::headers::{fields, sorted};

    fn cookies(lines: &[&str]) -> Headers {
        let lines: Vec<_> = lines.iter().map(|line| ("cookie", *line)).collect();
        fields(&lines)
    }

    #[test]
    fn the_first_cookie_of_the_whole_name_counts() {
        let headers = cookies(&["abeta=0; beta=1;beta=2", "c=a=b; d="]);
        assert_eq!(find(&headers, "beta"), Some(&b"1"[..]));
        assert_eq!(find(&headers, "c"), Some(&b"a=b"[..]));
        assert_eq!(find(&headers, "d"), Some(&b""[..]));
        assert_eq!(find(&headers, "bet"), None);
    }

    #[test]
    fn a_line_is_split_at_each_semicolon_and_empty_parts_are_none() {
        let pairs = |line: &'static str| split(line.as_bytes()).collect::<Vec<_>>();
        assert_eq!(pairs("a=1;b=2 ; ;; c=3;"), [&b"a=1"[..], b"b=2", b"c=3"]);
        assert!(pairs("").is_empty() && pairs(" ; ").is_empty());
    }

    #[test]
    fn lines_are_joined_in_their_order() {
        let mut headers = cookies(&["a=1", "b=2; c=3", "a=4"]);
        join_lines(&mut headers);
        assert_eq!(sorted(&headers), sorted(&cookies(&["a=1; b=2; c=3; a=4"])));
        let mut single = cookies(&["a=1"]);
        join_lines(&mut single);
        assert_eq!(sorted(&single), sorted(&cookies(&["a=1"])));
        let mut none = Headers::new();
        join_lines(&mut none);
        assert!(none.is_empty());
    }
}
