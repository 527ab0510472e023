//! Every example of a configuration can be started as it is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use sluicegate::{
    config::{self, Rules},
    state::{self, Registered, Registry, Source},
    upstream::picker::RoundRobin,
};
use tokio::time::Instant;

mod readme;

#[test]
fn each_configuration_loads_without_a_remark_and_builds() {
    let mut files: Vec<PathBuf> = fs::read_dir(root().join("examples/config"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.push(root().join("proxy.toml"));
    assert!(files.len() > 6, "{files:?}");
    for file in files {
        builds(&file);
    }
}

#[test]
fn the_configurations_in_the_readme_load_and_build() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let blocks: Vec<&str> = readme
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .filter(|block| block.contains("[listeners."))
        .collect();
    assert!(!blocks.is_empty());
    // The certificate that one of them names.
    for file in ["shop.pem", "shop.key"] {
        let kept = root().join("tests/config/tls").join(file);
        fs::copy(kept, folder.path().join(file)).unwrap();
    }
    for (number, block) in blocks.into_iter().enumerate() {
        let file = folder.path().join(format!("{number}.toml"));
        fs::write(&file, block).unwrap();
        builds(&file);
    }
}

fn builds(file: &Path) {
    let rules = Rules {
        pickers: &["fill_first"],
        ..Rules::default()
    };
    let loaded = config::load(file, &rules).unwrap_or_else(|faults| panic!("{faults}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    let mut registered = Registered::default();
    let factory = |seed| Box::new(RoundRobin::new(seed)) as _;
    registered.pickers.register("fill_first", factory);
    let source = Source {
        config: Arc::new(loaded.config),
        registered: &registered,
        last: None,
        files: state::TlsFiles::Read,
        generation: 1,
        now: Instant::now(),
    };
    let built = state::build(&source, &mut Registry::new(1));
    let snapshot = built.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert!(!snapshot.routes.is_empty());
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
