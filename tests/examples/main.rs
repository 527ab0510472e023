//! Examples, snippets and reference: what the documents show is what the proxy takes and does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod builds;
mod failures;
mod generated;
mod links;
mod lists;
mod metrics;
mod observability;
mod pages;
mod pickers;
mod snippets;
mod unit;

use std::fs;
use std::path::{Path, PathBuf};

use builds::builds;

#[test]
fn each_configuration_loads_without_a_remark_and_builds() {
    let mut files: Vec<PathBuf> = fs::read_dir(root().join("examples/config"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.push(root().join("proxy.toml"));
    assert!(files.len() > 6, "{files:?}");
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        builds(folder.path(), &file.display().to_string(), &text);
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
