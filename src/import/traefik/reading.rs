//! A table of the other proxy while it is read: what nobody has asked for is told at its end.

use std::collections::HashSet;

use super::tree::{Node, Value, below};
use crate::import::document::{Source, Table};

/// A table, with the keys that were asked for.
pub(super) struct Reading<'n> {
    pub(super) node: &'n Node,
    /// Its place in the file: `http.middlewares.strip.stripPrefix`.
    pub(super) path: String,
    taken: HashSet<String>,
}

impl<'n> Reading<'n> {
    pub(super) fn of(node: &'n Node, path: impl Into<String>) -> Self {
        Self {
            node,
            path: path.into(),
            taken: HashSet::new(),
        }
    }

    /// The value of a key.
    pub(super) fn take(&mut self, key: &str) -> Option<&'n Node> {
        let node = self.node.get(key)?;
        self.taken.insert(key.to_ascii_lowercase());
        Some(node)
    }

    /// The text of a key, with its line.
    pub(super) fn text(&mut self, key: &str) -> Option<(&'n str, Source)> {
        let text = self.node.get(key)?.text()?;
        let node = self.take(key)?;
        Some((text, node.source()))
    }

    /// The line of a key that is set to true; false needs nothing and is told.
    pub(super) fn on(&mut self, table: &mut Table, key: &str) -> Option<Source> {
        let (text, line) = self.text(key)?;
        if text.eq_ignore_ascii_case("true") {
            return Some(line);
        }
        table.needless(&line, "off");
        None
    }

    /// The table of a key.
    pub(super) fn inner(&mut self, key: &str) -> Option<Self> {
        let node = self.take(key)?;
        Some(Self::of(node, below(&self.path, key)))
    }

    /// The texts of a list, each with its line.
    pub(super) fn items(&mut self, key: &str) -> Vec<(&'n str, Source)> {
        let Some(node) = self.node.get(key) else {
            return Vec::new();
        };
        if matches!(node.value, Value::Map(_)) {
            return Vec::new();
        }
        self.take(key);
        let items = node.items().into_iter();
        items.map(|(text, node)| (text, node.source())).collect()
    }

    /// Keys of which nothing has to be made.
    pub(super) fn needless(&mut self, table: &mut Table, keys: &[&str], why: &str) {
        for key in keys {
            if let Some(node) = self.take(key) {
                table.needless(&block(node, &below(&self.path, key)), why);
            }
        }
    }

    /// A key that has no equal, with what to do.
    pub(super) fn instead(&mut self, table: &mut Table, key: &str, what_to_do: &str) {
        if let Some(node) = self.take(key) {
            table.untranslated(&block(node, &below(&self.path, key)), what_to_do);
        }
    }

    /// A key that keeps clients out and has no equal.
    pub(super) fn close(&mut self, table: &mut Table, key: &str, what_to_do: &str) {
        if let Some(node) = self.take(key) {
            table.close(&block(node, &below(&self.path, key)), what_to_do);
        }
    }

    /// Tells the keys that nobody has asked for.
    pub(super) fn rest(self, table: &mut Table, what_to_do: &str) {
        for (key, node) in self.left() {
            table.untranslated(&block(node, &below(&self.path, key)), what_to_do);
        }
        self.mention(table);
    }

    /// Tells the keys that nobody has asked for, of a table that keeps clients out.
    pub(super) fn rest_closes(self, table: &mut Table, what_to_do: &str) {
        for (key, node) in self.left() {
            table.close(&block(node, &below(&self.path, key)), what_to_do);
        }
        self.mention(table);
    }

    /// Writes down the lines of keys that were asked for and stand nowhere yet.
    fn mention(&self, table: &mut Table) {
        for (key, node) in self.node.entries() {
            let is_list = |it: &Value| matches!(it, Value::List(items) if items.iter().all(|it| it.text().is_some()));
            let is_text = node.text().is_some() || is_list(&node.value);
            if !is_text || !self.taken.contains(&key.to_ascii_lowercase()) {
                continue;
            }
            let path = below(&self.path, key);
            let mut leaves = Vec::new();
            node.leaves("", &mut leaves);
            for (_, leaf) in leaves {
                let line = leaf.source();
                if !table.names(&line.place) {
                    table.mention(&block(leaf, &path));
                }
            }
        }
    }

    fn left(&self) -> Vec<(&'n str, &'n Node)> {
        if let Value::Text(_) | Value::List(_) = self.node.value {
            return vec![("", self.node)];
        }
        let entries = self.node.entries().iter();
        let left = entries.filter(|(key, _)| !self.taken.contains(&key.to_ascii_lowercase()));
        left.map(|(key, node)| (&**key, node)).collect()
    }
}

/// The lines of a value, with its path and, if it is one, its text.
pub(super) fn block(node: &Node, path: &str) -> Source {
    let mut leaves = Vec::new();
    node.leaves("", &mut leaves);
    let path = path.trim_end_matches('.');
    match &leaves[..] {
        [] => node.source_as(path),
        [(below, leaf)] if is_secret(path) || is_secret(below) => {
            leaf.source_as(format!("{path} = ***"))
        }
        [(below, leaf)] => {
            let dot = if below.is_empty() || below.starts_with('[') {
                ""
            } else {
                "."
            };
            let text = leaf.text().unwrap_or_default();
            leaf.source_as(format!("{path}{dot}{below} = {text}"))
        }
        _ => {
            // A merged table may stand elsewhere.
            let lines = leaves.iter().map(|(_, leaf)| leaf.line);
            let (from, to) = (
                lines.clone().min().unwrap_or(node.line),
                lines.max().unwrap_or(node.line),
            );
            let mut source = node.source_as(path);
            if let Some((file, _)) = source.place.rsplit_once(':') {
                source.place = match from == to {
                    true => format!("{file}:{from}"),
                    false => format!("{file}:{from}-{to}"),
                };
            }
            source
        }
    }
}

/// Returns true for values that nobody shall read.
fn is_secret(path: &str) -> bool {
    let key = path.rsplit('.').next().unwrap_or(path).to_ascii_lowercase();
    let words = [
        "users",
        "password",
        "secret",
        "token",
        "key",
        "authorization",
    ];
    words.iter().any(|it| key.contains(it))
}
