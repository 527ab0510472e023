//! The command line: arguments in, exit code out.
//!
//! Each command is a file of that name. Those about the running proxy ask its admin API
//! through `client`; those about a file need no proxy. All printing goes through `print`.

mod args;
mod check;
mod client;
mod demo;
mod diff;
mod exit_code;
pub mod explain;
mod faults;
mod operate;
mod paper;
mod peek;
mod print;
mod run;
mod status;
mod why;

use std::{process::ExitCode, time::Duration};

use clap::Parser as _;

use args::{Args, Verb};
use exit_code::{CommandError, Exit};

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    // Wrong use ends here, with 2.
    let args = Args::parse();
    match dispatch(&args) {
        Ok(exit) => exit.into(),
        Err(error) => {
            // If nobody hears it, the exit code is all that is left.
            let _ = match &error {
                CommandError::Faults(faults) => print::faults(faults),
                other => print::remark(&other.to_string()),
            };
            ExitCode::from(error.code())
        }
    }
}

fn dispatch(args: &Args) -> Result<Exit, CommandError> {
    match args.command.as_ref().unwrap_or(&Verb::Run) {
        Verb::Run => run::run(args.config()),
        Verb::Demo(asked) => Ok(demo::run(demo::Options {
            lasts: asked.seconds.map(Duration::from_secs),
        })),
        Verb::Check(asked) => {
            let file = asked.file.as_deref().unwrap_or_else(|| args.config());
            check::check(file, asked.output.format)
        }
        Verb::Diff(asked) => diff::diff(args, asked),
        Verb::Explain(asked) => explain::command::explain(args, asked),
        Verb::Status(asked) => status::status(args, asked),
        Verb::Reload(asked) => operate::reload(args, asked),
        Verb::Drain(asked) => operate::drain(args, asked),
        Verb::Endpoint(asked) => operate::endpoint(args, asked),
        Verb::Why(asked) => why::why(args, asked),
        Verb::Schema => paper::schema(),
        Verb::Completions { shell } => paper::completions(*shell),
        Verb::Man { command } => paper::manual(command.as_deref()),
    }
}
