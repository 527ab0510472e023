//! Health settings of a pool.
//!
//! Plain values with the defaults of the reference; the configuration is turned into them once,
//! when a snapshot is built. They are not identity: changing them never resets the state of an
//! endpoint.

use std::time::Duration;

use crate::config::value::StatusSet;

/// Settings that decide which endpoints of one pool may be picked.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthSettings {
    /// Active checks; `None`: endpoints count as healthy until requests say otherwise.
    pub check: Option<CheckSettings>,
    /// Passive ejection; `None` turns it off and ends current ejections.
    pub ejection: Option<EjectionSettings>,
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self {
            check: None,
            ejection: Some(EjectionSettings::default()),
        }
    }
}

/// Settings of active checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckSettings {
    /// Kind of check.
    pub kind: CheckKind,
    /// Time from the end of one check to the start of the next, varied by 10 %.
    pub interval: Duration,
    /// The same while the endpoint is down or between two states.
    pub interval_down: Duration,
    /// Time after which a check without an answer has failed.
    pub timeout: Duration,
    /// Passed checks in a row that bring an endpoint back; 0 counts as 1.
    pub rise: u32,
    /// Failed checks in a row that take an endpoint out; 0 counts as 1.
    pub fall: u32,
}

impl CheckSettings {
    /// Returns checks of this kind with every other setting at its default.
    #[must_use]
    pub fn new(kind: CheckKind) -> Self {
        Self {
            kind,
            interval: Duration::from_secs(5),
            interval_down: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            rise: 2,
            fall: 3,
        }
    }

    /// Maximum time that requests are held for the first check of an endpoint before it is trusted
    /// unchecked.
    #[must_use]
    pub fn hold(&self) -> Duration {
        self.timeout.saturating_add(HOLD_SLACK).min(HOLD_MAX)
    }
}

/// Kinds of checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckKind {
    /// `GET path` over a new connection; the status decides.
    Http {
        /// Path and query.
        path: String,
        /// Statuses that pass.
        status: StatusSet,
        /// The Host sent; `None`: that of the endpoint.
        host: Option<String>,
    },
    /// A connection that opens passes.
    Tcp,
    /// `grpc.health.v1.Health/Check`; only `SERVING` passes.
    Grpc {
        /// The service asked about; empty: the server as a whole.
        service: String,
    },
}

impl CheckKind {
    /// Returns an HTTP check of `path` that passes on 200 to 299.
    #[must_use]
    pub fn http(path: &str) -> Self {
        Self::Http {
            path: path.to_owned(),
            status: StatusSet::success(),
            host: None,
        }
    }
}

/// Settings of ejection: the failures that cause it, and its duration.
#[derive(Debug, Clone, PartialEq)]
pub struct EjectionSettings {
    /// Failures in a row that eject; 0 turns this off.
    pub consecutive: u32,
    /// Share of failures within `interval`, 0 to 1, that ejects; 0 turns this off.
    pub failure_ratio: f64,
    /// Minimum number of requests within `interval` for the share to count.
    pub volume_min: u32,
    /// The sliding window of the share, and the time of good behaviour that forgives one ejection.
    pub interval: Duration,
    /// Length of the first ejection; the nth in a row lasts n times as long.
    pub base: Duration,
    /// Maximum length of an ejection.
    pub max: Duration,
    /// Maximum share of endpoints, 0 to 1, that are ejected at any time.
    pub share_max: f64,
}

impl Default for EjectionSettings {
    fn default() -> Self {
        Self {
            consecutive: 5,
            failure_ratio: 0.85,
            volume_min: 20,
            interval: Duration::from_secs(10),
            base: Duration::from_secs(30),
            max: Duration::from_secs(300),
            share_max: 0.5,
        }
    }
}

/// Time that a first check may take beyond its timeout: connecting, scheduling, publishing.
const HOLD_SLACK: Duration = Duration::from_millis(500);
/// Maximum wait of a client for a pool that was never checked.
const HOLD_MAX: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_is_a_little_longer_than_a_check_but_never_long() {
        let mut check = CheckSettings::new(CheckKind::Tcp);
        assert_eq!(check.hold(), Duration::from_millis(1500));
        check.timeout = Duration::MAX;
        assert_eq!(check.hold(), Duration::from_secs(2));
    }
}
