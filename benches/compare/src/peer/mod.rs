//! The programs that are compared: how each is told the same, started and ended.

mod envoy;
mod features;
mod haproxy;
mod nginx;
mod sluicegate;

use std::{
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Signal, kill_process};
use tempfile::TempDir;

pub(crate) use features::{Ask, Elsewhere, Features, Labels};

use crate::system;

/// A program to compare: its name in the table, and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sluicegate,
    Nginx,
    Haproxy,
    Envoy,
}

/// The kinds of peers by the word that a name begins with.
const KINDS: [(&str, Kind); 4] = [
    ("sluicegate", Kind::Sluicegate),
    ("nginx", Kind::Nginx),
    ("haproxy", Kind::Haproxy),
    ("envoy", Kind::Envoy),
];

/// What every peer is set up to do.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) workers: usize,
    pub(crate) endpoints: usize,
    /// With any, only what they match is served.
    pub(crate) routes: usize,
    /// Compression of answers.
    pub(crate) compress: Option<Compress>,
    /// HTTP/3 beside the others over TLS. Ours only: the packages of others have none here.
    pub(crate) http3: bool,
    /// Ours only: lines for the route, lines for the pool, further tables.
    pub(crate) features: Features,
}

/// Compression of answers with one coding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compress {
    pub(crate) coding: Coding,
    pub(crate) level: u8,
}

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Brotli,
    Zstd,
}

impl Coding {
    /// Its name in fields.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            workers: 1,
            endpoints: 4,
            routes: 0,
            compress: None,
            http3: false,
            features: Features::default(),
        }
    }
}

/// Where a configuration finds what it names.
struct Place<'a> {
    folder: &'a Path,
    plain: SocketAddr,
    secure: SocketAddr,
    endpoints: Vec<SocketAddr>,
}

/// Certificate and key that all peers show.
pub(crate) struct Identity {
    pub(crate) chain: String,
    pub(crate) key: String,
}

/// Around the peer's own command: nothing, or a tool that watches it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wrapping {
    pub(crate) command: Vec<String>,
}

