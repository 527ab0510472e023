//! Reports of reloads.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    config::{Diff, FaultView},
    state::heads::Replayed,
};

/// Result of a reload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReloadReport {
    /// Result, as a word.
    pub result: ReloadResult,
    /// Generation in use afterwards.
    pub generation: u64,
    /// Time, in RFC 3339.
    pub time: String,
    /// Its changes; none if it failed or nothing had changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Diff>,
    /// Number of connections that it closes: those of removed listeners.
    pub connections_closed: u64,
    /// Reason why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Each fault with its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faults: Option<Vec<FaultView>>,
    /// Its effect on recent requests, if the configuration has a gate for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Replayed>,
}

/// Result of a reload, as a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReloadResult {
    /// The new configuration is in use.
    Succeeded,
    /// The content of the file is unchanged.
    Unchanged,
    /// The new configuration is refused; the old one stays.
    Failed,
}

/// Reasons why a requested reload was not done.
#[derive(Clone, Debug, PartialEq)]
pub enum ReloadRefusal {
    /// The configuration was refused.
    Refused(Box<ReloadReport>),
    /// The process is ending.
    Stopping,
}

impl ReloadResult {
    /// Returns the word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
        }
    }
}
