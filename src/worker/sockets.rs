//! The sockets that the process listens on, apart from those that it was given.
//!
//! Workers accept from them; here is what is known of each: where it really is, and its
//! file. A file goes with its listener, or with the process.

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

/// The open listening sockets, by the addresses that were asked for.
#[derive(Debug, Default)]
pub(crate) struct OpenSockets(Mutex<HashMap<BindAddress, OpenSocket>>);

#[derive(Debug)]
struct OpenSocket {
    address: BindAddress,
    file: Option<SocketFile>,
    /// The same socket, to empty it by when no worker accepts from it any more.
    leaving: Option<LeavingSocket>,
}

/// A unix socket that workers accept from, once more: to empty it by when they have stopped.
#[derive(Debug)]
pub(crate) struct LeavingSocket {
    pub(crate) listener: Arc<Listener>,
    pub(crate) socket: Socket,
}

impl LeavingSocket {
    /// A second descriptor of a unix socket of our own. One that was given is emptied by whoever
    /// is given it next.
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
    /// Notes a socket that workers accept from.
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

    /// Forgets a socket that is about to close; its file is removed. Returns what is still to be
    /// emptied.
    pub(crate) fn forget(&self, wanted: &BindAddress) -> Option<LeavingSocket> {
        self.lock().remove(wanted)?.leaving
    }

    /// Forgets all of them.
    pub(crate) fn forget_all(&self) {
        self.lock().clear();
    }

    /// Address that it listens on; for port 0, with the port assigned.
    pub(crate) fn address(&self, wanted: &BindAddress) -> BindAddress {
        let known = self.lock();
        known.get(wanted).map_or(wanted, |it| &it.address).clone()
    }

    /// Gives the files of unix sockets the modes that the listeners have now.
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
