//! Listeners.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::state::ExplainedRate;

/// A listener with its socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Listener {
    /// Name.
    pub name: String,
    /// Address that the socket is bound to.
    pub address: String,
    /// True if it speaks HTTP/1.1.
    pub http1: bool,
    /// True if it speaks HTTP/2.
    pub http2: bool,
    /// True if it speaks HTTP/3.
    #[serde(default)]
    pub http3: bool,
    /// State of its UDP port, if it speaks HTTP/3: `open`, `waiting` (after an upgrade, until the
    /// port is free) or `closed` (the process drains).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http3_state: Option<String>,
    /// True if it speaks TLS.
    #[serde(default)]
    pub tls: bool,
    /// Rules on the rate of its requests, in the order in which they are asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rate_limits: Vec<ExplainedRate>,
    /// Open connections.
    pub connections: usize,
    /// Its entry in a registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
    /// Its certificate that a CA issues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acme: Option<Acme>,
}

/// A certificate that a CA issues (ACME).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Acme {
    /// Its names.
    pub names: Vec<String>,
    /// URL of the CA's directory.
    pub directory: String,
    /// `wanted`, `ordering`, `issued` or `failed`: the last order failed, whether or not there is a
    /// certificate.
    pub state: String,
    /// Time at which it expires, in RFC 3339; none: there is none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Time of the next order, in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_order: Option<String>,
    /// Failed orders in a row.
    pub failures: u32,
    /// Reason why the last order failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The entry of a listener in a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Registration {
    /// Kind of registry: `consul` …
    pub registry: String,
    /// The registry and the place in it.
    pub to: String,
    /// Id of the entry.
    pub id: String,
    /// Address that is announced.
    pub announced: String,
    /// `entering`, `registered` or `failed`.
    pub state: String,
    /// Time since when, as UTC in RFC 3339 form.
    pub since: String,
    /// Reason why it is not registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
