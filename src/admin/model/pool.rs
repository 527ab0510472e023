//! Pools and their endpoints.

use std::{borrow::Cow, collections::BTreeMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A pool with the state of its endpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pool {
    /// Name.
    pub name: String,
    /// Picker as configured: a name, or an object of the name with settings.
    pub picker: Value,
    /// True if health is ignored because too few endpoints are healthy.
    pub panic: bool,
    /// Its breaker, if it has one.
    #[serde(default)]
    pub breaker: Option<PoolBreaker>,
    /// Open connections to its endpoints.
    pub connections: usize,
    /// Retries under way, which the retry budget counts.
    pub retries_in_flight: u32,
    /// Its source of further endpoints, if it has one.
    #[serde(default)]
    pub discovery: Option<PoolDiscovery>,
    /// Endpoints.
    pub endpoints: Vec<Endpoint>,
}

/// The breaker of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PoolBreaker {
    /// `closed`, `open` or `half_open`.
    pub state: String,
    /// Cause of that state; none before the first change.
    pub cause: Option<String>,
    /// Time in that state, in milliseconds.
    pub lasted_ms: u64,
    /// Milliseconds until the next trial, while all requests are refused.
    pub refuses_for_ms: Option<u64>,
    /// Calls in the window that count.
    pub calls: u64,
    /// Those of them that failed or were slow.
    pub failed: u64,
}

/// Source of a pool's endpoints, and its state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PoolDiscovery {
    /// Its kind, as in the configuration: `file`, `http`, `consul` and so on.
    pub source: String,
    /// Location of the source.
    pub from: String,
    /// Endpoints of the last good list.
    pub endpoints: usize,
    /// Time of the last good list, in RFC 3339.
    pub succeeded: Option<String>,
    /// Time of the last change of the list.
    pub changed: Option<String>,
    /// Reason why the newest answer was not a good list; the last good one is kept.
    pub error: Option<String>,
    /// Time since when that is so.
    pub error_since: Option<String>,
    /// A trouble of the source though the newest answer was a good list, which is used.
    #[serde(default)]
    pub trouble: Option<String>,
    /// Time since when that is so.
    #[serde(default)]
    pub trouble_since: Option<String>,
    /// Time of the list, if it was kept on disk and the source was not reached since.
    #[serde(default)]
    pub restored: Option<String>,
    /// Endpoints that stay in use for a time, though the list suddenly leaves out most.
    #[serde(default)]
    pub held: usize,
    /// Time since when that is so.
    #[serde(default)]
    pub held_since: Option<String>,
    /// Those of the held ones that the list marks as down.
    #[serde(default)]
    pub held_down: usize,
    /// Time until which they stay, if the list stays like this.
    #[serde(default)]
    pub held_until: Option<String>,
    /// Endpoints that are not listed any more, and used until their check fails.
    #[serde(default)]
    pub absent: usize,
    /// Number of entries of the last good list that cannot be used.
    #[serde(default)]
    pub skipped: usize,
    /// The first of them: where they are, and what is wrong.
    #[serde(default)]
    pub skipped_entries: Vec<String>,
}

/// An endpoint of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Endpoint {
    /// Address, which is its name.
    pub address: String,
    /// Its source: `config`, or the kind of the pool's source.
    #[serde(default)]
    pub source: String,
    /// Status in its registry, if that says that it is not to serve: then it is drained.
    #[serde(default)]
    pub down: Option<String>,
    /// True if its source does not list it any more: it is used until its check fails.
    #[serde(default)]
    pub absent: bool,
    /// State of its health, as one word.
    pub state: String,
    /// Its condition in words: the state, or what else keeps requests away, such as `down: critical`
    /// or `weight 0`.
    #[serde(default)]
    pub condition: String,
    /// True if it may be picked now.
    pub eligible: bool,
    /// Reason for its state.
    pub cause: Option<String>,
    /// Milliseconds until its ejection ends.
    pub ejected_for_ms: Option<u64>,
    /// Ejections in a row, each longer than the one before.
    pub ejections: u32,
    /// Milliseconds until its slow start is over.
    #[serde(default)]
    pub starts_for_ms: Option<u64>,
    /// Weight.
    pub weight: u32,
    /// Version of the service that runs there.
    pub version: Option<String>,
    /// Zone.
    pub zone: Option<String>,
    /// Priority; 0 goes first.
    pub priority: u32,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Number of times it was picked; unknown for an endpoint beyond `metrics.per_endpoint`.
    pub picks: Option<u64>,
    /// Requests and tunnels that it still has, of all generations; only in the answer about one
    /// pool, and only if all workers answered.
    #[serde(default)]
    pub in_flight: Option<u64>,
    /// Sessions that it was given in the last five to ten minutes, where the pool has sessions.
    #[serde(default)]
    pub sessions: Option<u64>,
}

impl Endpoint {
    /// Its condition in words.
    pub fn condition(&self) -> Cow<'_, str> {
        // An older proxy tells only the state.
        match &*self.condition {
            "" => self.state.replace('_', " ").into(),
            words => words.into(),
        }
    }
}

impl Pool {
    /// The name of its picker.
    pub fn picker_name(&self) -> &str {
        match &self.picker {
            Value::Object(settings) => settings.keys().next().map_or("", String::as_str),
            name => name.as_str().unwrap_or_default(),
        }
    }
}
