//! Settings that the process takes from its system before it does anything else.

use std::io;

use super::{descriptors, signal::Signals};
use crate::socket::inherited::Inherited;

/// Inherited sockets of the process, and its signals.
///
/// Take it before anything opens a descriptor or the process may be told to stop: a wrong
/// `LISTEN_FDS` would name descriptors of our own, and a signal without a handler kills.
#[derive(Debug)]
pub struct Process {
    pub(super) inherited: Inherited,
    pub(super) signals: Signals,
}

impl Process {
    /// Takes both, once in the life of the process and on its first thread; raises the soft limit
    /// of descriptors to the hard one.
    ///
    /// # Errors
    /// If the system cannot make a descriptor or thread for signals.
    pub fn take() -> io::Result<Self> {
        let inherited = Inherited::from_environment();
        descriptors::raise();
        Ok(Self {
            inherited,
            signals: Signals::take()?,
        })
    }

    /// Takes neither: both belong to the embedding program.
    pub(super) fn embedded() -> Self {
        Self {
            inherited: Inherited::default(),
            signals: Signals::none(),
        }
    }
}
