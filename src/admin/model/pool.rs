//! Pools and their endpoints.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A pool with the state of its endpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pool {
    /// Name.
    pub name: String,
    /// How endpoints are chosen, as the configuration says it: a name, or an object of the name
    /// with settings.
    pub picker: Value,
    /// Whether health is ignored because too few endpoints are healthy.
    pub panic: bool,
    /// Connections to its endpoints that are open.
    pub connections: usize,
    /// Retries under way, which the retry budget counts.
    pub retries_in_flight: u32,
    /// Endpoints in the order of the configuration.
    pub endpoints: Vec<Endpoint>,
}

/// An endpoint of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Endpoint {
    /// Address, which is its name.
    pub address: String,
    /// State of its health, as one word.
    pub state: String,
    /// Whether it may be picked now.
    pub eligible: bool,
    /// Why it is in that state.
    pub cause: Option<String>,
    /// Milliseconds until its ejection ends.
    pub ejected_for_ms: Option<u64>,
    /// Ejections in a row, which make the next one longer.
    pub ejections: u32,
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
    /// How often it was picked.
    pub picks: u64,
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
