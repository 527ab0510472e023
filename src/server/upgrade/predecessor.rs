//! The new process's side: takes the sockets, says when it is ready, takes up the state.

use std::{
    collections::HashMap,
    env,
    fs::File,
    io,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::{net::UnixStream, process::parent_id},
    },
    path::Path,
    thread,
    time::Duration,
};

use socket2::Socket;
use tokio::time::Instant;

use super::{
    link::Link,
    message::{FromNew, FromOld, Offer, PROTOCOL, Sections},
    spoken_address,
    successor::VARIABLE,
};
use crate::{
    config::value::BindAddress,
    socket::{
        inherited::Inherited,
        passed::{Passed, PassedSocket},
    },
};

/// The process that this one takes over from.
#[derive(Debug)]
pub(crate) struct Predecessor {
    pub(crate) pid: u32,
    pub(crate) version: String,
    pub(crate) process_generation: u64,
    /// Its listening sockets.
    pub(crate) passed: Passed,
    link: Link,
    /// Its standard error; until this process serves, its own leads to the other.
    errors: OwnedFd,
}

/// Messages of the predecessor while it drains.
#[derive(Debug)]
pub(crate) enum News {
    /// So many connections are open there; this is to be added to the state.
    Draining(usize, Sections),
    /// It has ended.
    Gone,
}

/// Takes the connection to the process that started this one to take over, if one did; standard
/// input is `/dev/null` afterwards. To be called while the process has one thread only.
pub(crate) fn take_link() -> Option<UnixStream> {
    let old = env::var(VARIABLE).ok()?;
    // The variable may have come from a process before.
    if old.parse() != Ok(parent_id()) {
        return None;
    }
    let link = io::stdin().as_fd().try_clone_to_owned().ok()?;
    let is_socket = Socket::from(link.try_clone().ok()?).local_addr().is_ok();
    let nothing = File::open("/dev/null").ok()?;
    is_socket
        .then(|| rustix::stdio::dup2_stdin(&nothing).ok())
        .flatten()?;
    Some(UnixStream::from(link))
}

impl Predecessor {
    /// Takes the sockets of the other process; those that it was given itself are added to
    /// `inherited`. Blocks.
    ///
    /// # Errors
    /// When the other process cannot be understood.
    pub(crate) fn receive(link: UnixStream, inherited: &mut Inherited) -> io::Result<Self> {
        let deadline = Instant::now() + PATIENCE;
        let mut link = Link::new(link);
        let offer: Offer = link.receive(Some(deadline))?;
        if offer.protocol != PROTOCOL {
            return Err(io::Error::other(format!(
                "process {} (sluicegate {}) hands over by protocol {}, and this version knows {PROTOCOL}: \
                 restart instead of upgrading",
                offer.pid, offer.version, offer.protocol
            )));
        }
        let counts = offer.sockets.iter().map(|socket| socket.descriptors);
        let count = counts.fold(1_usize, usize::saturating_add);
        let mut descriptors = link.receive_descriptors(count, deadline)?.into_iter();
        let errors = descriptors.next().ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut passed = HashMap::new();
        for offered in offer.sockets {
            let own = descriptors.by_ref().take(offered.descriptors);
            let mut sockets: Vec<Socket> = own.map(Socket::from).collect();
            let (Some(address), Some(at)) = (heard(&offered.address), heard(&offered.at)) else {
                continue;
            };
            if offered.given {
                if let Some(socket) = sockets.pop() {
                    inherited.add(address, socket);
                }
                continue;
            }
            let file = offered.file;
            passed.insert(address, PassedSocket { sockets, at, file });
        }
        Ok(Self {
            pid: offer.pid,
            version: offer.version,
            process_generation: offer.process_generation,
            passed: Passed::new(passed),
            link,
            errors,
        })
    }

    /// Says that this process can serve and which entries in registries it will make, and waits to
    /// be told to. Blocks.
    ///
    /// # Errors
    /// That it was given up: it must not serve.
    pub(crate) fn ready(&mut self, registered: Vec<String>) -> io::Result<Sections> {
        let taken = self.passed.close_rest();
        let ready = FromNew::Ready {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            taken: taken.iter().map(spoken_address).collect(),
            registered: Some(registered),
        };
        let deadline = Instant::now() + PATIENCE;
        self.link.send(&ready, deadline)?;
        let sections = loop {
            match self.link.receive(Some(deadline)) {
                Ok(FromOld::Commit { sections }) => break sections,
                Ok(FromOld::Draining { .. } | FromOld::Unknown) => {}
                Err(_) if self.has_died() => {
                    tracing::error!("the process before has died: serving without its state");
                    break Sections::new();
                }
                Err(error) => return Err(error),
            }
        };
        self.passed.take_files();
        Ok(sections)
    }

    /// Returns true if the predecessor has died, and not only closed the connection: no other
    /// process has the sockets then.
    fn has_died(&self) -> bool {
        (0..DEATH_LOOKS).any(|_| {
            thread::park_timeout(DEATH_LOOK);
            parent_id() != self.pid
        })
    }

    /// Says that this process serves, writes to standard error itself from now on, and hears
    /// what the other says to its end, on a thread of its own.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn follow(mut self, tell: impl Fn(News) + Send + 'static) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        if let Err(error) = self.link.send(&FromNew::Serving, deadline) {
            tracing::warn!(%error, "the process before does not listen any more");
        }
        if let Err(error) = rustix::stdio::dup2_stderr(&self.errors) {
            tracing::warn!(%error, "the log goes through the process before for as long as it lasts");
        }
        let thread = thread::Builder::new().name("predecessor".to_owned());
        thread.spawn(move || {
            loop {
                match self.link.receive(None) {
                    Ok(FromOld::Draining {
                        connections,
                        sections,
                    }) => tell(News::Draining(connections, sections)),
                    Ok(FromOld::Commit { .. } | FromOld::Unknown) => {}
                    Err(_) => return tell(News::Gone),
                }
            }
        })?;
        Ok(())
    }
}

/// An address as the other process spoke it.
fn heard(text: &str) -> Option<BindAddress> {
    let address = BindAddress::parse(text, Path::new("")).ok();
    if address.is_none() {
        tracing::warn!(
            text,
            "the process before listens at an address that this version does not know"
        );
    }
    address
}

/// Maximum wait for each message of the predecessor.
const PATIENCE: Duration = Duration::from_secs(10);
/// Number and interval of the checks whether the predecessor has died.
const DEATH_LOOKS: usize = 20;
const DEATH_LOOK: Duration = Duration::from_millis(10);
