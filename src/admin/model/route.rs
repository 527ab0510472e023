//! Routes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::state::ExplainedRate;

/// A route, in the order of precedence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Route {
    /// Name.
    pub name: String,
    /// Filters in the order in which requests pass them.
    pub filters: Vec<String>,
    /// Pool that requests go to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Share of the users of each pool, 0 to 1, for a route that splits them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<BTreeMap<String, f64>>,
    /// Rollout that the route follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<String>,
    /// Status of the redirect, for a route that redirects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect: Option<u16>,
    /// Status of the fixed reply, for a route with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub respond: Option<u16>,
    /// Ways to authenticate clients, which must all pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub auth: Vec<String>,
    /// Its rules on the rate of requests, in the order in which they are asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rate_limits: Vec<ExplainedRate>,
    /// Its limits on requests at once, in the order in which they are asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub concurrency: Vec<Concurrency>,
    /// Its table of the configuration, secrets masked.
    pub config: Value,
}

/// Limit on requests at once, for all clients together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Concurrency {
    /// The requests that share it: `route` or `client_ip`.
    pub per: String,
    /// Places of the route, or of each client.
    pub limit: u32,
    /// Requests that hold a place.
    pub in_use: u64,
    /// Requests that wait for one.
    pub waiting: u64,
    /// Requests that got none since the limit was first set.
    pub refused: u64,
}
