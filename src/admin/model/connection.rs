//! Downstream connections.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An open connection of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Connection {
    /// Identity: worker and number.
    pub id: String,
    /// Listener that accepted it.
    pub listener: String,
    /// Address and port of the client.
    pub client: String,
    /// Protocol that it speaks.
    pub protocol: String,
    /// Subject of the client's verified certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_subject: Option<String>,
    /// Milliseconds since it was accepted.
    pub age_ms: u64,
    /// Requests received on it.
    pub requests: u64,
    /// Requests under way.
    pub in_flight: u32,
    /// True if it ends with the exchanges under way.
    pub closing: bool,
    /// Generation of the configuration that it uses: the oldest one of its requests under way.
    pub generation: u64,
    /// The requests under way, the oldest first; at most 32 of them.
    #[serde(default)]
    pub exchanges: Vec<ExchangeUnderWay>,
}

/// A request under way, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExchangeUnderWay {
    /// Milliseconds since its head had arrived.
    pub age_ms: u64,
    /// Generation of the configuration that it holds.
    pub generation: u64,
    /// Its route, once that is chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Pool of its latest attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Address of the endpoint of its latest attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Version that runs at that endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}
