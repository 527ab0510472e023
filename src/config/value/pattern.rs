//! Matchers on text: equality, regular expression, presence.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use regex::{Regex, RegexBuilder};

use super::Mismatch;

/// A compiled regular expression; not anchored unless it says so. Two are equal if their texts are.
#[derive(Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles a regular expression.
    ///
    /// # Errors
    ///
    /// Returns the compiler's explanation; also refuses expressions that would take too much
    /// memory.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        let compiled = RegexBuilder::new(text)
            .size_limit(COMPILED_BYTES_MAX)
            .build();
        compiled.map(Self).map_err(|error| {
            let explanation = error.to_string();
            let reason = explanation
                .lines()
                .rev()
                .find_map(|line| line.strip_prefix("error: "))
                .unwrap_or(&explanation);
            Mismatch::new("the regular expression does not compile", reason)
        })
    }

    /// Gives the text it was compiled from.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for Pattern {
    type Err = Mismatch;

    fn from_str(text: &str) -> Result<Self, Mismatch> {
        Self::parse(text)
    }
}

impl Deref for Pattern {
    type Target = Regex;

    fn deref(&self) -> &Regex {
        &self.0
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.as_str())
    }
}

/// Required value of a header, query parameter or cookie.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueMatch {
    /// Exactly this, byte for byte.
    Exact(Box<str>),
    /// A value in which the expression is found. What is not UTF-8 in it counts as U+FFFD: a client
    /// must not escape a condition by a stray byte.
    Regex(Pattern),
    /// Present with any value; or, if false, absent.
    Present(bool),
}

impl ValueMatch {
    /// Tells whether `value` (`None`: absent) matches.
    pub fn matches(&self, value: Option<&[u8]>) -> bool {
        match (self, value) {
            (Self::Present(wanted), found) => *wanted == found.is_some(),
            (_, None) => false,
            (Self::Exact(exact), Some(value)) => exact.as_bytes() == value,
            (Self::Regex(pattern), Some(value)) => {
                pattern.is_match(&String::from_utf8_lossy(value))
            }
        }
    }
}

impl fmt::Display for ValueMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(wanted) => write!(f, "= {wanted:?}"),
            Self::Regex(pattern) => write!(f, "~ {pattern:?}"),
            Self::Present(true) => f.write_str("present"),
            Self::Present(false) => f.write_str("absent"),
        }
    }
}

/// Bound on the compiled program of one expression.
const COMPILED_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_expression_is_explained() {
        let refused = Pattern::parse("^(a").unwrap_err();
        assert_eq!(refused.expected, "unclosed group");
        assert!(Pattern::parse("(a{1000}){1000}").is_err());
    }

    #[test]
    fn matching() {
        let regex = ValueMatch::Regex(Pattern::parse("^(1|yes)$").unwrap());
        assert!(regex.matches(Some(b"yes")));
        assert!(!regex.matches(Some(b"yess")));
        assert!(ValueMatch::Exact("a".into()).matches(Some(b"a")));
    }

    #[test]
    fn absence_matches_only_when_asked_for() {
        assert!(ValueMatch::Present(false).matches(None));
        assert!(!ValueMatch::Present(true).matches(None));
        assert!(!ValueMatch::Exact("".into()).matches(None));
        assert!(!ValueMatch::Regex(Pattern::parse("").unwrap()).matches(None));
        assert!(!ValueMatch::Present(false).matches(Some(b"")));
    }

    #[test]
    fn a_value_that_is_no_utf_8_is_searched_too() {
        let matches = |pattern: &str, value: &[u8]| {
            ValueMatch::Regex(Pattern::parse(pattern).unwrap()).matches(Some(value))
        };
        assert!(matches("(?i)^curl", b"Curl\xff"));
        assert!(!matches("^(1|yes)$", b"yes\xff"));
    }
}
