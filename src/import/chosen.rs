//! Conditions of a route among the keys of its table.

use super::table::{Entry, Table};

impl Table {
    /// Returns the conditions of a route, without what it does.
    pub(super) fn conditions(&self) -> Self {
        let is_condition = |entry: &&Entry| match entry {
            Entry::Key { key, .. } => {
                CONDITIONS.contains(&key.split('.').next().unwrap_or_default())
            }
            _ => false,
        };
        Self {
            name: self.name.clone(),
            entries: self.entries.iter().filter(is_condition).cloned().collect(),
        }
    }

    /// Returns true if it has the conditions of another route, and no others.
    pub(super) fn has_conditions_of(&self, other: &Self) -> bool {
        let sorted = |table: &Self| {
            let entries = table.conditions().entries;
            let keys = entries.into_iter().filter_map(|it| match it {
                Entry::Key { key, value, .. } => Some((key, value.text())),
                _ => None,
            });
            let mut keys: Vec<(String, String)> = keys.collect();
            keys.sort();
            keys
        };
        sorted(self) == sorted(other)
    }

    /// Returns true if an item of a list has a wildcard.
    pub(super) fn has_wildcard(&self, wanted: &str) -> bool {
        self.entries.iter().any(|it| match it {
            Entry::Key { key, value, .. } => key == wanted && value.text().contains('*'),
            _ => false,
        })
    }
}

/// Keys that choose the requests of a route.
pub(super) const CONDITIONS: [&str; 12] = [
    "listeners",
    "hosts",
    "path",
    "path_prefix",
    "path_regex",
    "priority",
    "methods",
    "headers",
    "cookies",
    "query",
    "source",
    "client_certificate",
];
