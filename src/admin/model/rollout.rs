//! Rollouts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A controlled change of version, with the figures of both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rollout {
    /// Name.
    pub name: String,
    /// Pool that has both versions.
    pub pool: String,
    /// `pending`, `running`, `holding`, `waiting`, `promoted`, `rolling_back`, `rolled_back` or `frozen`.
    pub state: String,
    /// Reason of the last change, or of the wait.
    pub reason: String,
    /// True if a person has paused it.
    pub paused: bool,
    /// Number of the step whose share is reached, from 1; one more than there are steps: the candidate has all users.
    pub step: usize,
    /// True if an edit of the steps has left the share between this step and the next one; `step` is 0 if it is below the first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub between: bool,
    /// Steps of the plan.
    pub steps: Vec<RolloutStep>,
    /// Share of the users that get the candidate, 0 to 1.
    pub share: f64,
    /// Time for which the step has run.
    pub lasted_ms: u64,
    /// Figures of both versions.
    pub versions: BothVersions,
    /// Answers to copies of requests that were compared, where the gate has `shadow_mismatch_max`; the failures differ or are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Counted>,
    /// Evidence that the candidate is worse.
    pub evidence: RolloutEvidence,
    /// The proxies that roll out together, where `proxy.rollout_store` is set; without it this proxy is alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<RolloutFleet>,
}

/// Proxies that roll out together, as one of them sees them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RolloutFleet {
    /// Role of this proxy: `leader` or `follower`.
    pub role: String,
    /// Name of the proxy that leads; none while nobody does.
    pub leader: Option<String>,
    /// Proxies that report.
    pub members: Vec<RolloutMember>,
    /// The store.
    pub store: String,
    /// Time since it answered last.
    pub store_answered_ms: u64,
    /// Its last error, until it answers again.
    pub store_error: Option<String>,
    /// Reason why this proxy does not follow the others, such as another definition of the rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign: Option<String>,
    /// Reason why this proxy alone gives all its users the old version, while the store is away or refuses what it writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_back: Option<String>,
}

/// A proxy of a fleet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RolloutMember {
    /// Name: `config.name`, or the host and the number of the process.
    pub name: String,
    /// Time since its report changed last, as seen from here.
    pub reported_ms: u64,
    /// True if it has the same definition of the rollout as this proxy.
    pub same_definition: bool,
    /// The endpoints of the new version as it sees them: `healthy`, `unhealthy`, `absent` or `unsure`.
    pub candidate: String,
}

/// A step of a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RolloutStep {
    /// Share of the users, 0 to 1.
    pub share: f64,
    /// Minimum time.
    pub hold_ms: u64,
}

/// Figures of both versions of a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BothVersions {
    /// The old one.
    pub baseline: VersionFigures,
    /// The new one.
    pub candidate: VersionFigures,
}

/// Figures of one version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VersionFigures {
    /// Requirement that it meets.
    pub version: String,
    /// Compared requests of the present step: the first attempt of each.
    pub step: Counted,
    /// Compared requests of the whole rollout.
    pub rollout: Counted,
    /// Requests that it answered, as clients saw them, since the process started.
    pub served: Counted,
    /// Users that met a failure of it in this rollout, about.
    pub users_hurt: u64,
}

/// Requests with their failures and latencies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Counted {
    /// Requests.
    pub requests: u64,
    /// Failures among them.
    pub failures: u64,
    /// Median of the time to the response head, in milliseconds.
    pub p50_ms: Option<f64>,
    /// 99 % quantile of it.
    pub p99_ms: Option<f64>,
}

/// Evidence that a candidate is worse, as natural logarithms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RolloutEvidence {
    /// By failures.
    pub errors: f64,
    /// By latency, where it is compared.
    pub latency: Option<f64>,
    /// By answers to copies of requests, where they are compared.
    #[serde(default)]
    pub shadow: Option<f64>,
    /// Value at which the rollout is rolled back.
    pub rolls_back_at: f64,
}
