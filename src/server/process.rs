//! Settings that the process takes from its system before it does anything else.

use std::io;

use super::{descriptors, signal::Signals};
use crate::socket::inherited::Inherited;

/// Sockets that were given to the process, and its signals.
///
/// To be taken before anything opens a descriptor or may be told to stop: a wrong
/// `LISTEN_FDS` would name descriptors of our own, and a signal without a handler kills.
#[derive(Debug)]
pub struct Process {
    pub(super) inherited: Inherited,
    pub(super) signals: Signals,
}

impl Process {
    /// Takes both, once in the life of the process and by its first thread; raises the soft
    /// limit of descriptors to the hard one.
    ///
    /// # Errors
    /// When the system gives no descriptor or thread for signals.
    pub fn take() -> io::Result<Self> {
        let inherited = Inherited::from_environment();
        descriptors::raise();
        Ok(Self {
            inherited,
            signals: Signals::take()?,
        })
    }

    /// Neither: both belong to the embedding program.
    pub(super) fn embedded() -> Self {
        Self {
            inherited: Inherited::default(),
            signals: Signals::none(),
        }
    }
}
