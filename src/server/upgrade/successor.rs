//! The old process's side: starts the new one, hands over, and stays with it to its own end.
//!
//! Blocks, on a thread of its own. Whatever goes wrong before the new process serves leaves the
//! old one as it was: the new one is killed, and the files of unix sockets are taken back.

use std::{
    io,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    cancel::{Cancel, STOPPING},
    link::Link,
    message::{FromNew, FromOld, Offer, OfferedSocket, PROTOCOL, Sections},
    output::Output,
    program::Program,
    sections::State,
    spoken_address,
};
use crate::{
    admin::AdminOffer,
    config::value::BindAddress,
    socket::file::FileLease,
    telemetry::metrics::Counts,
    tls::TicketKeys,
    worker::{SharedState, SocketOffer},
};

/// Input of a handover.
#[derive(Debug)]
pub(super) struct Handover {
    pub(super) program: Program,
    /// Maximum time until the new process is ready.
    pub(super) patience: Duration,
    /// Number of processes so far, the new one included.
    pub(super) process_generation: u64,
    pub(super) shared: Arc<SharedState>,
    pub(super) tickets: Arc<TicketKeys>,
    /// Sockets of the admin API and the metrics listener, if they are not ones that were given, and
    /// the addresses asked for.
    pub(super) admin: Vec<(BindAddress, Arc<AdminOffer>)>,
    pub(super) cancel: Cancel,
}

/// The new process, which serves.
#[derive(Debug)]
pub(crate) struct Successor {
    pub(crate) pid: u32,
    pub(crate) version: String,
    /// The addresses whose sockets it has taken.
    pub(crate) taken: Vec<BindAddress>,
    /// The entries in registries that it makes, if it says them.
    pub(crate) registered: Option<Vec<String>>,
    link: Link,
    counts: Counts,
    child: Child,
}

/// Reason why the new process does not serve.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) reason: String,
    /// The last lines that it wrote.
    pub(crate) output: Vec<String>,
}

/// Words of the new process until it serves.
struct Agreed {
    version: String,
    taken: Vec<BindAddress>,
    registered: Option<Vec<String>>,
    counts: Counts,
}

/// A process that was started and does not serve yet.
struct Started {
    child: Child,
    link: Link,
    output: Output,
}

impl Handover {
    /// Starts the new process and hands over; returns when it serves.
    ///
    /// # Errors
    /// Why it does not; everything is as it was before.
    pub(super) fn run(&self) -> Result<Successor, Failed> {
        let mut started = self.start().map_err(|reason| Failed {
            reason,
            output: Vec::new(),
        })?;
        let mut files = Vec::new();
        match self.converse(&mut started.link, &mut files) {
            Ok(agreed) => Ok(Successor {
                pid: started.child.id(),
                version: agreed.version,
                taken: agreed.taken,
                registered: agreed.registered,
                link: started.link,
                counts: agreed.counts,
                child: started.child,
            }),
            Err(reason) => {
                for file in files {
                    file.take();
                }
                let reason = if self.cancel.is_cancelled() {
                    STOPPING.to_owned()
                } else {
                    reason
                };
                Err(started.end(reason))
            }
        }
    }

