//! Answers to changes, and refusals.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ProcessState;

/// Answer to a drain of the whole proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Draining {
    /// State of the process from now on.
    pub state: ProcessState,
}

/// Answer to a change of an endpoint by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointChange {
    /// Pool.
    pub pool: String,
    /// Address of the endpoint.
    pub endpoint: String,
    /// The change: `drain`, `enable` or `eject`.
    pub action: String,
}

/// An error, sent in place of any other answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Error {
    /// A sentence.
    pub error: String,
    /// Everything there is, for who asked for something else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<String>,
}

impl Error {
    /// An error with this sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self {
            error: sentence.into(),
            endpoints: Vec::new(),
        }
    }
}
