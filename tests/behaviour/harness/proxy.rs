//! The real binary with its own configuration file, folder and ports.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use tempfile::TempDir;
use tokio::time::Instant;

use super::backend::{Backend, Records};
use super::client::{Answer, Client};
use super::eventually::eventually;
use super::exposition::Exposition;
use super::h2_client::H2Client;
use super::invariant::{Ledger, check_forwarded};
use super::port::Port;

/// A configuration text with names for addresses: `$app` becomes the address of the backend given
/// as `app`, any other `$name` a free one of the proxy's own.
pub(crate) struct Settings {
    text: String,
    names: Names,
    environment: Vec<(String, String)>,
    socket: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    folder: TempDir,
}

/// A running proxy. Killed on drop; its log is printed if the test failed.
pub(crate) struct Proxy {
    child: Child,
    names: Names,
    folder: TempDir,
    ledger: Arc<Ledger>,
}

#[derive(Default)]
struct Names {
    given: Vec<(String, SocketAddr)>,
    taken: Vec<(String, Port)>,
    backends: Vec<Records>,
}

impl Settings {
    /// Starts from this text; a table `[admin]` and an access log are added if missing.
    pub(crate) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            names: Names::default(),
            environment: Vec::new(),
            socket: None,
            stderr: None,
            folder: tempfile::tempdir().expect("a folder for the proxy"),
        }
    }

    /// Sets the address of `$name`, and has the requests received there checked at the end.
    pub(crate) fn backend(mut self, name: &str, backend: &Backend) -> Self {
        self.names.backends.push(backend.records());
        self.address(name, backend.address())
    }

    /// Sets the address of `$name`.
    pub(crate) fn address(mut self, name: &str, address: SocketAddr) -> Self {
        self.names.given.push((name.to_owned(), address));
        self
    }

    /// Folder of the configuration file, for files that the text names.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sets a variable of the proxy's environment.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Gives the proxy this socket as a service manager would.
    pub(crate) fn socket(mut self, socket: impl Into<OwnedFd>) -> Self {
        self.socket = Some(socket.into());
        self
    }

    /// Gives the proxy this standard error.
    pub(crate) fn stderr(mut self, stderr: impl Into<OwnedFd>) -> Self {
        self.stderr = Some(stderr.into());
        self
    }

    /// Starts the proxy and waits until `/ready` succeeds.
    pub(crate) async fn start(self) -> Proxy {
        let mut proxy = self.launch();
        proxy.admin_says("/ready").await;
        proxy
    }

    /// Starts the process only.
    pub(crate) fn launch(mut self) -> Proxy {
        let text = self.names.expand(&complete(&self.text));
        let path = self.folder.path().join(CONFIG);
        fs::write(&path, text).expect("the configuration is written");
        let command = command(&path, self.folder.path(), &self.environment, self.socket);
        let child = spawn(command, self.stderr);
        Proxy {
            child,
            names: self.names,
            folder: self.folder,
            ledger: Arc::default(),
        }
    }
}

