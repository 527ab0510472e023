//! One page for each table of the configuration.

use std::fs;

use sluicegate::config::schema::{self, ReferencePage};

use super::generated::compare;
use super::root;

#[test]
fn each_table_of_the_configuration_has_its_page() {
    for page in schema::reference() {
        let path = format!("docs/configuration/{}.md", page.table);
        if !root().join(&path).exists() && std::env::var_os("UPDATE").is_some() {
            fs::write(root().join(&path), empty_page(&page)).unwrap();
        }
        compare(&path, "keys", &page.text);
    }
}

#[test]
fn the_table_of_bounds_has_every_key_that_bounds_something() {
    let mut table = "| key | default | bounds |\n|---|---|---|\n".to_owned();
    for page in schema::reference() {
        for row in page.text.lines().filter(|line| line.starts_with("| `")) {
            let mut cells = row.trim_matches('|').split(" | ").map(str::trim);
            let key = cells.next().unwrap().trim_matches('`');
            let default = cells.nth(1).unwrap();
            if default != "see below" && bounds(key) {
                let name = page.header.split('.').next().unwrap();
                let meaning: Vec<&str> = cells.collect();
                let meaning = meaning.join(" | ");
                let link = format!("[`{name}.{key}`](../configuration/{name}.md)");
                table.push_str(&format!("| {link} | {default} | {meaning} |\n"));
            }
        }
    }
    assert!(table.lines().count() > 30, "{table}");
    compare("docs/operations/limits.md", "bounds", &table);
}

/// Tells whether a key bounds time, memory or a number.
fn bounds(key: &str) -> bool {
    let tables = ["limits.", "timeouts.", "drain.", "retry.", "retry_budget."];
    let keys = [
        "series_max",
        "per_endpoint",
        "body_max",
        "concurrency.max",
        "concurrency.queue",
        "concurrency.queue_timeout",
        "health.timeout",
        "ejection.max",
        "ejection.share_max",
    ];
    let others = ["timeouts.from_client", "retry.on", "retry.idempotency_key"];
    let bounds = tables.iter().any(|table| key.starts_with(table)) || keys.contains(&key);
    bounds && !others.contains(&key)
}

/// Returns the beginning of a new page; the words before the table are for people to write.
fn empty_page(page: &ReferencePage) -> String {
    let header = &page.header;
    format!("# `[{header}]`\n\n## Keys\n\n<!-- generated: keys -->\n<!-- end -->\n")
}
