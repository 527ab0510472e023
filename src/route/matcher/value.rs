//! Match of one value of a request against the condition of a route.

use http::HeaderName;
use regex::Regex;

use crate::semantics::Headers;

/// Condition on a header, query parameter or cookie.
#[derive(Clone, Debug)]
pub enum ValueMatch {
    /// This value, byte for byte.
    Exact(Box<str>),
    /// A value in UTF-8 in which the expression finds a match.
    Regex(Regex),
    /// Present with any value (`true`), or absent (`false`).
    Present(bool),
}

impl ValueMatch {
    /// Tells whether a value, or its absence, meets the condition.
    pub fn matches(&self, value: Option<&[u8]>) -> bool {
        match (self, value) {
            (Self::Present(wanted), found) => *wanted == found.is_some(),
            (_, None) => false,
            (Self::Exact(exact), Some(value)) => exact.as_bytes() == value,
            (Self::Regex(regex), Some(value)) => {
                std::str::from_utf8(value).is_ok_and(|text| regex.is_match(text))
            }
        }
    }

    /// Tells whether any line of a header field meets the condition.
    pub(super) fn matches_header(&self, headers: &Headers, name: &HeaderName) -> bool {
        if let Self::Present(wanted) = self {
            return headers.contains(name) == *wanted;
        }
        headers
            .get_all(name)
            .any(|value| self.matches(Some(value.as_bytes())))
    }

    /// Describes why the value does not meet the condition.
    pub(super) fn describe(&self, kind: &str, name: &str, found: Option<&[u8]>) -> String {
        let Some(found) = found else {
            return format!("{kind} {name} is missing");
        };
        let found = String::from_utf8_lossy(found);
        match self {
            Self::Exact(wanted) => format!("{kind} {name} is \"{found}\", not \"{wanted}\""),
            Self::Regex(regex) => {
                format!("{kind} {name} is \"{found}\", which does not match \"{regex}\"")
            }
            Self::Present(_) => format!("{kind} {name} is there, and must not be"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::Value;

    #[test]
    fn absence_matches_only_when_asked_for() {
        assert!(ValueMatch::Present(false).matches(None));
        assert!(!ValueMatch::Present(true).matches(None));
        assert!(!ValueMatch::Exact("".into()).matches(None));
        assert!(!ValueMatch::Regex(Regex::new("").unwrap()).matches(None));
        assert!(!ValueMatch::Present(false).matches(Some(b"")));
    }

    #[test]
    fn any_line_of_a_header_may_match() {
        let mut headers = Headers::new();
        let name = HeaderName::from_static("x-a");
        headers.append(&name, Value::from_static("1"));
        headers.append(&name, Value::from_static("2"));
        assert!(ValueMatch::Exact("2".into()).matches_header(&headers, &name));
        assert!(!ValueMatch::Exact("3".into()).matches_header(&headers, &name));
        assert!(!ValueMatch::Present(false).matches_header(&headers, &name));
    }

    #[test]
    fn a_value_that_is_no_utf_8_matches_no_regex() {
        assert!(!ValueMatch::Regex(Regex::new(".*").unwrap()).matches(Some(b"\xff")));
    }
}