    fn start(&self) -> Result<Started, String> {
        let path = self.program.path.display();
        let cannot = |error: io::Error| format!("cannot start {path}: {error}");
        let (ours, theirs) = UnixStream::pair().map_err(cannot)?;
        self.cancel.watch(ours.try_clone().map_err(cannot)?)?;
        let (lines, errors) = io::pipe().map_err(cannot)?;
        let output = Output::follow(lines).map_err(cannot)?;
        let child = Command::new(&self.program.path)
            .args(&self.program.arguments)
            .env(VARIABLE, std::process::id().to_string())
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::from(errors))
            .spawn()
            .map_err(cannot)?;
        tracing::info!(%path, pid = child.id(), "upgrade: started the new process");
        Ok(Started {
            child,
            link: Link::new(ours),
            output,
        })
    }

    /// All that is said until the new process serves.
    fn converse(&self, link: &mut Link, files: &mut Vec<FileLease>) -> Result<Agreed, String> {
        let deadline = Instant::now() + self.patience;
        let mut own = self.offer(link, deadline)?;
        let seconds = self.patience.as_secs_f64();
        let (version, taken, registered) = loop {
            let said = link
                .receive(Some(deadline))
                .map_err(|error| match error.kind() {
                    io::ErrorKind::TimedOut => format!("it was not ready within {seconds} s"),
                    _ => broken(&error, "before it was ready"),
                })?;
            match said {
                FromNew::Ready {
                    version,
                    taken,
                    registered,
                } => break (version, taken, registered),
                FromNew::Serving | FromNew::Unknown => {}
            }
        };
        own.retain(|(address, _)| taken.contains(&spoken_address(address)));
        let taken = own.iter().map(|(address, _)| address.clone()).collect();
        files.extend(own.into_iter().filter_map(|(_, file)| file));
        for file in &*files {
            file.give();
        }
        let deadline = Instant::now() + SERVING_PATIENCE;
        let counts = self.shared.metrics.counts();
        let commit = FromOld::Commit {
            sections: self.sections(&counts),
        };
        let late = |error: io::Error| broken(&error, "before it served");
        link.send(&commit, deadline).map_err(late)?;
        loop {
            match link.receive(Some(deadline)).map_err(late)? {
                FromNew::Serving => {
                    return Ok(Agreed {
                        version,
                        taken,
                        registered,
                        counts,
                    });
                }
                FromNew::Ready { .. } | FromNew::Unknown => {}
            }
        }
    }

    fn sections(&self, counts: &Counts) -> Sections {
        let snapshot = self.shared.snapshot();
        let state = State {
            snapshot: &snapshot,
            metrics: &self.shared.metrics,
            tickets: &self.tickets,
        };
        state.collect(counts)
    }

    /// Sends the sockets.
    fn offer(&self, link: &mut Link, deadline: Instant) -> Result<Vec<Own>, String> {
        let cannot = |error: io::Error| format!("the sockets cannot be passed on: {error}");
        let inherited = &self.shared.inherited;
        let mut offers = self.shared.sockets.offers(inherited).map_err(cannot)?;
        for (address, admin) in &self.admin {
            offers.push(admin_offer(address, admin).map_err(cannot)?);
        }
        let errors = io::stderr();
        let mut descriptors: Vec<BorrowedFd<'_>> = vec![errors.as_fd()];
        let mut sockets = Vec::new();
        for offer in &offers {
            sockets.push(OfferedSocket {
                address: spoken_address(&offer.address),
                at: spoken_address(&offer.at),
                descriptors: offer.descriptors.len(),
                given: false,
                file: offer.file.as_ref().map(|file| file.identity),
            });
            descriptors.extend(offer.descriptors.iter().map(|it| it.as_fd()));
        }
        for (address, socket) in inherited.sockets() {
            sockets.push(OfferedSocket {
                address: spoken_address(address),
                at: spoken_address(address),
                descriptors: 1,
                given: true,
                file: None,
            });
            descriptors.push(socket.as_fd());
        }
        let offer = Offer {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            process_generation: self.process_generation,
            sockets,
        };
        let late = |error: io::Error| broken(&error, "before it took the sockets");
        link.send(&offer, deadline).map_err(late)?;
        link.send_descriptors(&descriptors).map_err(late)?;
        let own = offers.into_iter().map(|offer| (offer.address, offer.file));
        Ok(own.collect())
    }
}

/// A socket that this process opened, and its file.
type Own = (BindAddress, Option<FileLease>);

fn admin_offer(address: &BindAddress, admin: &AdminOffer) -> io::Result<SocketOffer> {
    Ok(SocketOffer {
        address: address.clone(),
        at: admin.at.clone(),
        descriptors: vec![admin.socket.try_clone()?],
        file: admin.file.clone(),
    })
}

