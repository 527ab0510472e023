//! Reasons why the process does not start.

use std::{io, sync::Arc};

use super::reload::ReloadError;
use crate::{config::Faults, socket::bind::BindError, state::BuildError};

/// Reasons why the process does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration has faults, and there is no earlier one to start with.
    #[error("{0}")]
    Configuration(Faults),
    /// The configuration cannot be compiled, or its tests fail.
    #[error("{0}")]
    Build(#[from] BuildError),
    /// A listener's address cannot be bound.
    #[error("listener \"{0}\": {1}")]
    Bind(Arc<str>, BindError),
    /// The admin API cannot start.
    #[error("admin: {0}")]
    Admin(String),
    /// The access log cannot be opened.
    #[error("access log: {0}")]
    AccessLog(String),
    /// The metrics listener cannot start.
    #[error("{0}")]
    Metrics(String),
    /// The disk does not answer.
    #[error("{0}")]
    Disk(String),
    /// A worker cannot start.
    #[error(
        "worker {0} cannot start: {1}; with too few descriptors or threads, raise the limit (ulimit -n, LimitNOFILE=, TasksMax=) or lower proxy.workers"
    )]
    Worker(usize, io::Error),
    /// The process that it is to take over from cannot be understood, or has changed its mind.
    #[error("cannot take over from the running process: {0}")]
    TakeOver(io::Error),
    /// The system cannot make a thread or runtime.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

impl From<ReloadError> for StartError {
    fn from(error: ReloadError) -> Self {
        match error {
            ReloadError::Configuration(faults) => Self::Configuration(faults),
            ReloadError::Build(error) => Self::Build(error),
            ReloadError::Bind(listener, error) => Self::Bind(listener, error),
            ReloadError::AccessLog(error) => Self::AccessLog(error),
            ReloadError::Metrics(..) => Self::Metrics(error.to_string()),
            ReloadError::Thread(error) => Self::System(error),
            // No gate judges a start.
            ReloadError::Gate(_) | ReloadError::TooSlow | ReloadError::Panicked => {
                Self::Disk(error.to_string())
            }
        }
    }
}

impl StartError {
    /// Returns the error for a log: one line for each fault.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Configuration(faults) => faults.lines(),
            Self::Build(_)
            | Self::Bind(..)
            | Self::Admin(_)
            | Self::AccessLog(_)
            | Self::Metrics(_)
            | Self::Disk(_)
            | Self::Worker(..)
            | Self::TakeOver(_)
            | Self::System(_) => self.to_string().lines().map(str::to_owned).collect(),
        }
    }

    /// Returns true if the configuration is at fault.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Configuration(_) | Self::Build(_) => true,
            Self::Bind(..)
            | Self::Admin(_)
            | Self::AccessLog(_)
            | Self::Metrics(_)
            | Self::Disk(_)
            | Self::Worker(..)
            | Self::TakeOver(_)
            | Self::System(_) => false,
        }
    }
}
