//! The exercise of the manual: each situation is found and mended with the tools of the proxy.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

fn exercise() -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", "180"]);
    command.arg(root.join("examples/exercise/exercise"));
    command.env("SLUICEGATE", env!("CARGO_BIN_EXE_sluicegate"));
    command
}

#[test]
fn each_broken_situation_is_found_and_mended_with_the_proxys_tools() {
    let output = exercise().output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let faults = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{faults}");
    for number in 1..=5 {
        assert!(said.contains(&format!("\n== {number}. ")), "{said}");
    }
    assert!(said.ends_with("== All is well again.\n"), "{said}");
}

#[test]
fn one_can_be_left_to_the_reader_until_he_presses_enter() {
    let mut command = exercise();
    command.args(["route", "by-hand"]);
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = pipes.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    let (broken, mended) = said.split_once("== Press Enter").unwrap();
    assert!(
        broken.contains("export SLUICEGATE_ADMIN=127.0.0.1:"),
        "{said}"
    );
    assert!(!broken.contains("summer"), "{said}");
    assert!(mended.contains("- route summer"), "{said}");
    assert!(said.ends_with("== All is well again.\n"), "{said}");
}