impl Started {
    /// Ends it, and tells why, as far as can be learnt.
    fn end(mut self, reason: String) -> Failed {
        drop(self.link);
        let status = wait(&mut self.child, EXIT_PATIENCE);
        if status.is_none() {
            // It is a child that has not been waited for: the number is still its own.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        let output = self.output.last_lines(OUTPUT_PATIENCE);
        self.output.leave();
        let reason = match status {
            Some(status) => format!("{reason}: {status}"),
            None => reason,
        };
        Failed { reason, output }
    }
}

impl Successor {
    /// Tells it, until the sender is dropped or says the end, what is left here and what was
    /// counted; sees to it that no zombie is left if it ends first.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn accompany(self, shared: &Arc<SharedState>) -> io::Result<Farewell> {
        let Self {
            mut link,
            mut counts,
            mut child,
            ..
        } = self;
        let (end, ended) = mpsc::sync_channel::<()>(1);
        let (said, farewell) = tokio::sync::oneshot::channel();
        let shared = Arc::clone(shared);
        thread::Builder::new()
            .name("upgrade child".to_owned())
            .spawn(move || {
                // This process ends first, unless something is wrong with the other.
                if let Ok(status) = child.wait() {
                    tracing::error!(%status, "the new process has ended while this one drains");
                }
            })?;
        thread::Builder::new()
            .name("upgrade".to_owned())
            .spawn(move || {
                loop {
                    let over = ended.recv_timeout(PROGRESS) != Err(RecvTimeoutError::Timeout);
                    let now = shared.metrics.counts();
                    let draining = FromOld::Draining {
                        connections: shared.open_connections(),
                        sections: State::additions(&now.since(&counts)),
                    };
                    counts = now;
                    let deadline = Instant::now() + PROGRESS_PATIENCE;
                    if let Err(error) = link.send(&draining, deadline) {
                        tracing::warn!(%error, "the new process does not listen any more");
                        break;
                    }
                    if over {
                        break;
                    }
                }
                let _ = said.send(());
            })?;
        Ok(Farewell { end, farewell })
    }

    /// Says for the first time that this process drains.
    pub(crate) fn begin(&mut self, connections: usize) {
        let draining = FromOld::Draining {
            connections,
            sections: Sections::new(),
        };
        let deadline = Instant::now() + PROGRESS_PATIENCE;
        if let Err(error) = self.link.send(&draining, deadline) {
            tracing::warn!(%error, "the new process does not listen");
        }
    }
}

/// The thread that tells the new process how the drain goes on.
#[derive(Debug)]
pub(crate) struct Farewell {
    end: mpsc::SyncSender<()>,
    farewell: tokio::sync::oneshot::Receiver<()>,
}

impl Farewell {
    /// Says the last counts.
    pub(crate) async fn say(self) {
        drop(self.end);
        let _ = tokio::time::timeout(FAREWELL_PATIENCE, self.farewell).await;
    }
}

fn wait(child: &mut Child, patience: Duration) -> Option<std::process::ExitStatus> {
    let end = Instant::now() + patience;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < end => thread::park_timeout(LOOK),
            Ok(None) | Err(_) => return None,
        }
    }
}

fn broken(error: &io::Error, when: &str) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionReset => format!("the new process ended {when}"),
        io::ErrorKind::TimedOut => format!("the new process did not answer {when}"),
        _ => format!("the new process cannot be understood {when}: {error}"),
    }
}

/// Names the old process, in the environment of the new one.
pub(super) const VARIABLE: &str = "SLUICEGATE_UPGRADE";
/// Maximum time from the commit until the new process accepts.
const SERVING_PATIENCE: Duration = Duration::from_secs(10);
/// Maximum time for a process that closed its connection to exit.
const EXIT_PATIENCE: Duration = Duration::from_millis(500);
/// Maximum wait for the last lines of a process that has ended.
const OUTPUT_PATIENCE: Duration = Duration::from_millis(400);
const LOOK: Duration = Duration::from_millis(5);
/// Interval of the progress messages.
const PROGRESS: Duration = Duration::from_millis(500);
const PROGRESS_PATIENCE: Duration = Duration::from_secs(1);
/// Maximum wait for the last progress message at the end of the process.
const FAREWELL_PATIENCE: Duration = Duration::from_secs(2);
