//! Sockets that the process listens on, apart from inherited ones.
//!
//! Workers accept from them; this module knows the actual address and the file of each. A file is
//! removed with its listener, or with the process.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use socket2::Socket;

use crate::{
    config::value::BindAddress,
    socket::{bind::Bound, file::SocketFile},
    state::{Listener, Snapshot},
};

/// Open listening sockets, by their configured addresses.
#[derive(Debug, Default)]
pub(crate) struct OpenSockets(Mutex<HashMap<BindAddress, OpenSocket>>);

#[derive(Debug)]
struct OpenSocket {
    address: BindAddress,
    file: Option<SocketFile>,
    /// The same socket, to empty its queue once no worker accepts from it any more.
    leaving: Option<LeavingSocket>,
}

/// A second handle to a unix socket that workers accept from, to empty its queue when they have
/// stopped.
#[derive(Debug)]
pub(crate) struct LeavingSocket {
    pub(crate) listener: Arc<Listener>,
    pub(crate) socket: Socket,
}

impl LeavingSocket {
    /// Returns a second descriptor of a unix socket of our own. An inherited one is emptied by its
    /// next owner.
    fn of(listener: &Arc<Listener>, bound: &Bound) -> io::Result<Option<Self>> {
        let (Some(_), Some(socket)) = (&bound.file, bound.sockets.first()) else {
            return Ok(None);
        };
        Ok(Some(Self {
            listener: Arc::clone(listener),
            socket: socket.try_clone()?,
        }))
    }
}

impl OpenSockets {
    /// Adds a socket that workers accept from.
    pub(crate) fn opened(&self, listener: &Arc<Listener>, bound: &mut Bound) {
        let leaving = LeavingSocket::of(listener, bound);
        let leaving = leaving.unwrap_or_else(|error| {
            tracing::debug!(listener = %listener.name, %error, "its end will not be seen to");
            None
        });
        let socket = OpenSocket {
            address: bound.address.clone(),
            file: bound.file.take(),
            leaving,
        };
        self.lock().insert(listener.address.clone(), socket);
    }

    /// Removes a socket that is about to close, and its file. Returns the socket to be emptied.
    pub(crate) fn forget(&self, wanted: &BindAddress) -> Option<LeavingSocket> {
        self.lock().remove(wanted)?.leaving
    }

    /// Removes all of them.
    pub(crate) fn forget_all(&self) {
        self.lock().clear();
    }

    /// Address that it listens on; for port 0, with the port assigned.
    pub(crate) fn address(&self, wanted: &BindAddress) -> BindAddress {
        let known = self.lock();
        known.get(wanted).map_or(wanted, |it| &it.address).clone()
    }

    /// Sets the modes of unix socket files to those of the current listeners.
    pub(crate) fn follow_modes(&self, snapshot: &Snapshot) {
        let known = self.lock();
        for listener in &snapshot.listeners {
            let file = known.get(&listener.address).and_then(|it| it.file.as_ref());
            if let (Some(file), Some(mode)) = (file, listener.socket.mode)
                && let Err(error) = file.set_mode(mode)
            {
                tracing::error!(listener = %listener.name, %mode, %error, "cannot set the mode of the socket");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<BindAddress, OpenSocket>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
