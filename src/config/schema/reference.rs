//! The reference of all keys as Markdown, from the definitions themselves.

use std::fmt::Write as _;

use serde_json::Value;

use super::Config;
use crate::config::setting::{KeyDoc, Table};

/// Writes the reference: a section per table of the top level, a row per key.
pub fn reference() -> String {
    let mut out = String::new();
    for table in Config::keys() {
        let Some(keys) = table.shape.keys else {
            continue;
        };
        let name = if table.shape.named {
            format!("{}.NAME", table.name)
        } else {
            table.name.to_owned()
        };
        let _ = write!(out, "## `[{name}]`\n\n{}\n\n", one_line(table.doc));
        out.push_str("| key | type | default | meaning |\n|---|---|---|---|\n");
        write_rows(&mut out, "", &keys());
        out.push('\n');
    }
    out
}

fn write_rows(out: &mut String, prefix: &str, keys: &[KeyDoc]) {
    for key in keys {
        let name = format!("{prefix}{}", key.name);
        let nested = key.shape.keys.map(|keys| keys()).unwrap_or_default();
        let default = match &key.default {
            None if key.choice => "one of these".to_owned(),
            Some(_) if key.choice => "at most one of these".to_owned(),
            None => "required".to_owned(),
            Some(Value::Object(map)) if !map.is_empty() => "as below".to_owned(),
            Some(value) => default_text(value),
        };
        let kind = cell(&key.shape.kind);
        let _ = writeln!(out, "| `{name}` | {kind} | {default} | {} |", cell(key.doc));
        let inner = if key.shape.kind.starts_with("list of") {
            format!("{name}[].")
        } else {
            format!("{name}.")
        };
        write_rows(out, &inner, &nested);
    }
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
        let text = reference();
        assert!(text.contains("## `[pools.NAME]`"), "{text}");
        let row = "| `health.interval` | duration | `\"5s\"` |";
        assert!(text.contains(row), "{text}");
        assert!(
            text.contains("| `address` | address | required |"),
            "{text}"
        );
        assert!(text.contains("| `endpoints[].weight` |"), "{text}");
    }
}
