//! `run`: the proxy itself.

use std::path::Path;

use super::{
    exit_code::{CommandError, Exit},
    peek::Peek,
    print,
};
use crate::{
    config::schema::{self, Log},
    server::Server,
    telemetry::log::{self, LogFormat},
};

/// Runs the proxy until it is told to stop.
pub(super) fn run(config: &Path) -> Result<Exit, CommandError> {
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
    match Server::new(config).with_log(control).run() {
        Ok(()) => Ok(Exit::Fine),
        Err(error) => {
            tracing::error!("the proxy does not start\n{error}");
            Ok(if error.is_configuration() {
                Exit::InvalidConfiguration
            } else {
                Exit::Failed
            })
        }
    }
}
