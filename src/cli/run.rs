//! `run`: the proxy itself.

use std::{io, path::Path, time::Duration};

use super::{
    exit_code::{CommandError, Exit},
    peek::Peek,
    print,
};
use crate::{
    config::schema::{self, Log},
    server::{Process, Server, StartError},
    telemetry::log::{self, LogControl, LogFormat},
};

/// Runs the proxy until it is told to stop.
pub(super) fn run(config: &Path, process: io::Result<Process>) -> Result<Exit, CommandError> {
    let process = match process {
        Ok(process) => process,
        Err(error) => {
            print::remark(&format!("error: cannot take signals: {error}"))?;
            return Ok(Exit::Failed);
        }
    };
    // The log begins before the file is checked, so that the faults stand in it. A file
    // that cannot be read is told by the server, in the log as it is by default.
    let written = Peek::at(config).map_or_else(|_| Log::default(), |peek| peek.log);
    let format = match written.format {
        schema::LogFormat::Text => LogFormat::Text,
        schema::LogFormat::Json => LogFormat::Json,
    };
    let control = match log::init(written.level.word(), format) {
        Ok(control) => control,
        Err(error) => {
            print::remark(&format!("error: {error}"))?;
            return Ok(Exit::Failed);
        }
    };
    control.tell_panics();
    let server = Server::new(config).with_log(control.clone());
    let exit = match server.in_process(process).run() {
        Ok(()) => Exit::Fine,
        Err(error) => {
            tell(&error, &control);
            if error.is_configuration() {
                Exit::InvalidConfiguration
            } else {
                Exit::Failed
            }
        }
    };
    control.settle(LAST_LINES);
    Ok(exit)
}

/// Reports why it does not start: with the lines of the file if standard error is a terminal.
fn tell(error: &StartError, log: &LogControl) {
    if log.is_terminal() {
        tracing::error!("the proxy does not start\n{error}");
        return;
    }
    tracing::error!("the proxy does not start");
    for line in error.lines() {
        tracing::error!("{line}");
    }
}

/// Maximum wait of a shutdown for the last lines of the log.
const LAST_LINES: Duration = Duration::from_secs(1);
