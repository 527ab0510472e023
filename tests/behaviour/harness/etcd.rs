//! A real etcd on ports of its own, which can hang, die and return.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;

use super::child;
use super::eventually::eventually;
use super::port::Port;

/// A running server. Killed on drop.
pub(crate) struct Etcd {
    name: String,
    clients: Port,
    peers: Port,
    /// The members of its cluster, as its command line has them.
    cluster: String,
    folder: TempDir,
    child: Option<Child>,
}

impl Etcd {
    /// Starts one that is a cluster by itself.
    pub(crate) async fn start() -> Self {
        let mut etcd = Self::prepared("one");
        etcd.cluster = etcd.member();
        etcd.run();
        etcd.is_ready().await;
        etcd
    }

    /// Starts a cluster of three.
    pub(crate) async fn start_three() -> [Self; 3] {
        let mut all = ["one", "two", "three"].map(Self::prepared);
        let members: Vec<String> = all.iter().map(Self::member).collect();
        for etcd in &mut all {
            etcd.cluster = members.join(",");
            etcd.run();
        }
        for etcd in &all {
            etcd.is_ready().await;
        }
        all
    }

    fn prepared(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            clients: Port::take(),
            peers: Port::take(),
            cluster: String::new(),
            folder: tempfile::tempdir().expect("a folder for etcd"),
            child: None,
        }
    }

    fn member(&self) -> String {
        format!("{}=http://{}", self.name, self.peers.address())
    }

    /// Its URL for clients.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.clients.address())
    }

    /// Its address for clients.
    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.clients.address()
    }

    /// Starts it again after [`Self::kill`], with the data that it had.
    pub(crate) fn run(&mut self) {
        let (clients, peers) = (self.url(), format!("http://{}", self.peers.address()));
        let mut command = Command::new(script());
        command
            .args(["--name", &self.name, "--data-dir", "data"])
            .args(["--listen-client-urls", &clients])
            .args(["--advertise-client-urls", &clients])
            .args(["--listen-peer-urls", &peers])
            .args(["--initial-advertise-peer-urls", &peers])
            .args(["--initial-cluster", &self.cluster])
            .args(["--unsafe-no-fsync", "--log-level", "error"])
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.child = Some(command.spawn().expect("tests/etcd runs"));
    }

    /// Waits until it answers.
    pub(crate) async fn is_ready(&self) {
        eventually("etcd answers", || async {
            self.try_ctl(&["endpoint", "health"]).ok()
        })
        .await;
    }

    /// Makes it hang, or go on.
    pub(crate) fn signal(&self, signal: Signal) {
        child::signal(self.child.as_ref(), signal);
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        child::end(self.child.take());
    }

    /// Runs etcdctl against it; returns what it printed.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> String {
        match self.try_ctl(arguments) {
            Ok(printed) => printed,
            Err(error) => panic!("etcdctl {arguments:?}: {error}"),
        }
    }

    /// Sets many keys at once, up to 128.
    pub(crate) fn put_all(&self, pairs: &[(String, String)]) {
        let mut command = Command::new(script());
        command
            .args(["etcdctl", "--endpoints", &self.url(), "txn"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        let mut child = command.spawn().expect("tests/etcd runs");
        let puts = pairs
            .iter()
            .map(|(key, value)| format!("put {key} {}\n", serde_json::json!(value)));
        let text = format!("\n{}\n\n", puts.collect::<String>());
        let mut input = child.stdin.take().expect("its input");
        input.write_all(text.as_bytes()).expect("written");
        drop(input);
        assert!(child.wait().expect("its end").success());
    }

    fn try_ctl(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(script());
        command
            .args(["etcdctl", "--endpoints", &self.url()])
            .args(["--dial-timeout=2s", "--command-timeout=4s"])
            .args(arguments)
            .stdin(Stdio::null());
        let done = command.output().expect("tests/etcd runs");
        if done.status.success() {
            Ok(String::from_utf8_lossy(&done.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&done.stderr).into_owned())
        }
    }

    /// Sets a key.
    pub(crate) fn put(&self, key: &str, value: &str) {
        self.ctl(&["put", "--", key, value]);
    }

    /// Removes a key.
    pub(crate) fn delete(&self, key: &str) {
        self.ctl(&["del", "--", key]);
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.kill();
    }
}

fn script() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/etcd")
}
