//! The way in which a command finds the running proxy.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::{GOOD, Outcome};

#[test]
fn outside_the_folder_a_command_says_how_the_proxy_is_named() {
    let folder = TempDir::new().unwrap();
    let status = |admin: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluicegate"));
        command.arg("status").current_dir(folder.path());
        if let Some(admin) = admin {
            command.env("SLUICEGATE_ADMIN", admin);
        }
        Outcome::of(command.output().unwrap())
    };
    let outcome = status(None);
    assert_eq!(outcome.code, Some(3));
    for part in ["--admin", "SLUICEGATE_ADMIN", "--config"] {
        assert!(outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
    }
    let outcome = status(Some("127.0.0.1:1"));
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("127.0.0.1:1"), "{}", outcome.stderr);
    let outcome = status(Some("nowhere"));
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome.stderr.contains("SLUICEGATE_ADMIN"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn the_file_of_a_command_goes_before_the_environment() {
    let folder = TempDir::new().unwrap();
    let admin = "[admin]\naddress = \"127.0.0.1:1\"\n";
    fs::write(folder.path().join("with.toml"), format!("{admin}{GOOD}")).unwrap();
    fs::write(folder.path().join("without.toml"), GOOD).unwrap();
    fs::write(folder.path().join("proxy.toml"), format!("{admin}{GOOD}")).unwrap();
    for (arguments, asked) in [
        (&["status", "--config", "with.toml"][..], "127.0.0.1:1"),
        (&["status", "--config", "without.toml"], "127.0.0.1:2"),
        (&["status", "--config", "none.toml"], "none.toml"),
        (&["status"], "127.0.0.1:2"),
        (
            &["status", "--config", "with.toml", "--admin", "127.0.0.1:3"],
            "127.0.0.1:3",
        ),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluicegate"));
        command.args(arguments).current_dir(folder.path());
        command.env("SLUICEGATE_ADMIN", "127.0.0.1:2");
        let said = Outcome::of(command.output().unwrap()).stderr;
        assert!(said.contains(asked), "{arguments:?}: {said}");
    }
}
