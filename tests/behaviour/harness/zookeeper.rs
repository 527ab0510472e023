//! A real ZooKeeper on ports of its own, which can hang, die and return.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::child;
use super::port::Port;

/// A running server. Killed on drop.
pub(crate) struct ZooKeeper {
    clients: Port,
    /// For the other servers: to follow, and to elect.
    peers: [Port; 2],
    folder: TempDir,
    child: Option<Child>,
}

/// A client with a session of its own. Killed on drop, and its session ends some time later.
pub(crate) struct ZooKeeperClient(Child);

impl ZooKeeper {
    /// Starts one by itself.
    pub(crate) async fn start() -> Self {
        let mut server = Self::prepared();
        server.configure("");
        server.run();
        server.is_ready().await;
        server
    }

    /// Starts an ensemble of three.
    pub(crate) async fn start_three() -> [Self; 3] {
        let mut all = [Self::prepared(), Self::prepared(), Self::prepared()];
        let mut ensemble = "initLimit=20\nsyncLimit=6\n".to_owned();
        for (at, server) in all.iter().enumerate() {
            let [follow, elect] = server.peers.each_ref().map(|it| it.address().port());
            let number = at + 1;
            let _ = writeln!(ensemble, "server.{number}=127.0.0.1:{follow}:{elect}");
        }
        for (at, server) in all.iter_mut().enumerate() {
            server.configure(&ensemble);
            let id = server.folder.path().join("data/myid");
            fs::write(id, (at + 1).to_string()).expect("its number is written");
            server.run();
        }
        for server in &all {
            server.is_ready().await;
        }
        all
    }

    fn prepared() -> Self {
        Self {
            clients: Port::take(),
            peers: [Port::take(), Port::take()],
            folder: tempfile::tempdir().expect("a folder for ZooKeeper"),
            child: None,
        }
    }

    fn configure(&self, ensemble: &str) {
        let data = self.folder.path().join("data");
        fs::create_dir_all(&data).expect("a folder for its data");
        let text = format!(
            "tickTime=500\nmaxSessionTimeout=20000\ndataDir={}\nclientPort={}\nclientPortAddress=127.0.0.1\n\
             admin.enableServer=false\n4lw.commands.whitelist=srvr\n{ensemble}",
            data.display(),
            self.clients.address().port(),
        );
        fs::write(self.folder.path().join("zoo.cfg"), text).expect("it is configured");
    }

    /// Its address for clients.
    pub(crate) fn address(&self) -> SocketAddr {
        self.clients.address()
    }

    /// Starts it again after [`Self::kill`], with the data that it had.
    pub(crate) fn run(&mut self) {
        let mut command = Command::new(script());
        command
            .arg(self.folder.path().join("zoo.cfg"))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.child = Some(command.spawn().expect("tests/zookeeper runs"));
    }

    /// Starts it again after [`Self::kill`], without any data.
    pub(crate) fn run_empty(&mut self) {
        let data = self.folder.path().join("data");
        fs::remove_dir_all(&data).expect("its data is removed");
        fs::create_dir_all(&data).expect("a folder for its data");
        self.run();
    }

    /// Waits until it serves; a machine with much to do takes its time to start several.
    pub(crate) async fn is_ready(&self) {
        let end = Instant::now() + START_MAX;
        // While it starts, it may take a connection and never answer.
        while !timeout(ASK_MAX, self.serves()).await.unwrap_or(false) {
            assert!(Instant::now() < end, "ZooKeeper does not serve");
            sleep(PAUSE).await;
        }
    }

    async fn serves(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.address()).await else {
            return false;
        };
        let mut answer = String::new();
        stream.write_all(b"srvr").await.is_ok()
            && stream.read_to_string(&mut answer).await.is_ok()
            && answer.contains("Mode:")
    }

    /// Makes it hang, or go on.
    pub(crate) fn signal(&self, signal: Signal) {
        child::signal(self.child.as_ref(), signal);
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        child::end(self.child.take());
    }

    /// Starts a client whose session lasts for 2 s without it.
    pub(crate) fn client(&self) -> ZooKeeperClient {
        let mut command = Command::new(script());
        command
            .args(["client", &self.address().to_string(), "2000"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        ZooKeeperClient(command.spawn().expect("tests/zookeeper runs"))
    }
}

impl Drop for ZooKeeper {
    fn drop(&mut self) {
        self.kill();
    }
}

impl ZooKeeperClient {
    /// Makes a node.
    pub(crate) fn create(&mut self, path: &str, data: &str) {
        self.say(&format!("create {path} '{data}'"));
    }

    /// Makes a node that goes with the session.
    pub(crate) fn create_ephemeral(&mut self, path: &str, data: &str) {
        self.say(&format!("create -e {path} '{data}'"));
    }

    /// Changes the data of a node.
    pub(crate) fn set(&mut self, path: &str, data: &str) {
        self.say(&format!("set {path} '{data}'"));
    }

    /// Removes a node.
    pub(crate) fn delete(&mut self, path: &str) {
        self.say(&format!("delete {path}"));
    }

    /// Gives any command.
    pub(crate) fn say(&mut self, command: &str) {
        let input = self.0.stdin.as_mut().expect("its input");
        writeln!(input, "{command}").expect("the client takes it");
        input.flush().expect("the client takes it");
    }
}

impl Drop for ZooKeeperClient {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn script() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/zookeeper")
}

const START_MAX: Duration = Duration::from_secs(40);
const ASK_MAX: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(50);
