//! The exercise of the manual: each situation is found and mended with the tools of the proxy.

use std::path::Path;
use std::process::Command;

#[test]
fn each_broken_situation_is_found_and_mended_with_the_proxys_tools() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("timeout")
        .args(["--kill-after=5", "120"])
        .arg(root.join("examples/exercise/exercise"))
        .env("SLUICEGATE", env!("CARGO_BIN_EXE_sluicegate"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let faults = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{faults}");
    for number in 1..=5 {
        assert!(said.contains(&format!("\n== {number}. ")), "{said}");
    }
    assert!(said.ends_with("== All is well again.\n"), "{said}");
}
