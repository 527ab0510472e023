//! What the system tells the process.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// SIGTERM, SIGINT: stop; a second time, at once.
    Stop,
    /// SIGHUP: read the configuration.
    Reload,
    /// SIGUSR1: open log files anew.
    Reopen,
}

/// The signals that the process listens to; none in an embedding program.
pub(super) struct Signals(Option<Listening>);

struct Listening {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user: Signal,
}

impl Signals {
    pub(super) fn new(listen: bool) -> io::Result<Self> {
        if !listen {
            return Ok(Self(None));
        }
        Ok(Self(Some(Listening {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user: signal(SignalKind::user_defined1())?,
        })))
    }

    /// Waits for the next one. Cancel safe.
    pub(super) async fn next(&mut self) -> Asked {
        let Some(listening) = &mut self.0 else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = listening.terminate.recv() => Asked::Stop,
            _ = listening.interrupt.recv() => Asked::Stop,
            _ = listening.hangup.recv() => Asked::Reload,
            _ = listening.user.recv() => Asked::Reopen,
        }
    }
}
