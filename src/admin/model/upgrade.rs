//! Upgrades of the binary.

use std::{fmt, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of an upgrade: the body of `POST /upgrade`, which may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UpgradeRequest {
    /// Absolute path of the new program; by default that of the running one, as it now is on disk.
    /// Accepted only from this machine, and only for a file that nobody but root or the user of
    /// the proxy can have written.
    pub binary: Option<PathBuf>,
    /// Maximum time until the new process is ready, up to 50,000; 45,000 by default.
    pub timeout_ms: Option<u32>,
}

/// The outcome of an upgrade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpgradeReport {
    /// The outcome in a word.
    pub result: UpgradeResult,
    /// The program that was started.
    pub binary: String,
    /// The new process, if it serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Reason why it does not serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The last lines that it wrote on standard error, if it does not serve.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<String>,
}

/// The outcome of an upgrade, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UpgradeResult {
    /// The new process serves, and the old one drains.
    Succeeded,
    /// The old process goes on serving.
    Failed,
}

/// Reason why an upgrade was refused or failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpgradeRefusal {
    /// The new process does not serve.
    Failed(Box<UpgradeReport>),
    /// It was not begun.
    NotNow(String),
    /// The process is ending.
    Stopping,
}

impl fmt::Display for UpgradeRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(report) => f.write_str(report.error.as_deref().unwrap_or_default()),
            Self::NotNow(why) => f.write_str(why),
            Self::Stopping => f.write_str("the proxy is stopping"),
        }
    }
}

impl UpgradeReport {
    /// That of an upgrade whose new process serves.
    pub fn succeeded(binary: String, pid: u32, version: &str) -> Self {
        Self {
            result: UpgradeResult::Succeeded,
            binary,
            pid: Some(pid),
            version: Some(version.to_owned()),
            error: None,
            output: Vec::new(),
        }
    }

    /// That of one that failed.
    pub fn failed(binary: String, error: String, output: &[String]) -> Self {
        Self {
            result: UpgradeResult::Failed,
            binary,
            pid: None,
            version: None,
            error: Some(error),
            output: output.to_vec(),
        }
    }
}

impl UpgradeResult {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}
