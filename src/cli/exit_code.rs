//! Ends of a command, and their exit codes for scripts.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde_json::{Value, json};

use super::client::ClientError;
use crate::{config::Faults, import::ImportError};

/// Exit code of a command that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// As it should be: 0.
    Fine,
    /// Not done: 1.
    Failed,
    /// Configuration faults: 3.
    InvalidConfiguration,
}

/// Reasons why a command could not be done.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    /// The configuration has faults.
    #[error("{0}")]
    Faults(Faults),
    /// The configuration cannot be used for this.
    #[error("error: {}: {reason}", file.display())]
    Configuration {
        /// The file.
        file: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The configuration of another proxy cannot be read.
    #[error("error: {0}")]
    Import(#[from] ImportError),
    /// The running proxy cannot be reached, or refuses.
    #[error("error: {0}")]
    Client(#[from] ClientError),
    /// The output cannot be written.
    #[error("error: the output cannot be written: {0}")]
    Output(#[from] io::Error),
    /// The request in question would be refused before routing.
    #[error("error: the proxy would refuse this request: {0}")]
    Refused(String),
    /// The proxy knows of no such thing.
    #[error("error: {0}")]
    Unknown(String),
    /// The thing asked for does not exist.
    #[error("error: {0}")]
    WrongUse(String),
}

impl Exit {
    /// The exit code; 2 for wrong use, which clap finds before any command runs.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Failed => 1,
            Self::InvalidConfiguration => 3,
        }
    }
}

impl CommandError {
    /// Makes the error for a file that cannot be read.
    pub(super) fn unreadable(file: &Path, error: &io::Error) -> Self {
        let reason = match error.kind() {
            io::ErrorKind::NotFound => "the file does not exist".to_owned(),
            _ => format!("the file cannot be read: {error}"),
        };
        Self::Configuration {
            file: file.to_owned(),
            reason,
        }
    }

    /// Returns the report for programs: the sentence, and the known details.
    pub(super) fn report(&self) -> Value {
        let sentence = self.to_string();
        let sentence = sentence.strip_prefix("error: ").unwrap_or(&sentence);
        match self {
            Self::Faults(faults) => json!({ "error": sentence, "faults": faults }),
            Self::Client(ClientError::Refused { body, .. }) if body.is_object() => {
                let mut report = body.clone();
                report["error"] = sentence.into();
                report
            }
            _ => json!({ "error": sentence }),
        }
    }

    /// The exit code.
    pub(super) const fn code(&self) -> u8 {
        match self {
            Self::Client(_) | Self::Output(_) | Self::Refused(_) | Self::Unknown(_) => {
                Exit::Failed.code()
            }
            Self::WrongUse(_) => WRONG_USE,
            Self::Faults(_) | Self::Configuration { .. } | Self::Import(_) => {
                Exit::InvalidConfiguration.code()
            }
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

const WRONG_USE: u8 = 2;
