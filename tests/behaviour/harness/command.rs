//! Runs the binary as a command that ends.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

/// The binary under test: the one that `SLUICEGATE_UNDER_TEST` names, by default the one that was
/// built with the tests. Campaigns test a release build without building the tests for release.
pub(crate) fn binary() -> OsString {
    env::var_os("SLUICEGATE_UNDER_TEST").unwrap_or_else(|| env!("CARGO_BIN_EXE_sluicegate").into())
}

/// Runs a command in a folder; returns its exit code and its output.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(binary())
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs");
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}
