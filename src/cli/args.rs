//! What can be said on the command line.

use std::path::PathBuf;

use clap::Parser;

/// A layer-7 load-balancing reverse proxy.
#[derive(Debug, Parser)]
#[command(version, about)]
pub(super) struct Args {
    /// The configuration.
    #[arg(long, default_value = "proxy.toml", global = true)]
    pub(super) config: PathBuf,
}