impl Proxy {
    /// Returns the address of `$name`.
    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        self.names
            .find(name)
            .unwrap_or_else(|| panic!("no ${name}"))
    }

    /// A new connection to the listener `$web`.
    pub(crate) async fn client(&self) -> Client {
        self.client_of("web").await
    }

    /// A new connection to the listener whose address is `$name`.
    pub(crate) async fn client_of(&self, name: &str) -> Client {
        let client = Client::connect(self.address(name)).await;
        client.noted_in(Arc::clone(&self.ledger))
    }

    /// A new connection to `$web` whose answers are not checked: for garbage.
    pub(crate) async fn raw_client(&self) -> Client {
        Client::connect(self.address("web")).await
    }

    /// A new HTTP/2 connection to `$web`.
    pub(crate) async fn h2_client(&self) -> H2Client {
        H2Client::connect(self.address("web")).await
    }

    /// One GET on a connection of its own.
    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.client().await.get(target).await
    }

    /// One request on a connection of its own.
    pub(crate) async fn request(
        &self,
        method: &str,
        target: &str,
        lines: &str,
        body: &[u8],
    ) -> Answer {
        let mut client = self.client().await;
        client.request(method, target, lines, body).await
    }

    /// Sends one request to the admin listener; the answer is `None` if the proxy has ended.
    pub(crate) async fn admin(&self, method: &str, target: &str, lines: &str) -> Option<Answer> {
        ask(self.address("admin"), method, target, lines).await
    }

    /// One scrape.
    pub(crate) async fn metrics(&self) -> Exposition {
        let answer = self.admin("GET", "/metrics", "").await;
        Exposition::parse(&answer.expect("metrics").text())
    }

    /// Returns one value of a scrape; a missing series counts as 0.
    pub(crate) async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.metrics().await.sum(name, labels).unwrap_or_default()
    }

    /// Waits until a metric has this value.
    pub(crate) async fn metric_becomes(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        let last = Cell::new(f64::NAN);
        let what = fmt::from_fn(|f| write!(f, "{name}{labels:?} is {value}, not {}", last.get()));
        eventually(what, || async {
            last.set(self.metric(name, labels).await);
            ((last.get() - value).abs() < f64::EPSILON).then_some(())
        })
        .await;
    }

    /// Returns a gauge once it has moved by no more than 1 % for a while, as after a start.
    pub(crate) async fn settled_metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let (last, since) = (Cell::new(f64::INFINITY), Cell::new(Instant::now()));
        eventually(format!("{name}{labels:?} settles"), || async {
            let now = self.metric(name, labels).await;
            let moved = (now - last.get()).abs() / now.abs().max(1.0);
            if moved > 0.01 {
                last.set(now);
                since.set(Instant::now());
            }
            (since.get().elapsed() > SETTLED).then_some(now)
        })
        .await
    }

    /// The lines of the access log so far.
    pub(crate) fn access_log(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default();
        let complete = text.rfind('\n').map_or("", |at| &text[..at]);
        complete
            .lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|e| panic!("log line: {e}: {line}"))
            })
            .collect()
    }

    /// Waits for the access log line that fits.
    pub(crate) async fn logged(
        &self,
        what: &str,
        fits: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        eventually(format!("an access log line: {what}"), || async {
            self.access_log().into_iter().find(&fits)
        })
        .await
    }

    /// Standard error of the proxy so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default()
    }

    /// Waits until the log contains this text.
    pub(crate) async fn log_says(&self, what: &str) {
        eventually(format!("the log says {what}"), || async {
            self.log().contains(what).then_some(())
        })
        .await;
    }

    /// The folder of the configuration file.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Replaces the configuration file as careful editors do: a new file, then a rename.
    pub(crate) fn replace(&mut self, text: &str) {
        let text = self.names.expand(&complete(text));
        let new = self.folder.path().join("proxy.toml.new");
        fs::write(&new, text).expect("the new file is written");
        fs::rename(new, self.folder.path().join(CONFIG)).expect("the file is replaced");
    }

    /// Writes the configuration file in place.
    pub(crate) fn overwrite(&mut self, text: &str) {
        let text = self.names.expand(&complete(text));
        fs::write(self.folder.path().join(CONFIG), text).expect("the file is written");
    }

    /// Adds an address name for later configurations.
    pub(crate) fn name(&mut self, name: &str, backend: &Backend) {
        self.names.backends.push(backend.records());
        self.names.given.push((name.to_owned(), backend.address()));
    }

    /// The generation of the configuration that is in use.
    pub(crate) async fn generation(&self) -> f64 {
        self.metric("sluicegate_config_generation", &[]).await
    }

    /// Replaces the configuration and waits until it is in use.
    pub(crate) async fn reload(&mut self, text: &str) {
        let before = self.generation().await;
        self.replace(text);
        self.generation_passes(before).await;
    }

    /// Waits until a generation later than `before` is in use.
    pub(crate) async fn generation_passes(&self, before: f64) {
        eventually("a new generation of the configuration", || async {
            (self.generation().await > before).then_some(())
        })
        .await;
    }

    /// Waits until the last reload is known to have failed.
    pub(crate) async fn reload_fails(&self) {
        self.metric_becomes("sluicegate_config_last_reload_success", &[], 0.0)
            .await;
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the signal is sent");
    }

    /// Takes away all descriptors that the process does not use now.
    pub(crate) fn exhaust_descriptors(&self) {
        let used = fs::read_dir(format!("/proc/{}/fd", self.child.id()));
        let used = used.expect("the process is there").count();
        self.limit_descriptors(Some(used as u64));
    }

    /// Restores the maximum number of descriptors.
    pub(crate) fn restore_descriptors(&self) {
        self.limit_descriptors(None);
    }

    fn limit_descriptors(&self, count: Option<u64>) {
        let id = Some(Pid::from_child(&self.child));
        let maximum = getrlimit(Resource::Nofile).maximum;
        let current = count.or(maximum);
        let limit = Rlimit { current, maximum };
        prlimit(id, Resource::Nofile, limit).expect("the limit is set");
    }

    /// The number of the process that answers at the admin listener.
    pub(crate) async fn pid(&self) -> i32 {
        let answer = self.admin("GET", "/status", "").await.expect("a status");
        let status: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        i32::try_from(status["pid"].as_i64().expect("a number")).expect("a small number")
    }

    /// Processes that took over from the first, which are not children of this one.
    fn others(&self) -> Vec<Pid> {
        let config = self.folder.path().join(CONFIG);
        let config = config.to_str().expect("a path in UTF-8").as_bytes();
        let entries = fs::read_dir("/proc").expect("the processes");
        let numbers = entries.filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok());
        let is_one = |pid: &i32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).any(|word| word == config)
        };
        numbers.filter(is_one).filter_map(Pid::from_raw).collect()
    }

    /// Sends a signal to the process that answers at the admin listener.
    pub(crate) async fn signal_newest(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().await).expect("a process");
        kill_process(pid, signal).expect("the signal is sent");
    }

    /// Ends all of the processes that took over, and waits for their end.
    pub(crate) async fn all_end(&self) {
        for process in self.others() {
            let _ = kill_process(process, Signal::TERM);
        }
        eventually("all processes end", || async {
            let is_zombie = |pid: &Pid| {
                let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid()));
                stat.is_ok_and(|stat| stat.contains(") Z "))
            };
            self.others().iter().all(is_zombie).then_some(())
        })
        .await;
    }

    /// Has the program on disk take over by SIGUSR2, and waits until it answers.
    pub(crate) async fn upgrade(&self) {
        let before = self.pid().await;
        self.signal_newest(Signal::USR2).await;
        eventually("another process answers", || async {
            (self.pid().await != before).then_some(())
        })
        .await;
    }

    /// Milliseconds of CPU that the process has used.
    pub(crate) fn cpu_ms(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.expect("the process is there");
        // proc_pid_stat(5): fields 14 and 15, in hundredths of a second; the name ends with ")".
        let fields = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        let ticks = fields
            .skip(11)
            .take(2)
            .map(|it| it.parse::<u64>().expect("a number"));
        ticks.sum::<u64>() * 10
    }

    /// Resident memory of the process in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.status_line("VmRSS:")
    }

    /// Peak of the memory since [`Self::forget_memory_peak`].
    pub(crate) fn memory_peak(&self) -> u64 {
        self.status_line("VmHWM:")
    }

    /// Resets the peak.
    pub(crate) fn forget_memory_peak(&self) {
        // proc_pid_clear_refs(5): "5" resets the peak resident set size.
        let file = format!("/proc/{}/clear_refs", self.child.id());
        fs::write(file, "5").expect("the peak is reset");
    }

    /// The TCP ports that the process listens at.
    pub(crate) fn listening_ports(&self) -> BTreeSet<u16> {
        let folder = format!("/proc/{}", self.child.id());
        let links = fs::read_dir(format!("{folder}/fd")).expect("the process is there");
        let links = links.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        let inodes: BTreeSet<String> = links
            .filter_map(|link| {
                let link = link.to_str()?.strip_prefix("socket:[")?;
                Some(link.strip_suffix(']')?.to_owned())
            })
            .collect();
        let table = fs::read_to_string(format!("{folder}/net/tcp")).expect("the table of sockets");
        let port = |line: &str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // proc_net_tcp: local address, state (0A: listening) and inode.
            let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
            let is_ours = *state == "0A" && inodes.contains(*inode);
            let (_, port) = local.split_once(':').filter(|_| is_ours)?;
            u16::from_str_radix(port, 16).ok()
        };
        table.lines().filter_map(port).collect()
    }

    /// A line of `/proc/PID/status` that is in kB.
    fn status_line(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the process is there");
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kb = line.and_then(|line| line.trim().strip_suffix(" kB"));
        kb.and_then(|kb| kb.parse::<u64>().ok())
            .unwrap_or_else(|| panic!("{name} of the process"))
            * 1024
    }

    /// Waits until the process has ended.
    pub(crate) async fn exited(&mut self) -> ExitStatus {
        let child = RefCell::new(&mut self.child);
        eventually("the proxy ends", || async {
            child.borrow_mut().try_wait().expect("a child")
        })
        .await
    }

    /// Starts the binary again in the same folder, and waits until it answers.
    pub(crate) async fn start_again(&mut self) {
        let folder = self.folder.path().to_owned();
        self.child = spawn(command(&folder.join(CONFIG), &folder, &[], None), None);
        self.admin_says("/live").await;
    }

    /// Returns true if the process still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Checks the invariants after every test: no exchange is left, nothing panicked, each answer
    /// has its line in the access log, and nothing reached an endpoint that must not.
    pub(crate) async fn finish(self) {
        let gauge = "sluicegate_requests_in_flight";
        self.metric_becomes(gauge, &[], 0.0).await;
        assert!(
            self.metric("sluicegate_panics_total", &[]).await < 0.5,
            "no panic: {}",
            self.log()
        );
        eventually("each answer has its access log line", || async {
            match self.ledger.fault_in(&self.access_log()) {
                None => Some(()),
                Some(_) => None,
            }
        })
        .await;
        for records in &self.names.backends {
            records.requests().iter().for_each(check_forwarded);
        }
    }

    /// Waits until the admin listener answers 200, as long as the process lives.
    async fn admin_says(&mut self, target: &str) {
        let address = self.address("admin");
        let child = RefCell::new(&mut self.child);
        eventually(format!("the proxy answers 200 to {target}"), || async {
            let ended = child.borrow_mut().try_wait().expect("a child");
            assert!(ended.is_none(), "the proxy ended at once: {ended:?}");
            let answer = ask(address, "GET", target, "").await?;
            (answer.status == 200).then_some(())
        })
        .await;
    }
}

