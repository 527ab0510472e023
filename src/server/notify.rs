//! What the service manager is told of the life of the process (`sd_notify(3)`).
//!
//! Nothing, unless the environment names its socket (`NOTIFY_SOCKET`). A manager that does
//! not listen is no reason not to serve.

use std::time::Duration;

use sd_notify::NotifyState;

/// Tells the service manager what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notify {
    /// Whoever the environment names.
    Manager,
    /// Nobody: an embedding program speaks for itself.
    Nobody,
}

impl Notify {
    /// The process serves, or goes on serving after a reload, whatever came of that.
    pub(super) fn ready(self, status: &str) {
        self.send(&[NotifyState::Ready, NotifyState::Status(&one_line(status))]);
    }

    /// The configuration is being read anew; [`Self::ready`] must follow.
    pub(super) fn reloading(self) {
        // Without the time, which `Type=notify-reload` compares, the word must not be sent.
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            self.send(&[NotifyState::Reloading, now]);
        }
    }

    /// The process is about to end and may take this long; the manager is asked for that time.
    pub(super) fn stopping(self, connections: usize, time: Duration) {
        let status = format!("draining {connections} connections");
        let time = u32::try_from((time + MARGIN).as_micros()).unwrap_or(u32::MAX);
        self.send(&[
            NotifyState::Stopping,
            NotifyState::ExtendTimeoutUsec(time),
            NotifyState::Status(&status),
        ]);
    }

    fn send(self, states: &[NotifyState<'_>]) {
        if self == Self::Manager
            && let Err(error) = sd_notify::notify(states)
        {
            tracing::debug!(%error, "cannot tell the service manager");
        }
    }
}

/// A line end would begin another message.
fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// What the end of the process takes besides the drain: writing the last lines, joining threads.
const MARGIN: Duration = Duration::from_secs(10);
