//! Records and reports: values that proxies of a fleet write for each other.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Figures, Merged};
use crate::{
    rollout::{
        Rollout,
        machine::{CandidateHealth, OnFailure},
        progress::Kept,
    },
    upstream::endpoint::stable_hash,
};

/// State of a rollout of a fleet. Only the leader lets its time pass; a command may change it, too.
/// Each write names the one that it was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Form of this record.
    pub version: u32,
    /// Digest of the rollout's definition: who has another one does not apply it.
    pub definition: String,
    /// Counts the shares: figures of another one are not compared.
    pub generation: u64,
    /// Counts the starts of the rollout.
    pub runs: u64,
    /// Counts the writes.
    pub tick: u64,
    /// Name of the proxy that wrote it.
    pub by: String,
    /// Endpoints of the candidate, as the fleet sees them.
    pub health: CandidateHealth,
    /// The progress.
    pub kept: Kept,
    /// The sums that the progress contains.
    pub merged: Merged,
}

/// Report of one proxy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Form of this report.
    pub version: u32,
    /// Name of the proxy.
    pub name: String,
    /// Its process: a restart is another one.
    pub epoch: String,
    /// Digest of the definition that it has.
    pub definition: String,
    /// The share that it applies; 0 if it knows none yet.
    pub generation: u64,
    /// Endpoints of the candidate, as it sees them.
    pub health: CandidateHealth,
    /// Its figures under that share.
    pub figures: Figures,
    /// True if it is the last one of a process that has ended: its figures count, its voice does not.
    #[serde(default)]
    pub left: bool,
}

impl Record {
    /// Reads a record.
    ///
    /// # Errors
    /// The reason why it is none.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let record: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        match record.version {
            VERSION => Ok(record),
            version => Err(format!(
                "it has version {version}, this proxy knows {VERSION}"
            )),
        }
    }
}

impl Report {
    /// Makes a report of a proxy, by its name and epoch.
    pub fn new(
        [name, epoch]: [&str; 2],
        definition: String,
        generation: u64,
        health: CandidateHealth,
        figures: Figures,
    ) -> Self {
        Self {
            version: VERSION,
            name: name.to_owned(),
            epoch: epoch.to_owned(),
            definition,
            generation,
            health,
            figures,
            left: false,
        }
    }

    /// Reads a report; none if it is malformed or of another version.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let report: Self = serde_json::from_slice(bytes).ok()?;
        (report.version == VERSION).then_some(report)
    }
}

/// Returns the digest of a rollout's definition: what the leader decides by.
pub fn definition(rollout: &Rollout) -> String {
    let (plan, gate) = (&rollout.plan, &rollout.gate);
    let steps: Vec<_> = plan
        .steps
        .iter()
        .map(|step| (step.share, millis(step.hold)))
        .collect();
    let on_failure = match plan.on_failure {
        OnFailure::Rollback => "rollback",
        OnFailure::Gradual => "gradual",
        OnFailure::Freeze => "freeze",
    };
    let latency = gate.latency.map(|it| (it.quantile, it.ratio_max));
    // The form is part of the agreement between releases: a key that is new must be left out where
    // it has its default.
    let text = json!([
        [
            "versions",
            rollout.versions.each_ref().map(ToString::to_string)
        ],
        ["steps", steps],
        ["watch", millis(plan.watch)],
        ["on_failure", on_failure],
        ["approve", plan.approve],
        ["volume_min", gate.volume_min],
        ["error_ratio_max", gate.error_ratio_max],
        ["error_increase_max", gate.error_increase_max],
        ["latency", latency],
        ["shadow_mismatch_max", gate.shadow_mismatch_max],
        ["proof", gate.proof],
        ["by_user", gate.by_user],
        ["confidence", gate.confidence],
    ]);
    format!("{:016x}", stable_hash(text.to_string().as_bytes()))
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Form of records and reports.
pub(super) const VERSION: u32 = 1;
