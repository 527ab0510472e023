//! The overview: rates of the last moments, and the state of everything in one answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Acme, Listener, Pool, Ready, Rollout, Status};

/// The proxy at a glance: state, rates and latencies since the sample before.
///
/// Lists are cut to the busiest entries: `left_out` counts the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Overview {
    /// Time of the sample, in milliseconds of Unix time.
    pub time_unix_ms: u64,
    /// Time over which rates and percentiles were measured, in milliseconds.
    pub over_ms: u64,
    /// Readiness with its reasons.
    pub ready: Ready,
    /// The process as a whole.
    pub status: Status,
    /// Requests of all routes together.
    pub requests: Traffic,
    /// Requests by route; the name is empty for those that no route took.
    pub routes: Vec<Traffic>,
    /// Attempts by pool and version of the endpoint.
    pub attempts: Vec<Attempts>,
    /// Pools with the state of their endpoints.
    pub pools: Vec<Pool>,
    /// Listeners and their connections.
    pub listeners: Vec<Listener>,
    /// Rollouts.
    pub rollouts: Vec<Rollout>,
    /// Certificates of listeners and pools, the one that expires first in front.
    pub certificates: Vec<CertificateExpiry>,
    /// Number of routes, pools and endpoints that were left out because there are so many.
    pub left_out: usize,
}

/// Requests of a route in the time of a sample.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Traffic {
    /// Name of the route.
    pub name: String,
    /// Requests since the start of the process.
    pub total: u64,
    /// Requests a second.
    pub per_second: f64,
    /// Those a second that failed: answered with 5xx, or cut short.
    pub failed_per_second: f64,
    /// Those a second that were refused for a fault of the client: answered with 4xx.
    pub refused_per_second: f64,
    /// Their latencies, from the request head to the end of the response.
    pub latency: Latency,
}

/// Attempts at the endpoints of a pool that have one version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attempts {
    /// Name of the pool.
    pub pool: String,
    /// Version of the endpoints; empty for those without one.
    pub version: String,
    /// Attempts a second that ended, well or not.
    pub per_second: f64,
    /// Those of all versions of the pool.
    #[serde(default)]
    pub pool_per_second: f64,
    /// Those of all versions of the pool that brought no response head, or one with 5xx.
    pub pool_failed_per_second: f64,
    /// Their latencies, from the start of the attempt to the response head.
    pub latency: Latency,
}

/// Percentiles in milliseconds, estimated from a histogram; none without a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// Median.
    pub p50_ms: Option<f64>,
    /// 90 % quantile.
    pub p90_ms: Option<f64>,
    /// 99 % quantile.
    pub p99_ms: Option<f64>,
}

/// A certificate, and the end of its validity; or a revocation list of clients, and when the next is
/// due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CertificateExpiry {
    /// User of it: `listener` or `pool`.
    pub of: String,
    /// Name of the user.
    pub name: String,
    /// File of the chain, or of the list.
    pub certificate: String,
    /// DNS names that it is for.
    pub names: Vec<String>,
    /// Time at which it expires, or the next list is due, in RFC 3339.
    pub expires: String,
    /// Seconds until then; negative once it has expired.
    pub expires_in_seconds: i64,
    /// True from 14 days before that time, or for the last quarter of a shorter life, and once it has expired.
    #[serde(default)]
    pub expires_soon: bool,
    /// Its renewal, if a CA issued it by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acme: Option<Acme>,
    /// Set if it is a revocation list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation_list: Option<RevocationList>,
}

/// A revocation list of clients in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RevocationList {
    /// The authority that made it.
    pub issuer: String,
    /// Its number in decimal digits, if it has one.
    pub number: Option<String>,
}
