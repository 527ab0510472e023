//! A proxy that runs, with backends that answer with their names.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::Outcome;
use super::port::Port;

/// The proxy as a process; it ends with the test.
pub(crate) struct Running {
    child: Child,
    folder: TempDir,
    web: Port,
    admin: Port,
    backends: Vec<(String, SocketAddr)>,
}

impl Running {
    /// Starts it with this configuration, in which `$web`, `$admin` and the names of
    /// backends stand for addresses, and waits until it answers.
    pub(crate) fn start(config: &str, backends: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let backends: Vec<(String, SocketAddr)> = backends
            .iter()
            .map(|name| ((*name).to_owned(), backend(name)))
            .collect();
        let (web, admin) = (Port::take(), Port::take());
        let text = expand(config, &web, &admin, &backends);
        fs::write(folder.path().join("proxy.toml"), text).unwrap();
        let child = spawn(folder.path());
        let running = Self {
            child,
            folder,
            web,
            admin,
            backends,
        };
        eventually("the proxy answers", || {
            running.run(&["status"]).code == Some(0)
        });
        running
    }

    /// Kills the process.
    pub(crate) fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again after [`Self::stop`].
    pub(crate) fn start_again(&mut self) {
        self.child = spawn(self.folder.path());
    }

    /// Runs a command in the folder of the configuration.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with_token(None, arguments)
    }

    /// Runs a command with SLUICEGATE_TOKEN.
    pub(crate) fn run_with_token(&self, token: Option<&str>, arguments: &[&str]) -> Outcome {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluicegate"));
        command.args(arguments).current_dir(self.folder.path());
        command.env_remove("SLUICEGATE_TOKEN");
        if let Some(token) = token {
            command.env("SLUICEGATE_TOKEN", token);
        }
        Outcome::of(command.output().unwrap())
    }

    /// Runs a command that must succeed; its standard output.
    pub(crate) fn answer(&self, arguments: &[&str]) -> String {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, Some(0), "{arguments:?}: {}", outcome.all());
        outcome.stdout
    }

    /// Runs a command that must succeed; its JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let answer = self.answer(&[arguments, &["--format", "json"]].concat());
        serde_json::from_str(&answer).unwrap()
    }

    /// Sends a request; the whole answer.
    pub(crate) fn get(&self, path: &str, lines: &str) -> String {
        let mut stream = TcpStream::connect(self.web.address()).unwrap();
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n{lines}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Writes a file into the folder, with addresses in their places.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let text = expand(text, &self.web, &self.admin, &self.backends);
        // As an editor does it: the watcher never sees half a file.
        let beside = self.path(&format!("{name}.new"));
        fs::write(&beside, text).unwrap();
        fs::rename(beside, self.path(name)).unwrap();
    }

    /// The address that a name stands for.
    pub(crate) fn address(&self, name: &str) -> String {
        expand(&format!("${name}"), &self.web, &self.admin, &self.backends)
    }

    /// Log of the proxy so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("proxy.log")).unwrap()
    }

    /// Returns the exit status, once the process has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of the proxy\n{}", self.log());
        }
    }
}

fn spawn(folder: &Path) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.join("proxy.log"))
        .unwrap();
    Command::new(env!("CARGO_BIN_EXE_sluicegate"))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// Waits until something holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        nap();
    }
    panic!("it never came about that {what}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test waits for another process"
)]
fn nap() {
    std::thread::sleep(Duration::from_millis(20));
}

fn expand(text: &str, web: &Port, admin: &Port, backends: &[(String, SocketAddr)]) -> String {
    let mut text = text
        .replace("$web", &web.address().to_string())
        .replace("$admin", &admin.address().to_string());
    for (name, address) in backends {
        text = text.replace(&format!("${name}"), &address.to_string());
    }
    text
}

/// Starts a backend whose every answer is its name.
fn backend(name: &str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{name}",
        name.len()
    );
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut piece = [0; 1024];
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read(&mut piece) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => head.extend_from_slice(&piece[..count]),
                }
            }
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}
