//! Match of one value of a request against the condition of a route.

use http::HeaderName;

use crate::config::value::ValueMatch;
use crate::semantics::Headers;

/// Tells whether any line of a header field meets the condition.
pub(super) fn matches_header(wanted: &ValueMatch, headers: &Headers, name: &HeaderName) -> bool {
    if let ValueMatch::Present(wanted) = wanted {
        return headers.contains(name) == *wanted;
    }
    headers
        .get_all(name)
        .any(|value| wanted.matches(Some(value.as_bytes())))
}

/// Describes why the value does not meet the condition.
pub(super) fn describe(
    wanted: &ValueMatch,
    kind: &str,
    name: &str,
    found: Option<&[u8]>,
) -> String {
    let Some(found) = found else {
        return format!("{kind} {name} is missing");
    };
    let found = String::from_utf8_lossy(found);
    match wanted {
        ValueMatch::Exact(wanted) => format!("{kind} {name} is \"{found}\", not \"{wanted}\""),
        ValueMatch::Regex(pattern) => {
            let pattern = pattern.as_str();
            format!("{kind} {name} is \"{found}\", which does not match \"{pattern}\"")
        }
        ValueMatch::Present(_) => format!("{kind} {name} is there, and must not be"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::Value;

    #[test]
    fn any_line_of_a_header_may_match() {
        let mut headers = Headers::new();
        let name = HeaderName::from_static("x-a");
        headers.append(&name, Value::from_static("1"));
        headers.append(&name, Value::from_static("2"));
        let matches = |wanted: ValueMatch| matches_header(&wanted, &headers, &name);
        assert!(matches(ValueMatch::Exact("2".into())));
        assert!(!matches(ValueMatch::Exact("3".into())));
        assert!(!matches(ValueMatch::Present(false)));
    }
}
