//! Arguments of the command line.

mod cache;
mod operate;
mod text;

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use clap::{Command, CommandFactory as _, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use http::{HeaderName, HeaderValue, Method, Uri};

use self::text::{header, method, url};
use super::{
    import::ImportArgs,
    shared::{FleetArgs, PushArgs},
};
use crate::config::Secrets;

pub(super) use self::{
    cache::{CacheArgs, CacheVerb, PurgeArgs},
    operate::{
        AskArgs, DrainArgs, EndpointArgs, MaintenanceArgs, OutputArgs, OutputFormat, ReloadArgs,
        RolloutArg, RolloutArgs, SwitchArg, UpgradeArgs, WhyArgs,
    },
    text::EndpointName,
};

/// A layer-7 load-balancing reverse proxy.
#[derive(Debug, Parser)]
#[command(name = "sluicegate", version = VERSION, about, after_help = EXIT_CODES)]
pub(super) struct Args {
    /// The configuration file; `proxy.toml` in this folder by default.
    #[arg(long, short, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) config: Option<PathBuf>,
    /// The command; without one, the proxy runs.
    #[command(subcommand)]
    pub(super) command: Option<Verb>,
}

/// The command.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Run the proxy; this is also what happens without a command.
    Run,
    /// Show the proxy at work with its own services, under load, with failures.
    Demo(DemoArgs),
    /// Check a configuration, report all errors and run its tests.
    Check(CheckArgs),
    /// Show what a reload with another file would add, remove, change and restart.
    Diff(DiffArgs),
    /// Show the configuration in effect: each value, and where it comes from.
    Config(ConfigArgs),
    /// Show where a request would go, and why.
    Explain(ExplainArgs),
    /// Show the running proxy and the state of its endpoints.
    Status(AskArgs),
    /// Show the running proxy live in the terminal: endpoints, routes, pools, rollouts.
    Top(AskArgs),
    /// Make the running proxy reload its configuration now.
    Reload(ReloadArgs),
    /// Have the program on disk take over from the running proxy, without a connection lost.
    Upgrade(UpgradeArgs),
    /// Make the running proxy finish its requests and end.
    Drain(DrainArgs),
    /// Take an endpoint of the running proxy out of the traffic, or back in.
    Endpoint(EndpointArgs),
    /// Close a route of the running proxy for maintenance, or open it again.
    Maintenance(MaintenanceArgs),
    /// Print the configuration of another proxy in the form of this one, line by line.
    Import(ImportArgs),
    /// Write a configuration that many proxies share to its store, checked and tested.
    Push(PushArgs),
    /// Show the proxies that use the shared configuration.
    Fleet(FleetArgs),
    /// Show a rollout of the running proxy, or change its course.
    Rollout(RolloutArgs),
    /// Show the caches of the running proxy, or remove stored answers.
    Cache(CacheArgs),
    /// Show what was decided and done for a recent request.
    Why(WhyArgs),
    /// Print the JSON Schema of the configuration, for editors.
    Schema,
    /// Print the completions of a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page of the program, or of one command.
    Man {
        /// The command; the whole program by default.
        command: Option<String>,
    },
}

/// `demo`.
#[derive(Debug, clap::Args)]
pub(super) struct DemoArgs {
    /// End after this many seconds; on Ctrl-C by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(3..=86_400))]
    pub(super) seconds: Option<u64>,
}

/// `check`.
#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    /// The file; that of `--config` by default.
    #[arg(value_hint = ValueHint::FilePath)]
    pub(super) file: Option<PathBuf>,
    /// Check without the environment of the service: values in variables or files, and private
    /// keys, may be missing.
    #[arg(long)]
    pub(super) without_secrets: bool,
    /// Check without the network: sources of endpoints and the store of a shared configuration are
    /// not asked.
    #[arg(long)]
    pub(super) offline: bool,
    /// Then tell which of the running proxy's recent requests it would route otherwise. Ends with 1
    /// if config.gate of the proxy would refuse it.
    #[arg(long)]
    pub(super) against_live: bool,
    #[command(flatten)]
    pub(super) ask: AskArgs,
}

/// `diff`.
#[derive(Debug, clap::Args)]
pub(super) struct DiffArgs {
    /// The new configuration.
    #[arg(value_hint = ValueHint::FilePath)]
    pub(super) file: PathBuf,
    /// Compare with the running proxy, even if `--config` names a file to compare with.
    #[arg(long)]
    pub(super) live: bool,
    /// Also tell which of the running proxy's recent requests it would route otherwise.
    #[arg(long)]
    pub(super) against_live: bool,
    /// End with 1 if anything would change, as `diff` and `git diff --exit-code` do.
    #[arg(long)]
    pub(super) exit_code: bool,
    #[command(flatten)]
    pub(super) ask: AskArgs,
}

