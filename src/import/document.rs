//! The text that is written: tables, and what those of a kind share.

use std::collections::HashSet;

use super::{Imported, chosen::CONDITIONS, table::Entry};
pub(super) use super::{
    table::{Source, Table},
    text::{key_part, name_of, quoted, quoted_list},
};

/// Tables in the order in which they are written.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// Comments above the first table.
    pub(super) head: Table,
    pub(super) tables: Vec<Table>,
}

impl Document {
    /// Puts tables below the head, but those without a line.
    pub(super) fn of(head: Table, tables: impl IntoIterator<Item = Table>) -> Self {
        let tables = tables.into_iter().filter(|it| !it.is_empty());
        Self {
            head,
            tables: tables.collect(),
        }
    }

    /// Moves keys that all routes have from the same line to the defaults of routes.
    pub(super) fn share_of_routes(&mut self) {
        self.share("routes", &[&CONDITIONS[..], &ACTIONS[..]].concat());
    }

    /// The text with the number of lines that are not translated.
    pub(super) fn imported(&self) -> Imported {
        Imported {
            untranslated: self.untranslated(),
            text: self.text(),
        }
    }

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

    /// Number of lines that are not translated, each once.
    pub(super) fn untranslated(&self) -> usize {
        let tables = [&self.head].into_iter().chain(&self.tables);
        let lines: HashSet<&Source> = tables.flat_map(Table::untranslated_lines).collect();
        lines.len()
    }

    /// Writes all of it.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        if self.untranslated() > 0 {
            text.push_str("# Look for NOT TRANSLATED: each says what to do.\n");
        }
        let mut told = HashSet::new();
        self.head.write(&mut text, &mut told);
        for table in &self.tables {
            table.write(&mut text, &mut told);
        }
        text
    }
}

/// Keys that make a route what it is, beside its conditions.
const ACTIONS: [&str; 6] = [
    "pool",
    "split",
    "rewrite",
    "redirect",
    "respond",
    "https_only",
];

/// Keys without a meaning for a route that answers by itself.
const HARMLESS: [&str; 3] = ["timeouts.", "body_max", "compress."];

/// Begins the comments above the first table.
pub(super) fn head(dialect: &str, name: &str) -> Table {
    let mut head = Table::default();
    head.note(format!(
        "Written by `sluicegate import {dialect} {name}`. Above each key stands the line that it came from."
    ));
    head
}
