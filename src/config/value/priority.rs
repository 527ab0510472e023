//! Part of a request that gives its urgency.

use std::fmt;

use http::HeaderName;

use super::{Mismatch, header};

/// A header field with the urgency of a request, written `header:NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriorityKey(pub HeaderName);

impl PriorityKey {
    /// Parses a key.
    ///
    /// # Errors
    ///
    /// Refuses everything but a header.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        match text.split_once(':') {
            Some(("header", name)) => header::name(name).map(Self),
            _ => Err(Mismatch::new(
                format!("\"{text}\" does not name a header"),
                "such as \"header:x-priority\"",
            )),
        }
    }
}

impl fmt::Display for PriorityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "header:{}", self.0)
    }
}
