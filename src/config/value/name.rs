//! Names of listeners, routes, pools and tests: their identity everywhere.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::Mismatch;

/// A name that the user chose; cheap to copy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// Parses a name.
    ///
    /// # Errors
    ///
    /// Refuses characters that need quotes in a metric label, URL or log line.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if (1..=NAME_LENGTH_MAX).contains(&text.len()) && text.bytes().all(allowed) {
            return Ok(Self(text.into()));
        }
        Err(Mismatch::new(
            format!("{text:?} cannot be a name"),
            format!("letters, digits, \"-\", \"_\" and \".\"; 1 to {NAME_LENGTH_MAX} of them"),
        ))
    }

    /// Gives the name as shared text.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const NAME_LENGTH_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        assert!(Name::parse("orders-v1.2_x").is_ok());
        for text in ["", "a b", "ä", "a/b", &"x".repeat(65)] {
            assert!(Name::parse(text).is_err(), "{text}");
        }
    }
}
