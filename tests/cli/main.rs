//! The command line: what it prints, and what it tells a script by its exit code.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

mod address;
mod arrival;
mod check;
mod demo;
mod editors;
mod exercise;
mod live;
mod minimal;
#[path = "../behaviour/harness/port.rs"]
mod port;
mod running;
mod schema;
mod starting;
mod top;

use std::fs;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const GOOD: &str = r#"
[listeners.web]
address = "127.0.0.1:18080"

[routes.all]
pool = "app"

[routes.orders]
path_prefix = "/orders"
headers = { "x-tenant" = "acme" }
pool = "orders"

[pools.app]
endpoints = ["127.0.0.1:9001"]

[pools.orders]
endpoints = ["127.0.0.1:9002"]
"#;

struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Outcome {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// Runs the command in a folder that holds this `proxy.toml`.
fn run(config: &str, arguments: &[&str]) -> Outcome {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("proxy.toml"), config).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_sluicegate"))
        .args(arguments)
        .current_dir(folder.path())
        .output()
        .unwrap();
    Outcome::of(output)
}

#[test]
fn help_and_version_are_fine() {
    for argument in ["--help", "--version"] {
        let outcome = run(GOOD, &[argument]);
        assert_eq!(outcome.code, Some(0));
        assert!(outcome.stdout.contains("sluicegate"), "{}", outcome.stdout);
    }
    let help = run(GOOD, &["--help"]).stdout;
    for command in [
        "run",
        "check",
        "diff",
        "explain",
        "status",
        "top",
        "reload",
        "drain",
        "endpoint",
        "why",
        "schema",
        "completions",
        "man",
    ] {
        assert!(help.contains(command), "{command}: {help}");
    }
}

#[test]
fn wrong_use_is_2() {
    for arguments in [
        &["no-such-command"][..],
        &["check", "--no-such-flag"],
        &["explain"],
        &["explain", "GET", "shop.example"],
        &["explain", "GET", "/", "-H", "no colon"],
        &["endpoint", "drain", "no-slash"],
        &["endpoint", "stop", "app/127.0.0.1:1"],
        &["status", "--admin", "nowhere"],
        &["completions", "no-such-shell"],
        &["man", "no-such-command"],
        &["--no-such-flag"],
    ] {
        let outcome = run(GOOD, arguments);
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {}", outcome.all());
    }
}

#[test]
fn a_missing_file_is_named_and_3() {
    for arguments in [
        &["check", "other.toml"][..],
        &["--config", "other.toml"],
        &["run", "--config", "other.toml"],
        &["explain", "GET", "/", "--config", "other.toml"],
        &["diff", "proxy.toml", "--config", "other.toml"],
        &["status", "--config", "other.toml"],
    ] {
        let outcome = run(GOOD, arguments);
        assert_eq!(outcome.code, Some(3), "{arguments:?}: {}", outcome.all());
        assert!(outcome.stderr.contains("other.toml"), "{}", outcome.all());
        assert!(outcome.stderr.contains("exist"), "{}", outcome.all());
    }
}

#[test]
fn run_refuses_a_broken_file_with_3() {
    let outcome = run("[listeners.web]\nadress = \"127.0.0.1:1\"\n", &["run"]);
    assert_eq!(outcome.code, Some(3), "{}", outcome.all());
    assert!(
        outcome.stderr.contains("proxy.toml:2:1"),
        "{}",
        outcome.all()
    );
    assert!(outcome.stderr.contains("address"), "{}", outcome.all());
}

#[test]
fn explain_names_the_winner_and_why_each_other_lost() {
    let explain = |arguments: &[&str]| {
        let all = [&["explain"], arguments, &["--config", "proxy.toml"]].concat();
        let outcome = run(GOOD, &all);
        assert_eq!(outcome.code, Some(0), "{}", outcome.all());
        outcome.stdout
    };
    let url = "http://shop.example/orders/1";
    let text = explain(&["GET", url, "-H", "x-tenant: acme"]);
    assert!(text.contains("orders"), "{text}");
    assert!(text.contains("127.0.0.1:9002"), "{text}");
    let text = explain(&["GET", url]);
    assert!(text.contains("127.0.0.1:9001"), "{text}");
    assert!(
        text.contains("x-tenant"),
        "the reason why orders lost: {text}"
    );
    let text = explain(&["GET", url, "--format", "json"]);
    assert!(
        serde_json::from_str::<serde_json::Value>(&text).is_ok(),
        "{text}"
    );
}

#[test]
fn what_needs_a_running_proxy_says_that_there_is_none() {
    let config = format!("{GOOD}\n[admin]\naddress = \"127.0.0.1:1\"\n");
    for arguments in [&["status"][..], &["diff", "proxy.toml"], &["reload"]] {
        let outcome = run(&config, arguments);
        assert_eq!(outcome.code, Some(1), "{arguments:?}: {}", outcome.all());
        assert!(outcome.stderr.contains("127.0.0.1:1"), "{}", outcome.all());
    }
}

#[test]
fn what_needs_the_admin_api_says_that_the_file_has_none() {
    let outcome = run(GOOD, &["status"]);
    assert_eq!(outcome.code, Some(3), "{}", outcome.all());
    assert!(outcome.stderr.contains("[admin]"), "{}", outcome.all());
    let outcome = run(GOOD, &["status", "--format", "json"]);
    assert_eq!(outcome.code, Some(3), "{}", outcome.all());
    let told: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert!(told["error"].to_string().contains("[admin]"), "{told}");
    let broken = GOOD.replace("address", "adress");
    let outcome = run(
        &broken,
        &["explain", "GET", "http://a/", "--format", "json"],
    );
    assert_eq!(outcome.code, Some(3), "{}", outcome.all());
    let told: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert!(told["faults"][0]["line"].is_u64(), "{told}");
}

