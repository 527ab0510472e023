//! Sockets that the process listens on, apart from inherited ones.
//!
//! Workers accept from them; this module knows the actual address and the file of each, and holds
//! a second descriptor, to empty the socket or to pass it to another process. A file is removed
//! with its listener, or with the process.

use std::{
    collections::{HashMap, HashSet},
    io,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use socket2::Socket;

#[cfg(feature = "http3")]
use {
    crate::socket::mailbox::{Mailboxes, Neighbours},
    std::net::SocketAddr,
};

use crate::{
    config::value::BindAddress,
    socket::{
        bind::Bound,
        file::{FileLease, SocketFile},
        inherited::Inherited,
    },
    state::{Listener, Snapshot},
};

/// Open listening sockets, by their configured addresses.
#[derive(Debug, Default)]
pub(crate) struct OpenSockets(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    open: HashMap<BindAddress, OpenSocket>,
    /// Those that another process accepts from as well, by now.
    passed_on: HashSet<BindAddress>,
    /// Addresses at which this process has spoken QUIC; connections there may not have ended.
    #[cfg(feature = "http3")]
    quic: HashMap<BindAddress, Arc<Mailboxes>>,
    #[cfg(feature = "http3")]
    neighbours: Neighbours,
}

#[derive(Debug)]
struct OpenSocket {
    listener: Arc<Listener>,
    address: BindAddress,
    file: Option<SocketFile>,
    /// Second descriptors: one per worker for TCP, one in all for a unix socket.
    held: Vec<Socket>,
}

/// A second handle to a unix socket that workers accept from, to empty its queue when they have
/// stopped.
#[derive(Debug)]
pub(crate) struct LeavingSocket {
    pub(crate) listener: Arc<Listener>,
    pub(crate) socket: Socket,
}

/// A socket for another process to accept from.
#[derive(Debug)]
pub(crate) struct SocketOffer {
    /// Configured address.
    pub(crate) address: BindAddress,
    /// Actual address.
    pub(crate) at: BindAddress,
    pub(crate) descriptors: Vec<OwnedFd>,
    /// The file of a unix socket.
    pub(crate) file: Option<FileLease>,
}

impl OpenSockets {
    /// Adds a socket that workers accept from; `given`: it is inherited, and its owner has it.
    pub(crate) fn opened(&self, listener: &Arc<Listener>, bound: &mut Bound, given: bool) {
        let held = if given { Ok(Vec::new()) } else { hold(bound) };
        let held = held.unwrap_or_else(|error| {
            tracing::warn!(listener = %listener.name, %error, "the socket cannot be passed on later");
            Vec::new()
        });
        let socket = OpenSocket {
            listener: Arc::clone(listener),
            address: bound.address.clone(),
            file: bound.file.take(),
            held,
        };
        let mut state = self.lock();
        state.passed_on.remove(&listener.address);
        state.open.insert(listener.address.clone(), socket);
    }

    /// Notes that QUIC is spoken at this address; `at` is the actual one. Returns the mailboxes of
    /// so many workers, which are the same for as long as the process runs.
    #[cfg(feature = "http3")]
    pub(crate) fn opened_quic(
        &self,
        address: &BindAddress,
        at: SocketAddr,
        workers: usize,
    ) -> Arc<Mailboxes> {
        let mut state = self.lock();
        let State {
            quic, neighbours, ..
        } = &mut *state;
        let mailboxes = quic.entry(address.clone());
        let mailboxes = mailboxes.or_insert_with(|| neighbours.add(at, workers));
        mailboxes.set_accepts(true);
        Arc::clone(mailboxes)
    }

    /// Notes that no new connection is accepted over QUIC at this address.
    #[cfg(feature = "http3")]
    pub(crate) fn closed_quic(&self, address: &BindAddress) {
        if let Some(mailboxes) = self.lock().quic.get(address) {
            mailboxes.set_accepts(false);
        }
    }

    /// Returns true if new connections are accepted over QUIC at this address.
    #[cfg(feature = "http3")]
    pub(crate) fn accepts_quic(&self, address: &BindAddress) -> bool {
        let state = self.lock();
        state.quic.get(address).is_some_and(|it| it.accepts())
    }

    /// Returns false: the program is built without HTTP/3.
    #[cfg(not(feature = "http3"))]
    pub(crate) fn accepts_quic(&self, _address: &BindAddress) -> bool {
        false
    }

    /// Returns true if UDP sockets of this process may be in the way of one at this address.
    #[cfg(feature = "http3")]
    pub(crate) fn has_quic_beside(&self, at: SocketAddr) -> bool {
        let at = BindAddress::Tcp(at);
        let state = self.lock();
        let mut spoken = state.quic.values();
        spoken.any(|it| BindAddress::Tcp(it.at()).overlaps(&at))
    }

    /// Returns true if QUIC was spoken at this address.
    #[cfg(feature = "http3")]
    pub(crate) fn has_spoken_quic(&self, address: &BindAddress) -> bool {
        self.lock().quic.contains_key(address)
    }

    /// All of them that were not given, for another process.
    ///
    /// # Errors
    /// When the system gives no descriptors, or gave none when a socket was opened.
    pub(crate) fn offers(&self, given: &Inherited) -> io::Result<Vec<SocketOffer>> {
        let state = self.lock();
        let own = state
            .open
            .iter()
            .filter(|(address, _)| !given.holds(address));
        let offers = own.map(|(address, socket)| {
            if socket.held.is_empty() {
                let name = &socket.listener.name;
                return Err(io::Error::other(format!(
                    "there was no descriptor left to hold the socket of listener \"{name}\" by"
                )));
            }
            let descriptors = socket.held.iter().map(|held| Ok(held.try_clone()?.into()));
            Ok(SocketOffer {
                address: address.clone(),
                at: socket.address.clone(),
                descriptors: descriptors.collect::<io::Result<_>>()?,
                file: socket.file.as_ref().map(SocketFile::lease),
            })
        });
        offers.collect()
    }

    /// Notes that another process accepts from these sockets as well: what waits in them is
    /// left to it.
    pub(crate) fn pass_on(&self, addresses: &[BindAddress]) {
        let mut state = self.lock();
        for address in addresses {
            if let Some(socket) = state.open.get_mut(address) {
                socket.held.clear();
            }
        }
        state.passed_on.extend(addresses.iter().cloned());
    }

    /// Returns true if another process accepts from the socket at this address.
    pub(crate) fn is_passed_on(&self, address: &BindAddress) -> bool {
        self.lock().passed_on.contains(address)
    }

    /// Removes a socket that is about to close, and its file. Returns the socket to be emptied.
    pub(crate) fn forget(&self, wanted: &BindAddress) -> Option<LeavingSocket> {
        #[cfg(feature = "http3")]
        self.closed_quic(wanted);
        let OpenSocket {
            listener,
            file,
            mut held,
            ..
        } = self.lock().open.remove(wanted)?;
        // One that was given is emptied by whoever is given it next.
        file.as_ref()?;
        let socket = held.pop()?;
        Some(LeavingSocket { listener, socket })
    }

    /// Removes all of them.
    pub(crate) fn forget_all(&self) {
        self.lock().open.clear();
    }

    /// Address that it listens on; for port 0, with the port assigned.
    pub(crate) fn address(&self, wanted: &BindAddress) -> BindAddress {
        let known = self.lock();
        known
            .open
            .get(wanted)
            .map_or(wanted, |it| &it.address)
            .clone()
    }

    /// Sets the modes of unix socket files to those of the current listeners.
    pub(crate) fn follow_modes(&self, snapshot: &Snapshot) {
        let known = self.lock();
        for listener in &snapshot.listeners {
            let file = known
                .open
                .get(&listener.address)
                .and_then(|it| it.file.as_ref());
            if let (Some(file), Some(mode)) = (file, listener.socket.mode)
                && let Err(error) = file.set_mode(mode)
            {
                tracing::error!(listener = %listener.name, %mode, %error, "cannot set the mode of the socket");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A second descriptor of each socket; of a unix socket, which all workers share, one.
fn hold(bound: &Bound) -> io::Result<Vec<Socket>> {
    let count = match &bound.address {
        BindAddress::Unix(_) => 1,
        BindAddress::Tcp(_) => bound.sockets.len(),
    };
    let sockets = bound.sockets.iter().take(count);
    sockets.map(Socket::try_clone).collect()
}
