//! The Rust files of the tree, and their length.

use std::{fs, path::Path};

use crate::root;

/// Most lines of a file, its tests included. A longer one is split by noun.
const LINES_MAX: usize = 400;

/// First line of a file that a tool has written, which may be longer.
const GENERATED: &str = "// @generated";

#[test]
fn no_file_is_longer_than_400_lines() {
    let files = rust_files(&["benches", "examples", "src", "tests"]);
    let long = files.iter().filter_map(|(name, text)| {
        let lines = text.lines().count();
        let is_long = lines > LINES_MAX && !text.starts_with(GENERATED);
        is_long.then(|| format!("{name}: {lines} lines"))
    });
    let long: Vec<String> = long.collect();
    assert!(
        long.is_empty(),
        "split these files by noun (at most {LINES_MAX} lines each; one that a tool writes begins \
         with \"{GENERATED}\"):\n{}",
        long.join("\n")
    );
}

/// Returns the Rust files below these folders by their path in the project, with their text.
pub(crate) fn rust_files(folders: &[&str]) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for folder in folders {
        add_sources(&root().join(folder), &mut files);
    }
    files
}

/// Adds the sources below a folder, by their path in the project.
fn add_sources(folder: &Path, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            add_sources(&path, files);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let name = path.strip_prefix(root()).unwrap();
            files.push((
                name.display().to_string(),
                fs::read_to_string(&path).unwrap(),
            ));
        }
    }
    files.sort();
}
