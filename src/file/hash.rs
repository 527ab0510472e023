//! Fingerprint of a file's content.

use std::{
    fmt,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

/// A fingerprint of the content of a file; guards against accidents, not attackers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentHash(u64);

impl ContentHash {
    /// The fingerprint of no content.
    pub(crate) const NONE: Self = Self(0);

    /// Computes the fingerprint of `content`.
    pub fn of(content: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        Self(hasher.finish())
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