/// One request to an admin listener on a connection of its own.
pub(super) async fn ask(
    address: SocketAddr,
    method: &str,
    target: &str,
    lines: &str,
) -> Option<Answer> {
    let mut client = Client::try_connect(address).await.ok()?;
    let lines = format!("host: {address}\nconnection: close\n{lines}");
    client
        .send(super::client::request_bytes(method, target, &lines, b""))
        .await;
    client.try_answer_to(method).await.ok()
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for process in self.others() {
            let _ = kill_process(process, Signal::KILL);
        }
        if std::thread::panicking() {
            eprintln!("--- log of the proxy\n{}", self.log());
        }
    }
}

impl Names {
    fn find(&self, name: &str) -> Option<SocketAddr> {
        let given = self.given.iter().rev().find(|(n, _)| n == name);
        let taken = || self.taken.iter().find(|(n, _)| n == name);
        given
            .map(|(_, address)| *address)
            .or_else(|| taken().map(|(_, port)| port.address()))
    }

    /// Replaces the names by addresses. A `$` that no lower-case letter follows, as in a regex,
    /// stands for itself.
    fn expand(&mut self, text: &str) -> String {
        let mut parts = text.split('$');
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            if !part.starts_with(|c: char| c.is_ascii_lowercase()) {
                out.push('$');
                out.push_str(part);
                continue;
            }
            let end = part
                .find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'))
                .unwrap_or(part.len());
            let (name, rest) = part.split_at(end);
            let address = self.find(name).unwrap_or_else(|| {
                let port = Port::take();
                let address = port.address();
                self.taken.push((name.to_owned(), port));
                address
            });
            out.push_str(&address.to_string());
            out.push_str(rest);
        }
        out
    }
}

