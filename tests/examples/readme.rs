//! What the README copies from the code is what the code says.
//!
//! `UPDATE=1 cargo test --test examples` writes it anew.

use std::{fs, process::Command};

use sluicegate::config::schema;

use super::root;

#[test]
fn the_configuration_reference_is_up_to_date() {
    // One level deeper than where the text stands by itself.
    let reference = schema::reference().replace("## `[", "### `[");
    compare("reference", reference.trim_end());
}

#[test]
fn every_metric_has_its_row() {
    let source = read("src/telemetry/metrics/names.rs");
    let names: Vec<&str> = quoted(&source)
        .filter(|name| name.starts_with("sluicegate_"))
        .collect();
    assert!(names.len() > 20, "{names:?}");
    let readme = read("README.md");
    for name in names {
        assert!(readme.contains(&format!("| `{name}` |")), "{name}");
    }
}

#[test]
fn every_failure_has_its_word_in_the_table() {
    let source = read("src/failure.rs");
    let (_, rest) = source.split_once("pub fn word(").unwrap();
    let (body, _) = rest.split_once("pub fn side(").unwrap();
    let words: Vec<&str> = quoted(body).collect();
    assert!(words.len() > 15, "{words:?}");
    let readme = read("README.md");
    for word in words {
        assert!(readme.contains(&format!("`{word}`")), "{word}");
    }
}

#[test]
fn every_command_has_its_row() {
    let asked = Command::new(env!("CARGO_BIN_EXE_sluicegate"))
        .arg("--help")
        .output();
    let help = String::from_utf8(asked.unwrap().stdout).unwrap();
    let (_, rest) = help.split_once("Commands:\n").unwrap();
    let (commands, _) = rest.split_once("\n\n").unwrap();
    let readme = read("README.md");
    let (_, rest) = readme.split_once("## Command line").unwrap();
    let (section, _) = rest.split_once("\n## ").unwrap();
    let names = commands.lines().filter_map(|line| {
        // A longer explanation goes on in lines that are further in.
        let name = line.strip_prefix("  ")?.split(' ').next()?;
        (!name.is_empty()).then_some(name)
    });
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 10, "{help}");
    for name in names {
        let shown = [format!("`{name}"), format!("sluicegate {name}")];
        assert!(shown.iter().any(|text| section.contains(text)), "{name}");
    }
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let readme = read("README.md");
    let (_, table) = readme.split_once("### Dependencies").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let mut known = Vec::new();
    // Those of one kind of processor stand under it.
    let targets = manifest["target"].as_table().unwrap().values();
    let targets = targets.map(|target| &target["dependencies"]);
    let everywhere = ["dependencies", "dev-dependencies"].map(|section| &manifest[section]);
    for section in everywhere.into_iter().chain(targets) {
        for name in section.as_table().unwrap().keys() {
            assert!(table.contains(&format!("`{name}`")), "{name} has no reason");
            known.push(name.clone());
        }
    }
    for row in table.lines().filter(|row| row.starts_with("| `")) {
        let crates = row.split('|').nth(1).unwrap();
        for name in crates.split('`').skip(1).step_by(2) {
            assert!(known.iter().any(|known| known == name), "{name} is gone");
        }
    }
}

/// What stands between quotation marks; there are no escaped ones in these files.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Compares the text between the markers of this name, or replaces it.
fn compare(name: &str, expected: &str) {
    let readme = read("README.md");
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("\n<!-- /{name} -->"));
    let (before, rest) = readme.split_once(&begin).expect("the first marker");
    let (found, after) = rest.split_once(&end).expect("the second marker");
    if found == expected {
        return;
    }
    if std::env::var_os("UPDATE").is_some() {
        fs::write(
            root().join("README.md"),
            format!("{before}{begin}{expected}{end}{after}"),
        )
        .unwrap();
    } else {
        panic!("README.md is behind ({name}); UPDATE=1 cargo test --test examples writes it anew");
    }
}
