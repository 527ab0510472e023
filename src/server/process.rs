//! Settings that the process takes from its system before it does anything else.

use std::io;
use std::os::unix::net::UnixStream;

use super::{
    descriptors,
    signal::Signals,
    upgrade::{Program, predecessor},
};
use crate::socket::inherited::Inherited;

/// Inherited sockets of the process, its signals, and the connection to its predecessor.
///
/// Take it before anything opens a descriptor or the process may be told to stop: a wrong
/// `LISTEN_FDS` would name descriptors of our own, and a signal without a handler kills.
#[derive(Debug)]
pub struct Process {
    pub(super) inherited: Inherited,
    pub(super) signals: Signals,
    /// Program and arguments, for an upgrade; none in an embedding program.
    pub(super) program: Option<Program>,
    /// Connection to the process that started this one by an upgrade.
    pub(super) predecessor: Option<UnixStream>,
}

impl Process {
    /// Takes all of them, once in the life of the process and on its first thread; raises the soft
    /// limit of descriptors to the hard one.
    ///
    /// # Errors
    /// If the system cannot make a descriptor or thread for signals.
    pub fn take() -> io::Result<Self> {
        let inherited = Inherited::from_environment();
        let predecessor = predecessor::take_link();
        descriptors::raise();
        Ok(Self {
            inherited,
            signals: Signals::take()?,
            program: Program::of_process(),
            predecessor,
        })
    }

    /// Takes nothing: all belongs to the embedding program.
    pub(super) fn embedded() -> Self {
        Self {
            inherited: Inherited::default(),
            signals: Signals::none(),
            program: None,
            predecessor: None,
        }
    }
}
