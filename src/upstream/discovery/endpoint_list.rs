//! Answers of a source.

use std::fmt;

use crate::upstream::endpoint::Endpoint;

/// News of a source.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// Its whole list.
    List(EndpointList),
    /// The source was reached, and its list is the one that it returned last.
    Unchanged,
}

/// The whole list of a source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EndpointList {
    /// Its endpoints; each address once.
    pub endpoints: Vec<Endpoint>,
    /// Its entries that cannot be used. The others are.
    pub skipped: Skipped,
}

/// Entries of a list that are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    count: usize,
    first: Vec<String>,
}

impl EndpointList {
    /// Returns a list without left-out entries.
    #[must_use]
    pub fn new(endpoints: Vec<Endpoint>) -> Self {
        Self {
            endpoints,
            skipped: Skipped::default(),
        }
    }
}

impl Skipped {
    /// Returns these entries.
    pub fn of(entries: &[String]) -> Self {
        let mut skipped = Self::default();
        entries.iter().for_each(|entry| skipped.add(entry));
        skipped
    }

    /// Adds an entry: its place in the source and the fault, in words.
    pub fn add(&mut self, entry: impl fmt::Display) {
        self.add_with(|| entry);
    }

    /// Adds an entry, whose words are asked for only if they are shown: to find the place of each
    /// of 50,000 entries in a long line would take seconds.
    pub fn add_with<T: fmt::Display>(&mut self, entry: impl FnOnce() -> T) {
        self.count += 1;
        if self.first.len() < SHOWN_MAX {
            let mut text = entry().to_string();
            if let Some((end, _)) = text.char_indices().nth(CHARS_MAX) {
                text.truncate(end);
            }
            self.first.push(text);
        }
    }

    /// Number of the entries.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Returns true if all entries are used.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The first entries, at most 10: where they are, and what is wrong.
    #[must_use]
    pub fn first(&self) -> &[String] {
        &self.first
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first.join("; "))?;
        match self.count - self.first.len() {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// Number of entries that are told one by one.
const SHOWN_MAX: usize = 10;
/// Maximum length of what is told of an entry.
const CHARS_MAX: usize = 300;
