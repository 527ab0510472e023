//! Arguments of the command line.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Command, CommandFactory as _, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use http::{HeaderName, HeaderValue, Method, Uri};

use super::shared::{FleetArgs, PushArgs};
use crate::{admin::EndpointAction, config::Secrets, config::value::BindAddress};

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
    /// Show where a request would go, and why.
    Explain(ExplainArgs),
    /// Show the running proxy and the state of its endpoints.
    Status(AskArgs),
    /// Make the running proxy reload its configuration now.
    Reload(AskArgs),
    /// Have the program on disk take over from the running proxy, without a connection lost.
    Upgrade(UpgradeArgs),
    /// Make the running proxy finish its requests and end.
    Drain(DrainArgs),
    /// Take an endpoint of the running proxy out of the traffic, or back in.
    Endpoint(EndpointArgs),
    /// Write a configuration that many proxies share to its store, checked and tested.
    Push(PushArgs),
    /// Show the proxies that use the shared configuration.
    Fleet(FleetArgs),
    /// Show a rollout of the running proxy, or change its course.
    Rollout(RolloutArgs),
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
    #[command(flatten)]
    pub(super) output: OutputArgs,
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
    /// End with 1 if anything would change, as `diff` and `git diff --exit-code` do.
    #[arg(long)]
    pub(super) exit_code: bool,
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

/// `upgrade`.
#[derive(Debug, clap::Args)]
pub(super) struct UpgradeArgs {
    /// The new program, if it is not the file that the running proxy was started from.
    ///
    /// A file that belongs to root or the user of the proxy and that nobody else may write.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) binary: Option<PathBuf>,
    /// Return only after the old process has ended.
    #[arg(long)]
    pub(super) wait: bool,
    /// Maximum time until the new process is ready, such as 20s; up to 50s.
    #[arg(long, value_name = "TIME", default_value = "45s", value_parser = upgrade_timeout)]
    pub(super) timeout: Duration,
    #[command(flatten)]
    pub(super) ask: AskArgs,
}

/// `drain`.
#[derive(Debug, clap::Args)]
pub(super) struct DrainArgs {
    /// Return only after the proxy has ended.
    #[arg(long)]
    pub(super) wait: bool,
    #[command(flatten)]
    pub(super) ask: AskArgs,
}

/// `endpoint`.
#[derive(Debug, clap::Args)]
pub(super) struct EndpointArgs {
    /// The action.
    pub(super) action: ActionArg,
    /// The pool and the endpoint in it, such as `app/127.0.0.1:9001`.
    #[arg(value_name = "POOL/ADDRESS", value_parser = endpoint)]
    pub(super) endpoint: EndpointName,
    /// After a drain, return only when the endpoint has no request and no tunnel left.
    #[arg(long)]
    pub(super) wait: bool,
    /// Maximum wait, such as 5m; the exit code is 1 if something is left by then.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    pub(super) timeout: Duration,
    #[command(flatten)]
    pub(super) ask: AskArgs,
}

/// `rollout`.
#[derive(Debug, clap::Args)]
pub(super) struct RolloutArgs {
    /// The action.
    pub(super) action: RolloutArg,
    /// The rollout; for `status`, all of them by default.
    #[arg(value_name = "NAME")]
    pub(super) name: Option<String>,
    #[command(flatten)]
    pub(super) ask: AskArgs,
}

/// `why`.
#[derive(Debug, clap::Args)]
pub(super) struct WhyArgs {
    /// The `x-request-id` of the request.
    pub(super) request_id: String,
    #[command(flatten)]
    pub(super) ask: AskArgs,
}

/// Address of the running proxy, and output format of its answer.
#[derive(Debug, clap::Args)]
pub(super) struct AskArgs {
    /// The address of the running proxy's admin API, if it is not that of the configuration.
    ///
    /// `IP:PORT` or `unix:PATH`; also in the environment variable SLUICEGATE_ADMIN. The token is
    /// taken from SLUICEGATE_TOKEN, else from the configuration.
    #[arg(long, value_name = "ADDRESS", value_parser = admin_address)]
    pub(super) admin: Option<BindAddress>,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// Output format of the answer.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct OutputArgs {
    /// The form of the output: text for people, JSON for programs.
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub(super) format: OutputFormat,
}

