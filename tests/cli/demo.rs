//! `sluicegate demo`: the first thing that a new user runs.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

#[test]
fn the_demo_tells_its_story_and_no_client_sees_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_sluicegate"))
        .args(["demo", "--seconds", "8"])
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();
    let (said, log) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(output.status.success(), "{said}\n{log}");
    assert!(said.contains(" 0 of them failed for the client"), "{said}");
    for step in 1..=7 {
        assert!(said.contains(&format!("\n{step}. ")), "step {step}: {said}");
    }
    assert!(said.contains("dashboard      http://127.0.0.1:"), "{said}");
    assert!(!said.contains("What had to follow did not"), "{said}");
    assert!(log.contains("did you mean \"shop\"?"), "{log}");
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 0, "nothing is left among the temporary files");
}

#[test]
fn ctrl_c_ends_it_cleanly_at_any_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_sluicegate"))
        .arg("demo")
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    // The heading of the table: the clients have begun.
    let heading = said.find(|line| line.as_ref().unwrap().contains("req/s"));
    assert!(heading.is_some(), "it ended before it began");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let last = said.map(Result::unwrap).last().unwrap();
    assert!(last.contains(" 0 of them failed for the client"), "{last}");
    assert!(child.wait().unwrap().success());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