/// `config`.
#[derive(Debug, clap::Args)]
pub(super) struct ConfigArgs {
    /// Show the values at and below this place only, such as `routes.shop`.
    pub(super) place: Option<String>,
    /// Leave out what is not written anywhere: defaults that are built in.
    #[arg(long)]
    pub(super) written: bool,
    /// Ask the running proxy instead of reading the file.
    #[arg(long)]
    pub(super) live: bool,
    #[command(flatten)]
    pub(super) ask: AskArgs,
}

/// `explain`.
#[derive(Debug, clap::Args)]
pub(super) struct ExplainArgs {
    /// The method of the request.
    #[arg(value_parser = method)]
    pub(super) method: Method,
    /// Its URL with scheme and host, or only the path of one.
    #[arg(value_parser = url)]
    pub(super) url: Uri,
    /// A header of the request; may be given several times.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// The listener that accepts it; by default the one that scheme and port of the URL name.
    #[arg(long, value_name = "NAME")]
    pub(super) listener: Option<String>,
    /// The address of the client; 127.0.0.1 by default.
    #[arg(long, value_name = "IP")]
    pub(super) source: Option<IpAddr>,
    /// The certificate of the client, as PEM; its names count, its trust is not checked.
    #[arg(long, value_name = "FILE")]
    pub(super) certificate: Option<PathBuf>,
    /// Ask the running proxy, which knows the health of its endpoints, instead of the file.
    #[arg(long)]
    pub(super) live: bool,
    #[command(flatten)]
    pub(super) ask: AskArgs,
}

/// Use of the network by a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    /// Sources and stores are asked.
    Asked,
    /// Nobody is asked.
    Left,
}

impl CheckArgs {
    /// Returns whether values kept outside the file must be present.
    pub(super) fn secrets(&self) -> Secrets {
        if self.without_secrets {
            Secrets::Excused
        } else {
            Secrets::Needed
        }
    }

    /// Returns whether others are asked over the network.
    pub(super) fn network(&self) -> Network {
        if self.offline {
            Network::Left
        } else {
            Network::Asked
        }
    }
}

impl Args {
    /// The configuration file, whether it was named or not.
    pub(super) fn config(&self) -> &Path {
        self.config.as_deref().unwrap_or_else(|| Path::new(CONFIG))
    }

    /// Returns the output format of the command.
    pub(super) fn format(&self) -> OutputFormat {
        let output = match self.command.as_ref().unwrap_or(&Verb::Run) {
            Verb::Check(asked) => asked.ask.output,
            Verb::Diff(asked) => asked.ask.output,
            Verb::Config(asked) => asked.ask.output,
            Verb::Explain(asked) => asked.ask.output,
            Verb::Status(ask) | Verb::Top(ask) => ask.output,
            Verb::Reload(asked) => asked.ask.output,
            Verb::Upgrade(asked) => asked.ask.output,
            Verb::Drain(asked) => asked.ask.output,
            Verb::Endpoint(asked) => asked.ask.output,
            Verb::Maintenance(asked) => asked.ask.output,
            Verb::Rollout(asked) => asked.ask.output,
            Verb::Cache(asked) => match &asked.verb {
                CacheVerb::Status(ask) => ask.output,
                CacheVerb::Purge(asked) => asked.ask.output,
            },
            Verb::Why(asked) => asked.ask.output,
            Verb::Import(asked) => asked.output,
            Verb::Push(asked) => asked.output,
            Verb::Fleet(asked) => asked.output,
            Verb::Run
            | Verb::Demo(_)
            | Verb::Schema
            | Verb::Completions { .. }
            | Verb::Man { .. } => return OutputFormat::Text,
        };
        output.format
    }

    /// The whole command line as clap knows it.
    pub(super) fn definition() -> Command {
        Self::command()
    }
}

/// The file that is read when none is named.
const CONFIG: &str = "proxy.toml";

/// The version, with the commit where the build knows it.
const VERSION: &str = match option_env!("SLUICEGATE_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};

const EXIT_CODES: &str = "Exit codes: 0 fine, 1 failed, 2 wrong use, 3 invalid configuration.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Args::definition().debug_assert();
    }

    #[test]
    fn every_command_and_option_has_a_help_text() {
        fn look(command: &Command) {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                let id = argument.get_id();
                assert!(argument.get_help().is_some(), "{} {id}", command.get_name());
            }
            command.get_subcommands().for_each(look);
        }
        look(&Args::definition());
    }
}