fn command(
    config: &PathBuf,
    folder: &Path,
    environment: &[(String, String)],
    socket: Option<OwnedFd>,
) -> Command {
    let log = File::create(folder.join(LOG)).expect("a log file");
    let (mut command, stdin) = match socket {
        None => (Command::new(BINARY), Stdio::null()),
        Some(socket) => {
            // Descriptor 3 and LISTEN_PID can only be made by the process itself, before it
            // becomes the proxy.
            let mut shell = Command::new("sh");
            let become_proxy =
                "exec 3<&0 </dev/null; LISTEN_FDS=${LISTEN_FDS:-1} LISTEN_PID=$$ exec \"$@\"";
            shell.args(["-c", become_proxy, "sh", BINARY]);
            (shell, Stdio::from(socket))
        }
    };
    command
        .arg("--config")
        .arg(config)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .current_dir(folder)
        .stdin(stdin)
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log);
    command
}

fn spawn(mut command: Command, stderr: Option<OwnedFd>) -> Child {
    if let Some(stderr) = stderr {
        command.stderr(stderr);
    }
    command.spawn().expect("the binary starts")
}

fn complete(text: &str) -> String {
    let mut text = text.to_owned();
    if !text.contains("[admin]") {
        text.push_str("\n[admin]\naddress = \"$admin\"\n");
    }
    if !text.contains("[access_log]") {
        text.push_str("\n[access_log]\npath = \"access.log\"\nformat = \"json\"\n");
    }
    text
}

/// Time without a change after which a gauge is at rest.
const SETTLED: Duration = Duration::from_secs(1);
const BINARY: &str = env!("CARGO_BIN_EXE_sluicegate");
const CONFIG: &str = "proxy.toml";
const LOG: &str = "proxy.log";
