//! The command line: arguments in, exit code out.

mod args;
pub mod explain;
mod run;

use std::process::ExitCode;

use clap::Parser as _;

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let args = args::Args::parse();
    run::run(&args.config)
}
