//! Media types to match: `application/json`, `text/*`, `*/*+json`.

use std::fmt;

use super::Mismatch;

/// Pattern of a media type (RFC 9110 section 8.3.1), in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaPattern {
    /// Any type.
    Any,
    /// This type only.
    Exact(Box<str>),
    /// All of a top-level type: `text/`.
    Top(Box<str>),
    /// All with a suffix (RFC 6838 section 4.2.8): `+json`.
    Suffix(Box<str>),
}

impl MediaPattern {
    /// Parses a pattern.
    ///
    /// # Errors
    ///
    /// Refuses parameters, and `*` in other places.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        let lower = text.to_ascii_lowercase();
        let is_token = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
        };
        let pattern = match lower.split_once('/') {
            Some(("*", "*")) => Some(Self::Any),
            Some(("*", rest)) => rest
                .strip_prefix('*')
                .filter(|suffix| suffix.starts_with('+') && is_token(suffix))
                .map(|suffix| Self::Suffix(suffix.into())),
            Some((top, "*")) if is_token(top) => Some(Self::Top(format!("{top}/").into())),
            Some((top, rest)) if is_token(top) && is_token(rest) => {
                Some(Self::Exact(lower.as_str().into()))
            }
            _ => None,
        };
        pattern.ok_or_else(|| {
            Mismatch::new(
                format!("{text:?} is not a media type"),
                "such as \"application/json\", \"text/*\", \"*/*+json\" or \"*/*\"",
            )
        })
    }

    /// Tells whether a value of Content-Type is meant, whatever its parameters.
    pub fn matches(&self, content_type: &[u8]) -> bool {
        let end = content_type.iter().position(|byte| *byte == b';');
        let kind = content_type[..end.unwrap_or(content_type.len())].trim_ascii();
        match self {
            Self::Any => true,
            Self::Exact(exact) => kind.eq_ignore_ascii_case(exact.as_bytes()),
            Self::Top(top) => kind
                .get(..top.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(top.as_bytes())),
            Self::Suffix(suffix) => kind
                .len()
                .checked_sub(suffix.len())
                .is_some_and(|at| kind[at..].eq_ignore_ascii_case(suffix.as_bytes())),
        }
    }
}

impl fmt::Display for MediaPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*/*"),
            Self::Exact(exact) => f.write_str(exact),
            Self::Top(top) => write!(f, "{top}*"),
            Self::Suffix(suffix) => write!(f, "*/*{suffix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_case_do_not_count() {
        let matches = |pattern: &str, value: &str| {
            let parsed = MediaPattern::parse(pattern).unwrap();
            assert_eq!(parsed.to_string(), pattern.to_ascii_lowercase());
            parsed.matches(value.as_bytes())
        };
        assert!(matches(
            "application/JSON",
            "Application/json; charset=utf-8"
        ));
        assert!(!matches("application/json", "application/json5"));
        assert!(matches("text/*", "Text/plain") && !matches("text/*", "texty/plain"));
        assert!(matches("*/*+json", "application/problem+JSON;a=b"));
        assert!(!matches("*/*+json", "application/json"));
        assert!(matches("*/*", "") && !matches("text/*", "tex"));
    }

    #[test]
    fn what_is_no_media_type_is_refused() {
        for text in [
            "json",
            "text/",
            "*/json",
            "text/plain; charset=utf-8",
            "*/*json",
            "",
        ] {
            assert!(MediaPattern::parse(text).is_err(), "{text}");
        }
    }
}
