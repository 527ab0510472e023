//! A real Redis server on a port of its own, which can hang, die and return.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::child;
use super::eventually::{eventually, within};
use super::port::Port;

/// A running server. Killed on drop.
pub(crate) struct Redis {
    port: Port,
    arguments: Vec<String>,
    folder: TempDir,
    child: Option<Child>,
}

impl Redis {
    /// Starts one that keeps nothing on disk.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts one with these arguments in addition.
    pub(crate) async fn start_with(arguments: &[&str]) -> Self {
        let mut redis = Self {
            port: Port::take(),
            arguments: arguments.iter().map(|it| (*it).to_owned()).collect(),
            folder: tempfile::tempdir().expect("a folder for Redis"),
            child: None,
        };
        redis.run().await;
        redis
    }

    /// The part of a URL after its scheme.
    pub(crate) fn place(&self) -> String {
        self.port.address().to_string()
    }

    /// Starts it again after [`Self::kill`].
    pub(crate) async fn run(&mut self) {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/redis-server");
        let mut command = Command::new(script);
        let port = self.port.address().port().to_string();
        command
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--port", &port])
            .args(&self.arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        self.child = Some(command.spawn().expect("tests/redis-server runs"));
        let address = self.port.address();
        eventually("Redis accepts connections", || async {
            TcpStream::connect(address).await.ok()
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

    /// The answer to one command, as the server wrote it.
    pub(crate) async fn ask(&self, command: &str) -> String {
        let asking = async {
            let mut stream = TcpStream::connect(self.port.address())
                .await
                .expect("connected");
            let text = format!("{command}\r\nQUIT\r\n");
            stream.write_all(text.as_bytes()).await.expect("sent");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.expect("text");
            answer
        };
        within("Redis answers", asking).await
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
