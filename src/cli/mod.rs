//! The command line: arguments in, exit code out.
//!
//! Each command is a file of that name. Those about the running proxy query its admin API through
//! `client`; those about a file need no proxy. All printing goes through `print`.

mod args;
mod cache;
mod check;
mod client;
mod demo;
mod diff;
mod effective;
mod exit_code;
pub mod explain;
mod faults;
mod holders;
mod import;
mod maintenance;
mod operate;
mod paper;
mod peek;
mod print;
mod rollout;
mod run;
mod shared;
mod status;
mod top;
mod upgrade;
mod why;
mod wrong;

use std::{ffi::OsString, io, process::ExitCode, time::Duration};

use clap::Parser as _;

use args::{Args, OutputFormat, Verb};
use exit_code::{CommandError, Exit};

use crate::server::Process;

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    // A signal without a handler kills, and reading the arguments takes its time.
    let process = is_run(std::env::args_os().skip(1)).then(Process::take);
    // Wrong use ends here, with 2.
    let args = Args::parse();
    match dispatch(&args, process) {
        Ok(exit) => exit.into(),
        Err(error) => {
            // If nobody hears it, the exit code is all that is left.
            let _ = match (args.format(), &error) {
                (OutputFormat::Json, error) => print::json(&error.report()),
                (OutputFormat::Text, CommandError::Faults(faults)) => print::faults(faults),
                (OutputFormat::Text, other) => print::remark(&other.to_string()),
            };
            ExitCode::from(error.code())
        }
    }
}

/// Returns true if these arguments run the proxy, as far as a short look can tell.
fn is_run(mut arguments: impl Iterator<Item = OsString>) -> bool {
    while let Some(argument) = arguments.next() {
        if argument == "--config" || argument == "-c" {
            arguments.next();
        } else if !argument.as_encoded_bytes().starts_with(b"-") {
            return argument == "run";
        }
    }
    true
}

fn dispatch(args: &Args, process: Option<io::Result<Process>>) -> Result<Exit, CommandError> {
    match args.command.as_ref().unwrap_or(&Verb::Run) {
        Verb::Run => run::run(args.config(), process.unwrap_or_else(Process::take)),
        Verb::Demo(asked) => Ok(demo::run(demo::Options {
            lasts: asked.seconds.map(Duration::from_secs),
        })),
        Verb::Check(asked) => check::check(args, asked),
        Verb::Diff(asked) => diff::diff(args, asked),
        Verb::Config(asked) => effective::config(args, asked),
        Verb::Explain(asked) => explain::command::explain(args, asked),
        Verb::Status(asked) => status::status(args, asked),
        Verb::Top(asked) => top::top(args, asked),
        Verb::Reload(asked) => operate::reload(args, asked),
        Verb::Upgrade(asked) => upgrade::upgrade(args, asked),
        Verb::Drain(asked) => operate::drain(args, asked),
        Verb::Endpoint(asked) => operate::endpoint(args, asked),
        Verb::Import(asked) => import::run(asked),
        Verb::Push(asked) => shared::push(args, asked),
        Verb::Fleet(asked) => shared::fleet(args, asked),
        Verb::Maintenance(asked) => maintenance::maintenance(args, asked),
        Verb::Rollout(asked) => rollout::rollout(args, asked),
        Verb::Cache(asked) => cache::cache(args, asked),
        Verb::Why(asked) => why::why(args, asked),
        Verb::Schema => paper::schema(),
        Verb::Completions { shell } => paper::completions(*shell),
        Verb::Man { command } => paper::manual(command.as_deref()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_the_proxy_is_known_before_the_arguments_are_read() {
        for (arguments, runs) in [
            (&[][..], true),
            (&["run"], true),
            (&["--config", "a.toml"], true),
            (&["-c", "a.toml", "status"], false),
            (&["--config=a.toml", "run"], true),
            (&["--config", "run", "check"], false),
            (&["check", "run"], false),
        ] {
            let given = arguments.iter().map(OsString::from);
            assert_eq!(is_run(given), runs, "{arguments:?}");
        }
    }
}
