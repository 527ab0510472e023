//! Caches of routes, and purges.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The cache of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RouteCache {
    /// Name of the route.
    pub route: String,
    /// Keys with stored answers.
    pub entries: u64,
    /// Bytes that they take.
    pub bytes: u64,
    /// The bound on them.
    pub bytes_max: u64,
    /// Keys that left to make room, since the store was made.
    pub evicted: u64,
}

/// A purge: exactly one of `url`, `prefix`, `tag` and `all`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Purge {
    /// URL whose answers are removed, for all values of `Vary`, headers and cookies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Beginning of URLs whose answers are removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Name in `Cache-Tag` or `Surrogate-Key` of answers that are removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Removes everything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Route whose cache is purged; all of them by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
}

/// Result of a purge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Purged {
    /// Keys that were removed.
    pub purged: u64,
}
