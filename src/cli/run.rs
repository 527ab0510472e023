//! `run`: the proxy itself.

use std::{path::Path, process::ExitCode};

use crate::{
    server::Server,
    telemetry::log::{self, LogFormat},
};

/// Runs the proxy until it is told to stop.
pub(super) fn run(config: &Path) -> ExitCode {
    if log::init("info", LogFormat::Text).is_err() {
        return ExitCode::FAILURE;
    }
    match Server::new(config).run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            if error.is_configuration() {
                ExitCode::from(3)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}
