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
    /// Answers on disk; `null` without `disk`.
    pub disk: Option<CacheDisk>,
}

/// The answers of a route on disk. Counts are since the start of the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CacheDisk {
    /// State of the disk.
    pub state: CacheDiskState,
    /// Keys with answers.
    pub entries: u64,
    /// Bytes that their files take.
    pub bytes: u64,
    /// The bound on them.
    pub bytes_max: u64,
    /// Writes, purges and removals of files that have not ended.
    pub waiting: u64,
    /// Answers that were read.
    pub read: u64,
    /// Answers that were written.
    pub written: u64,
    /// Answers that were not written, as too many waited, or as the disk failed.
    pub dropped: u64,
    /// Accesses that failed.
    pub failed: u64,
    /// Files that were not what had been written, and were removed.
    pub damaged: u64,
}

/// State of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheDiskState {
    /// The files are being looked through.
    Opening,
    /// Answers are read and written.
    Ready,
    /// Answers are read; another process has the right to write, such as the one before an upgrade.
    Reading,
    /// The last access failed; answers are in memory alone.
    Failing,
    /// There is no room for `disk_max` bytes: answers leave the disk to make room for others.
    Full,
    /// It does not answer in time: it is passed over until it does.
    Slow,
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
    /// Keys that were removed from memory. What is on disk is not used any more, either; it is not
    /// counted.
    pub purged: u64,
}