#[test]
fn diff_compares_two_files_without_a_proxy() {
    let outcome = run(GOOD, &["diff", "proxy.toml", "--config", "proxy.toml"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.all());
    assert!(outcome.stdout.contains("no change"), "{}", outcome.stdout);
}

#[test]
fn diff_tells_a_script_of_a_change_where_it_is_asked_to() {
    let diff = ["diff", "other.toml", "--config", "proxy.toml"];
    let asked = [&diff[..], &["--exit-code"]].concat();
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("proxy.toml"), GOOD).unwrap();
    let code = |other: &str, arguments: &[&str]| {
        fs::write(folder.path().join("other.toml"), other).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluicegate"));
        command.args(arguments).current_dir(folder.path());
        command.output().unwrap().status.code()
    };
    let changed = GOOD.replace("127.0.0.1:9002", "127.0.0.1:9003");
    assert_eq!(code(GOOD, &asked), Some(0));
    assert_eq!(code(&changed, &diff), Some(0));
    assert_eq!(code(&changed, &asked), Some(1));
    assert_eq!(code("[routes", &asked), Some(3));
}

#[test]
fn questions_need_no_secret() {
    let pair = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/config/tls/shop.pem");
    let config = format!(
        r#"{GOOD}
        [admin]
        token = {{ env = "SLUICEGATE_TEST_UNSET" }}
        [listeners.secure]
        address = "127.0.0.1:18443"
        tls = {{ certificates = [{{ chain = "{pair}", key = "/nowhere/shop.key" }}] }}
        [routes.secret]
        path_prefix = "/secret"
        pool = "app"
        headers_request = {{ set = {{ x-key = {{ file = "/nowhere/key" }} }} }}
        "#
    );
    let outcome = run(&config, &["explain", "GET", "https://shop.example/secret"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.all());
    assert!(
        outcome.stdout.contains("route \"secret\""),
        "{}",
        outcome.stdout
    );
    assert!(
        outcome.stdout.contains("listener \"secure\""),
        "{}",
        outcome.stdout
    );
    let outcome = run(&config, &["check"]);
    assert_eq!(outcome.code, Some(3), "{}", outcome.all());
    for part in ["SLUICEGATE_TEST_UNSET", "/nowhere/shop.key", "/nowhere/key"] {
        assert!(outcome.all().contains(part), "{part}: {}", outcome.all());
    }
    let outcome = run(&config, &["check", "--without-secrets"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.all());
    // For an address nothing can stand in.
    let config = config.replace("\"127.0.0.1:18443\"", "{ env = \"SLUICEGATE_TEST_UNSET\" }");
    let outcome = run(&config, &["check", "--without-secrets"]);
    assert_eq!(outcome.code, Some(3), "{}", outcome.all());
    assert!(outcome.all().contains("is not set"), "{}", outcome.all());
}

#[test]
fn a_source_that_cannot_be_asked_is_a_warning_and_offline_is_not_asked() {
    let config = r#"
        [listeners.web]
        address = "127.0.0.1:18080"
        [routes.all]
        pool = "app"
        [pools.app]
        discover = { dns = { name = "app.test", port = 80, resolvers = ["127.0.0.1:9"] } }
        "#;
    let outcome = run(config, &["check"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.all());
    let told = outcome.all();
    assert!(
        told.contains("pool \"app\" finds no endpoints: app.test"),
        "{told}"
    );
    assert!(told.contains("127.0.0.1:9 cannot be reached"), "{told}");
    assert!(told.contains("discover = { dns"), "{told}");
    let outcome = run(config, &["check", "--offline"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.all());
    assert!(!outcome.all().contains("finds no"), "{}", outcome.all());
}

#[test]
fn explain_answers_although_a_test_in_the_file_fails() {
    let config = format!(
        "{GOOD}\n[tests.t]\nrequest = {{ url = \"http://a/\" }}\nexpect = {{ pool = \"orders\" }}\n"
    );
    let outcome = run(&config, &["explain", "GET", "http://a/"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.all());
    assert!(
        outcome.stdout.contains("pool \"app\""),
        "{}",
        outcome.stdout
    );
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    let help = run(GOOD, &["--help"]).stdout;
    let (_, rest) = help.split_once("Commands:\n").unwrap();
    let (list, _) = rest.split_once("\n\n").unwrap();
    let names = list.lines().filter_map(|line| {
        let own = line.strip_prefix("  ")?;
        own.split(' ').next().filter(|name| !name.is_empty())
    });
    let commands: Vec<&str> = names.filter(|name| *name != "help").collect();
    assert!(commands.len() > 15, "{commands:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let outcome = run(GOOD, &["completions", shell]);
        assert_eq!(outcome.code, Some(0), "{shell}: {}", outcome.stderr);
        for command in &commands {
            assert!(outcome.stdout.contains(command), "{shell}: {command}");
        }
    }
    let page = run(GOOD, &["man"]).stdout;
    assert!(page.contains(".TH sluicegate"), "{page}");
    for command in &commands {
        assert!(
            page.contains(&command.replace('-', "\\-")),
            "{command}: {page}"
        );
        let own = run(GOOD, &["man", command]);
        assert_eq!(own.code, Some(0), "{command}: {}", own.stderr);
        assert!(own.stdout.contains(".SH"), "{command}");
    }
    let page = run(GOOD, &["man", "explain"]).stdout;
    assert!(page.contains("source"), "{page}");
}

#[test]
fn a_closed_pipe_is_no_error_and_a_full_disk_is() {
    let man = |stdout: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluicegate"));
        let status = command.arg("man").stdout(stdout).status().unwrap();
        status.code()
    };
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(man(writer.into()), Some(0));
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    assert_eq!(man(full.into()), Some(1));
}
