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
    /// Policies of `[policies]` that keys of its table come from, by the key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub from_policies: BTreeMap<String, Vec<String>>,
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
    /// True if it is closed for maintenance, by its table or by a command.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub maintenance: bool,
    /// Its rules on the rate of requests, in the order in which they are asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rate_limits: Vec<ExplainedRate>,
    /// Its limits on requests at once, in the order in which they are asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub concurrency: Vec<Concurrency>,
    /// Copies of its requests, where it has a `shadow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Shadow>,
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

/// Copies of requests to another pool or version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Shadow {
    /// Pool that gets them.
    pub pool: String,
    /// Requirement of the version that gets them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Share of the requests, 0 to 1.
    pub share: f64,
    /// Copies under way.
    pub in_flight: u32,
    /// Requests that were chosen to be copied, by result, since the target was first set.
    pub results: BTreeMap<String, u64>,
    /// The latest answers that differed, newest first.
    pub mismatches: Vec<ShadowMismatch>,
}

/// Answer to a copy that differs from the answer to its request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShadowMismatch {
    /// Time at which that was seen (RFC 3339).
    pub time: String,
    /// Id of the request; its copy has the same.
    pub request_id: String,
    /// Method.
    pub method: String,
    /// Path, without the query.
    pub path: String,
    /// The first difference.
    pub difference: String,
    /// Endpoint that answered the copy.
    pub endpoint: String,
}
