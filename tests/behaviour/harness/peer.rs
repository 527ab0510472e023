//! Clients and servers by others: programs of `tests/behaviour/peers`, in Python and for Node.
//!
//! `tests/run` installs the packages that they need and sets their paths in `PEERS_PATH` and
//! `NODE_PEERS_PATH`; without these the tests that need them are skipped, with a message.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::eventually::within;

/// A program in Python or for Node that runs until this is dropped.
pub(crate) struct Peer {
    child: Child,
    /// None while a line of it is awaited.
    output: Option<BufReader<ChildStdout>>,
}

/// The folder with the Python packages, if they are installed.
pub(crate) fn packages() -> Option<OsString> {
    let path = std::env::var_os("PEERS_PATH");
    if path.is_none() {
        eprintln!("passed over: PEERS_PATH does not say where the Python packages are");
    }
    path
}

/// The folder with the packages of Node, if they are installed.
pub(crate) fn node_packages() -> Option<OsString> {
    let path = std::env::var_os("NODE_PEERS_PATH");
    if path.is_none() {
        eprintln!("passed over: NODE_PEERS_PATH does not say where the packages of Node are");
    }
    path
}

impl Peer {
    /// Starts a program and waits until it reports that it is ready.
    pub(crate) async fn start(packages: &OsString, program: &str, arguments: &[String]) -> Self {
        let mut command = Command::new("python3");
        python(&mut command, packages, program, arguments);
        Self::of(command).await
    }

    /// Starts a program under Node and waits until it reports that it is ready.
    pub(crate) async fn start_node(
        packages: &OsString,
        program: &str,
        arguments: &[String],
    ) -> Self {
        let mut command = Command::new("node");
        node(&mut command, packages, program, arguments);
        Self::of(command).await
    }

    async fn of(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("tests/run installs it");
        let output = child.stdout.take().expect("its output");
        let ready = tokio::task::spawn_blocking(move || {
            let mut output = BufReader::new(output);
            let mut line = String::new();
            output.read_line(&mut line).expect("a line");
            assert_eq!(line, "ready\n");
            output
        });
        Self {
            child,
            output: Some(ready.await.expect("the program is ready")),
        }
    }

    /// Writes a line to its input.
    pub(crate) fn say(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("its input");
        writeln!(input, "{line}").expect("it reads");
    }

    /// Waits for the next line of its output.
    pub(crate) async fn line(&mut self) -> String {
        let mut output = self.output.take().expect("its output");
        let reading = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            output.read_line(&mut line).expect("a line");
            (output, line)
        });
        let (output, line) = within("a line of the peer", reading)
            .await
            .expect("no panic");
        self.output = Some(output);
        line.trim_end().to_owned()
    }

    /// Ends the input of a client, and waits for its end; returns its output, as an error if it
    /// failed. Its errors are on standard error.
    pub(crate) async fn ended(mut self) -> Result<String, String> {
        drop(self.child.stdin.take());
        let ending = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            let mut output = self.output.take().expect("its output");
            output.read_to_string(&mut text).expect("its output");
            let status = self.child.wait().expect("its end");
            if status.success() {
                Ok(text)
            } else {
                Err(text)
            }
        });
        ending.await.expect("no panic")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a client in Python to its end; it must succeed.
pub(crate) async fn run_peer(packages: &OsString, program: &str, arguments: &[String]) {
    let mut command = bounded("python3");
    python(&mut command, packages, program, arguments);
    run(command).await;
}

/// Runs a client under Node to its end; it must succeed.
pub(crate) async fn run_node_peer(packages: &OsString, program: &str, arguments: &[String]) {
    let mut command = bounded("node");
    node(&mut command, packages, program, arguments);
    run(command).await;
}

async fn run(mut command: Command) {
    let output = tokio::task::spawn_blocking(move || {
        let output = command.output();
        output.unwrap_or_else(|error| panic!("{command:?}: {error}; tests/run installs it"))
    });
    let output = output.await.expect("the program starts");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Makes a program that is ended if it hangs.
pub(crate) fn bounded(program: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", "60", program]);
    command
}

fn python(command: &mut Command, packages: &OsString, program: &str, arguments: &[String]) {
    command
        .arg(folder().join(program))
        .args(arguments)
        .env("PYTHONPATH", packages)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null());
}

fn node(command: &mut Command, packages: &OsString, program: &str, arguments: &[String]) {
    command
        .arg(folder().join(program))
        .args(arguments)
        .env("NODE_PATH", Path::new(packages).join("node_modules"))
        .stdin(Stdio::null());
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/behaviour/peers")
}
