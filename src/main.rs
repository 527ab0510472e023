//! The `sluicegate` binary: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    sluicegate::cli::main()
}
