//! Messages to the service manager about the life of the process (`sd_notify(3)`).
//!
//! Does nothing unless the environment names the manager's socket (`NOTIFY_SOCKET`). A manager that
//! does not listen is no reason to stop, and a slow one is not waited for: messages that its socket
//! has no room for are sent again with each [`Notify::flush`].

use std::{
    collections::VecDeque,
    env,
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

/// Sends messages to the service manager.
#[derive(Debug, Default)]
pub(super) struct Notify {
    /// The manager named by the environment; an embedding program reports by itself.
    manager: Option<SocketAddr>,
    /// Messages that could not be sent yet, oldest first.
    waiting: VecDeque<String>,
    /// Another process speaks for the service now.
    handed_over: bool,
    watchdog: Option<Watchdog>,
}

/// Signs of life, without which the manager ends the service (`WatchdogSec=`).
#[derive(Debug)]
struct Watchdog {
    interval: Duration,
    last: Instant,
}

impl Notify {
    /// Makes the sender for the manager named by the environment. `took_over`: the process replaces
    /// the one that the environment was written for.
    pub(super) fn from_environment(took_over: bool) -> Self {
        let manager = env::var_os("NOTIFY_SOCKET").and_then(|name| match address(&name) {
            Ok(address) => Some(address),
            Err(error) => {
                tracing::warn!(?name, %error, "NOTIFY_SOCKET cannot be used");
                None
            }
        });
        Self {
            watchdog: manager.as_ref().and_then(|_| Watchdog::wanted(took_over)),
            manager,
            ..Self::default()
        }
    }

    /// Sends what could not be sent before, and signs of life while the proxy works.
    pub(super) fn tick(&mut self, now: Instant, works: bool) {
        self.flush();
        let Some(watchdog) = self.watchdog.as_mut().filter(|_| works) else {
            return;
        };
        if self.handed_over || now < watchdog.last + watchdog.interval {
            return;
        }
        watchdog.last = now;
        // One that finds no room is too late later on.
        if let Some(manager) = &self.manager
            && let Err(error) = send(manager, "WATCHDOG=1")
        {
            tracing::debug!(%error, "no sign of life for the service manager");
        }
    }

    /// Leaves the service to another process; the last that is said.
    pub(super) fn hand_over(&mut self, pid: u32) {
        self.send(format!("MAINPID={pid}"));
        self.handed_over = true;
    }

    /// Reports that the process serves, or continues to serve after a reload of any result.
    pub(super) fn ready(&mut self, status: &str) {
        self.send(format!("READY=1\nSTATUS={}", one_line(status)));
    }

    /// Reports that the configuration is being read; [`Self::ready`] must follow.
    pub(super) fn reloading(&mut self) {
        // `Type=notify-reload` compares the time.
        let now = clock_gettime(ClockId::Monotonic);
        let usec = now.tv_sec.unsigned_abs() * 1_000_000 + now.tv_nsec.unsigned_abs() / 1000;
        self.send(format!("RELOADING=1\nMONOTONIC_USEC={usec}"));
    }

    /// Reports that the process is about to end and may take this long; asks the manager for that
    /// time.
    pub(super) fn stopping(&mut self, connections: usize, time: Duration) {
        let usec = (time + MARGIN).as_micros();
        self.send(format!(
            "STOPPING=1\nEXTEND_TIMEOUT_USEC={usec}\nSTATUS=draining {connections} connections"
        ));
    }

    /// Sends the messages that could not be sent before.
    pub(super) fn flush(&mut self) {
        let Some(manager) = &self.manager else {
            return;
        };
        while let Some(message) = self.waiting.front() {
            match send(manager, message) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => tracing::debug!(%error, "cannot tell the service manager"),
                Ok(()) => {}
            }
            self.waiting.pop_front();
        }
    }

    fn send(&mut self, message: String) {
        if self.manager.is_none() || self.handed_over {
            return;
        }
        if self.waiting.len() == WAITING_MAX {
            // The second oldest: the first one says that the process is ready.
            self.waiting.remove(1);
        }
        self.waiting.push_back(message);
        self.flush();
    }
}

impl Watchdog {
    fn wanted(took_over: bool) -> Option<Self> {
        let number = |name| env::var(name).ok()?.parse::<u64>().ok();
        let meant = number("WATCHDOG_PID");
        let is_meant = took_over || meant.is_none_or(|pid| pid == u64::from(std::process::id()));
        let limit = number("WATCHDOG_USEC").filter(|usec| is_meant && *usec > 0)?;
        Some(Self {
            // Half of it, as the manual advises.
            interval: Duration::from_micros(limit / 2),
            last: Instant::now(),
        })
    }
}

fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    }
}

fn send(manager: &SocketAddr, message: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to_addr(message.as_bytes(), manager).map(drop)
}

/// Cuts a text at its first line end, which would begin another message.
fn one_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Maximum number of messages that wait for room in the manager's socket.
const WAITING_MAX: usize = 8;
/// Time that a shutdown takes besides the drain: writing the last lines, joining threads.
const MARGIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_socket_of_the_manager_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let address = SocketAddr::from_pathname(&path).unwrap();
        while send(&address, "full").is_ok() {}
        let mut notify = Notify {
            manager: Some(address),
            ..Notify::default()
        };
        notify.ready("serving\nX=1");
        for _ in 0..WAITING_MAX * 2 {
            notify.reloading();
        }
        assert_eq!(notify.waiting.len(), WAITING_MAX);
        let mut buffer = [0; 256];
        let mut receive = || {
            let length = manager.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..length].to_vec()).unwrap()
        };
        while notify.waiting.len() == WAITING_MAX {
            assert_eq!(receive(), "full");
            notify.flush();
        }
        let told = std::iter::from_fn(|| Some(receive())).find(|message| message != "full");
        assert_eq!(told.as_deref(), Some("READY=1\nSTATUS=serving"));
    }
}
