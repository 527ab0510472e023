//! Clients and servers that others wrote: Python programs of `tests/behaviour/peers`.
//!
//! `tests/run` installs the packages that they need and says where in `PEERS_PATH`; without
//! it the tests that need them are passed over, and say so.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// A Python program that runs until this is dropped.
pub(crate) struct Peer {
    child: Child,
    _output: BufReader<ChildStdout>,
}

/// The folder with the Python packages, if they are installed.
pub(crate) fn packages() -> Option<OsString> {
    let path = std::env::var_os("PEERS_PATH");
    if path.is_none() {
        eprintln!("passed over: PEERS_PATH does not say where the Python packages are");
    }
    path
}

impl Peer {
    /// Starts a server and waits until it says that it is ready.
    pub(crate) async fn start(packages: &OsString, program: &str, arguments: &[String]) -> Self {
        let mut command = command(packages, program, arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("python3");
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
            _output: ready.await.expect("the server is ready"),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a client to its end; it has to end well.
pub(crate) async fn run_peer(packages: &OsString, program: &str, arguments: &[String]) {
    let mut command = command(packages, program, arguments);
    let output = tokio::task::spawn_blocking(move || command.output().expect("python3"));
    let output = output.await.expect("no panic");
    assert!(
        output.status.success(),
        "{program}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn command(packages: &OsString, program: &str, arguments: &[String]) -> Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/behaviour/peers");
    let mut command = Command::new("python3");
    command
        .arg(folder.join(program))
        .args(arguments)
        .env("PYTHONPATH", packages)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null());
    command
}
