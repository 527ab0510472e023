//! Positions of values in the file.
//!
//! Values carry their positions, but positions are not compared: two settings that differ only in
//! position are equal, so that a moved line is not a change.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use super::Hidden;

/// A range of bytes in the text of the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// Makes the span from `start` up to, not including, `end`.
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Self::new(range.start, range.end)
    }
}

/// A value with its position; it behaves as the value except in messages.
#[derive(Clone, Default)]
pub struct Spanned<T> {
    /// The value written.
    pub value: T,
    /// Its position.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Joins a value and its place.
    pub const fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl<T: fmt::Debug> fmt::Debug for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// Positions of a table and of the values of its keys; at the root, also what to hide.
#[derive(Clone, Default)]
pub struct Spans {
    anchor: Span,
    hidden: Option<Arc<Hidden>>,
    keys: Vec<(&'static str, Span)>,
}

impl Spans {
    /// Makes the places of a table of which no key was written.
    pub fn at(anchor: Span) -> Self {
        Self {
            anchor,
            hidden: None,
            keys: Vec::new(),
        }
    }

    /// Sets the hidden values of the whole configuration.
    pub(in crate::config) fn hide(&mut self, hidden: Hidden) {
        self.hidden = Some(Arc::new(hidden));
    }

    /// Returns the hidden values of the whole configuration.
    pub fn hidden(&self) -> Option<&Hidden> {
        self.hidden.as_deref()
    }

    pub(super) fn set(&mut self, key: &'static str, span: Span) {
        self.keys.push((key, span));
    }

    /// Gives the place of the table's own name.
    pub fn anchor(&self) -> Span {
        self.anchor
    }

    /// Gives the place of a key's value; of the table when the key was not written.
    pub fn of(&self, key: &str) -> Span {
        self.find(key).unwrap_or(self.anchor)
    }

    /// Tells whether the key was written, rather than left to its default.
    pub fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    fn find(&self, key: &str) -> Option<Span> {
        let mut keys = self.keys.iter();
        keys.find(|(name, _)| *name == key).map(|(_, span)| *span)
    }
}

impl PartialEq for Spans {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.anchor.start)
    }
}