/// Receiver of the output: people or programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum OutputFormat {
    /// People.
    Text,
    /// Programs.
    Json,
}

/// Action on an endpoint.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ActionArg {
    /// Let it finish its requests and send it no new ones.
    Drain,
    /// Undo a drain or an ejection.
    Enable,
    /// Take it out as if it had failed.
    Eject,
}

/// Action on a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum RolloutArg {
    /// Show its state, and the figures of both versions.
    Status,
    /// Stay at the present step; a worse version is still rolled back.
    Pause,
    /// Go on; after a rollback, start again.
    Resume,
    /// End the present step now; approves it where each step waits for a person.
    Promote,
    /// Give all users to the old version now.
    Abort,
}

/// An endpoint of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EndpointName {
    pub(super) pool: String,
    pub(super) address: String,
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
            Verb::Check(asked) => asked.output,
            Verb::Diff(asked) => asked.ask.output,
            Verb::Explain(asked) => asked.ask.output,
            Verb::Status(ask) | Verb::Reload(ask) => ask.output,
            Verb::Upgrade(asked) => asked.ask.output,
            Verb::Drain(asked) => asked.ask.output,
            Verb::Endpoint(asked) => asked.ask.output,
            Verb::Rollout(asked) => asked.ask.output,
            Verb::Why(asked) => asked.ask.output,
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

impl From<ActionArg> for EndpointAction {
    fn from(action: ActionArg) -> Self {
        match action {
            ActionArg::Drain => Self::Drain,
            ActionArg::Enable => Self::Enable,
            ActionArg::Eject => Self::Eject,
        }
    }
}

fn method(text: &str) -> Result<Method, String> {
    text.parse()
        .map_err(|_| "it is not a method, such as GET".to_owned())
}

fn url(text: &str) -> Result<Uri, String> {
    let url = text.parse::<Uri>().ok();
    let whole = |url: &Uri| url.scheme().is_some() || text.starts_with('/');
    url.filter(whole).ok_or_else(|| {
        "it is neither a URL, such as http://shop.example/orders, nor a path".to_owned()
    })
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or("it has no colon between name and value")?;
    let name = name.trim().parse().map_err(|_| "the name is malformed")?;
    let value = value.trim().parse();
    Ok((name, value.map_err(|_| "the value is malformed")?))
}

fn endpoint(text: &str) -> Result<EndpointName, String> {
    match text.split_once('/') {
        Some((pool, address)) if !pool.is_empty() && !address.is_empty() => Ok(EndpointName {
            pool: pool.to_owned(),
            address: address.to_owned(),
        }),
        _ => Err("it is not a pool and an address, such as app/127.0.0.1:9001".to_owned()),
    }
}

fn upgrade_timeout(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).ok();
    time.filter(|time| !time.is_zero() && *time <= UPGRADE_TIMEOUT_MAX)
        .ok_or_else(|| "it is not a time up to 50s, such as 20s".to_owned())
}

fn admin_address(text: &str) -> Result<BindAddress, String> {
    BindAddress::parse(text, Path::new(""))
        .map_err(|_| "it is not an address, such as 127.0.0.1:9901 or unix:admin.sock".to_owned())
}

/// The proxy answers within its own patience.
const UPGRADE_TIMEOUT_MAX: Duration = Duration::from_secs(50);
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

    #[test]
    fn an_endpoint_may_be_a_unix_socket() {
        let name = endpoint("app/unix:/run/app.sock").unwrap();
        assert_eq!(name.pool, "app");
        assert_eq!(name.address, "unix:/run/app.sock");
        for wrong in ["app", "/a:1", "app/", ""] {
            assert!(endpoint(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn headers_and_urls_are_checked_where_they_are_typed() {
        let (name, value) = header("X-Tenant: a: b ").unwrap();
        assert_eq!(
            (name.as_str(), value.as_bytes()),
            ("x-tenant", &b"a: b"[..])
        );
        for wrong in ["x-tenant", ": a", "a b: c", "a: \u{7f}"] {
            assert!(header(wrong).is_err(), "{wrong}");
        }
        assert!(url("/orders?lang=de").is_ok());
        for wrong in ["shop.example", "shop.example/orders", "", "http://"] {
            assert!(url(wrong).is_err(), "{wrong}");
        }
    }
}
