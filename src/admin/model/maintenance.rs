//! Routes that are closed for maintenance.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Request to close routes, or to open them again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceRequest {
    /// True to close, false to open.
    pub on: bool,
    /// The route; none: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Blocks of addresses that are let in, such as `10.0.0.0/8`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// Time after which clients may try again, such as `10m`; none: that of the route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<String>,
}

/// Routes that are closed for maintenance, after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MaintenanceReport {
    /// Names of the closed routes.
    pub closed: Vec<String>,
    /// True if routes that commands have closed stay closed over a restart of the process, which needs
    /// `proxy.state_dir`.
    #[serde(default = "yes")]
    pub lasting: bool,
    /// Generation of the configuration from which on it is so.
    pub generation: u64,
}

/// Older proxies do not say it.
fn yes() -> bool {
    true
}
