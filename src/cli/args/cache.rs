//! Arguments of `cache`.

use clap::Subcommand;

use super::AskArgs;

/// `cache`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct CacheArgs {
    /// The action.
    #[command(subcommand)]
    pub(in crate::cli) verb: CacheVerb,
}

/// Action on the caches.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum CacheVerb {
    /// Show what the caches of routes hold.
    Status(AskArgs),
    /// Remove stored answers.
    Purge(PurgeArgs),
}

/// `cache purge`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct PurgeArgs {
    #[command(flatten)]
    pub(in crate::cli) what: PurgeWhat,
    /// The route whose cache is purged; all of them by default.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) route: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) ask: AskArgs,
}

/// Answers that are removed.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(in crate::cli) struct PurgeWhat {
    /// The URL whose answers are removed, with scheme and host.
    #[arg(value_name = "URL")]
    pub(in crate::cli) url: Option<String>,
    /// Remove the answers of all URLs that begin so.
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) prefix: Option<String>,
    /// Remove the answers with this name in `Cache-Tag` or `Surrogate-Key`.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) tag: Option<String>,
    /// Remove everything.
    #[arg(long)]
    pub(in crate::cli) all: bool,
}
