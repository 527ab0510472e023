//! The sockets that the process listens on, apart from those that it was given.
//!
//! Workers accept from them; here is what is known of each: where it really is, and its
//! file. A file goes with its listener, or with the process.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{config::value::BindAddress, socket::file::SocketFile, state::Snapshot};

/// The open listening sockets, by the addresses that were asked for.
#[derive(Debug, Default)]
pub(crate) struct OpenSockets(Mutex<HashMap<BindAddress, OpenSocket>>);

#[derive(Debug)]
struct OpenSocket {
    address: BindAddress,
    file: Option<SocketFile>,
}

impl OpenSockets {
    /// Notes a socket that workers accept from.
    pub(crate) fn opened(
        &self,
        wanted: &BindAddress,
        address: BindAddress,
        file: Option<SocketFile>,
    ) {
        self.lock()
            .insert(wanted.clone(), OpenSocket { address, file });
    }

    /// Forgets a socket that is about to close; its file is removed.
    pub(crate) fn forget(&self, wanted: &BindAddress) {
        self.lock().remove(wanted);
    }

    /// Forgets all of them.
    pub(crate) fn forget_all(&self) {
        self.lock().clear();
    }

    /// Where it listens: of port 0, the port that was given.
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
