//! Arguments of the commands that speak with the running proxy.

use std::{path::PathBuf, time::Duration};

use clap::{ValueEnum, ValueHint};

use super::text::{EndpointName, admin_address, endpoint, upgrade_timeout};
use crate::{admin::EndpointAction, config::value::BindAddress};

/// `upgrade`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct UpgradeArgs {
    /// The new program, if it is not the file that the running proxy was started from.
    ///
    /// A file that belongs to root or the user of the proxy and that nobody else may write.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(in crate::cli) binary: Option<PathBuf>,
    /// Return only after the old process has ended.
    #[arg(long)]
    pub(in crate::cli) wait: bool,
    /// Maximum time until the new process is ready, such as 20s; up to 50s.
    #[arg(long, value_name = "TIME", default_value = "45s", value_parser = upgrade_timeout)]
    pub(in crate::cli) timeout: Duration,
    #[command(flatten)]
    pub(in crate::cli) ask: AskArgs,
}

/// `reload`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ReloadArgs {
    /// Apply the configuration even if config.gate refuses it for the requests that it moves.
    #[arg(long)]
    pub(in crate::cli) force: bool,
    #[command(flatten)]
    pub(in crate::cli) ask: AskArgs,
}

/// `drain`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct DrainArgs {
    /// Return only after the proxy has ended.
    #[arg(long)]
    pub(in crate::cli) wait: bool,
    #[command(flatten)]
    pub(in crate::cli) ask: AskArgs,
}

/// `endpoint`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct EndpointArgs {
    /// The action.
    pub(in crate::cli) action: ActionArg,
    /// The pool and the endpoint in it, such as `app/127.0.0.1:9001`.
    #[arg(value_name = "POOL/ADDRESS", value_parser = endpoint)]
    pub(in crate::cli) endpoint: EndpointName,
    /// After a drain, return only when the endpoint has no request and no tunnel left.
    #[arg(long)]
    pub(in crate::cli) wait: bool,
    /// Maximum wait, such as 5m; the exit code is 1 if something is left by then.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    pub(in crate::cli) timeout: Duration,
    #[command(flatten)]
    pub(in crate::cli) ask: AskArgs,
}

/// `maintenance`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct MaintenanceArgs {
    /// The action.
    pub(in crate::cli) action: SwitchArg,
    /// The route.
    pub(in crate::cli) route: Option<String>,
    /// All routes.
    #[arg(long)]
    pub(in crate::cli) all: bool,
    /// A block of addresses that is let in, such as 10.0.0.0/8; may be given several times.
    #[arg(long, value_name = "CIDR")]
    pub(in crate::cli) allow: Vec<String>,
    /// Time after which clients may try again, such as 10m; by default that of the route.
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) retry_after: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) ask: AskArgs,
}

/// Closing and opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum SwitchArg {
    /// Answer with 503 from now on.
    On,
    /// Serve again.
    Off,
}

/// `rollout`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RolloutArgs {
    /// The action.
    pub(in crate::cli) action: RolloutArg,
    /// The rollout; for `status`, all of them by default.
    #[arg(value_name = "NAME")]
    pub(in crate::cli) name: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) ask: AskArgs,
}

/// `why`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct WhyArgs {
    /// The `x-request-id` of the request.
    pub(in crate::cli) request_id: String,
    #[command(flatten)]
    pub(in crate::cli) ask: AskArgs,
}

/// Address of the running proxy, and output format of its answer.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct AskArgs {
    /// The address of the running proxy's admin API, if it is not that of the configuration.
    ///
    /// `IP:PORT` or `unix:PATH`; also in the environment variable SLUICEGATE_ADMIN, which stands
    /// behind the file of `--config`. The token is taken from SLUICEGATE_TOKEN, else from the
    /// configuration.
    #[arg(long, value_name = "ADDRESS", value_parser = admin_address)]
    pub(in crate::cli) admin: Option<BindAddress>,
    #[command(flatten)]
    pub(in crate::cli) output: OutputArgs,
}

/// Output format of the answer.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(in crate::cli) struct OutputArgs {
    /// The form of the output: text for people, JSON for programs.
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub(in crate::cli) format: OutputFormat,
}

/// Receiver of the output: people or programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum OutputFormat {
    /// People.
    Text,
    /// Programs.
    Json,
}

/// Action on an endpoint.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum ActionArg {
    /// Let it finish its requests and send it no new ones.
    Drain,
    /// Undo a drain or an ejection.
    Enable,
    /// Take it out as if it had failed.
    Eject,
}

/// Action on a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum RolloutArg {
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

impl From<ActionArg> for EndpointAction {
    fn from(action: ActionArg) -> Self {
        match action {
            ActionArg::Drain => Self::Drain,
            ActionArg::Enable => Self::Enable,
            ActionArg::Eject => Self::Eject,
        }
    }
}
