//! The reference of all keys as Markdown, from the definitions themselves.

use std::fmt::Write as _;

use serde_json::Value;

use super::Config;
use crate::config::setting::{KeyDoc, Table};

/// The reference of one table of the top level.
#[derive(Debug)]
pub struct ReferencePage {
    /// Name of the table, such as `pools`.
    pub table: &'static str,
    /// The table's header as written, such as `pools.NAME`.
    pub header: String,
    /// Its rows: a table of the keys, then a section for each table in it.
    pub text: String,
}

/// Writes the reference: a page per table of the top level, a row per key.
pub fn reference() -> Vec<ReferencePage> {
    let keys = Config::keys();
    let pages = keys.iter().filter_map(|table| {
        let keys = table.shape.keys?;
        Some(ReferencePage {
            table: table.name,
            header: if table.shape.named {
                format!("{}.NAME", table.name)
            } else {
                table.name.to_owned()
            },
            text: page(&keys()),
        })
    });
    pages.collect()
}

fn page(keys: &[KeyDoc]) -> String {
    let mut text = TABLE_HEAD.to_owned();
    for key in keys {
        write_row(&mut text, key.name, key);
    }
    for key in keys {
        let nested = key.shape.keys.map(|keys| keys()).unwrap_or_default();
        if nested.is_empty() {
            continue;
        }
        let (name, doc) = (key.name, one_line(key.doc));
        let _ = write!(text, "\n## `{name}`\n\n{doc}\n\n{TABLE_HEAD}");
        write_nested(&mut text, name, key, &nested);
    }
    text
}

fn write_nested(text: &mut String, path: &str, table: &KeyDoc, keys: &[KeyDoc]) {
    let list = if table.shape.kind.starts_with("list of") {
        "[]"
    } else {
        ""
    };
    for key in keys {
        let path = format!("{path}{list}.{}", key.name);
        write_row(text, &path, key);
        let nested = key.shape.keys.map(|keys| keys()).unwrap_or_default();
        write_nested(text, &path, key, &nested);
    }
}

fn write_row(text: &mut String, path: &str, key: &KeyDoc) {
    let default = match &key.default {
        None if key.choice => "one of these".to_owned(),
        Some(_) if key.choice => "at most one of these".to_owned(),
        None => "required".to_owned(),
        Some(Value::Object(map)) if !map.is_empty() => "see below".to_owned(),
        Some(value) => default_text(value),
    };
    let kind = cell(&key.shape.kind);
    let _ = writeln!(
        text,
        "| `{path}` | {kind} | {default} | {} |",
        cell(key.doc)
    );
}

fn default_text(value: &Value) -> String {
    match value {
        Value::Null => "not set".to_owned(),
        other => format!("`{}`", cell(&other.to_string())),
    }
}

fn cell(text: &str) -> String {
    one_line(text).replace('|', "\\|")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

const TABLE_HEAD: &str = "| key | type | default | meaning |\n|---|---|---|---|\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn each(keys: Vec<KeyDoc>, path: &str, seen: &mut Vec<String>) {
        for key in keys {
            let path = format!("{path}.{}", key.name);
            assert!(
                key.doc.trim().ends_with(['.', '…']),
                "{path}: {:?}",
                key.doc
            );
            assert!(key.doc.trim().len() > 8, "{path} needs a doc");
            assert!(!key.shape.kind.is_empty(), "{path} needs a kind");
            if let Some(inner) = key.shape.keys {
                each(inner(), &path, seen);
            }
            seen.push(path);
        }
    }

    #[test]
    fn every_key_has_a_doc_and_stands_in_the_reference() {
        let mut seen = Vec::new();
        each(Config::keys(), "", &mut seen);
        assert!(seen.len() > 100, "{}", seen.len());
        let pages = reference();
        let pools = pages.iter().find(|page| page.table == "pools");
        let pools = pools.expect("a table of pools");
        assert_eq!(pools.header, "pools.NAME");
        let text = &pools.text;
        let row = "| `health.interval` | duration | `\"5s\"` |";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("\n## `health`\n"), "{text}");
        assert!(text.contains("| `endpoints[].weight` |"), "{text}");
    }
}
