//! Reasons why a reload is refused.

use std::{io, sync::Arc};

use super::prepared::PATIENCE;
use crate::{
    config::{Faults, value::BindAddress},
    socket::bind::BindError,
    state::{BuildError, heads::Replayed},
};

/// Reasons why a configuration is not applied; the one in use stays.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadError {
    /// The file has faults.
    #[error("{0}")]
    Configuration(Faults),
    /// It cannot be compiled, or its tests fail.
    #[error("{0}")]
    Build(#[from] BuildError),
    /// It would route too many of the recent requests otherwise.
    #[error("{}; \"sluicegate reload --force\" applies it all the same", .0.headline())]
    Gate(Box<Replayed>),
    /// A new listener's address cannot be bound.
    #[error("listener \"{0}\": {1}")]
    Bind(Arc<str>, BindError),
    /// The access log cannot be opened.
    #[error("access log: {0}")]
    AccessLog(String),
    /// The address of the metrics listener cannot be bound.
    #[error("metrics: cannot listen on {0}: {1}")]
    Metrics(BindAddress, io::Error),
    /// The disk does not answer.
    #[error(
        "the files of the configuration could not be read within {} s; does their disk hang?",
        PATIENCE.as_secs()
    )]
    TooSlow,
    /// The system cannot make a thread for it.
    #[error("cannot be read: {0}")]
    Thread(#[from] io::Error),
    /// A bug of the proxy.
    #[error("reading it panicked; this is a bug")]
    Panicked,
}

impl ReloadError {
    /// Returns the error for a log: one line for each fault.
    pub(crate) fn lines(&self) -> Vec<String> {
        match self {
            Self::Configuration(faults) => faults.lines(),
            Self::Gate(replayed) => {
                let moves = replayed.to_string();
                let moves = moves.lines().skip(1).map(str::to_owned);
                std::iter::once(self.to_string()).chain(moves).collect()
            }
            Self::Build(_)
            | Self::Bind(..)
            | Self::AccessLog(_)
            | Self::Metrics(..)
            | Self::TooSlow
            | Self::Thread(_)
            | Self::Panicked => self.to_string().lines().map(str::to_owned).collect(),
        }
    }
}
