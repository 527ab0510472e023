//! The process of the proxy: its start and end, signals to it, and its use of the machine.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};

use super::{CONFIG, LOG, Proxy};
use crate::harness::{
    command::binary,
    eventually::{eventually, eventually_in},
};

impl Proxy {
    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the signal is sent");
    }

    /// Takes away all descriptors that the process does not use now.
    pub(crate) fn exhaust_descriptors(&self) {
        self.limit_descriptors(Some(self.descriptors() as u64));
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
    pub(super) fn others(&self) -> Vec<Pid> {
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
        eventually_in(EXIT, "all processes end", || async {
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

    /// Number of descriptors that the process has open.
    pub(crate) fn descriptors(&self) -> usize {
        let open = fs::read_dir(format!("/proc/{}/fd", self.child.id()));
        open.expect("the process is there").count()
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
        eventually_in(EXIT, "the proxy ends", || async {
            child.borrow_mut().try_wait().expect("a child")
        })
        .await
    }

    /// Starts the binary again in the same folder, and waits until it answers.
    pub(crate) async fn start_again(&mut self) {
        let folder = self.folder.path().to_owned();
        let command = command(&folder.join(CONFIG), &folder, &self.environment, None);
        self.child = spawn(command, None);
        self.admin_says("/live").await;
    }

    /// Returns true if the process still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }
}

/// The command that starts the binary in this folder.
pub(super) fn command(
    config: &PathBuf,
    folder: &Path,
    environment: &[(String, String)],
    socket: Option<OwnedFd>,
) -> Command {
    let log = File::create(folder.join(LOG)).expect("a log file");
    let (mut command, stdin) = match socket {
        None => (Command::new(binary()), Stdio::null()),
        Some(socket) => {
            // Descriptor 3 and LISTEN_PID can only be made by the process itself, before it
            // becomes the proxy.
            let mut shell = Command::new("sh");
            let become_proxy =
                "exec 3<&0 </dev/null; LISTEN_FDS=${LISTEN_FDS:-1} LISTEN_PID=$$ exec \"$@\"";
            shell.args(["-c", become_proxy, "sh"]).arg(binary());
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

/// Starts it, with this standard error if there is one.
pub(super) fn spawn(mut command: Command, stderr: Option<OwnedFd>) -> Child {
    if let Some(stderr) = stderr {
        command.stderr(stderr);
    }
    command.spawn().expect("the binary starts")
}

/// Longer than a shutdown may take: the waits for requests, services, workers and log have bounds
/// of their own, whose sum is some 15 s.
const EXIT: Duration = Duration::from_secs(30);
