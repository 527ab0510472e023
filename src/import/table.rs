//! A table that is written, and above each key the lines that it came from.

use super::{
    chosen::CONDITIONS,
    framing::{FRAMED, is_framing, is_of_no_field},
    text::is_value,
};

/// A line of the other proxy, or several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Source {
    /// File and line: `nginx.conf:12`.
    pub(super) place: String,
    /// The text.
    pub(super) text: String,
}

/// A table, whose keys are dotted where they belong to tables in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// Its name: `routes.shop`; empty: none.
    pub(super) name: String,
    pub(super) entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Key {
        from: Vec<Source>,
        key: String,
        value: Value,
    },
    /// A line that needs nothing here, with the reason.
    Needless(Source, String),
    /// A line without an equal, with what to do.
    Untranslated(Source, String),
    /// A remark.
    Note(String),
}

/// The value of a key, as TOML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    One(String),
    List(Vec<String>),
}

impl Value {
    /// The value in TOML.
    pub(super) fn text(&self) -> String {
        match self {
            Self::One(value) => value.clone(),
            Self::List(items) => format!("[{}]", items.join(", ")),
        }
    }
}

impl Table {
    pub(super) fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            entries: Vec::new(),
        }
    }

    /// Sets a key to a value in TOML. A key that is set already stays as it is.
    pub(super) fn set(&mut self, from: &Source, key: &str, value: impl Into<String>) {
        let value = value.into();
        if is_framing(key, "") {
            return self.needless(from, FRAMED);
        }
        if value == "[]" && CONDITIONS.contains(&key) {
            // Without it the route would take more than the line says.
            return self.close(from, &format!("{key} of a route: the line names nothing"));
        }
        if is_of_no_field(key) {
            return self.untranslated(from, "it is no name of a field: letters, digits and \"-\"");
        }
        if is_value(&value) {
            self.insert(vec![from.clone()], key, Value::One(value));
        } else {
            self.untranslated(from, format!("{key} cannot have such a value"));
        }
    }

    /// Sets a key that no line names.
    pub(super) fn set_plain(&mut self, key: &str, value: impl Into<String>) {
        let value = value.into();
        if is_value(&value) {
            self.insert(Vec::new(), key, Value::One(value));
        } else {
            self.note(format!("{key} cannot have such a value"));
        }
    }

    /// Adds an item in TOML to a list.
    pub(super) fn push(&mut self, from: &Source, key: &str, item: impl Into<String>) {
        let item = item.into();
        if is_framing(key, &item) {
            return self.needless(from, FRAMED);
        }
        if !is_value(&item) {
            return self.untranslated(from, format!("{key} cannot have such a value"));
        }
        for entry in &mut self.entries {
            if let Entry::Key {
                from: sources,
                key: known,
                value: Value::List(list),
            } = entry
                && known == key
            {
                if !sources.contains(from) {
                    sources.push(from.clone());
                }
                if !list.contains(&item) {
                    let count = list.len();
                    // Rules of one key need names of their own.
                    list.push(match item.strip_suffix(" }") {
                        Some(rule) if key == "rate_limit" => {
                            format!("{rule}, name = \"rule_{}\" }}", count + 1)
                        }
                        _ => item,
                    });
                }
                return;
            }
        }
        if self.has(key) {
            let what = format!("{key} is set already, by a line above: join both by hand");
            return self.untranslated(from, what);
        }
        self.insert(vec![from.clone()], key, Value::List(vec![item]));
    }

    /// Adds an item to a list that no line names.
    pub(super) fn push_plain(&mut self, key: &str, item: &str) {
        for entry in &mut self.entries {
            if let Entry::Key {
                key: known,
                value: Value::List(list),
                ..
            } = entry
                && known == key
            {
                if !list.iter().any(|it| it == item) {
                    list.push(item.to_owned());
                }
                return;
            }
        }
        self.insert(Vec::new(), key, Value::List(vec![item.to_owned()]));
    }

    /// Adds a line to those that a key came from.
    pub(super) fn also(&mut self, line: &Source, key: &str) {
        for entry in &mut self.entries {
            if let Entry::Key {
                from, key: known, ..
            } = entry
                && known == key
                && !from.contains(line)
            {
                from.push(line.clone());
            }
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// Returns true if there is a key below this one.
    pub(super) fn has_below(&self, prefix: &str) -> bool {
        let below = |key: &str| {
            key.strip_prefix(prefix)
                .is_some_and(|it| it.starts_with('.'))
        };
        self.entries
            .iter()
            .any(|it| matches!(it, Entry::Key { key, .. } if below(key)))
    }

    pub(super) fn needless(&mut self, line: &Source, why: impl Into<String>) {
        self.add(Entry::Needless(line.clone(), why.into()));
    }

    pub(super) fn untranslated(&mut self, line: &Source, what_to_do: impl Into<String>) {
        self.add(Entry::Untranslated(line.clone(), what_to_do.into()));
    }

    /// Adds a line that keeps clients out and has no equal: the route is closed until somebody has
    /// seen to it.
    pub(super) fn close(&mut self, line: &Source, what_to_do: &str) {
        self.untranslated(
            line,
            format!("{what_to_do}; until then this keeps everybody out"),
        );
        self.retire("access.allow");
        self.retire("access.deny");
        self.set_plain("access.deny", EVERYBODY);
    }

    /// Returns true if nobody is let in. No later line opens it again.
    pub(super) fn is_closed(&self) -> bool {
        self.is("access.deny", EVERYBODY)
    }

    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.add(Entry::Note(text.into()));
    }

    /// Writes a line down as a remark, unless a key or a remark is of it already.
    pub(super) fn mention(&mut self, line: &Source) {
        let is_of = |entry: &Entry| match entry {
            Entry::Key { from, .. } => from.contains(line),
            Entry::Needless(known, _) | Entry::Untranslated(known, _) => known == line,
            Entry::Note(_) => false,
        };
        if !self.entries.iter().any(is_of) {
            self.note(format!("{}: {}", line.place, line.text));
        }
    }

    /// Adds the keys of another table that begin with these words, unless they are here.
    pub(super) fn append_missing(&mut self, other: &Self, words: &[&str]) {
        for entry in &other.entries {
            if let Entry::Key { key, .. } = entry
                && words.contains(&key.split('.').next().unwrap_or_default())
                && !self.has(key)
            {
                self.entries.push(entry.clone());
            }
        }
    }

    /// The value of a key that is no list.
    pub(super) fn one(&self, wanted: &str) -> Option<&str> {
        match self.value(wanted)? {
            Value::One(value) => Some(value),
            Value::List(_) => None,
        }
    }

    /// Removes a key, and keeps the lines that it came from.
    pub(super) fn retire(&mut self, wanted: &str) {
        let mut lines = Vec::new();
        for entry in &self.entries {
            if let Entry::Key { from, key, .. } = entry
                && key == wanted
            {
                lines.extend(from.iter().cloned());
            }
        }
        if self.remove(wanted) {
            for line in lines {
                self.mention(&line);
            }
        }
    }

    /// Removes a key; returns true if it was there.
    pub(super) fn remove(&mut self, wanted: &str) -> bool {
        let before = self.entries.len();
        self.entries
            .retain(|it| !matches!(it, Entry::Key { key, .. } if key == wanted));
        self.entries.len() != before
    }

    /// Removes all keys below one.
    pub(super) fn remove_below(&mut self, prefix: &str) {
        let below = |key: &str| {
            key.strip_prefix(prefix)
                .is_some_and(|it| it.starts_with('.'))
        };
        self.entries
            .retain(|it| !matches!(it, Entry::Key { key, .. } if below(key)));
    }

    /// Returns true if a key has this value.
    pub(super) fn is(&self, wanted: &str, value: &str) -> bool {
        matches!(self.value(wanted), Some(Value::One(one)) if one == value)
    }

    /// Returns true if a list has this item, or a value written as one has it.
    pub(super) fn has_item(&self, wanted: &str, item: &str) -> bool {
        match self.value(wanted) {
            Some(Value::List(items)) => items.iter().any(|it| it == item),
            Some(Value::One(list)) => list.contains(item),
            None => false,
        }
    }

    /// Returns true if the other one has the same keys with the same values.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        let keys = |table: &Self| -> Vec<(String, Value)> {
            let keys = table.entries.iter().filter_map(|it| match it {
                Entry::Key { key, value, .. } => Some((key.clone(), value.clone())),
                _ => None,
            });
            keys.collect()
        };
        keys(self) == keys(other)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns true if the other one has the same keys and remarks.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.entries == other.entries
    }

    /// Adds the keys and remarks of another table.
    pub(super) fn append(&mut self, other: &Self) {
        if other.is_closed() {
            self.retire("access.allow");
            self.retire("access.deny");
        }
        let is_closed = self.is_closed();
        let fits = |entry: &&Entry| !(is_closed && is_of_addresses(entry));
        self.entries
            .extend(other.entries.iter().filter(fits).cloned());
    }

    /// Leaves remarks alone, and of keys the lines that they came from: the table is not written.
    pub(super) fn keep_remarks(&mut self) {
        let mut kept = Self::default();
        for entry in self.entries.drain(..) {
            match entry {
                Entry::Key { from, .. } => {
                    for line in from {
                        kept.add(Entry::Note(format!("{}: {}", line.place, line.text)));
                    }
                }
                other => kept.add(other),
            }
        }
        self.entries = kept.entries;
    }

    fn value(&self, wanted: &str) -> Option<&Value> {
        self.entries.iter().find_map(|it| match it {
            Entry::Key { key, value, .. } if key == wanted => Some(value),
            _ => None,
        })
    }

    fn insert(&mut self, from: Vec<Source>, key: &str, value: Value) {
        let entry = Entry::Key {
            from,
            key: key.to_owned(),
            value,
        };
        if self.is_closed() && is_of_addresses(&entry) {
            if let Entry::Key { from, .. } = entry {
                from.iter().for_each(|line| self.mention(line));
            }
        } else if !self.has(key) {
            self.entries.push(entry);
        } else if let Entry::Key { from, value, .. } = entry
            && self.value(key) != Some(&value)
        {
            // A line of which nothing is made is not lost.
            for line in from {
                if self.names(&line.place) {
                    continue;
                }
                let Source { place, text } = line;
                self.entries.push(Entry::Note(format!(
                    "{place}: {text} (not in force: {key} is set above)"
                )));
            }
        }
    }

    fn add(&mut self, entry: Entry) {
        if !self.entries.contains(&entry) {
            self.entries.push(entry);
        }
    }
}

/// Returns true for the blocks of addresses that may use a route.
fn is_of_addresses(entry: &Entry) -> bool {
    matches!(entry, Entry::Key { key, .. } if key == "access.allow" || key == "access.deny")
}

/// Blocks with all addresses.
const EVERYBODY: &str = "[\"0.0.0.0/0\", \"::/0\"]";
