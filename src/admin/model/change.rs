//! Answers to changes, and refusals.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ProcessState;

/// Answer to a drain of the whole proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Draining {
    /// New state of the process.
    pub state: ProcessState,
}

/// Answer to a manual change of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointChange {
    /// Pool.
    pub pool: String,
    /// Address of the endpoint.
    pub endpoint: String,
    /// The change: `drain`, `enable` or `eject`.
    pub action: String,
    /// Kept over restarts: `proxy.state_dir` is set.
    #[serde(default)]
    pub lasting: bool,
    /// A warning: no endpoint of the pool can serve now, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// An error, sent in place of any other answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Error {
    /// The message.
    pub error: String,
    /// All endpoints of the API, for a request to an unknown one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<String>,
}

impl Error {
    /// Makes an error with this message.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self {
            error: sentence.into(),
            endpoints: Vec::new(),
        }
    }
}
