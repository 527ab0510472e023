//! Transitions of an endpoint's state, in the words of log, events and admin API.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::probe::ProbeFailure;

/// State of an endpoint. The most binding word wins: operator, then check, then ejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndpointState {
    /// Takes requests.
    Healthy,
    /// Joined a checked pool and has no answer to its first check yet.
    Pending,
    /// Its checks fail.
    Unhealthy,
    /// Ejected for failed requests.
    Ejected,
    /// The ejection is over and one request will decide.
    Probation,
    /// Drained by an operator: sessions continue, nothing new is sent.
    Draining,
    /// Ejected by an operator.
    EjectedByOperator,
}

impl EndpointState {
    /// Returns the word of this state in metrics, logs and the API.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Pending => "pending",
            Self::Unhealthy => "unhealthy",
            Self::Ejected => "ejected",
            Self::Probation => "probation",
            Self::Draining => "draining",
            Self::EjectedByOperator => "ejected_by_operator",
        }
    }

    /// Returns true if no operator keeps traffic away.
    #[must_use]
    pub const fn is_enabled(self) -> bool {
        !matches!(self, Self::Draining | Self::EjectedByOperator)
    }
}

impl fmt::Display for EndpointState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// State of an endpoint as set by an operator. Never overruled, not even in panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdminState {
    /// Health decides. Setting this again ends an ejection.
    #[default]
    Enabled,
    /// Sessions continue, nothing new is sent.
    Draining,
    /// Nothing is sent to it.
    Ejected,
}

/// Reasons why an ejection that was due did not take place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Withheld {
    /// No other endpoint could serve.
    LastOne,
    /// More than the allowed share would have been out.
    Share,
    /// Comparable others fail as much: the requests may be the cause.
    Alike,
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LastOne => "no other endpoint can serve",
            Self::Share => "more than ejection.share_max of the endpoints would be out",
            Self::Alike => "requests to others fail as much",
        })
    }
}

/// Causes of an endpoint's change of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Enough checks passed.
    CheckPassed,
    /// Enough checks failed; the reason of the last.
    CheckFailed(ProbeFailure),
    /// No check was answered within the hold time.
    HoldOver,
    /// This many requests in a row failed.
    ConsecutiveFailures(u32),
    /// The share of failures in the window was too large.
    FailureRatio {
        /// Failed requests in the window.
        failures: u64,
        /// All requests in the window.
        total: u64,
    },
    /// An ejection was due, but a stronger reason prevents it; the state stays. Reported once per
    /// episode.
    EjectionWithheld(Withheld, Box<Self>),
    /// The time of the ejection is over.
    EjectionOver,
    /// A check passed that began after the ejection.
    EjectionCutShort,
    /// All other endpoints failed, so the ejection ended.
    LastLeft,
    /// It sent complete answers on probation, to requests other than its trial.
    Answered,
    /// Its trial succeeded.
    TrialPassed,
    /// Its trial failed.
    TrialFailed,
    /// An operator's decision.
    Operator,
    /// Checks or ejection were turned off.
    Settings,
    /// The process before this one knew it, and said so in these words.
    Carried(Box<str>),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CheckPassed => f.write_str("checks pass"),
            Self::CheckFailed(failure) => write!(f, "check failed: {failure}"),
            Self::HoldOver => f.write_str("not checked in time, trusted until then"),
            Self::ConsecutiveFailures(count) => write!(f, "{count} failures in a row"),
            Self::FailureRatio { failures, total } => {
                write!(f, "{failures} of {total} requests failed")
            }
            Self::EjectionWithheld(reason, grounds) => {
                write!(f, "not ejected for {grounds}: {reason}")
            }
            Self::EjectionOver => f.write_str("ejection is over"),
            Self::EjectionCutShort => f.write_str("ejection cut short by a passed check"),
            Self::LastLeft => f.write_str("ejection ended: no other endpoint can serve"),
            Self::Answered => f.write_str("it answers"),
            Self::TrialPassed => f.write_str("trial passed"),
            Self::TrialFailed => f.write_str("trial failed"),
            Self::Operator => f.write_str("operator"),
            Self::Settings => f.write_str("settings changed"),
            Self::Carried(words) => f.write_str(words),
        }
    }
}

/// One change of one endpoint. `from` equals `to` if an ejection was withheld.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The endpoint.
    pub address: Arc<str>,
    /// The old state.
    pub from: EndpointState,
    /// The new state.
    pub to: EndpointState,
    /// The cause.
    pub cause: Cause,
    /// The time.
    pub at: Instant,
}

impl Transition {
    /// Logs this transition: as a warning if an endpoint is lost or should have been.
    pub(super) fn log(&self, pool: &str) {
        let Self {
            address,
            from,
            to,
            cause,
            ..
        } = self;
        if let Cause::EjectionWithheld(reason, cause) = cause {
            tracing::warn!(
                %pool, endpoint = %address, state = %to, %cause, %reason,
                "an ejection was refused"
            );
        } else if matches!(to, EndpointState::Unhealthy | EndpointState::Ejected) {
            tracing::warn!(%pool, endpoint = %address, %from, %to, %cause, "endpoint health");
        } else {
            tracing::info!(%pool, endpoint = %address, %from, %to, %cause, "endpoint health");
        }
    }
}
