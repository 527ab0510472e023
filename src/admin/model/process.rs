//! The process as a whole.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ReloadReport;

/// Answer of the liveness probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Live {
    /// True if the process works at all.
    pub live: bool,
}

/// Answer of the readiness probe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ready {
    /// True if traffic should be sent here.
    pub ready: bool,
    /// Reasons why it is not ready, or is degraded although ready; left out for clients without the
    /// right to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasons: Option<Vec<String>>,
    /// Those of the reasons that tell of requests that fail now: pools that cannot serve, routes and
    /// pools most of whose requests fail, limits that refuse; the worst first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<Vec<String>>,
}

/// Version, uptime, generation, last reload, counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// State of the process.
    pub state: ProcessState,
    /// Version of the proxy.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// Seconds since the start.
    pub uptime_seconds: u64,
    /// Generation of the configuration in use.
    pub generation: u64,
    /// Number of generations that exchanges or connections still use, with the current one.
    pub generations_held: usize,
    /// Path of the configuration file.
    pub config: String,
    /// Workers, one thread each.
    pub workers: usize,
    /// Open downstream connections.
    pub connections: usize,
    /// Requests served since the start.
    pub requests_total: u64,
    /// Number of processes so far, counted from the last one that no upgrade started.
    #[serde(default = "one")]
    pub process_generation: u64,
    /// The process that started this one by an upgrade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<u32>,
    /// The process that this one took over from, while it drains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predecessor: Option<Predecessor>,
    /// Routes that are closed for maintenance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maintenance: Vec<String>,
    /// Reason why the process does not run what its file says, if so.
    pub degraded: Option<String>,
    /// The last reload, if there was one.
    pub last_reload: Option<ReloadReport>,
}

/// A process that drains after an upgrade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Predecessor {
    /// Identity of the process in its system.
    pub pid: u32,
    /// Version of its program.
    pub version: String,
    /// Its downstream connections that are open, once it drains.
    pub connections: Option<usize>,
}

fn one() -> u64 {
    1
}

/// State of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProcessState {
    /// Serves the configuration of its file.
    Running,
    /// Serves the last good configuration, as the file has faults.
    Degraded,
    /// Finishes its requests and ends.
    Draining,
}

impl ProcessState {
    /// Returns the word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Degraded => "degraded",
            Self::Draining => "draining",
        }
    }
}
