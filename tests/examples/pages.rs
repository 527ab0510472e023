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

/// What a new page begins with; the words before the table are for people to write.
fn empty_page(page: &ReferencePage) -> String {
    let header = &page.header;
    format!("# `[{header}]`\n\n## Keys\n\n<!-- generated: keys -->\n<!-- end -->\n")
}
