//! Any text as a configuration: no panic, and the same verdict each time.

use std::path::Path;

use sluicegate::config::{Rules, Secrets, parse};

/// Checks one input.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let rules = Rules {
        secrets: Secrets::Excused,
        ..Rules::default()
    };
    let check = || match parse(text, Path::new("proxy.toml"), &rules) {
        Ok(loaded) => format!("{}", loaded.warnings),
        Err(faults) => {
            let told = faults.to_string();
            assert!(!told.is_empty(), "refused without a reason");
            told
        }
    };
    assert_eq!(check(), check());
}
