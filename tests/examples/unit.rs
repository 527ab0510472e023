//! The systemd unit: what it starts is what the command line takes.

use std::fs;
use std::process::Command;

use super::{read, root};

#[test]
fn the_unit_starts_what_the_command_line_takes() {
    let unit = read("examples/sluicegate.service");
    let keys: Vec<(&str, &str)> = unit
        .lines()
        .filter(|line| !line.starts_with(['#', '[']))
        .filter(|line| !line.is_empty())
        .map(|line| line.split_once('=').unwrap_or_else(|| panic!("{line}")))
        .collect();
    assert!(keys.contains(&("Type", "notify")));
    assert!(keys.iter().any(|(key, _)| *key == "WatchdogSec"));
    // Each command is parsed to its end: `check` runs, and what would serve shows its help.
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("proxy.toml");
    fs::copy(root().join("proxy.toml"), &config).unwrap();
    let is_command = |key: &str| key.starts_with("ExecStart") || key == "ExecReload";
    let commands = keys.iter().filter(|(key, _)| is_command(key));
    let mut count = 0;
    for (key, command) in commands {
        let Some(words) = command.strip_prefix("/usr/local/bin/sluicegate ") else {
            assert_eq!((*key, *command), ("ExecReload", "/bin/kill -HUP $MAINPID"));
            continue;
        };
        let words = words.replace("/etc/sluicegate/proxy.toml", config.to_str().unwrap());
        let mut run = Command::new(env!("CARGO_BIN_EXE_sluicegate"));
        run.args(words.split(' '));
        if *key == "ExecStart" {
            run.arg("--help");
        }
        let output = run.output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
        count += 1;
    }
    assert_eq!(count, 2);
}
