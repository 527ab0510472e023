//! The text that is written: tables with keys, and above each key the lines that it came from.

use std::fmt::Write as _;

pub(super) use super::text::{key_part, name_of, quoted, quoted_list};

/// A line of the other proxy, or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// File and line: `nginx.conf:12`.
    pub(super) place: String,
    /// The text.
    pub(super) text: String,
}

/// Tables in the order in which they are written.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// Comments above the first table.
    pub(super) head: Table,
    pub(super) tables: Vec<Table>,
}

/// A table, whose keys are dotted where they belong to tables in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// Its name: `routes.shop`; empty: none.
    pub(super) name: String,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
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
enum Value {
    One(String),
    List(Vec<String>),
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
                    list.push(item);
                }
                return;
            }
        }
        self.insert(vec![from.clone()], key, Value::List(vec![item]));
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
        self.remove("access.allow");
        self.remove("access.deny");
        self.set_plain("access.deny", "[\"0.0.0.0/0\", \"::/0\"]");
    }

    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.add(Entry::Note(text.into()));
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
        self.entries.extend(other.entries.iter().cloned());
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
        if !self.has(key) {
            let key = key.to_owned();
            self.entries.push(Entry::Key { from, key, value });
        }
    }

    fn add(&mut self, entry: Entry) {
        if !self.entries.contains(&entry) {
            self.entries.push(entry);
        }
    }

    fn untranslated_count(&self) -> usize {
        let is_it = |it: &&Entry| matches!(it, Entry::Untranslated(..));
        self.entries.iter().filter(is_it).count()
    }

    fn write(&self, text: &mut String) {
        // Writing to a text does not fail.
        let _ = match &*self.name {
            "" if text.is_empty() => Ok(()),
            "" => writeln!(text),
            name => writeln!(text, "\n[{name}]"),
        };
        for entry in &self.entries {
            match entry {
                Entry::Key { from, key, value } => {
                    for source in from {
                        comment(text, &format!("{}: {}", source.place, source.text));
                    }
                    let _ = match value {
                        Value::One(value) => writeln!(text, "{key} = {value}"),
                        Value::List(items) => writeln!(text, "{key} = [{}]", items.join(", ")),
                    };
                }
                Entry::Needless(line, why) => {
                    let Source {
                        place,
                        text: written,
                    } = line;
                    comment(text, &format!("{place}: {written} (nothing to do: {why})"));
                }
                Entry::Untranslated(line, what_to_do) => {
                    let Source {
                        place,
                        text: written,
                    } = line;
                    comment(
                        text,
                        &format!("NOT TRANSLATED {place}: {written} — {what_to_do}"),
                    );
                }
                Entry::Note(note) => comment(text, note),
            }
        }
    }
}

impl Document {
    /// Moves keys that all tables of a kind have from the same line to the defaults of the kind,
    /// apart from those that make a table what it is.
    pub(super) fn share(&mut self, kind: &str, own: &[&str]) {
        let prefix = format!("{kind}.");
        let of_kind = |table: &Table| table.name.starts_with(&prefix);
        let all: Vec<&Table> = self.tables.iter().filter(|it| of_kind(it)).collect();
        let [first, rest @ ..] = &all[..] else { return };
        let may_move = |entry: &&Entry| match entry {
            Entry::Key { from, key, .. } => {
                let table = key.split('.').next().unwrap_or_default();
                !from.is_empty() && !own.contains(&table)
            }
            Entry::Needless(..) | Entry::Untranslated(..) | Entry::Note(_) => false,
        };
        // What a route with a pool has, one that answers by itself may have as well.
        let lacks = |table: &Table, entry: &Entry| {
            let Entry::Key { key, .. } = entry else {
                return true;
            };
            let answers = table.has_below("redirect") || table.has_below("respond");
            let is_harmless = HARMLESS.iter().any(|it| key.starts_with(it));
            let may_have = answers && is_harmless && !table.has(key);
            !table.entries.contains(entry) && !may_have
        };
        let with_pool = all.iter().find(|table| table.has("pool"));
        let from = with_pool.unwrap_or(first);
        let common = from.entries.iter().filter(may_move);
        let common = common.filter(|entry| !all.iter().any(|table| lacks(table, entry)));
        let common: Vec<Entry> = common.cloned().collect();
        if common.is_empty() || rest.is_empty() {
            return;
        }
        for table in self.tables.iter_mut().filter(|it| of_kind(it)) {
            table.entries.retain(|entry| !common.contains(entry));
        }
        let shared = Table {
            name: format!("defaults.{kind}"),
            entries: common,
        };
        let at = self.tables.iter().position(of_kind).unwrap_or(0);
        self.tables.insert(at, shared);
    }

    /// Number of lines that are not translated.
    pub(super) fn untranslated(&self) -> usize {
        let tables = self.tables.iter().map(Table::untranslated_count);
        self.head.untranslated_count() + tables.sum::<usize>()
    }

    /// Writes all of it.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        if self.untranslated() > 0 {
            text.push_str("# Look for NOT TRANSLATED: each says what to do.\n");
        }
        self.head.write(&mut text);
        for table in &self.tables {
            table.write(&mut text);
        }
        text
    }
}

/// Writes a line of comment, whatever stands in it.
fn comment(text: &mut String, line: &str) {
    text.push_str("# ");
    text.extend(
        line.chars()
            .map(|it| if it.is_control() { ' ' } else { it }),
    );
    text.push('\n');
}

/// Returns true if a text is one value of TOML: what another file says cannot break out of its key.
fn is_value(text: &str) -> bool {
    let table = toml::from_str::<toml::Table>(&format!("key = {text}"));
    table.is_ok_and(|table| table.len() == 1)
}

/// Keys that make a route what it is.
pub(super) const ROUTE_OWN: [&str; 15] = [
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
    "pool",
    "rewrite",
    "redirect",
    "respond",
    "https_only",
];

/// Keys without a meaning for a route that answers by itself.
const HARMLESS: [&str; 3] = ["timeouts.", "body_max", "compress."];