impl Peer {
    /// A peer from `NAME=PATH`, or from a name whose program is on `PATH`.
    ///
    /// # Errors
    /// If nothing of that kind is known, or there is no such program.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (name, path) = text.split_once('=').unwrap_or((text, ""));
        let kind = KINDS
            .iter()
            .find(|(word, _)| name.split('-').next() == Some(word));
        let Some(&(word, kind)) = kind else {
            let words = KINDS.map(|(word, _)| word).join(", ");
            return Err(format!("\"{name}\" begins with none of: {words}"));
        };
        let program = if path.is_empty() {
            on_path(word)
        } else {
            Some(PathBuf::from(path))
        };
        let program = program.and_then(|program| fs::canonicalize(program).ok());
        let Some(program) = program else {
            return Err(format!(
                "there is no program for \"{text}\"; say {name}=PATH"
            ));
        };
        Ok(Self {
            name: name.to_owned(),
            program,
            kind,
        })
    }

    /// All that are on `PATH`, ours first.
    pub(crate) fn installed() -> Vec<Self> {
        let words = KINDS.iter().map(|(word, _)| *word);
        words.filter_map(|word| Self::parse(word).ok()).collect()
    }

    /// What it says of its version.
    pub(crate) fn version(&self) -> String {
        let option = match self.kind {
            Kind::Sluicegate | Kind::Envoy => "--version",
            Kind::Nginx | Kind::Haproxy => "-v",
        };
        let Ok(output) = Command::new(&self.program).arg(option).output() else {
            return "unknown".to_owned();
        };
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().find(|line| !line.trim().is_empty());
        let line = line.unwrap_or("unknown").trim();
        // Some begin with where they lie, which is nobody's business.
        line.split_once("version:")
            .map_or(line, |(_, version)| version.trim())
            .to_owned()
    }

    /// Starts it on these processors, and waits until it listens.
    ///
    /// # Errors
    /// Why it does not.
    pub(crate) fn start(
        &self,
        setup: &Setup,
        endpoint_port: u16,
        identity: &Identity,
        processors: Option<usize>,
        wrapping: &Wrapping,
    ) -> io::Result<Running> {
        if setup.http3 && !self.is_ours() {
            return Err(io::Error::other("no HTTP/3 is set up for it"));
        }
        let folder = tempfile::tempdir()?;
        let endpoints = (0..setup.endpoints).map(|at| crate::endpoint::address(at, endpoint_port));
        let place = Place {
            folder: folder.path(),
            plain: free_address()?,
            secure: free_address()?,
            endpoints: endpoints.collect(),
        };
        fs::write(folder.path().join("chain.pem"), &identity.chain)?;
        fs::write(folder.path().join("key.pem"), &identity.key)?;
        fs::write(
            folder.path().join("both.pem"),
            format!("{}{}", identity.chain, identity.key),
        )?;
        let arguments = match self.kind {
            Kind::Sluicegate => sluicegate::prepare(setup, &place)?,
            Kind::Nginx => nginx::prepare(setup, &place)?,
            Kind::Haproxy => haproxy::prepare(setup, &place)?,
            Kind::Envoy => envoy::prepare(setup, &place)?,
        };
        let own = [self.program.to_string_lossy().into_owned()];
        let mut words = wrapping.command.iter().chain(&own).chain(&arguments);
        let mut command = Command::new(words.next().map_or("", String::as_str));
        let log = File::create(folder.path().join("log"))?;
        command
            .args(words)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let child = on(processors, || command.spawn())?;
        let (plain, secure) = (place.plain, place.secure);
        let mut running = Running {
            child,
            folder,
            plain,
            secure,
        };
        running.wait_for(plain)?;
        running.wait_for(secure)?;
        Ok(running)
    }

    /// Whether it can compress so, as it is usually built.
    pub(crate) fn has(&self, coding: Coding) -> bool {
        match self.kind {
            Kind::Sluicegate | Kind::Envoy => true,
            Kind::Nginx => coding == Coding::Gzip,
            Kind::Haproxy => false,
        }
    }

    /// Whether features can be switched in it.
    pub(crate) fn is_ours(&self) -> bool {
        self.kind == Kind::Sluicegate
    }
}

/// A peer that runs; it is ended when this goes.
pub(crate) struct Running {
    child: Child,
    folder: TempDir,
    pub(crate) plain: SocketAddr,
    pub(crate) secure: SocketAddr,
}

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Tells it something by a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(pid) = system::pid(self.id()) {
            // It may just have ended.
            let _ = kill_process(pid, signal);
        }
    }

    /// Ends it and waits until it has.
    pub(crate) fn stop(&mut self) {
        let started = system::tree(self.id());
        self.signal(Signal::TERM);
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < PATIENCE {
            thread::park_timeout(Duration::from_millis(5));
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            for pid in started.into_iter().filter_map(system::pid) {
                let _ = kill_process(pid, Signal::KILL);
            }
            let _ = self.child.wait();
        }
    }

    fn wait_for(&mut self, address: SocketAddr) -> io::Result<()> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!(
                    "it ended with {status}: {}",
                    self.log()
                )));
            }
            if TcpStream::connect(address).is_ok() {
                return Ok(());
            }
            if begun.elapsed() > 3 * PATIENCE {
                return Err(io::Error::other(format!(
                    "it does not listen: {}",
                    self.log()
                )));
            }
            thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// The end of what it has written.
    pub(crate) fn log(&self) -> String {
        let text = fs::read_to_string(self.folder().join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(3).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs this on a processor, then goes back to the others.
fn on<T>(processor: Option<usize>, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let before = rustix::thread::sched_getaffinity(None)?;
    match processor {
        Some(processor) => system::pin([processor])?,
        None => system::pin(system::ALL)?,
    }
    let worked = work();
    rustix::thread::sched_setaffinity(None, &before)?;
    worked
}

fn on_path(word: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let mut programs = std::env::split_paths(&folders).map(|folder| folder.join(word));
    programs.find(|program| program.is_file())
}

fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// How long one may take to end; three times as long to start, with 10,000 routes to read.
const PATIENCE: Duration = Duration::from_secs(20);
