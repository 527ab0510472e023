//! Common parts of the tests of all dialects.

use std::{fs, path::Path};

use super::{Dialect, import};
use crate::config::{self, Rules};

/// Imports a text that is written to this file; the result must be good.
pub(super) fn imported(dialect: Dialect, path: &Path, text: &str) -> String {
    fs::write(path, text).unwrap();
    let imported = import(dialect, path).unwrap();
    let count = imported.text.matches("# NOT TRANSLATED").count();
    assert_eq!(count, imported.untranslated, "{}", imported.text);
    let result = path.with_file_name("proxy.toml");
    if let Err(faults) = config::parse(imported.text.clone(), &result, &Rules::default()) {
        panic!("{faults}\n{}", imported.text);
    }
    imported.text
}

/// Asserts that each of these lines is there, in this order.
pub(super) fn has(text: &str, lines: &[&str]) {
    let mut rest = text;
    for line in lines {
        let Some(at) = rest.find(line) else {
            panic!("{line:?} is missing in\n{text}");
        };
        rest = &rest[at + line.len()..];
    }
}
