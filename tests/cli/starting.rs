//! Start of the process, and the messages if it does not start.

use std::{
    fs,
    os::unix::fs::symlink,
    process::{Command, Stdio},
};

use rustix::fs::{CWD, Mode, mkfifoat};
use tempfile::TempDir;

use super::{GOOD, Outcome, running::eventually};

/// Runs the proxy in this folder, after this command of a shell, until it ends.
fn start(folder: &TempDir, before: &str) -> Outcome {
    let command = format!("{before}; exec \"$@\"");
    let output = Command::new("sh")
        .args(["-c", &command, "sh", env!("CARGO_BIN_EXE_sluicegate")])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Outcome::of(output)
}

#[test]
fn a_named_pipe_as_configuration_is_refused_at_once() {
    let folder = TempDir::new().unwrap();
    mkfifoat(CWD, folder.path().join("pipe"), Mode::from_raw_mode(0o600)).unwrap();
    symlink("pipe", folder.path().join("proxy.toml")).unwrap();
    let outcome = start(&folder, ":");
    assert_eq!(outcome.code, Some(3), "{}", outcome.all());
    assert!(outcome.stderr.contains("named pipe"), "{}", outcome.all());
}

#[test]
fn a_named_pipe_that_nobody_reads_as_access_log_is_refused_at_once() {
    let folder = TempDir::new().unwrap();
    mkfifoat(CWD, folder.path().join("pipe"), Mode::from_raw_mode(0o600)).unwrap();
    let text = GOOD.replace("127.0.0.1:18080", "127.0.0.1:0");
    let text = format!("{text}\n[access_log]\npath = \"pipe\"\n");
    fs::write(folder.path().join("proxy.toml"), text).unwrap();
    let outcome = start(&folder, ":");
    assert_eq!(outcome.code, Some(1), "{}", outcome.all());
    let told = "a pipe that nobody reads";
    assert!(outcome.stderr.contains(told), "{}", outcome.all());
}

#[test]
fn a_worker_that_cannot_start_is_a_start_that_fails() {
    let folder = TempDir::new().unwrap();
    let text = GOOD.replace("127.0.0.1:18080", "127.0.0.1:0");
    let text = format!("[proxy]\nworkers = 32\n{text}");
    fs::write(folder.path().join("proxy.toml"), text).unwrap();
    let outcome = start(&folder, "ulimit -n 80");
    assert_eq!(outcome.code, Some(1), "{}", outcome.all());
    assert!(outcome.stderr.contains("cannot start"), "{}", outcome.all());
    assert!(outcome.stderr.contains("ulimit -n"), "{}", outcome.all());
}

/// Starts the proxy as [`start`] does, sees what it is when it listens, and ends it.
fn see<T>(folder: &TempDir, before: &str, look: impl FnOnce(u32, &str) -> T) -> T {
    let log = folder.path().join("proxy.log");
    let command = format!("{before}; exec \"$@\"");
    let mut child = Command::new("sh")
        .args(["-c", &command, "sh", env!("CARGO_BIN_EXE_sluicegate")])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    eventually("it listens", || {
        let text = fs::read_to_string(&log).unwrap();
        text.contains("listening") && text.ends_with('\n')
    });
    let seen = look(child.id(), &fs::read_to_string(&log).unwrap());
    child.kill().unwrap();
    child.wait().unwrap();
    seen
}

#[test]
fn the_soft_limit_of_descriptors_is_raised_and_one_that_cannot_be_kept_told() {
    let folder = TempDir::new().unwrap();
    let text = GOOD.replace("127.0.0.1:18080", "127.0.0.1:0");
    fs::write(folder.path().join("proxy.toml"), &text).unwrap();
    let limits = see(&folder, "ulimit -Sn 300; ulimit -Hn 3000", |id, log| {
        assert!(log.contains("raise the hard limit"), "{log}");
        assert!(log.contains("limit=3000"), "{log}");
        assert!(log.contains("connections are taken at most"), "{log}");
        fs::read_to_string(format!("/proc/{id}/limits")).unwrap()
    });
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let numbers: Vec<_> = line.unwrap().split_whitespace().skip(3).collect();
    assert_eq!(numbers[..2], ["3000", "3000"]);
    let few = format!("[proxy]\nworkers = 2\nlimits = {{ connections = 1000 }}\n{text}");
    fs::write(folder.path().join("proxy.toml"), few).unwrap();
    see(&folder, "ulimit -n 3000", |_, log| {
        assert!(!log.contains("raise the hard limit"), "{log}");
    });
}
